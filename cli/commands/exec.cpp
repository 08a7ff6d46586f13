#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>

#include "actuators/process/child.hpp"
#include "actuators/process/own_program.hpp"
#include "actuators/security/identity.hpp"
#include "actuators/supervisor/inside.hpp"
#include "actuators/supervisor/terminal_relay.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/process.hpp"
#include "cli/commands/run_from_clone.hpp"
#include "cli/containers.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

void SetVariable(std::vector<std::string>& environment, const std::string& variable) {
  const std::string name = variable.substr(0, variable.find('=') + 1);
  std::erase_if(environment, [&](const std::string& one) { return one.starts_with(name); });
  environment.push_back(variable);
}

// Names are looked up in the container's own files, by way of its root.
Result<security::Account> AccountIn(const process::RunningContainer& container, const std::string& text,
                                    const std::string& name) {
  const auto colon = text.find(':');
  const spec::Owner owner{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
  if (owner.user.empty() || (colon != std::string::npos && owner.group.empty()))
    return Fail(Error::Invalid("--user '" + text + "'", "is not USER or USER:GROUP"));
  const auto& workload = container.status.workload;
  const sys::Fd root = TRY(sys::Open(sys::ProcOf(workload.pid) + "/root", O_PATH | O_DIRECTORY));
  // It is that process's, if that is still there.
  if (TRY(sys::WaitForExit(container.pidfd, 0))) return Fail(ErrorCode::kNotFound, "", name, "has ended");
  auto account = security::ResolveAccountIn(owner, "/proc/self/fd/" + std::to_string(root.get()), name);
  if (account) return account;
  Error error = std::move(account).error();
  error.trail = {"--user"};
  // Of the two keys that a service has for it.
  if (error.hint.find("group = ") != std::string::npos) error.hint = "--user " + text + ":0, if that is meant";
  return Fail(std::move(error));
}

// What is different from the container's workload.
Result<> Shape(const Arguments& arguments, const process::RunningContainer& container, const std::string& name,
               bool terminal, Launch& launch) {
  if (arguments.Has("user")) {
    const security::Account account = TRY(AccountIn(container, arguments.Value("user"), name));
    launch.identity = account.identity;
    for (const auto& [variable, value] : security::AccountEnvironment(account))
      SetVariable(launch.env, variable + "=" + value);
  }
  if (arguments.Has("workdir")) launch.workdir = arguments.Value("workdir");
  if (terminal) process::TellKind(launch.env, std::getenv("TERM"));
  for (const std::string& variable : GivenVariables(arguments)) {
    if (variable.find('=') == std::string::npos || variable.starts_with('='))
      return Fail(Error::Invalid("--env '" + variable + "'", "is not NAME=VALUE"));
    SetVariable(launch.env, variable);
  }
  return {};
}

Result<int> Enter(Context& context, const std::vector<std::string>& argv, process::InsideFiles files) {
  if (files.terminal && ::isatty(STDIN_FILENO) == 0) {
    return Fail(Error::Of(ErrorCode::kInvalid, "", "--tty", "standard input is no terminal")
                    .Hint("leave it out: pipes and files work without it"));
  }
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  const Container named = TRY(FindContainer(directories, context.arguments.Operand(0)));
  if (::geteuid() != 0) {
    TRY(process::OpenRunning(named.directory, named.Name()));  // or there is nothing to enter
    TRY(BecomeOwnerOf(named, directories));
    // The clone is a mount, and no namespace of the machine's is ours to make one in.
    if (::unshare(CLONE_NEWNS) != 0) return FailSys("unshare", "mount namespace");
    TRY(RunFromClone());
  }
  process::RunningContainer container = TRY(process::OpenRunning(named.directory, named.Name()));
  TRY(RunFromClone());
  Launch launch = std::move(container.launch);
  TRY(Shape(context.arguments, container, named.Name(), files.terminal, launch));
  return process::RunInside(launch, argv, container, files);
}

Result<int> Told(Context& context, Result<int> ended) {
  if (ended) return ended;
  context.console.Fail(context.arguments.command().name, ended.error());
  return ended.error().operation == "execute" ? process::ExitCodeOf(ended.error()) : exit_code::kNotStarted;
}

}  // namespace

Result<int> RunExec(Context& context) {
  const auto& operands = context.arguments.operands();
  const bool terminal = context.arguments.Has("tty");
  return Told(context, Enter(context, {operands.begin() + 1, operands.end()},
                             {.input = terminal || context.arguments.Has("interactive"), .terminal = terminal}));
}

Result<int> RunAttach(Context& context) {
  const auto& operands = context.arguments.operands();
  std::vector<std::string> argv(operands.begin() + 1, operands.end());
  if (argv.empty()) argv.emplace_back("sh");
  return Told(context, Enter(context, argv, {.input = true, .terminal = ::isatty(STDIN_FILENO) == 1}));
}

}  // namespace nucleus::cli
