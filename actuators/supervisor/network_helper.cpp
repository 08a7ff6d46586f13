#include "actuators/supervisor/network_helper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include <array>
#include <csignal>

#include "actuators/sys/clone3.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/spawn.hpp"

namespace nucleus::process {

namespace {

constexpr int kOutputFd = 3;
constexpr std::size_t kLongestLine = 4096;

}  // namespace

Result<std::unique_ptr<NetworkHelper>> NetworkHelper::Start(const std::string& program, const std::string& directory) {
  auto pipe = TRY(sys::MakePipe(program));
  std::unique_ptr<NetworkHelper> helper(new NetworkHelper);
  helper->output_ = std::move(pipe.read);
  const sys::Fd write(::fcntl(pipe.write.get(), F_DUPFD_CLOEXEC, kOutputFd + 1));
  pipe.write.reset();
  if (!write || ::fcntl(helper->output_.get(), F_SETFL, O_NONBLOCK) != 0) return FailSys("fcntl", program);
  sys::FileActions actions;
  for (int fd = 0; fd < kOutputFd; ++fd) actions.Open(fd, "/dev/null", O_RDWR);
  actions.Give(write.get(), kOutputFd);
  actions.CloseFrom(kOutputFd + 1);
  const std::string fd = std::to_string(kOutputFd);
  std::string name = "nucleus-network", place = directory, number = fd;
  std::array<char*, 4> argv{name.data(), place.data(), number.data(), nullptr};
  std::array<char*, 1> environment{nullptr};
  const sys::SpawnAttributes attributes;
  const int failed =
      ::posix_spawn(&helper->pid_, program.c_str(), actions.get(), attributes.get(), argv.data(), environment.data());
  if (failed != 0) {
    helper->pid_ = 0;
    return Fail(Error::Sys("start", program, failed));
  }
  helper->process_.reset(sys::PidfdOpen(helper->pid_));
  if (!helper->process_) return FailSys("pidfd_open", program);
  return helper;
}

std::vector<std::string> NetworkHelper::Read() {
  std::vector<std::string> lines;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t size = ::read(output_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size == 0) ended_ = true;
    if (size <= 0) return lines;
    for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(size))) {
      if (c != '\n' && half_.size() < kLongestLine) half_ += c;
      if (c != '\n') continue;
      lines.push_back(std::move(half_));
      half_.clear();
    }
  }
}

void NetworkHelper::Reload() {
  sys::PidfdSendSignal(process_.get(), SIGHUP);
}

NetworkHelper::~NetworkHelper() {
  if (pid_ == 0) return;
  constexpr int kPatience = 2'000;  // ms
  pollfd entry{process_.get(), POLLIN, 0};
  const bool asked = process_ && sys::PidfdSendSignal(process_.get(), SIGTERM) == 0;
  if (!asked || ::poll(&entry, 1, kPatience) != 1) ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace nucleus::process
