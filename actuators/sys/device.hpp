// Block devices by number, as the io controller names them.
#pragma once

#include <string>

#include "spec/core/error.hpp"

namespace nucleus::sys {

// "/dev/sda1" -> "8:0". Limits are kept per whole disk (a partition's number is ENODEV to io.max), so a partition
// gives the number of its disk. "8:0" is returned as it is. kInvalid for what is not a block device.
Result<std::string> DeviceNumber(const std::string& device);

}  // namespace nucleus::sys
