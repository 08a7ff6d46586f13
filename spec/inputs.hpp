// Contents that keys point at: env files are read into the environment, and everything whose contents matter leaves a
// digest in Service::inputs, so that a change of it is a change of the service.
#pragma once

#include "spec/reader.hpp"

namespace nucleus::spec {

inline constexpr std::string_view kRootfsManifest = ".nucleus-rootfs-sha256";
inline constexpr std::size_t kLargestConfigFile = 1 << 20;
inline constexpr std::size_t kLargestPolicyFile = 1 << 20;

// Reads what the services point at; a file that several of them name is read once. Problems go to the reader.
void ReadInputs(Topology& topology, Reader& reader);

// The policy files that a service's table names have the digests it gives for them.
void CheckPolicyFiles(const Value& service, Reader& reader);

struct EnvLine {
  std::string name, value;
  std::size_t line = 0;
  bool operator==(const EnvLine&) const = default;
};
struct EnvFile {
  std::vector<EnvLine> pairs;
  std::vector<std::pair<std::size_t, std::string>> problems;  // line, cause
};
// NAME=value lines; empty ones and those that begin with # are passed over, as is "export "; quotes around a whole
// value are taken off.
EnvFile ParseEnvFile(std::string_view text);

}  // namespace nucleus::spec
