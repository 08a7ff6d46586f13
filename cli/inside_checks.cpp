#include "cli/inside_checks.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "actuators/mounts/tree.hpp"
#include "actuators/sys/fd.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/landlock.hpp"
#include "actuators/sys/openat2.hpp"
#include "cli/rootfs_paths.hpp"
#include "policy/landlock_policy.hpp"
#include "spec/core/paths.hpp"

namespace nucleus::cli {

namespace {

using Type = MountOp::Type;

constexpr mode_t kNothing = 0;  // no S_IFMT

// S_IFMT of what is below a host's path, or kNothing; none: behind a link, or the path itself is not there.
std::optional<mode_t> TypeOnHost(const MountOp& op, std::string_view below) {
  sys::Fd found(::open(op.source.c_str(), O_PATH | O_CLOEXEC));
  if (!found) return std::nullopt;
  if (!below.empty()) {
    const std::string path(below);
    found = sys::Fd(sys::OpenAt2(found.get(), path.c_str(), O_PATH, sys::kInRoot | RESOLVE_NO_SYMLINKS));
    // What is mounted here may hide what is there in a clone without it.
    if (!found && errno == ENOENT && op.recursive) return kNothing;
  }
  struct stat st{};
  if (!found || ::fstat(found.get(), &st) != 0) return std::nullopt;
  return st.st_mode & S_IFMT;
}

// Whether an operation makes sure that the directories above its target are there.
bool MakesWay(const MountOp& op) {
  return op.type != Type::kReadOnly && op.type != Type::kMask && !op.optional && !op.target.empty();
}

// Of what no mount covers.
std::optional<mode_t> TypeInRoot(const mounts::MountsInput& input, std::string_view path) {
  if (input.any_root) return std::nullopt;
  if (input.service->rootfs.empty()) return kNothing;
  return MayBeThere(*input.service, std::string(path)) ? TypeInRootfs(*input.service, std::string(path)) : kNothing;
}

// S_IFMT of what is at a path, or kNothing; none: it cannot be told. The last that covers it is what is seen.
std::optional<mode_t> TypeInside(const mounts::MountsInput& input, const std::vector<MountOp>& operations,
                                 std::string_view path) {
  const auto is_below = [path](const MountOp& op) {
    return MakesWay(op) && op.target != path && IsAtOrBelow(op.target, path);
  };
  if (path == "/" || std::ranges::any_of(operations, is_below)) return S_IFDIR;
  const auto covers = [path](const MountOp& op) {
    const bool only_itself = op.type == Type::kDirectory;
    return op.type != Type::kReadOnly && !op.target.empty() &&
           (only_itself ? op.target == path : IsAtOrBelow(path, op.target));
  };
  const auto last = std::find_if(operations.rbegin(), operations.rend(), covers);
  if (last == operations.rend()) return TypeInRoot(input, path);
  if (last->type == Type::kDirectory) return S_IFDIR;
  const bool itself = last->target == path;
  if (last->type == Type::kFile || last->type == Type::kSecret || last->type == Type::kSecretFile)
    return itself ? std::optional<mode_t>(S_IFREG) : std::nullopt;
  if (last->type != Type::kBind) return std::nullopt;
  if (mounts::Parent(last->source) == input.service_dir) return S_IFREG;  // hosts and the like, written at the start
  if (input.may_come && input.may_come(last->source)) return std::nullopt;
  return TypeOnHost(*last, path.substr(last->target.size()));
}

// "" where a rule means something of what is there.
std::string WhyNot(const policy::LandlockPathRule& rule, mode_t type) {
  if (type == kNothing) return "there is no such path in the container";
  return (rule.access & sys::LandlockRightsOf(type)) != 0 ? ""
                                                          : sys::LandlockAllowsNothing("in the container", rule.access);
}

Result<> CheckLandlockRules(const mounts::MountsInput& input, const std::vector<MountOp>& operations) {
  const std::string& file = input.service->landlock_policy;
  if (file.empty()) return {};
  const auto text = sys::ReadFile(file);
  if (!text) return {};  // that has its own message, as what is wrong in it
  const auto read = policy::ReadLandlockPolicy(*text, file);
  if (!read.policy) return {};
  for (const auto& rule : read.policy->rules) {
    const auto type = TypeInside(input, operations, rule.path);
    const std::string why = type ? WhyNot(rule, *type) : "";
    if (why.empty()) continue;
    const std::string place = file + ":" + std::to_string(rule.place.line) + ":" + std::to_string(rule.place.column);
    return Fail(
        Error::Of(ErrorCode::kInvalid, "add Landlock rule", rule.path, why + " (" + place + ")").In("landlock_policy"));
  }
  return {};
}

Result<> CheckWorkdir(const mounts::MountsInput& input, const std::vector<MountOp>& operations) {
  const std::string& asked = input.service->workdir;
  const auto path = asked.empty() ? Result<std::string>("/") : mounts::NormalPath(asked);
  const auto type = path ? TypeInside(input, operations, *path) : std::nullopt;
  if (!type || S_ISDIR(*type)) return {};
  return Fail(Error::Of(ErrorCode::kInvalid, "enter working directory", asked,
                        *type == kNothing ? "it is not in the container" : "in the container it is no directory")
                  .In("workdir"));
}

}  // namespace

Result<> CheckInside(const mounts::MountsInput& input, const std::vector<MountOp>& operations) {
  TRY(CheckLandlockRules(input, operations));
  return CheckWorkdir(input, operations);
}

}  // namespace nucleus::cli
