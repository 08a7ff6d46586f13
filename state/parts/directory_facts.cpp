#include "state/parts/directory_facts.hpp"

#include <array>
#include <cstdio>

#include "state/parts/facts.hpp"

namespace nucleus {

std::string FormatMode(std::uint32_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode & 07777U);
  return text.data();
}

bool IsModeAsked(const DirectoryWanted& wanted) {
  return wanted.type == spec::VolumeType::kEphemeral || wanted.mode.has_value();
}

void TellFacts(const DirectoryWanted& wanted, FactSink& sink) {
  constexpr Bytes kPage = 4096;  // tmpfs counts pages and rounds up
  const bool persistent = wanted.type == spec::VolumeType::kPersistent;
  if (wanted.gid) sink.Fact("gid", std::to_string(*wanted.gid));
  if (IsModeAsked(wanted)) sink.Fact("mode", FormatMode(wanted.mode.value_or(kDefaultVolumeMode)));
  if (!persistent && wanted.size != 0) sink.Fact("size", std::to_string((wanted.size + kPage - 1) / kPage * kPage));
  sink.Fact("type", persistent ? "directory" : "tmpfs");
  if (wanted.uid) sink.Fact("uid", std::to_string(*wanted.uid));
}

}  // namespace nucleus
