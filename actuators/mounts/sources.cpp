#include "actuators/mounts/sources.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "actuators/mounts/tree.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"

namespace nucleus::mounts {

namespace {

constexpr DeniedPath kDenied[] = {
    {"/", Reach::kExact, "it is the whole machine"},
    {"/proc", Reach::kTree, "the kernel's own: settings and processes of the machine"},
    {"/sys", Reach::kTree, "the kernel's own: devices and control groups of the machine"},
    {"/dev", Reach::kTree, "devices of the machine"},
    {"/boot", Reach::kWritable, "what the machine boots"},
    {"/etc", Reach::kExact, "it holds the machine's passwords and keys; give the directory that is needed"},
    {"/etc/shadow", Reach::kTree, "the machine's passwords"},
    {"/etc/gshadow", Reach::kTree, "the machine's passwords"},
    {"/etc/passwd", Reach::kWritable, "the machine's users"},
    {"/etc/group", Reach::kWritable, "the machine's users"},
    {"/etc/sudoers", Reach::kWritable, "who may become root on the machine"},
    {"/etc/sudoers.d", Reach::kWritable, "who may become root on the machine"},
    {"/etc/pam.d", Reach::kWritable, "who may log in on the machine"},
    {"/etc/ssh", Reach::kTree, "the machine's keys"},
    {"/etc/ssl/private", Reach::kTree, "the machine's keys"},
    {"/etc/cron.d", Reach::kWritable, "commands that root runs on the machine"},
    {"/etc/systemd", Reach::kWritable, "commands that root runs on the machine"},
    {"/etc/ld.so.preload", Reach::kWritable, "code that every program of the machine runs"},
    {"/usr", Reach::kWritable, "the machine's programs"},
    {"/bin", Reach::kWritable, "the machine's programs"},
    {"/sbin", Reach::kWritable, "the machine's programs"},
    {"/lib", Reach::kWritable, "the machine's programs"},
    {"/lib32", Reach::kWritable, "the machine's programs"},
    {"/lib64", Reach::kWritable, "the machine's programs"},
    {"/libx32", Reach::kWritable, "the machine's programs"},
    {"/nix/var", Reach::kTree, "the Nix daemon builds what root asks for"},
    {"/run", Reach::kExact, "it holds sockets of the machine's services; give the one that is needed"},
    {"/run/docker.sock", Reach::kTree, "whoever may speak to a container engine is root"},
    {"/run/docker", Reach::kTree, "whoever may speak to a container engine is root"},
    {"/run/containerd", Reach::kTree, "whoever may speak to a container engine is root"},
    {"/run/crio", Reach::kTree, "whoever may speak to a container engine is root"},
    {"/run/podman", Reach::kTree, "whoever may speak to a container engine is root"},
    {"/run/buildkit", Reach::kTree, "whoever may speak to a container engine is root"},
    {"/run/systemd/private", Reach::kTree, "whoever may speak to the service manager is root"},
    {"/run/dbus", Reach::kTree, "the system bus reaches the service manager and others that act as root"},
    {"/var/lib/docker", Reach::kTree, "other containers' files"},
    {"/var/lib/containerd", Reach::kTree, "other containers' files"},
    {"/var/lib/containers", Reach::kTree, "other containers' files"},
    {"/var/lib/kubelet", Reach::kTree, "other containers' files and secrets"},
};

bool Hits(std::string_view path, const DeniedPath& denied, bool read_only) {
  if (denied.reach == Reach::kWritable && read_only) return false;
  if (IsAtOrBelow(denied.path, path)) return true;  // the path itself, or something that holds it
  return denied.reach != Reach::kExact && IsAtOrBelow(path, denied.path);
}

// /var/run has been a link to /run for long, but where it is not, it is the same in kind.
std::string WithoutVarRun(std::string_view path) {
  return IsAtOrBelow(path, "/var/run") ? "/run" + std::string(path.substr(8)) : std::string(path);
}

// File systems whose files are the kernel's settings, wherever they are mounted.
bool IsKernelFilesystem(long type) {
  constexpr unsigned long kTypes[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
                                      DEBUGFS_MAGIC,    TRACEFS_MAGIC, SECURITYFS_MAGIC,   SELINUX_MAGIC,
                                      BPF_FS_MAGIC,     NSFS_MAGIC,    DEVPTS_SUPER_MAGIC, EFIVARFS_MAGIC,
                                      BINFMTFS_MAGIC,   0x62656570UL /* configfs */};
  return std::ranges::find(kTypes, static_cast<unsigned long>(type) & 0xffffffffUL) != std::end(kTypes);
}

// The same by the names that mountinfo has for them.
constexpr std::string_view kKernelTypes[] = {"proc",    "sysfs",      "cgroup",    "cgroup2",  "debugfs",
                                             "tracefs", "securityfs", "selinuxfs", "bpf",      "nsfs",
                                             "devpts",  "efivarfs",   "configfs",  "devtmpfs", "binfmt_misc"};

std::unexpected<Error> Refused(const std::string& path, std::string_view why) {
  return Fail(Error::Of(ErrorCode::kPermission, "mount", path, why));
}

std::unexpected<Error> LinkInPath(const std::string& path) {
  Error error = Error::Of(ErrorCode::kInvalid, "mount", path, "a symbolic link in the path is not followed");
  const std::unique_ptr<char, decltype([](char* text) { std::free(text); })> real(::realpath(path.c_str(), nullptr));
  if (real) error = std::move(error).Hint(std::string("it leads to ") + real.get() + ": write that, if it is meant");
  return Fail(std::move(error));
}

Result<sys::Fd> OpenUnlinked(const std::string& path, int flags, std::string_view operation) {
  sys::Fd fd(sys::OpenAt2(AT_FDCWD, path.c_str(), O_PATH | flags, RESOLVE_NO_SYMLINKS));
  if (fd) return fd;
  if (errno == ELOOP) return LinkInPath(path);
  return FailSys(operation, path);
}

}  // namespace

std::span<const DeniedPath> DeniedPaths() {
  return kDenied;
}

std::optional<std::string> WhyDenied(std::string_view path, bool read_only, const Directories& directories) {
  const std::string subject = WithoutVarRun(path);
  for (const DeniedPath& denied : kDenied) {
    if (!Hits(subject, denied, read_only)) continue;
    if (subject == denied.path || IsAtOrBelow(subject, denied.path)) return std::string(denied.reason);
    return "it holds " + std::string(denied.path) + ": " + std::string(denied.reason);
  }
  const std::string runtime = WithoutVarRun(directories.runtime);
  if (IsAtOrBelow(subject, runtime) || IsAtOrBelow(runtime, subject)) {
    return "nucleus keeps there what containers are started from";
  }
  // Volumes may be below the state directory; what nucleus keeps there itself, and the whole, may not.
  if (IsAtOrBelow(directories.state, subject)) return "it holds the state of nucleus";
  const auto is_own = [&](const std::string& file) {
    return Parent(subject) == directories.state && Name(subject).starts_with(Name(file));
  };
  if (is_own(directories.AppliedDb()) || is_own(directories.KeyFile())) return "it is the state of nucleus";
  return std::nullopt;
}

std::optional<std::string> KernelMountBelow(std::span<const sys::MountEntry> mounts, std::string_view path) {
  for (const sys::MountEntry& mount : mounts) {
    const bool kernels = std::ranges::find(kKernelTypes, mount.fstype) != std::end(kKernelTypes);
    if (kernels && IsAtOrBelow(mount.mount_point, path)) return mount.mount_point;
  }
  return std::nullopt;
}

Result<> CheckRoot(const std::string& path, const Directories& directories) {
  if (const auto why = WhyDenied(path, true, directories)) return Refused(path, *why);
  TRY(OpenUnlinked(path, O_DIRECTORY, "open root"));
  return {};
}

Result<Source> CheckSource(const std::string& path, bool read_only, bool own, const Directories& directories) {
  const std::string normal = TRY(NormalPath(path));
  if (!own) {
    if (const auto why = WhyDenied(normal, read_only, directories)) return Refused(path, *why);
  }
  const sys::Fd fd = TRY(OpenUnlinked(normal, 0, "open volume"));
  struct stat st{};
  struct statfs fs{};
  if (::fstat(fd.get(), &st) != 0) return FailSys("stat", path);
  if (::fstatfs(fd.get(), &fs) != 0) return FailSys("statfs", path);
  if (IsKernelFilesystem(fs.f_type)) return Refused(path, "it is on a file system of the kernel's own");
  if (S_ISDIR(st.st_mode)) {
    const auto mounts = TRY(sys::ReadMountinfo());
    if (const auto nested = KernelMountBelow(mounts, normal)) {
      return Refused(path, "a file system of the kernel's own is mounted in it, at " + *nested);
    }
    return Source{.is_directory = true};
  }
  if (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)) return Source{.is_directory = false};
  return Refused(path, "neither a directory nor a file nor a socket");
}

}  // namespace nucleus::mounts
