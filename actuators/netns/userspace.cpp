#include "actuators/netns/userspace.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

#include "actuators/netns/listen_queue.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/text.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

constexpr std::string_view kName = "slirp4netns";
// Where root installs programs. On NixOS the last one, a link into the store.
constexpr std::array kDirectories = {"/usr/bin/", "/usr/local/bin/", "/run/current-system/sw/bin/"};
constexpr std::chrono::milliseconds kPatience{10'000};  // for it to begin, and for an answer
constexpr const char* kSocket = "slirp4netns";          // in the directory
constexpr const char* kDevice = "/dev/net/tun";
constexpr const char* kLink = "eth0";
constexpr const char* kMtu = "65520";  // the largest; what leaves are the sockets' own packets

// Descriptors in the new process.
constexpr int kReadyFd = 3;
constexpr int kExitFd = 4;
constexpr int kNetworkFd = 5;
constexpr int kDirectoryFd = 6;

std::string FdPath(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}
// Never longer than a socket's address may be.
std::string SocketPath(int directory) {
  return FdPath(directory) + "/" + kSocket;
}

bool IsRoots(const struct stat& file) {
  // In a user namespace of an ordinary user the machine's root is nobody.
  constexpr uid_t kNobody = 65534;
  return (file.st_uid == 0 || file.st_uid == kNobody) && (file.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

Result<std::string> Find() {
  for (const char* directory : kDirectories) {
    std::string path = directory + std::string(kName);
    struct stat file{};
    if (::stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode) && IsRoots(file)) return path;
  }
  return Fail(Error::Of(ErrorCode::kNotFound, "find", kName, "it is not where root installs programs")
                  .Hint("apt install slirp4netns"));
}

struct Pipe {
  sys::Fd read, write;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FailSys("pipe", kName);
  return Pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
}

// What it said of what is wrong, in one line.
std::string Words(const sys::Fd& words) {
  std::string text(4096, '\0');
  const ssize_t read = ::pread(words.get(), text.data(), text.size(), 0);
  text.resize(read < 0 ? 0 : static_cast<std::size_t>(read));
  while (text.ends_with('\n')) text.pop_back();
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', end))
    text.replace(end, 1, "; ");
  return text.empty() ? "it ended without a word" : Printable(text);
}

// Waits until there is something to read, or the other end is closed.
bool Readable(const sys::Fd& fd, std::chrono::steady_clock::time_point deadline) {
  pollfd entry{fd.get(), POLLIN, 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void Give(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  void CloseFrom(int first) { ::posix_spawn_file_actions_addclosefrom_np(&actions_, first); }
  void Open(int as, const char* path, int flags) { ::posix_spawn_file_actions_addopen(&actions_, as, path, flags, 0); }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// Signals that the caller holds back are no matter of the new process.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t all;
    ::sigfillset(&all);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    // A session of its own: what the terminal sends is for the workload.
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

// Above the numbers that they are given as, or one would be closed by another's.
Result<sys::Fd> OutOfTheWay(const sys::Fd& fd) {
  sys::Fd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kDirectoryFd + 1));
  if (!high) return FailSys("dup", kName);
  return high;
}

Result<sys::Fd> Connect(const std::string& path) {
  sys::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return FailSys("connect", path);
  }
  return socket;
}

// One command a connection: it answers, and closes.
Result<> Command(const std::string& path, const std::string& command, std::string_view subject) {
  const auto socket = TRY(Connect(path));
  if (::send(socket.get(), command.data(), command.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(command.size())) {
    return FailSys("send", path);
  }
  ::shutdown(socket.get(), SHUT_WR);
  std::string answer;
  std::array<char, 4096> part{};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (answer.size() < part.size() && Readable(socket, deadline)) {
    const ssize_t size = ::recv(socket.get(), part.data(), part.size(), 0);
    if (size <= 0) break;
    answer.append(part.data(), static_cast<std::size_t>(size));
  }
  return ReadAnswer(answer, subject);
}

Result<> Publish(const std::string& path, const spec::PortForward& port) {
  const nlohmann::json command = {{"execute", "add_hostfwd"},
                                  {"arguments",
                                   {{"proto", port.protocol == spec::Protocol::kTcp ? "tcp" : "udp"},
                                    {"host_addr", spec::Format(port.host_ip.value_or(spec::IpAddress()))},
                                    {"host_port", port.host_port},
                                    {"guest_addr", spec::Format(kUserspaceAddress)},
                                    {"guest_port", port.container_port}}}};
  return Command(path, command.dump(), "port " + spec::Format(port));
}

}  // namespace

Result<> ReadAnswer(std::string_view text, std::string_view subject) {
  const auto answer = nlohmann::json::parse(text, nullptr, false);
  if (answer.is_object() && answer.contains("return")) return {};
  std::string why = "it gave no answer that could be understood";
  if (answer.is_object() && answer.contains("error") && answer["error"].is_object()) {
    const auto words = answer["error"].find("desc");
    if (words != answer["error"].end() && words->is_string()) why = Printable(words->get<std::string>());
  }
  return Fail(ErrorCode::kConflict, "publish", subject, std::string(kName) + ": " + why);
}

Result<> UserspaceNetwork::Launch() {
  const std::string program = TRY(Find());
  if (::access(kDevice, R_OK | W_OK) != 0) {
    return Fail(
        Error::Sys("open", kDevice, errno).Hint("it is what such a network is made with; udev opens it to all"));
  }
  auto ready = TRY(MakePipe());
  auto exit = TRY(MakePipe());
  const sys::Fd words(::memfd_create("slirp4netns", MFD_CLOEXEC));
  if (!words) return FailSys("memfd_create", kName);
  ::unlinkat(directory_.get(), kSocket, 0);

  ready.write = TRY(OutOfTheWay(ready.write));
  exit.read = TRY(OutOfTheWay(exit.read));
  const auto network = TRY(OutOfTheWay(network_));
  const auto directory = TRY(OutOfTheWay(directory_));
  FileActions actions;
  actions.Open(STDIN_FILENO, "/dev/null", O_RDONLY);
  actions.Open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  actions.Give(words.get(), STDERR_FILENO);
  actions.Give(ready.write.get(), kReadyFd);
  actions.Give(exit.read.get(), kExitFd);
  actions.Give(network.get(), kNetworkFd);
  actions.Give(directory.get(), kDirectoryFd);
  actions.CloseFrom(kDirectoryFd + 1);

  const std::vector<std::string> arguments = {std::string(kName),
                                              "--configure",
                                              "--mtu=" + std::string(kMtu),
                                              "--ready-fd=" + std::to_string(kReadyFd),
                                              "--exit-fd=" + std::to_string(kExitFd),
                                              "--disable-host-loopback",
                                              "--disable-dns",
                                              "--enable-sandbox",
                                              "--enable-seccomp",
                                              "--api-socket=" + SocketPath(kDirectoryFd),
                                              "--netns-type=path",
                                              FdPath(kNetworkFd),
                                              kLink};
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::array<char*, 1> environment{nullptr};
  const SpawnAttributes attributes;
  pid_t pid = 0;
  const int failed =
      ::posix_spawn(&pid, program.c_str(), actions.get(), attributes.get(), argv.data(), environment.data());
  if (failed != 0) return Fail(Error::Sys("start", program, failed));
  pid_ = pid;
  process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  exit_ = std::move(exit.write);
  if (!process_) {
    exit_.reset();
    pid_ = 0;
    return FailSys("pidfd_open", kName);
  }
  ready.write.reset();
  char byte = 0;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  if (!Readable(ready.read, deadline) || ::read(ready.read.get(), &byte, 1) != 1) {
    Reap();
    return Fail(ErrorCode::kSystem, "start", kName, Words(words));
  }
  for (const auto& port : ports_) {
    auto published = Publish(SocketPath(directory_.get()), port);
    if (published) continue;
    Reap();
    return published;
  }
  WidenListenQueues(pid, process_);
  return {};
}

void UserspaceNetwork::Reap() {
  exit_.reset();
  if (pid_ == 0) return;
  // It ends by itself at once; where it does not it has to.
  if (!Readable(process_, std::chrono::steady_clock::now() + std::chrono::seconds(1)))
    ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
  // By its descriptor: the supervisor may have taken it for a stranger's child already.
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &info, WEXITED) != 0 && errno == EINTR) {
  }
  pid_ = 0;
}

// Starts it again when it dies, with longer and longer rests.
void UserspaceNetwork::Keep() {
  constexpr int kShortest = 100, kLongest = 10'000;  // ms
  constexpr std::chrono::seconds kGood{10};          // whoever lived so long may be started at once
  HoldSignals();
  int rest = kShortest;
  bool told = false;
  auto started = std::chrono::steady_clock::now();
  while (true) {
    std::array<pollfd, 2> entries{pollfd{stop_.get(), POLLIN, 0}, pollfd{process_.get(), POLLIN, 0}};
    if (::poll(entries.data(), pid_ == 0 ? 1 : 2, pid_ == 0 ? rest : -1) < 0 && errno != EINTR) return;
    if (entries[0].revents != 0) return;
    if (pid_ != 0 && entries[1].revents == 0) continue;
    if (pid_ != 0) {
      Reap();
      if (std::chrono::steady_clock::now() - started < kGood) continue;  // a rest first
      rest = kShortest;
    }
    rest = std::min(rest * 2, kLongest);
    started = std::chrono::steady_clock::now();
    const auto again = Launch();
    if (!again && !told) tell_(again.error());
    told = !again;
  }
}

Result<std::unique_ptr<UserspaceNetwork>> UserspaceNetwork::Start(const sys::Fd& network,
                                                                  std::vector<spec::PortForward> ports,
                                                                  const std::string& directory, Tell tell) {
  sys::Fd own(::fcntl(network.get(), F_DUPFD_CLOEXEC, 0));
  if (!own) return FailSys("dup", kName);
  auto place = TRY(sys::Open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<UserspaceNetwork> made(
      new UserspaceNetwork(std::move(own), std::move(ports), std::move(place), std::move(tell)));
  made->stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!made->stop_) return FailSys("eventfd", kName);
  TRY(made->Launch());
  try {
    made->keeper_ = std::thread([keeper = made.get()] { keeper->Keep(); });
  } catch (const std::system_error&) {
    return Fail(ErrorCode::kSystem, "start", "a thread", "there is no room for one");
  }
  return made;
}

UserspaceNetwork::~UserspaceNetwork() {
  if (keeper_.joinable()) {
    ::eventfd_write(stop_.get(), 1);
    keeper_.join();
  }
  Reap();
  ::unlinkat(directory_.get(), kSocket, 0);
}

}  // namespace nucleus::netns
