// Whatever an image's passwd or group file holds: entries are well-formed, and found again by their name.
#include <cstdlib>

#include "actuators/sys/accounts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& user : nucleus::sys::ParsePasswd(text)) {
    if (user.uid > 0x7fffffffU || user.gid > 0x7fffffffU || user.name.empty() || !user.home.starts_with('/')) abort();
    if (user.name.find_first_of("\n:=") != std::string::npos || user.home.find('\n') != std::string::npos) abort();
  }
  const auto groups = nucleus::sys::ParseGroup(text);
  for (const auto& group : groups) {
    if (nucleus::sys::FindGroup(groups, group.name) == nullptr) abort();
  }
  (void)nucleus::sys::ParseId(text);
  return 0;
}
