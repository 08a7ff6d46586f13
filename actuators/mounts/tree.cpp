#include "actuators/mounts/tree.hpp"

#include <algorithm>
#include <set>

#include "spec/core/paths.hpp"

namespace nucleus::mounts {

namespace {

using Type = MountOp::Type;

bool IsRoot(const MountOp& op) {
  return op.type == Type::kRootTmpfs || op.type == Type::kRootBind || op.type == Type::kRootOverlay;
}

std::unexpected<Error> Broken(std::string_view target, std::string_view why) {
  return Fail(Error::Of(ErrorCode::kInvalid, "arrange mounts", target, why));
}

Result<> CheckPaths(const MountOp& op) {
  if (!IsRoot(op) && op.type != Type::kSealRoot) {
    const auto target = NormalPath(op.target);
    if (!target || *target != op.target || op.target == "/") return Broken(op.target, "not a normal path");
  }
  const bool has_source = op.type == Type::kBind || op.type == Type::kContext || op.type == Type::kSecretFile ||
                          op.type == Type::kSecret || op.type == Type::kRootBind || op.type == Type::kRootOverlay;
  if (has_source && !NormalPath(op.source)) return Broken(op.source, "not an absolute path");
  return {};
}

}  // namespace

Result<std::string> NormalPath(std::string_view path) {
  if (!path.starts_with('/')) return Fail(Error::Invalid("path '" + std::string(path) + "'", "not absolute"));
  std::string normal;
  while (!path.empty()) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    if (name.empty() || name == ".") continue;
    if (name == "..") return Fail(Error::Invalid("path '" + normal + "/..'", "\"..\" in it"));
    if (std::ranges::any_of(name, [](unsigned char c) { return c < ' ' || c == 0x7f; })) {
      return Fail(Error::Invalid("path below '" + normal + "/'", "control characters in it"));
    }
    normal.append("/").append(name);
  }
  return normal.empty() ? "/" : normal;
}

std::string Parent(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::string_view Name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::size_t Depth(std::string_view path) {
  return path == "/" ? 0 : static_cast<std::size_t>(std::ranges::count(path, '/'));
}

bool IsMount(const MountOp& op) {
  return op.type == Type::kBind || op.type == Type::kFilesystem || op.type == Type::kContext ||
         op.type == Type::kSecrets || op.type == Type::kSecret;
}

Result<> ValidateTree(std::span<const MountOp> ops) {
  if (ops.empty() || !IsRoot(ops[0])) return Broken("/", "the first operation makes no root");
  std::set<std::string> mounted;
  bool skeleton = true;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const MountOp& op = ops[i];
    TRY(CheckPaths(op));
    if (i == 0) continue;
    if (IsRoot(op)) return Broken("/", "a second root");
    if (ops[i - 1].type == Type::kSealRoot) return Broken(op.target, "behind the sealing of the root");
    skeleton = skeleton && op.skeleton;
    if (op.skeleton && (!skeleton || IsMount(op) || ops[0].type != Type::kRootOverlay)) {
      return Broken(op.target, "a skeleton where none is being made");
    }
    if (!IsMount(op)) continue;
    if (mounted.contains(op.target)) return Broken(op.target, "mounted twice");
    // The set is sorted: what is below a path follows it, with others between only where a name continues it.
    for (auto below = mounted.lower_bound(op.target + "/"); below != mounted.end(); ++below) {
      if (!IsAtOrBelow(*below, op.target)) break;
      return Broken(op.target, "would hide the mount at " + *below);
    }
    mounted.insert(op.target);
  }
  for (const char* path : {"/proc", "/sys", "/dev"}) {
    if (!mounted.contains(path)) return Broken(path, "not mounted: the image's own would be used");
  }
  return {};
}

}  // namespace nucleus::mounts
