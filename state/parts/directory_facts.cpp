#include "state/parts/directory_facts.hpp"

#include <array>
#include <cstdio>

namespace nucleus {

std::string FormatMode(std::uint32_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode & 07777U);
  return text.data();
}

bool IsModeAsked(const DirectoryWanted& wanted) {
  return wanted.type == spec::VolumeType::kEphemeral || wanted.mode.has_value();
}

Facts ExpectedFacts(const DirectoryWanted& wanted) {
  constexpr Bytes kPage = 4096;  // tmpfs counts pages and rounds up
  const bool persistent = wanted.type == spec::VolumeType::kPersistent;
  Facts facts{{"type", persistent ? "directory" : "tmpfs"}};
  if (IsModeAsked(wanted)) facts.emplace("mode", FormatMode(wanted.mode.value_or(kDefaultVolumeMode)));
  if (wanted.uid) facts.emplace("uid", std::to_string(*wanted.uid));
  if (wanted.gid) facts.emplace("gid", std::to_string(*wanted.gid));
  if (!persistent && wanted.size != 0) facts.emplace("size", std::to_string((wanted.size + kPage - 1) / kPage * kPage));
  return facts;
}

}  // namespace nucleus
