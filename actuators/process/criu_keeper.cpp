#include "actuators/process/criu_keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include "actuators/process/criu.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "actuators/sys/spawn.hpp"

namespace nucleus::process {

namespace {

// Errors of a start that no status has.
constexpr int kNotStarted = -1;
// What the keeper is told.
constexpr char kReleased = '+', kUnwanted = 'x';
constexpr int kPause = 100;  // ms

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  const std::string number = std::to_string(pid);
  const std::string text = sys::ReadFile("/proc/" + number + "/task/" + number + "/children").value_or("");
  for (const char *at = text.data(), *end = at + text.size(); at < end; ++at) {
    pid_t child = 0;
    at = std::from_chars(at, end, child).ptr;
    if (child > 0) children.push_back(child);
  }
  return children;
}

// criu, and what it has started: tar, for what is in a tmpfs.
void LetWriteNoMore(pid_t pid) {
  const rlimit none{0, 0};
  ::prlimit(pid, RLIMIT_FSIZE, &none, nullptr);
  for (const pid_t child : ChildrenOf(pid)) LetWriteNoMore(child);
}

// Until it is through. Where somebody says on `life` that the images are not wanted, or ends, that is soon.
int WaitFor(pid_t pid, int life) {
  const sys::Fd ended(sys::PidfdOpen(pid));
  std::array<pollfd, 2> either{{{ended.get(), POLLIN, 0}, {life, POLLIN, 0}}};
  bool wanted = true;
  while (ended && either[0].revents == 0) {
    ::poll(either.data(), wanted ? 2 : 1, wanted ? -1 : kPause);
    if (either[1].revents != 0) wanted = false;
    if (!wanted) LetWriteNoMore(pid);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

int RunCriu(const CriuKeeper::Order& order, std::vector<std::string> words, int life) {
  sys::FileActions actions;
  const sys::Fd above(::fcntl(order.images.get(), F_DUPFD_CLOEXEC, CriuKeeper::kImages + 1));
  if (!above) return kNotStarted;
  actions.Give(above.get(), CriuKeeper::kImages);
  for (int fd = 0; fd < CriuKeeper::kImages; ++fd) actions.Open(fd, "/dev/null", O_RDWR);
  actions.CloseFrom(CriuKeeper::kImages + 1);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::array<const char*, 2> environment{kCriuPath, nullptr};
  ::signal(SIGXFSZ, SIG_IGN);  // where it may write no more a call of it fails
  const sys::SpawnAttributes attributes(SIGXFSZ);
  pid_t pid = 0;
  if (::posix_spawn(&pid, order.program.c_str(), actions.get(), attributes.get(), argv.data(),
                    const_cast<char* const*>(environment.data())) != 0)
    return kNotStarted;
  return WaitFor(pid, life);
}

[[noreturn]] void Keep(const RunningContainer& container, const CriuKeeper::Order& order, int answer, int life) {
  ::setsid();
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  const int status = RunCriu(order, order.words, life);
  ::signal(SIGPIPE, SIG_IGN);
  [[maybe_unused]] const auto told = ::write(answer, &status, sizeof status);
  char byte = 0;
  ssize_t got = -1;
  while ((got = ::read(life, &byte, 1)) == 1 ? byte != kReleased : got < 0 && errno == EINTR) {
  }
  if (got != 1 && order.stands_still) LetGoOn(container);
  ::_exit(0);
}

}  // namespace

Result<CriuKeeper> CriuKeeper::Start(const RunningContainer& container, const Order& order) {
  std::array<int, 2> answer{}, life{};
  if (::pipe2(answer.data(), O_CLOEXEC) != 0) return FailSys("pipe2", "answer of criu");
  const sys::Fd told(answer[1]);
  sys::Fd hears(answer[0]);
  if (::pipe2(life.data(), O_CLOEXEC) != 0) return FailSys("pipe2", "keeper of criu");
  const sys::Fd ends(life[0]);
  sys::Fd lives(life[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return FailSys("fork", "keeper of criu");
  if (pid == 0) {
    lives.reset();
    hears.reset();
    Keep(container, order, told.get(), ends.get());
  }
  return CriuKeeper(pid, std::move(hears), std::move(lives));
}

CriuKeeper::CriuKeeper(CriuKeeper&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), answer_(std::move(other.answer_)), life_(std::move(other.life_)) {}

CriuKeeper& CriuKeeper::operator=(CriuKeeper&& other) noexcept {
  if (this == &other) return *this;
  End();
  pid_ = std::exchange(other.pid_, 0);
  answer_ = std::move(other.answer_);
  life_ = std::move(other.life_);
  return *this;
}

CriuKeeper::~CriuKeeper() {
  End();
}

Result<int> CriuKeeper::Status() {
  pollfd told{answer_.get(), POLLIN, 0};
  while (sys::PendingEnd(true) == 0 && ::poll(&told, 1, kPause) <= 0) {
  }
  if (told.revents == 0) Tell(kUnwanted);
  int status = 0;
  ssize_t got = -1;
  while ((got = ::read(answer_.get(), &status, sizeof status)) < 0 && errno == EINTR) {
  }
  if (got == sizeof status && status != kNotStarted) return status;
  return Fail(ErrorCode::kSystem, "start", "criu",
              got == 0 ? "what waits for it was killed; the container may stand still: `nucleus kill --signal CONT`"
                       : "it cannot be executed");
}

void CriuKeeper::Release() {
  Tell(kReleased);
  End();
}

void CriuKeeper::Tell(char what) {
  if (life_) [[maybe_unused]]
    const auto told = ::write(life_.get(), &what, 1);
}

void CriuKeeper::End() {
  life_.reset();
  if (const pid_t pid = std::exchange(pid_, 0); pid > 0) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace nucleus::process
