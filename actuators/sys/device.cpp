#include "actuators/sys/device.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

bool IsNumber(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) return false;
  return text.find_first_not_of("0123456789") == colon &&
         text.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
}

}  // namespace

Result<std::string> DeviceNumber(const std::string& device) {
  if (IsNumber(device)) return device;
  struct stat st{};
  if (::stat(device.c_str(), &st) != 0) return FailSys("stat", device);
  if (!S_ISBLK(st.st_mode)) return Fail(ErrorCode::kInvalid, "find", device, "not a block device");
  const std::string number = std::to_string(major(st.st_rdev)) + ":" + std::to_string(minor(st.st_rdev));
  const std::string entry = "/sys/dev/block/" + number;
  if (!TRY(ReadFileIfThere(entry + "/partition"))) return number;
  std::string disk = TRY(ReadFile(entry + "/../dev"));
  while (disk.ends_with('\n')) disk.pop_back();
  return disk;
}

}  // namespace nucleus::sys
