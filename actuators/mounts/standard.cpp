#include "actuators/mounts/standard.hpp"

#include <array>
#include <cstdio>

namespace nucleus::mounts {

namespace {

using Type = MountOp::Type;

constexpr std::uint64_t kQuiet = kMountNoSuid | kMountNoDev;
constexpr std::uint64_t kInert = kQuiet | kMountNoExec;

constexpr std::string_view kMasked[] = {
    "/proc/acpi",
    "/proc/allocinfo",
    "/proc/asound",
    "/proc/dynamic_debug",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/pagetypeinfo",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
    "/sys/kernel/vmcoreinfo",
};

constexpr std::string_view kReadOnly[] = {"/proc/bus",  "/proc/driver", "/proc/fs",           "/proc/irq",
                                          "/proc/mtrr", "/proc/sys",    "/proc/sysrq-trigger"};

constexpr std::string_view kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};

struct Link {
  std::string_view path, to;
};
constexpr Link kDeviceLinks[] = {{"/dev/fd", "/proc/self/fd"},
                                 {"/dev/ptmx", "pts/ptmx"},
                                 {"/dev/stdin", "/proc/self/fd/0"},
                                 {"/dev/stdout", "/proc/self/fd/1"},
                                 {"/dev/stderr", "/proc/self/fd/2"}};

MountOp Filesystem(std::string target, std::string fstype, std::string data, std::uint64_t flags) {
  MountOp op;
  op.type = Type::kFilesystem;
  op.target = std::move(target);
  op.fstype = std::move(fstype);
  op.data = std::move(data);
  op.flags = flags;
  return op;
}

// Entries of /proc that are not a process' own exist once on the machine, and belong to root: a workload that is root
// could change their modes for everybody. Its /proc is read-only; others may write what is their own.
bool HasReadOnlyProc(const StandardInput& input) {
  return input.uid == 0;
}

// With a memory limit tmpfs cannot hold more than it anyway; without one it must not fill the machine.
Bytes SizeOr(Bytes memory, Bytes otherwise) {
  return memory != 0 ? memory : otherwise;
}

}  // namespace

std::span<const std::string_view> MaskedPaths() {
  return kMasked;
}
std::span<const std::string_view> ReadOnlyPaths() {
  return kReadOnly;
}
std::span<const std::string_view> DeviceNodes() {
  return kDevices;
}

MountOp TmpfsOp(std::string target, Bytes size, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid,
                std::uint64_t flags) {
  std::array<char, 16> octal{};
  std::snprintf(octal.data(), octal.size(), "%04o", mode);
  std::string data = std::string("mode=") + octal.data();
  if (size != 0) data += ",size=" + std::to_string(size);
  if (uid != 0 || gid != 0) data += ",uid=" + std::to_string(uid) + ",gid=" + std::to_string(gid);
  return Filesystem(std::move(target), "tmpfs", std::move(data), flags);
}

std::vector<MountOp> StandardMounts(const StandardInput& input) {
  constexpr Bytes kMega = 1 << 20;
  const std::uint64_t scratch = input.production ? kInert : kQuiet;
  std::vector<MountOp> ops;
  const std::uint64_t proc = HasReadOnlyProc(input) ? kInert | kMountReadOnly : kInert;
  ops.push_back(Filesystem("/proc", "proc", input.production ? "hidepid=2" : "", proc));
  const auto bind = [&ops](std::string source, std::string target) {
    MountOp op;
    op.type = Type::kBind;
    op.source = std::move(source);
    op.target = std::move(target);
    op.flags = kInert | kMountReadOnly;
    op.recursive = op.no_follow = true;
    ops.push_back(std::move(op));
  };
  if (input.machines_sysfs) {
    bind("/sys", "/sys");
  } else {
    ops.push_back(Filesystem("/sys", "sysfs", "", kInert | kMountReadOnly));
  }
  if (input.machines_cgroups.empty()) {
    ops.push_back(Filesystem("/sys/fs/cgroup", "cgroup2", "", kInert | kMountReadOnly));
  } else {
    bind(input.machines_cgroups, "/sys/fs/cgroup");
  }
  ops.push_back(TmpfsOp("/dev", kMega, 0755, 0, 0, kInert));
  for (const std::string_view device : kDevices) {
    MountOp op;
    op.type = Type::kBind;
    op.target = "/dev/" + std::string(device);
    op.source = op.target;
    // Read-only holds for the node, not for what it leads to: a device is read and written as before, but its mode and
    // owner, which are the machine's, cannot be changed by a workload that runs as the node's owner, root.
    op.flags = kMountReadOnly | kMountNoSuid | kMountNoExec;
    op.no_follow = true;
    ops.push_back(std::move(op));
  }
  ops.push_back(
      Filesystem("/dev/pts", "devpts",
                 std::string("newinstance,ptmxmode=0666,mode=0620") + (input.has_terminal_group ? ",gid=5" : ""),
                 kMountNoSuid | kMountNoExec));
  ops.push_back(TmpfsOp("/dev/shm", SizeOr(input.memory, 256 * kMega), 01777, 0, 0, kInert));
  ops.push_back(Filesystem("/dev/mqueue", "mqueue", "", kInert));
  ops.push_back(TmpfsOp("/tmp", SizeOr(input.memory, 1024 * kMega), 01777, 0, 0, scratch));
  ops.push_back(TmpfsOp("/var/tmp", SizeOr(input.memory, 1024 * kMega), 01777, 0, 0, scratch));
  ops.push_back(TmpfsOp("/run", SizeOr(input.memory, 64 * kMega), 0755, input.uid, input.gid, scratch));
  return ops;
}

std::vector<MountOp> StandardFinish(const StandardInput& input) {
  std::vector<MountOp> ops;
  const auto add = [&ops](Type type, std::string_view target, std::string_view data = {}) {
    MountOp op;
    op.type = type;
    op.target = target;
    op.data = data;
    op.mode = 0777;
    ops.push_back(std::move(op));
  };
  for (const Link& link : kDeviceLinks) add(Type::kSymlink, link.path, link.to);
  add(Type::kReadOnly, "/dev");  // the tmpfs alone: what is mounted in it stays as it is
  if (!HasReadOnlyProc(input)) {
    for (const std::string_view path : kReadOnly) add(Type::kReadOnly, path);
  }
  for (const std::string_view path : kMasked) add(Type::kMask, path);
  for (MountOp& op : ops) {
    if (op.type == Type::kReadOnly) op.flags = op.target == "/dev" ? 0 : kInert;
  }
  return ops;
}

}  // namespace nucleus::mounts
