#include "actuators/mounts/sources.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "actuators/mounts/denied_places.hpp"
#include "actuators/mounts/tree.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"
#include "spec/core/paths.hpp"

namespace nucleus::mounts {

namespace {

constexpr std::string_view kRootsCommands = "commands that root runs on the machine";
constexpr std::string_view kPackages = "the machine's packages, whose scripts root runs";
constexpr std::string_view kUsersReason = "it holds sockets of the users' services; give the one that is needed";

constexpr DeniedPath kDenied[] = {
    {"/", Reach::kExact, "it is the whole machine"},
    {"/proc", Reach::kTree, "the kernel's own: settings and processes of the machine"},
    {"/sys", Reach::kTree, "the kernel's own: devices and control groups of the machine"},
    {"/dev", Reach::kTree, "devices of the machine"},
    {"/boot", Reach::kWritable, "what the machine boots"},
    {"/etc", Reach::kExact, "it holds the machine's passwords and keys; give the directory that is needed"},
    {"/etc/shadow", Reach::kTree, "the machine's passwords"},
    {"/etc/shadow-", Reach::kTree, "the machine's passwords"},
    {"/etc/gshadow", Reach::kTree, "the machine's passwords"},
    {"/etc/gshadow-", Reach::kTree, "the machine's passwords"},
    {"/etc/security/opasswd", Reach::kTree, "the machine's passwords"},
    {"/etc/passwd", Reach::kWritable, "the machine's users"},
    {"/etc/passwd-", Reach::kWritable, "the machine's users"},
    {"/etc/group", Reach::kWritable, "the machine's users"},
    {"/etc/group-", Reach::kWritable, "the machine's users"},
    {"/etc/subuid", Reach::kWritable, "the machine's users"},
    {"/etc/subgid", Reach::kWritable, "the machine's users"},
    {"/etc/nsswitch.conf", Reach::kWritable, "the machine's users"},
    {"/etc/sudoers", Reach::kWritable, "who may become root on the machine"},
    {"/etc/sudoers.d", Reach::kWritable, "who may become root on the machine"},
    {"/etc/doas.conf", Reach::kWritable, "who may become root on the machine"},
    {"/etc/polkit-1", Reach::kWritable, "who may become root on the machine"},
    {"/etc/pam.d", Reach::kWritable, "who may log in on the machine"},
    {"/etc/security", Reach::kWritable, "who may log in on the machine"},
    {"/etc/ssh", Reach::kTree, "the machine's keys"},
    {"/etc/ssl/private", Reach::kTree, "the machine's keys"},
    {"/root/.ssh", Reach::kTree, "root's keys"},
    {"/root/.profile", Reach::kWritable, kRootsCommands},
    {"/root/.bashrc", Reach::kWritable, kRootsCommands},
    {"/root/.bash_profile", Reach::kWritable, kRootsCommands},
    {"/root/.bash_login", Reach::kWritable, kRootsCommands},
    {"/root/.bash_logout", Reach::kWritable, kRootsCommands},
    {"/root/.bash_aliases", Reach::kWritable, kRootsCommands},
    {"/root/.zshenv", Reach::kWritable, kRootsCommands},
    {"/root/.zprofile", Reach::kWritable, kRootsCommands},
    {"/root/.zshrc", Reach::kWritable, kRootsCommands},
    {"/root/.zlogin", Reach::kWritable, kRootsCommands},
    {"/root/.zlogout", Reach::kWritable, kRootsCommands},
    {"/root/.kshrc", Reach::kWritable, kRootsCommands},
    {"/root/.cshrc", Reach::kWritable, kRootsCommands},
    {"/root/.tcshrc", Reach::kWritable, kRootsCommands},
    {"/root/.login", Reach::kWritable, kRootsCommands},
    {"/root/.config/fish", Reach::kWritable, kRootsCommands},
    {"/root/.config/systemd", Reach::kWritable, kRootsCommands},
    {"/root/.local/share/systemd", Reach::kWritable, kRootsCommands},
    {"/etc/crontab", Reach::kWritable, kRootsCommands},
    {"/etc/anacrontab", Reach::kWritable, kRootsCommands},
    {"/etc/cron.d", Reach::kWritable, kRootsCommands},
    {"/etc/cron.hourly", Reach::kWritable, kRootsCommands},
    {"/etc/cron.daily", Reach::kWritable, kRootsCommands},
    {"/etc/cron.weekly", Reach::kWritable, kRootsCommands},
    {"/etc/cron.monthly", Reach::kWritable, kRootsCommands},
    {"/var/spool/cron", Reach::kWritable, kRootsCommands},
    {"/var/spool/at", Reach::kWritable, kRootsCommands},
    {"/etc/systemd", Reach::kWritable, kRootsCommands},
    {"/run/systemd/system", Reach::kWritable, kRootsCommands},
    {"/etc/init.d", Reach::kWritable, kRootsCommands},
    {"/etc/rc.local", Reach::kWritable, kRootsCommands},
    {"/etc/default", Reach::kWritable, kRootsCommands},
    {"/etc/profile", Reach::kWritable, kRootsCommands},
    {"/etc/profile.d", Reach::kWritable, kRootsCommands},
    {"/etc/bash.bashrc", Reach::kWritable, kRootsCommands},
    {"/etc/environment", Reach::kWritable, kRootsCommands},
    {"/etc/apt", Reach::kWritable, kRootsCommands},
    {"/etc/network", Reach::kWritable, kRootsCommands},
    {"/etc/NetworkManager", Reach::kWritable, kRootsCommands},
    {"/etc/udev", Reach::kWritable, kRootsCommands},
    {"/etc/logrotate.conf", Reach::kWritable, kRootsCommands},
    {"/etc/logrotate.d", Reach::kWritable, kRootsCommands},
    {"/etc/update-motd.d", Reach::kWritable, kRootsCommands},
    {"/etc/kernel", Reach::kWritable, kRootsCommands},
    {"/etc/initramfs-tools", Reach::kWritable, kRootsCommands},
    {"/etc/dpkg", Reach::kWritable, kRootsCommands},
    {"/etc/ca-certificates", Reach::kWritable, kRootsCommands},
    {"/var/lib/dpkg", Reach::kWritable, kPackages},
    {"/var/lib/rpm", Reach::kWritable, kPackages},
    {"/var/lib/pacman", Reach::kWritable, kPackages},
    {"/var/lib/portage", Reach::kWritable, kPackages},
    {"/var/db/pkg", Reach::kWritable, kPackages},
    {"/var/lib/snapd", Reach::kWritable, kPackages},
    {"/var/lib/dkms", Reach::kWritable, "modules that the machine's kernel loads"},
    {"/var/lib/cloud", Reach::kWritable, kRootsCommands},
    {"/etc/dbus-1", Reach::kWritable, "who may speak to services that act as root"},
    {"/etc/nixos", Reach::kWritable, "what the machine becomes"},
    {"/etc/modprobe.d", Reach::kWritable, "settings of the machine's kernel"},
    {"/etc/modules", Reach::kWritable, "settings of the machine's kernel"},
    {"/etc/modules-load.d", Reach::kWritable, "settings of the machine's kernel"},
    {"/etc/sysctl.conf", Reach::kWritable, "settings of the machine's kernel"},
    {"/etc/sysctl.d", Reach::kWritable, "settings of the machine's kernel"},
    {"/etc/ld.so.preload", Reach::kWritable, "code that every program of the machine runs"},
    {"/etc/ld.so.conf", Reach::kWritable, "code that every program of the machine runs"},
    {"/etc/ld.so.conf.d", Reach::kWritable, "code that every program of the machine runs"},
    {"/etc/ld.so.cache", Reach::kWritable, "code that every program of the machine runs"},
    {"/usr", Reach::kWritable, "the machine's programs"},
    {"/bin", Reach::kWritable, "the machine's programs"},
    {"/sbin", Reach::kWritable, "the machine's programs"},
    {"/lib", Reach::kWritable, "the machine's programs"},
    {"/lib32", Reach::kWritable, "the machine's programs"},
    {"/lib64", Reach::kWritable, "the machine's programs"},
    {"/libx32", Reach::kWritable, "the machine's programs"},
    {"/etc/alternatives", Reach::kWritable, "the machine's programs"},
    {"/nix/var", Reach::kTree, "the Nix daemon builds what root asks for"},
    {"/run", Reach::kExact, "it holds sockets of the machine's services; give the one that is needed"},
    {"/run/user", Reach::kExact, kUsersReason},
    {kRootsRuntime, Reach::kTree, kRuntimeReason},
    {kRootsState, Reach::kExact, kStateReason},
    {"/run/nucleus-machine.lock", Reach::kTree, "whoever holds it holds every nucleus of the machine up"},
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

// Of /run/user/UID what leads to the user's manager, and so to commands that the user runs: a read-only mount does not
// keep a socket from being connected to.
bool IsUsersManager(std::string_view path) {
  constexpr std::string_view kUsers = "/run/user/";
  if (!path.starts_with(kUsers)) return false;
  path.remove_prefix(kUsers.size());
  const auto slash = path.find('/');
  if (slash == path.npos) return true;  // the whole
  const auto inside = path.substr(slash);
  constexpr std::string_view kInside[] = {"/bus", "/systemd", "/dbus-1",      "/gnupg",  "/keyring",
                                          "/gcr", "/podman",  "/docker.sock", "/docker", "/crio"};
  // "/containerd-rootless", "/ssh-agent.socket".
  constexpr std::string_view kBeginnings[] = {"/containerd", "/buildkit", "/ssh-agent"};
  if (std::ranges::any_of(kBeginnings, [&](std::string_view name) { return inside.starts_with(name); })) return true;
  return std::ranges::any_of(kInside, [&](std::string_view name) { return IsAtOrBelow(inside, name); });
}

// Files have others beside them that begin with their names: those of a database, and what is not written yet.
bool IsOwnState(std::string_view path, std::string_view state) {
  if (path == state || !IsAtOrBelow(path, state)) return false;
  const auto inside = path.substr(state == "/" ? 1 : state.size() + 1);
  return std::ranges::any_of(kStateFiles, [&](std::string_view name) { return inside.starts_with(name); }) ||
         std::ranges::any_of(kStateDirectories, [&](std::string_view name) { return IsAtOrBelow(inside, name); });
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

bool IsKernelType(std::string_view fstype) {
  return std::ranges::find(kKernelTypes, fstype) != std::end(kKernelTypes);
}

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
  if (IsUsersManager(subject)) return "it is, or holds, what leads to a user's services";
  const std::string runtime = WithoutVarRun(directories.runtime);
  if (IsAtOrBelow(subject, runtime) || IsAtOrBelow(runtime, subject)) {
    return std::string(kRuntimeReason);
  }
  // Volumes may be below the state directory; what nucleus keeps there itself, and the whole, may not.
  if (IsAtOrBelow(directories.state, subject)) return std::string(kStateReason);
  if (IsOwnState(subject, directories.state) || IsOwnState(subject, kRootsState)) return "it is the state of nucleus";
  return std::nullopt;
}

std::optional<std::string> KernelMountBelow(std::span<const sys::MountEntry> mounts, std::string_view path) {
  for (const sys::MountEntry& mount : mounts) {
    if (IsKernelType(mount.fstype) && IsAtOrBelow(mount.mount_point, path)) return mount.mount_point;
  }
  return std::nullopt;
}

Result<> CheckRoot(const std::string& path, const Directories& directories) {
  if (const auto why = WhyDenied(path, true, directories)) return Refused(path, *why);
  // Read-only or not, what the machine itself runs by is no image.
  const auto machines = std::ranges::find(kDenied, WithoutVarRun(path), &DeniedPath::path);
  if (machines != std::end(kDenied)) return Refused(path, machines->reason);
  TRY(OpenUnlinked(path, O_DIRECTORY, "open root"));
  return {};
}

Result<Source> CheckSource(const std::string& path, bool read_only, bool own, const Directories& directories,
                           const DeniedPlaces* places) {
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
  const bool is_directory = S_ISDIR(st.st_mode);
  if (!is_directory && !S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode))
    return Refused(path, "neither a directory nor a file nor a socket");
  std::optional<DeniedPlaces> read;
  if (places == nullptr) places = &read.emplace(TRY(DeniedPlaces::Read(directories)));
  if (const auto nested = KernelMountBelow(places->mounts(), normal))
    return Refused(path, "a file system of the kernel's own is mounted in it, at " + *nested);
  if (const auto why = own ? std::nullopt : places->Why(normal, read_only)) return Refused(path, *why);
  return Source{.is_directory = is_directory};
}

}  // namespace nucleus::mounts
