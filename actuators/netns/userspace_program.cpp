#include "actuators/netns/userspace_program.hpp"

#include <array>

#include "actuators/sys/trusted.hpp"

namespace nucleus::netns {

namespace {

using spec::NatBackend;

struct KnownProgram {
  NatBackend backend;
  std::string_view name;
  std::string_view package;
};
constexpr std::array kUserspacePrograms = {KnownProgram{NatBackend::kSlirp4netns, "slirp4netns", "slirp4netns"},
                                           KnownProgram{NatBackend::kPasta, "pasta", "passt"}};
// Where root installs programs. On NixOS the last one, a link into the store.
constexpr std::array kDirectories = {"/usr/bin/", "/usr/local/bin/", "/run/current-system/sw/bin/"};

}  // namespace

std::string_view UserspaceProgram::name() const {
  return kUserspacePrograms[backend == NatBackend::kPasta ? 1 : 0].name;
}

Result<UserspaceProgram> FindUserspaceProgram(NatBackend backend) {
  const bool named = backend == NatBackend::kSlirp4netns || backend == NatBackend::kPasta;
  for (const auto& known : kUserspacePrograms) {
    if (named && known.backend != backend) continue;
    for (const char* directory : kDirectories) {
      std::string path = directory + std::string(known.name);
      if (sys::CheckTrusted(path)) return UserspaceProgram{known.backend, std::move(path)};
    }
  }
  const KnownProgram& missing = kUserspacePrograms[backend == NatBackend::kPasta ? 1 : 0];
  return Fail(Error::Of(ErrorCode::kNotFound, "find", missing.name, "it is not where root installs programs")
                  .Hint("apt install " + std::string(missing.package)));
}

}  // namespace nucleus::netns
