#include "spec/refresh.hpp"

#include "spec/inputs.hpp"

namespace nucleus::spec {

namespace {

constexpr std::string_view kMounted = "volumes:";

// The file that an input is the digest of; "" where its contents are in the specification itself.
std::string FileOf(const Service& service, std::string_view input) {
  if (input == "rootfs") return service.rootfs + "/" + std::string(kRootfsManifest);
  if (!input.starts_with(kMounted)) return "";
  for (const auto& mount : service.volumes) {
    if (mount.destination == input.substr(kMounted.size())) return mount.source;
  }
  return "";
}

}  // namespace

std::vector<std::string> TakeContentsAsTheyAre(Topology& topology, const Outside& outside) {
  std::vector<std::string> changed;
  for (auto& [name, service] : topology.services) {
    for (auto& [input, digest] : service.inputs) {
      const std::string path = FileOf(service, input);
      if (path.empty() || outside.path_kind(path) != Outside::PathKind::kFile) continue;
      const auto text = outside.read_file(path);
      if (!text || Sha256::Of(*text) == digest) continue;
      digest = Sha256::Of(*text);
      changed.push_back("service." + name + ": " + path +
                        " is another than in that revision: it is taken as it is now");
    }
  }
  return changed;
}

}  // namespace nucleus::spec
