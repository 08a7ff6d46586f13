#include "actuators/netns/userspace_program.hpp"

#include <algorithm>
#include <array>

#include "actuators/sys/trusted.hpp"
#include "spec/net.hpp"

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

std::optional<spec::PortForward> FirstOnIpv6(const std::vector<spec::PortForward>& ports) {
  const auto found = std::ranges::find_if(
      ports, [](const spec::PortForward& port) { return port.host_ip && spec::IsV6(*port.host_ip); });
  return found == ports.end() ? std::nullopt : std::optional(*found);
}

Result<UserspaceProgram> FindUserspaceProgram(NatBackend backend, const std::vector<spec::PortForward>& ports) {
  const auto v6 = FirstOnIpv6(ports);
  if (v6 && backend == NatBackend::kSlirp4netns) {
    return Fail(
        Error::Of(ErrorCode::kUnsupported, "publish", Format(*v6), "slirp4netns publishes on IPv4 addresses alone")
            .Hint("pasta does on either"));
  }
  if (v6) backend = NatBackend::kPasta;
  const bool named = backend == NatBackend::kSlirp4netns || backend == NatBackend::kPasta;
  for (const auto& known : kUserspacePrograms) {
    if (named && known.backend != backend) continue;
    for (const char* directory : kDirectories) {
      std::string path = directory + std::string(known.name);
      if (sys::CheckTrusted(path)) return UserspaceProgram{known.backend, std::move(path)};
    }
  }
  const KnownProgram& missing = kUserspacePrograms[backend == NatBackend::kPasta ? 1 : 0];
  const std::string why = !v6 ? "" : ", and " + Format(*v6) + " is published by no other";
  return Fail(Error::Of(ErrorCode::kNotFound, "find", missing.name, "it is not where root installs programs" + why)
                  .Hint("apt install " + std::string(missing.package)));
}

}  // namespace nucleus::netns
