// Everything that can be done before clone: checks, pointers, options cut apart, what the kernel knows.
#include <sys/prctl.h>

#include <algorithm>
#include <array>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/caller_ids.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "actuators/sys/landlock.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/protections.hpp"

namespace nucleus::process {

namespace {

constexpr std::size_t kMountinfoRoom = 512 << 10;
constexpr std::size_t kMountsRoom = 4096;
constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::unexpected<Error> Wrong(const Launch& launch, std::string_view why) {
  return Fail(ErrorCode::kInvalid, "prepare", launch.address.empty() ? "container" : launch.address, why);
}

bool HasNul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

bool IsRoot(MountOp::Type type) {
  return type == MountOp::Type::kRootTmpfs || type == MountOp::Type::kRootBind || type == MountOp::Type::kRootOverlay;
}

// "mode=0755,size=64k,noatime"
std::vector<std::string> SplitOptions(std::string_view data) {
  std::vector<std::string> options;
  while (!data.empty()) {
    const auto comma = std::min(data.find(','), data.size());
    if (comma > 0) options.emplace_back(data.substr(0, comma));
    data.remove_prefix(std::min(comma + 1, data.size()));
  }
  return options;
}

std::uint64_t AttributesOf(std::uint64_t flags) {
  std::uint64_t attributes = 0;
  if ((flags & kMountReadOnly) != 0) attributes |= sys::kAttrReadOnly;
  if ((flags & kMountNoExec) != 0) attributes |= sys::kAttrNoExec;
  if ((flags & kMountNoSuid) != 0) attributes |= sys::kAttrNoSuid;
  if ((flags & kMountNoDev) != 0) attributes |= sys::kAttrNoDev;
  return attributes;
}

Result<> PrepareMounts(Buffers& data) {
  const Launch& launch = data.launch;
  if (launch.mounts.empty() || !IsRoot(launch.mounts.front().type)) {
    return Wrong(launch, "the first mount operation does not make a root");
  }
  // Strings are gathered first and pointed at afterwards: the vector must not move under the pointers.
  const auto add = [&data](std::string text) {
    data.strings.push_back(std::move(text));
    return data.strings.size() - 1;
  };
  struct Cut {
    std::size_t op, key, value;
    bool flag;
  };
  std::vector<Cut> cuts;
  for (std::size_t i = 0; i < launch.mounts.size(); ++i) {
    const MountOp& op = launch.mounts[i];
    if (i > 0 && IsRoot(op.type)) return Wrong(launch, "there is more than one root");
    if (HasNul(op.target) || HasNul(op.source) || HasNul(op.fstype)) return Wrong(launch, "a path with a zero byte");
    if (op.skeleton && launch.mounts.front().type != MountOp::Type::kRootOverlay) {
      return Wrong(launch, "a skeleton operation without an overlay");
    }
    PreparedOp prepared{.op = &op};
    prepared.attributes = AttributesOf(op.flags);
    data.ops.push_back(std::move(prepared));
    if (op.type != MountOp::Type::kFilesystem && op.type != MountOp::Type::kRootTmpfs) continue;
    for (auto& option : SplitOptions(op.data)) {
      const auto equals = option.find('=');
      const bool flag = equals == std::string::npos;
      const auto key = add(option.substr(0, equals));
      cuts.push_back({i, key, flag ? key : add(option.substr(equals + 1)), flag});
    }
  }
  for (const Cut& cut : cuts) {
    data.ops[cut.op].options.push_back(
        {data.strings[cut.key].c_str(), cut.flag ? nullptr : data.strings[cut.value].c_str()});
  }
  data.placed.resize(data.ops.size());
  data.own_devices.resize(data.ops.size() + 1);
  if (launch.mount_audit) {
    data.scratch = std::make_unique_for_overwrite<char[]>(data.scratch_size = kMountinfoRoom);
    data.known_mounts = std::make_unique_for_overwrite<KnownMount[]>(data.known_size = kMountsRoom);
  }
  return {};
}

std::string_view PathOf(const Launch& launch) {
  for (const auto& variable : launch.env)
    if (variable.starts_with("PATH=")) return std::string_view(variable).substr(5);
  return kDefaultPath;
}

// The candidates of execvp(3): an empty element is the working directory.
std::vector<std::string> Candidates(const Launch& launch) {
  const std::string& name = launch.argv.front();
  if (name.find('/') != std::string::npos) return {name};
  std::vector<std::string> found;
  std::string_view path = PathOf(launch);
  for (;;) {
    const auto colon = path.find(':');
    const std::string directory(path.substr(0, colon));
    found.push_back((directory.empty() ? "." : directory) + "/" + name);
    if (colon == std::string_view::npos) return found;
    path.remove_prefix(colon + 1);
  }
}

Result<> PrepareCommand(Buffers& data) {
  const Launch& launch = data.launch;
  if (launch.argv.empty() || launch.argv.front().empty()) return Wrong(launch, "the command is empty");
  if (std::ranges::any_of(launch.argv, HasNul) || std::ranges::any_of(launch.env, HasNul) || HasNul(launch.workdir)) {
    return Wrong(launch, "a zero byte in command, environment or working directory");
  }
  for (const auto& text : launch.argv) data.argv.push_back(text.c_str());
  data.argv.push_back(nullptr);
  for (const auto& text : launch.env) data.envp.push_back(text.c_str());
  data.envp.push_back(nullptr);
  return {};
}

constexpr const char* kNoFilters = "seccomp: this kernel has no filters";

// A protection that this kernel does not have: an error, unless the launch says to go on all the same.
Result<> GoWithout(Buffers& data, std::string what) {
  if (data.launch.degraded && !data.launch.production) {
    data.warnings.push_back(std::move(what));
    return {};
  }
  return Fail(Error::Of(ErrorCode::kUnsupported, "confine", data.launch.address, what)
                  .Hint("in agent mode --allow-degraded-security, allow_degraded_security = true, goes on without"));
}

constexpr const char* kLendIds = "subordinate ids in /etc/subuid and /etc/subgid, and newuidmap, make it possible";

std::string WhyNoGroups() {
  for (const char* program : {sys::kNewUidMap, sys::kNewGidMap})
    if (::access(program, X_OK) != 0) return std::string(program) + " is not there";
  return "the user has no line in /etc/subuid or none in /etc/subgid";
}

// Who may not change groups keeps those of whoever started nucleus; they show as nobody's inside, and open files.
Result<> PrepareGroups(Buffers& data) {
  data.nested = !sys::IsWhole(TRY(sys::OwnUids()));
  if (!data.nested || !sys::SetgroupsDenied()) return {};
  const Launch& launch = data.launch;
  data.keep_groups = true;
  if (!launch.identity.groups.empty()) {
    return Fail(
        Error::Of(ErrorCode::kPermission, "set", "supplementary groups", "this user namespace cannot change them")
            .Hint(kLendIds));
  }
  std::array<gid_t, 64> groups{};
  const int count = ::getgroups(groups.size(), groups.data());
  const bool own_only = count == 0 || (count == 1 && groups[0] == ::getegid());
  if (own_only) return {};
  const std::string what = "the caller's supplementary groups cannot be given up: " + WhyNoGroups();
  if (launch.production) {
    return Fail(Error::Of(ErrorCode::kUnsupported, "confine", launch.address, what).Hint(kLendIds));
  }
  data.warnings.push_back(what + "; " + kLendIds);
  return {};
}

// What production refuses was refused where it was asked for; a launch that says both was written by nobody of ours.
Result<> CheckConsistent(const Launch& launch) {
  const bool weak = launch.chroot_fallback || launch.degraded || launch.host_network || launch.security.seccomp_trace;
  if (launch.production && weak) return Wrong(launch, "production, with what production refuses");
  if (launch.host_network && !launch.netns.empty()) return Wrong(launch, "the host's network, and another");
  return {};
}

// The kernel knows those up to one; capabilities(7).
Result<int> LastCapability() {
  int last = 0, beyond = 64;
  while (beyond - last > 1) {
    const int between = (last + beyond) / 2;
    const bool known = ::prctl(PR_CAPBSET_READ, between, 0, 0, 0) >= 0;
    // Any other answer must not be taken for the end.
    if (!known && errno != EINVAL) return FailSys("read", "the bounding set");
    (known ? last : beyond) = between;
  }
  return last;
}

Result<> PrepareSecurity(Buffers& data) {
  const Launch& launch = data.launch;
  TRY(CheckConsistent(launch));
  const auto& seccomp = launch.security.seccomp;
  if (seccomp.size() > BPF_MAXINSNS) return Wrong(launch, "the seccomp program is too long");
  data.last_capability = TRY(LastCapability());

  const bool filters = !seccomp.empty() || launch.security.seccomp_trace;
  if (filters && !sys::HasSeccompFilters()) {
    if (launch.security.seccomp_trace) return Fail(ErrorCode::kUnsupported, "trace", launch.address, kNoFilters);
    TRY(GoWithout(data, kNoFilters));
    data.without_seccomp = true;
  }
  PrepareSeccomp(data);
  if (data.seccomp.size() > BPF_MAXINSNS)
    return Wrong(launch, "the seccomp program is too long to ask about its calls");
  const Landlock& landlock = launch.security.landlock;
  if (!landlock.enabled) return {};
  const std::uint32_t abi = sys::LandlockAbi();
  if (abi == 0 && !landlock.required) return GoWithout(data, "Landlock: this kernel has none");
  // Otherwise what the kernel has of it is enforced.
  if (landlock.required && abi < std::max(landlock.min_abi, 1U)) {
    return Fail(ErrorCode::kUnsupported, "prepare", launch.address,
                "Landlock ABI " + std::to_string(landlock.min_abi) + " is required, this kernel has " +
                    (abi == 0 ? "none" : std::to_string(abi)));
  }
  // Rights by the ABI that brought them: 1 has 13, 2 refer, 3 truncate, 5 ioctl on devices.
  constexpr std::uint64_t kRights[] = {0, (1U << 13) - 1, (1U << 14) - 1, (1U << 15) - 1, (1U << 15) - 1};
  const std::uint64_t known = abi < 5 ? kRights[abi] : (1U << 16) - 1;
  data.landlock_fs = landlock.handled_fs & known;
  // What comes in later is in a Landlock domain of its own and may have to signal or to reach the workload ("kill -0
  // 1"); the pid and network namespaces bound it to the container all the same. On the host's network nothing else
  // keeps it from the host's abstract sockets.
  constexpr std::uint64_t kAbstractSockets = 1, kSignals = 2;
  const std::uint64_t inside = launch.host_network ? kAbstractSockets : 0;
  data.landlock_scoped = abi >= 6 ? landlock.scoped & (data.inside ? inside : kAbstractSockets | kSignals) : 0;
  data.landlock_net = abi >= 4 ? landlock.handled_net & 3 : 0;
  data.landlock = data.landlock_fs != 0 || data.landlock_net != 0 || data.landlock_scoped != 0;
  return {};
}

Result<Prepared> Finish(std::unique_ptr<Buffers> data, const attest::WalkOptions& walk) {
  TRY(PrepareCommand(*data));
  TRY(PrepareGroups(*data));
  data->candidates = Candidates(data->launch);
  for (const auto& candidate : data->candidates) data->programs.push_back(candidate.c_str());
  TRY(PrepareSecurity(*data));
  if (!data->inside) {
    TRY(PrepareMounts(*data));
    TRY(PrepareAttached(*data, walk));
  }
  return Prepared(std::move(data));
}

}  // namespace

Prepared::Prepared(std::unique_ptr<Buffers> buffers) : buffers_(std::move(buffers)) {}
Prepared::~Prepared() = default;
Prepared::Prepared(Prepared&&) noexcept = default;
Prepared& Prepared::operator=(Prepared&&) noexcept = default;

Result<Prepared> Prepare(const Launch& launch, const attest::WalkOptions& walk) {
  return Finish(std::make_unique<Buffers>(launch), walk);
}

Result<Prepared> Prepare(Launch&& launch, const attest::WalkOptions& walk) {
  return Finish(std::make_unique<Buffers>(std::move(launch)), walk);
}

Result<Prepared> PrepareInside(const Launch& launch, const std::vector<std::string>& argv, bool attended) {
  Launch command = launch;
  command.argv = argv;
  command.mounts.clear();
  command.init = false;
  auto data = std::make_unique<Buffers>(std::move(command));
  data->inside = true;
  data->attended = attended;
  return Finish(std::move(data), {});
}

}  // namespace nucleus::process
