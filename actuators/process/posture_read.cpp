// Reading what the kernel says of a process.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <system_error>
#include <thread>

#include "actuators/process/posture.hpp"
#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/process.hpp"

namespace nucleus::process {

namespace {

constexpr std::array kNamespaces{"mnt", "pid", "ipc", "uts", "cgroup", "net", "time", "user"};
static_assert(kNamespaces.size() == std::tuple_size_v<decltype(OwnNamespaces::numbers)>);

// `proc` is a directory of /proc that is of a process, or of one of its threads, from here on.
std::string ProcDirectory(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

// None: it has ended, or may not be looked at.
std::optional<std::string> ReadOf(const std::string& proc, std::string_view name) {
  auto text = sys::ReadFileIfThere(proc + "/" + std::string(name));
  if (!text || !*text) return std::nullopt;
  return std::move(*text);
}

template <class Number>
std::optional<Number> NumberIn(std::string_view text) {
  Number number{};
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) return std::nullopt;
  return number;
}

// None: it is gone.
Result<std::optional<Posture>> ReadStatus(const std::string& proc) {
  const std::string path = proc + "/status";
  const auto text = sys::ReadFileIfThere(path);
  if (!text && text.error().sys_errno == ESRCH) return std::nullopt;
  if (!text) return Fail(text.error());
  if (!*text) return std::nullopt;
  auto posture = ParsePosture(**text);
  if (!posture) return Fail(ErrorCode::kInternal, "parse", path, "not as documented");
  return posture;
}

bool HasExited(const Posture& posture) {
  return posture.state == 'Z' || posture.state == 'X';
}

// A process as it can be looked at: by its first thread or, where that has exited, by one that lives.
struct Subject {
  std::string proc;
  Posture posture;
};

// Threads may come and go so that none can be looked at.
constexpr int kLooks = 8;
Error GoneTooSoon(pid_t pid) {
  return Error::Of(ErrorCode::kUnhealthy, "look at", "process " + std::to_string(pid),
                   "its first thread has exited, and no other stays for as long as it takes to look at one");
}

// None: it has ended.
Result<std::optional<Subject>> FindSubject(pid_t pid, const sys::Fd& pidfd) {
  Subject subject{.proc = ProcDirectory(pid), .posture = {}};
  for (int look = 0; look < kLooks; ++look) {
    auto posture = TRY(ReadStatus(subject.proc));
    if (posture && !HasExited(*posture)) {
      subject.posture = std::move(*posture);
      return subject;
    }
    if (!pidfd || TRY(sys::WaitForExit(pidfd, 0))) return std::nullopt;
    if (const auto thread = sys::LivingThread(pid))
      subject.proc = ProcDirectory(pid) + "/task/" + std::to_string(*thread);
  }
  return Fail(GoneTooSoon(pid));
}

// "mnt:[4026531840]", the number of its inode: the link says it without the kernel making what it leads to. 0: errno
// says why. namespaces(7).
std::uint64_t NumberOf(int directory, const char* name) {
  std::array<char, 64> text{};
  const ssize_t size = ::readlinkat(directory, name, text.data(), text.size());
  if (size < 0) return 0;
  const std::string_view link(text.data(), static_cast<std::size_t>(size));
  return NumberIn<std::uint64_t>(link.substr(std::min(link.find('[') + 1, link.size()))).value_or(0);
}

// None: it has ended, or may not be looked at; errno says which.
std::optional<std::vector<Namespace>> ReadNamespaces(const std::string& proc, const std::string& pin,
                                                     const OwnNamespaces& own) {
  const sys::Fd directory(::open((proc + "/ns").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return std::nullopt;
  std::vector<Namespace> namespaces;
  for (std::size_t i = 0; i < kNamespaces.size(); ++i) {
    if (own.numbers[i] == 0) continue;
    const std::uint64_t number = NumberOf(directory.get(), kNamespaces[i]);
    if (number == 0) return std::nullopt;
    Namespace found{.name = kNamespaces[i], .ours = own.numbers[i] == number};
    struct stat its{}, pinned{};
    found.as_pinned = found.name == "net" && !pin.empty() && ::stat(pin.c_str(), &pinned) == 0 &&
                      ::fstatat(directory.get(), kNamespaces[i], &its, 0) == 0 && pinned.st_dev == its.st_dev &&
                      pinned.st_ino == its.st_ino;
    namespaces.push_back(std::move(found));
  }
  return namespaces;
}

Result<> CheckOne(pid_t pid, const Launch& launch, Moment moment, std::optional<pid_t> parent,
                  const OwnNamespaces& own) {
  const std::string proc = ProcDirectory(pid);
  auto posture = TRY(ReadStatus(proc));
  if (!posture || HasExited(*posture) || (parent && posture->parent != *parent)) return {};
  // Asked only where there is something that could not be given up: this is on the way of every start.
  const Comparison with{.launch = launch, .setgroups_denied = !posture->groups.empty() && sys::SetgroupsDenied()};
  // Nothing else of a status can get worse by itself once it was as asked.
  auto wrong = Mismatches(*posture, with, moment);
  if (moment == Moment::kBeforeExec) posture->namespaces = ReadNamespaces(proc, launch.netns, own);
  if (moment == Moment::kBeforeExec && !posture->namespaces) {
    if (errno == ENOENT || errno == ESRCH) return {};  // it has ended
    return FailSys("stat", proc + "/ns");
  }
  for (const Check& check : moment == Moment::kBeforeExec ? CompareNamespaces(*posture, with) : std::vector<Check>()) {
    // The maps are not read here: whoever wrote them has been told whether they were taken.
    if (check.verdict == Verdict::kDiffers)
      wrong.push_back("its " + check.name + " is " + check.found + ", not " + check.asked);
  }
  if (wrong.empty()) return {};
  std::string words;
  for (const auto& word : wrong) words += (words.empty() ? "" : ", ") + word;
  return Fail(Error::Of(ErrorCode::kPermission, "confine", launch.address, words));
}

std::optional<std::vector<sys::MountEntry>> ReadMounts(const std::string& proc) {
  auto mounts = sys::ReadMountinfo(proc + "/mountinfo");
  if (!mounts) return std::nullopt;
  return std::move(*mounts);
}

std::optional<std::vector<IdRange>> ReadIdMap(const std::string& proc, std::string_view name) {
  const auto text = ReadOf(proc, name);
  return text ? ParseIdMap(*text) : std::nullopt;
}

std::optional<std::string> ReadCgroup(const std::string& proc) {
  const auto text = ReadOf(proc, "cgroup");
  if (!text) return std::nullopt;
  const auto directory = sys::CgroupDirectory(*text);
  if (!directory) return std::nullopt;
  return directory->value_or("");
}

// "mnt_id:\t35" of /proc/PID/fdinfo/N.
std::optional<std::uint64_t> MountIn(std::string_view fdinfo) {
  constexpr std::string_view kKey = "mnt_id:";
  const auto at = fdinfo.find(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  fdinfo.remove_prefix(at + kKey.size());
  fdinfo.remove_prefix(std::min(fdinfo.find_first_not_of(" \t"), fdinfo.size()));
  return NumberIn<std::uint64_t>(fdinfo);
}

std::optional<std::vector<OpenFile>> ReadFiles(const std::string& proc, const std::vector<sys::MountEntry>& mounts) {
  const std::string path = proc + "/fd";
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> directory(::opendir(path.c_str()));
  if (!directory) return std::nullopt;
  std::vector<OpenFile> files;
  while (const dirent* entry = ::readdir(directory.get())) {
    const auto fd = NumberIn<int>(entry->d_name);
    if (!fd) continue;
    std::string target(4096, '\0');
    const ssize_t size = ::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size());
    if (size < 0 && errno == ENOENT) continue;  // closed meanwhile
    if (size < 0) return std::nullopt;
    target.resize(static_cast<std::size_t>(size));
    const auto info = ReadOf(proc, "fdinfo/" + std::string(entry->d_name));
    const auto mount = info ? MountIn(*info) : std::nullopt;
    const bool inside = mount && std::ranges::any_of(mounts, [&](const auto& its) { return its.id == *mount; });
    files.push_back({*fd, std::move(target), !inside});
  }
  std::ranges::sort(files, {}, &OpenFile::fd);
  return files;
}

std::optional<std::vector<Rlimit>> ReadLimits(pid_t pid, const Launch& launch) {
  std::vector<Rlimit> limits;
  for (const Rlimit& asked : launch.rlimits) {
    const auto limit = LimitOf(pid, asked.resource);
    if (!limit) return std::nullopt;
    limits.push_back(*limit);
  }
  return limits;
}

// The program that a process runs. None: not to be read.
std::optional<Program> ProgramOf(const std::string& proc) {
  const std::string path = proc + "/exe";
  struct stat st{};
  struct statvfs at{};
  if (::stat(path.c_str(), &st) != 0 || ::statvfs(path.c_str(), &at) != 0) return std::nullopt;
  return Program{st.st_dev, st.st_ino, (at.f_flag & ST_RDONLY) != 0};
}

// setns(2), pidfds since Linux 5.8.
bool EnterProcess(const sys::Fd& pidfd, int namespaces) {
  if (!pidfd) return false;
  if (::setns(pidfd.get(), namespaces) == 0) return true;
  if (errno != ESRCH) return false;
  const sys::Fd thread = sys::ThreadToEnter(pidfd);
  return thread && ::setns(thread.get(), namespaces) == 0;
}

// By way of its user namespace, over which an ordinary user who made it has power: setns(2) takes no threads along into
// one, so it is a process that goes there.
std::optional<std::string> HostNameOfOwn(const sys::Fd& pidfd) {
  std::array<int, 2> ends{};
  if (!pidfd || ::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  const sys::Fd reader(ends[0]);
  sys::Fd writer(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    utsname names{};
    const bool seen = EnterProcess(pidfd, CLONE_NEWUSER | CLONE_NEWUTS) && ::uname(&names) == 0;
    const std::string_view name(names.nodename);
    const bool told = seen && ::write(ends[1], name.data(), name.size()) == static_cast<ssize_t>(name.size());
    ::_exit(told ? 0 : 1);
  }
  writer.reset();
  if (child < 0) return std::nullopt;
  auto name = sys::ReadAll(reader.get(), "host name");
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return name && status == 0 ? std::optional(std::move(*name)) : std::nullopt;
}

std::optional<std::string> HostNameOf(const sys::Fd& pidfd) {
  std::optional<std::string> name;
  try {
    std::thread([&] { name = EnterForHostName(pidfd); }).join();
  } catch (const std::system_error&) {
    // Out of threads: nothing is said.
  }
  return name || ::geteuid() == 0 ? name : HostNameOfOwn(pidfd);
}

void ReadRest(pid_t pid, const sys::Fd& pidfd, const Launch& launch, Subject& subject) {
  const std::string& proc = subject.proc;
  Posture& posture = subject.posture;
  posture.namespaces = ReadNamespaces(proc, launch.netns, OwnNamespaces::Read());
  if (launch.user_namespace.enabled) {
    posture.uid_map = ReadIdMap(proc, "uid_map");
    posture.gid_map = ReadIdMap(proc, "gid_map");
  }
  posture.mounts = ReadMounts(proc);
  posture.rlimits = ReadLimits(pid, launch);
  posture.cgroup = ReadCgroup(proc);
  posture.hostname = HostNameOf(pidfd);
  posture.oom_score_adj = OomScoreAdj(pid);
  if (posture.mounts) posture.files = ReadFiles(proc, *posture.mounts);
  posture.program = ProgramOf(proc);
}

}  // namespace

void AddSupervisor(pid_t supervisor, Comparison& with) {
  with.supervisor = ProgramOf(ProcDirectory(supervisor));
  const std::string proc = ProcDirectory(supervisor);
  const auto setgroups = ReadOf(proc, "setgroups");
  with.setgroups_denied = setgroups && setgroups->starts_with("deny");
  struct stat own{}, its{};
  const bool same = ::stat("/proc/self/ns/user", &own) != 0 || ::stat((proc + "/ns/user").c_str(), &its) != 0 ||
                    own.st_ino == its.st_ino;
  if (same) return;
  with.uids_here = ReadIdMap(proc, "uid_map");
  with.gids_here = ReadIdMap(proc, "gid_map");
}

std::optional<pid_t> FirstChild(pid_t pid) {
  // Without CONFIG_PROC_CHILDREN there is no such file.
  const auto children = ReadOf(ProcDirectory(pid), "task/" + std::to_string(pid) + "/children");
  return children ? NumberIn<pid_t>(*children) : std::nullopt;
}

OwnNamespaces OwnNamespaces::Read() {
  OwnNamespaces own;
  const sys::Fd directory(::open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (std::size_t i = 0; directory && i < kNamespaces.size(); ++i)
    own.numbers[i] = NumberOf(directory.get(), kNamespaces[i]);
  return own;
}

Result<> CheckPosture(pid_t pid, const Launch& launch, Moment moment, const OwnNamespaces& own) {
  TRY(CheckOne(pid, launch, moment, std::nullopt, own));
  if (!launch.init) return {};
  // Where it is not to be seen the init, confined by the same code, stands for both.
  const auto child = FirstChild(pid);
  return child ? CheckOne(*child, launch, moment, pid, own) : Result<>();
}

bool IsInNamespaces(pid_t pid, const Launch& launch, const OwnNamespaces& own) {
  const std::string proc = ProcDirectory(pid);
  const auto posture = ReadStatus(proc);
  if (!posture || !*posture) return false;
  Posture seen = **posture;
  seen.namespaces = ReadNamespaces(proc, launch.netns, own);
  if (!seen.namespaces || seen.namespaces->empty()) return false;
  const auto is_good = [](const Check& check) { return check.verdict == Verdict::kOk; };
  return std::ranges::all_of(CompareNamespaces(seen, {.launch = launch}), is_good);
}

Result<std::optional<Posture>> Inspect(pid_t pid, const Launch& launch) {
  const sys::Fd pidfd(sys::PidfdOpen(pid));
  for (int look = 0; look < kLooks; ++look) {
    auto subject = TRY(FindSubject(pid, pidfd));
    if (!subject) return std::nullopt;
    ReadRest(pid, pidfd, launch, *subject);
    // What ended meanwhile answered some of it with nothing.
    const auto now = TRY(ReadStatus(subject->proc));
    if (now && !HasExited(*now)) return std::move(subject->posture);
  }
  return Fail(GoneTooSoon(pid));
}

std::string BriefMounts(const std::string& proc, int pidfd) {
  struct statvfs root{};
  if (::statvfs((proc + "/root").c_str(), &root) != 0) return "";
  struct Info {  // struct mnt_ns_info, ioctl_nsfs(2)
    std::uint32_t size;
    std::uint32_t mounts;
    std::uint64_t id;
  } info{};
  sys::Fd space(::ioctl(pidfd, _IO(0xff, 3), 0));  // PIDFD_GET_MNT_NAMESPACE, Linux 6.11
  if (!space && errno == ESRCH) space.reset(::open((proc + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC));
  const bool counted = space && ::ioctl(space.get(), _IOR(0xb7, 10, Info), &info) == 0;  // NS_MNT_GET_INFO, 6.12
  return (counted ? std::to_string(info.mounts) : "?") + ((root.f_flag & ST_RDONLY) != 0 ? " ro" : " rw");
}

std::optional<std::string> EnterForHostName(const sys::Fd& pidfd) {
  utsname names{};
  if (!EnterProcess(pidfd, CLONE_NEWUTS) || ::uname(&names) != 0) return std::nullopt;
  return names.nodename;
}

std::optional<int> OomScoreAdj(pid_t pid) {
  const auto text = sys::ReadBriefIfThere(AT_FDCWD, ProcDirectory(pid) + "/oom_score_adj");
  return text && *text ? NumberIn<int>(**text) : std::nullopt;
}

std::optional<Rlimit> LimitOf(pid_t pid, int resource) {
  // Faster, but it wants a capability even to look at processes of others.
  struct rlimit limit{};
  if (::prlimit(pid, static_cast<__rlimit_resource>(resource), nullptr, &limit) == 0)
    return Rlimit{resource, limit.rlim_cur, limit.rlim_max};
  const auto text = ReadOf(ProcDirectory(pid), "limits");
  return text ? ParseLimit(*text, resource) : std::nullopt;
}

}  // namespace nucleus::process
