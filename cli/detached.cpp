#include "cli/detached.hpp"

#include <unistd.h>

#include <utility>

#include "actuators/process/at_end.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/sys/own_programs.hpp"
#include "cli/compile_launch.hpp"
#include "cli/converge.hpp"
#include "cli/run_options.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

Result<std::string> NameOf(const Arguments& arguments) {
  if (!arguments.Has("name")) return RandomDigits(kShortIdDigits);
  std::string name = arguments.Value("name");
  if (IsValidProjectName(name)) return name;
  return Fail(ErrorCode::kInvalid, "", "--name",
              "'" + Printable(name) +
                  "' is not a name of a container in the background: lower-case letters, digits, '_', '.' and '-', a "
                  "letter or digit first, at most 63 characters");
}

// One in the foreground may have the name.
Result<> CheckNotInForeground(const Directories& directories, const std::string& name) {
  const std::string directory = directories.ServiceDir(kContainersProject, {Kind::kContainer, name});
  if (TRY(process::SupervisorOf(directory)) == 0) return {};
  return Fail(Error::Of(ErrorCode::kConflict, "", "'" + name + "'", "a container of that name is running")
                  .Hint("give this one another --name"));
}

}  // namespace

std::vector<spec::GivenFlag> FlagsOf(const Arguments& arguments) {
  std::vector<spec::GivenFlag> flags;
  for (const Option* option : RunOptions()) {
    if (!IsKey(*option) || !arguments.Has(option->name)) continue;
    auto values = option->type == ValueType::kNone ? std::vector<std::string>() : arguments.Values(option->name);
    flags.push_back({std::string(option->name), std::move(values), option->repeatable});
  }
  return flags;
}

Result<> CheckNotDetached(const Directories& directories, const std::string& name) {
  if (::access(directories.ServiceDir(name, {Kind::kService, name}).c_str(), F_OK) != 0) return {};
  return Fail(Error::Of(ErrorCode::kConflict, "", "'" + name + "'", "there is a container of that name")
                  .Hint("give this one another --name, or see `nucleus ps --all`"));
}

Result<int> RunDetached(Context& context) {
  const Arguments& arguments = context.arguments;
  for (const std::string_view option : {"tty", "dry-run"}) {
    if (arguments.Has(option))
      return UsageFault(context, "--" + std::string(option) + " is for the foreground: not with --detach");
  }
  const Directories directories = TRY(DirectoriesOf(arguments));
  const std::string name = TRY(NameOf(arguments));
  TRY(CheckNotInForeground(directories, name));
  Goal goal;
  goal.project = name;
  goal.desired = TRY(TellProblems(
      context, spec::LoadFlags(name, name, FlagsOf(arguments), arguments.operands(), spec::Outside::Real())));
  goal.must_be_new = true;
  const std::string directory = directories.ServiceDir(name, {Kind::kService, name});
  if (arguments.Has("rm")) {
    const std::string own = TRY(sys::ProgramOfOurs("nucleus"));
    goal.before = [&directories, directory, own] {
      return process::WriteAtEnd(
          directory, {own, "rm", "--force", "--state-dir", directories.state, "--runtime-dir", directories.runtime});
    };
  }
  std::string id;
  const auto note_id = [&]() -> Result<> {
    const auto found = TRY(process::Find(directory));
    if (!found.status) return Fail(ErrorCode::kNotFound, "", "'" + name + "'", "is gone");
    id = found.status->id;
    return {};
  };
  TRY(ConvergeQuietly(context, std::move(goal), note_id));
  context.console.Out(id + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
