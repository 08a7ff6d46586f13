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

// What is in the foreground leaves no status behind, but ends as its workload did. Until its parent has taken note
// nobody else is told.
int ExitCodeOf(const sys::Fd& process) {
  constexpr int kPatienceMs = 2'000;
  pollfd reaped{.fd = process.get(), .events = 0, .revents = 0};  // POLLHUP; pidfd_open(2)
  ::poll(&reaped, 1, kPatienceMs);
  const auto status = sys::PidfdExitStatus(process.get());
  if (!status) return kUnknown;
  return WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) : WEXITSTATUS(*status);
}

Result<int> WaitFor(const Container& container) {
  const auto supervisor = TRY(process::FindSupervisor(container.directory));
  if (supervisor) (void)TRY(sys::WaitForExit(supervisor->pidfd, -1));
  const auto found = TRY(process::Find(container.directory));
  const bool ended =
      found.status && (found.status->state == Status::State::kExited || found.status->state == Status::State::kFailed);
  if (ended) return found.status->exit_code;
  return supervisor ? ExitCodeOf(supervisor->pidfd) : kUnknown;
}

}  // namespace

Result<int> RunWait(Context& context) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  std::vector<Container> containers;
  for (const std::string& name : context.arguments.operands())
    containers.push_back(TRY(FindContainer(directories, name)));
  std::vector<Acted> ended;
  const bool json = OutputFormOf(context.arguments) == OutputForm::kJson;
  for (const Container& container : containers) {
    const int code = TRY_IN(container.Name(), WaitFor(container));
    ended.push_back({container.Name(), code});
    if (!json) context.console.Out((code == kUnknown ? "?" : std::to_string(code)) + "\n");
  }
  if (json) context.console.Out(ActedJson("wait", ended));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
