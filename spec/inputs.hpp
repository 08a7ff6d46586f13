// Contents that keys point at: env files are read into the environment, and everything whose contents matter leaves a
// digest in Service::inputs, so that a change of it is a change of the service.
#pragma once

#include "spec/reader.hpp"

namespace nucleus::spec {

inline constexpr std::string_view kRootfsManifest = ".nucleus-rootfs-sha256";
inline constexpr std::size_t kLargestConfigFile = 1 << 20;

// Reads what the service points at. Problems go to the reader.
void ReadInputs(Service& service, Reader& reader);

// NAME=value lines; empty ones and those that begin with # are passed over; quotes around a whole value are taken off.
// An error has the line's number in its cause.
Result<std::vector<std::pair<std::string, std::string>>> ParseEnvFile(std::string_view text);

}  // namespace nucleus::spec
