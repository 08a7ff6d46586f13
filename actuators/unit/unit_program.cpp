#include "actuators/unit/unit_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "actuators/sys/own_programs.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/spawn.hpp"

namespace nucleus::unit {

namespace {

bool IsThere(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0;
}

// What a unit executes sees the manager's files: where ours are others, it would look for ours in vain.
bool SharesMounts() {
  struct stat its{}, ours{};
  return ::stat("/proc/1/ns/mnt", &its) == 0 && ::stat("/proc/self/ns/mnt", &ours) == 0 && its.st_ino == ours.st_ino &&
         its.st_dev == ours.st_dev;
}

// In an ordinary user's machine one is root, of ids that are few.
bool IsRoot() {
  const auto uids = sys::OwnUids();
  return ::geteuid() == 0 && uids && sys::IsWhole(*uids);
}

std::string UsersRuntime() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  return runtime != nullptr && *runtime == '/' ? std::string(runtime) : std::string();
}

std::vector<std::string> WordsFor(const UnitOrder& order) {
  std::vector<std::string> words{"nucleus-unit",
                                 std::to_string(::getpid()),
                                 std::string("manager=") + (order.manager == ManagerKind::kUser ? "user" : "system"),
                                 "name=" + order.name,
                                 "description=" + order.description,
                                 "identifier=" + order.identifier,
                                 std::string("restart=") + (order.restart ? "yes" : "no"),
                                 "try-again=" + std::to_string(order.try_again)};
  for (const auto& word : order.execute) words.push_back("execute=" + word);
  for (const auto& word : order.after) words.push_back("after=" + word);
  return words;
}

}  // namespace

bool IsInUnitWithMounts() {
  // systemd.exec(5): every unit has one.
  return IsThere("/run/systemd/system") && std::getenv("INVOCATION_ID") != nullptr && IsRoot() && !SharesMounts();
}

std::optional<ManagerKind> ManagerHere() {
  if (!IsThere("/run/systemd/system")) return std::nullopt;
  if (IsRoot()) return SharesMounts() ? std::optional(ManagerKind::kSystem) : std::nullopt;
  const std::string runtime = UsersRuntime();
  if (runtime.empty() || !IsThere(runtime + "/systemd/private")) return std::nullopt;
  return ManagerKind::kUser;
}

Result<UnitStart> UnitStart::Begin(const UnitOrder& order) {
  const std::string program = TRY(sys::ProgramOfOurs("nucleus-unit"));
  auto [reader, writer] = TRY(sys::MakePipe("answer of nucleus-unit"));
  sys::FileActions files;
  files.Open(STDIN_FILENO, "/dev/null", O_RDONLY);
  files.Give(writer.get(), STDOUT_FILENO);
  files.CloseFrom(STDERR_FILENO + 1);
  const sys::SpawnAttributes attributes;
  auto words = WordsFor(order);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // No other variable: one could lead the dynamic loader, or the library, elsewhere.
  std::string runtime = "XDG_RUNTIME_DIR=" + UsersRuntime();
  std::array<char*, 2> environment{runtime.data(), nullptr};
  pid_t pid = 0;
  const int failed =
      ::posix_spawn(&pid, program.c_str(), files.get(), attributes.get(), argv.data(), environment.data());
  if (failed != 0) return FailSys("start program", program, failed);
  return UnitStart(pid, std::move(reader));
}

UnitStart::UnitStart(UnitStart&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), output_(std::move(other.output_)) {}

UnitStart& UnitStart::operator=(UnitStart&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  return *this;
}

UnitStart::~UnitStart() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<std::optional<UnitAnswer>> UnitStart::Look(int timeout_ms) {
  pollfd entry{.fd = output_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, timeout_ms) <= 0) return std::nullopt;
  return TRY(Await());
}

Result<UnitAnswer> UnitStart::Await() {
  auto text = TRY(sys::ReadAll(output_.get(), "answer of nucleus-unit"));
  int status = 0;
  pid_t waited = 0;
  while ((waited = ::waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
  }
  if (waited != std::exchange(pid_, 0)) return FailSys("wait for", "nucleus-unit");
  const int outcome = WIFEXITED(status) ? WEXITSTATUS(status) - kUnitExit : -1;
  if (outcome < 0 || outcome > static_cast<int>(UnitOutcome::kUnreachable))
    return UnitAnswer{UnitOutcome::kUnreachable, "nucleus-unit ended before it was done"};
  return UnitAnswer{static_cast<UnitOutcome>(outcome), std::move(text)};
}

}  // namespace nucleus::unit
