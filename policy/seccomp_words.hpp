// The words of seccomp profiles, both ways. The names of actions, operators and architectures are those of libseccomp;
// for architectures Docker's short ones ("amd64") too.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policy/seccomp_profile.hpp"

namespace nucleus::policy {

template <class T>
struct Word {
  std::string_view text;
  T value;
};

std::span<const Word<SeccompAction>> ActionWords();  // the first of a value is the one to write
std::span<const Word<SeccompOp>> OperatorWords();
std::span<const Word<SeccompArch>> ArchWords();
std::span<const Word<SeccompArch>> ShortArchWords();

template <class T>
std::optional<T> ValueOf(std::span<const Word<T>> words, std::string_view text) {
  for (const auto& word : words) {
    if (word.text == text) return word.value;
  }
  return std::nullopt;
}
template <class T>
std::string_view TextOf(std::span<const Word<T>> words, T value) {
  for (const auto& word : words) {
    if (word.value == value) return word.text;
  }
  return "";
}

// "allow", "errno EPERM", "kill process".
std::string VerdictText(const SeccompVerdict& verdict);
// "arg0 == 2", "arg0 & 0xffff == 0x10".
std::string ArgText(const SeccompArg& arg);

// The number of an errno's name on Linux, "EPERM".
std::optional<std::uint16_t> ErrnoNumber(std::string_view name);

}  // namespace nucleus::policy
