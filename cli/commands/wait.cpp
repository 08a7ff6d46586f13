#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include "actuators/process/channel.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/process.hpp"
#include "cli/containers.hpp"
#include "cli/listing_json.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

constexpr int kUnknown = -1;

// What is in the foreground leaves no status behind, nor what is removed as it ends; but it ends as its workload did.
// Until its parent has taken note nobody else is told.
int ExitCodeOf(const sys::Fd& process) {
  constexpr int kPatienceMs = 2'000;
  pollfd reaped{.fd = process.get(), .events = 0, .revents = 0};  // POLLHUP; pidfd_open(2)
  ::poll(&reaped, 1, kPatienceMs);
  const auto status = sys::PidfdExitStatus(process.get());
  if (!status) return kUnknown;
  return WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) : WEXITSTATUS(*status);
}

struct Waited {
  Container container;
  std::optional<process::LockHolder> supervisor;  // whom it ends with; none: it has ended
  std::optional<int> code = {};
};

// The status first; it may have been removed since, and the supervisor ends as its workload did.
Result<> TakeCode(Waited& one) {
  const auto found = TRY(process::Find(one.container.directory));
  const bool ended =
      found.status && (found.status->state == Status::State::kExited || found.status->state == Status::State::kFailed);
  if (ended) {
    one.code = found.status->exit_code;
  } else {
    one.code = one.supervisor ? ExitCodeOf(one.supervisor->pidfd) : kUnknown;
  }
  return {};
}

// Until one of them has ended, or more: all are watched, so that none is gone when its turn comes.
Result<> AwaitNext(std::vector<Waited>& all) {
  std::vector<pollfd> polls;
  for (const Waited& one : all)
    polls.push_back({.fd = one.code ? -1 : one.supervisor->pidfd.get(), .events = POLLIN, .revents = 0});
  if (::poll(polls.data(), polls.size(), -1) < 0) return errno == EINTR ? Result<>() : FailSys("poll", "wait");
  for (std::size_t i = 0; i < all.size(); ++i)
    if (polls[i].revents != 0) TRY_IN(all[i].container.Name(), TakeCode(all[i]));
  return {};
}

}  // namespace

Result<int> RunWait(Context& context) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  std::vector<Waited> all;
  for (const std::string& name : context.arguments.operands()) {
    Container container = TRY(FindContainer(directories, name));
    auto supervisor = TRY_IN(container.Name(), process::FindSupervisor(container.directory));
    all.push_back({std::move(container), std::move(supervisor)});
  }
  for (Waited& one : all)
    if (!one.supervisor) TRY_IN(one.container.Name(), TakeCode(one));
  std::vector<Acted> ended;
  const bool json = OutputFormOf(context.arguments) == OutputForm::kJson;
  while (ended.size() < all.size()) {
    const Waited& next = all[ended.size()];
    if (!next.code) {
      TRY(AwaitNext(all));
      continue;
    }
    ended.push_back({next.container.Name(), next.code});
    if (!json) context.console.Out((*next.code == kUnknown ? "?" : std::to_string(*next.code)) + "\n");
  }
  if (json) context.console.Out(ActedJson("wait", ended));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
