// seccomp generate, diff, explain: what is known of profiles, without any of them taking effect.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "actuators/sys/file.hpp"
#include "cli/policies.hpp"
#include "cli/session.hpp"
#include "policy/seccomp_compile.hpp"
#include "policy/seccomp_default.hpp"
#include "policy/seccomp_report.hpp"
#include "policy/seccomp_trace.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

// True: none of them is an error.
bool Tell(Context& context, const std::vector<spec::Problem>& problems) {
  bool good = true;
  for (const auto& problem : problems) {
    good = good && problem.warning;
    context.console.Err(Printable(problem.Text(), "\n") + "\n");
  }
  return good;
}

std::unexpected<Error> Wrong(const std::string& file) {
  return Fail(ErrorCode::kInvalid, "read", file, "see above");
}

Result<std::string> ReadInput(const std::string& file) {
  return file == "-" ? sys::ReadAll(STDIN_FILENO, "standard input") : sys::ReadFile(file);
}

// A profile's text, by what stands for it on the command line.
Result<std::string> ReadProfile(const std::string& word) {
  if (word == policy::kDefaultProfileName) return policy::SeccompProfileJson(policy::DefaultSeccompProfile());
  return ReadInput(word);
}

// "-", and none: standard output.
std::string OutputFile(const Context& context) {
  std::string file = context.arguments.Has("output") ? context.arguments.Value("output") : "-";
  return file == "-" ? "" : file;
}

Result<> WriteProfile(Context& context, const policy::SeccompProfile& profile) {
  const std::string text = policy::SeccompProfileJson(profile);
  if (const std::string file = OutputFile(context); !file.empty()) return sys::WriteOut(file, text, 0644);
  context.console.Out(text);
  return {};
}

// Standard input is at its end once it was read.
Result<> CheckOneInput(const Context& context) {
  if (std::ranges::count(context.arguments.operands(), "-") < 2) return {};
  return Fail(ErrorCode::kInvalid, "read", "-", "standard input is there once, and is named twice");
}

Result<policy::ResolvedSeccomp> Resolve(Context& context, const std::string& file) {
  const std::string text = TRY(ReadProfile(file));
  const auto read = policy::ReadSeccompProfile(text, file);
  if (!Tell(context, read.problems)) return Wrong(file);
  const policy::SeccompInputs inputs = MachineInputs();
  if (!Tell(context, policy::CheckSyscallNames(*read.profile, inputs))) return Wrong(file);
  auto resolved = policy::ResolveSeccomp(*read.profile, inputs);
  if (!Tell(context, resolved.problems)) return Wrong(file);
  return *std::move(resolved.profile);
}

// A file that is there under either name.
bool IsSameFile(const std::string& one, const std::string& other) {
  struct stat its{}, others{};
  return ::stat(one.c_str(), &its) == 0 && ::stat(other.c_str(), &others) == 0 && S_ISREG(its.st_mode) &&
         its.st_dev == others.st_dev && its.st_ino == others.st_ino;
}

Result<> CheckOutput(const Context& context) {
  const std::string output = OutputFile(context);
  if (output.empty()) return {};
  for (const std::string& file : context.arguments.operands()) {
    if (!IsSameFile(output, file)) continue;
    return Fail(Error::Of(ErrorCode::kInvalid, "write", output, "it is the trace " + file + ", which would be gone")
                    .Hint("write the profile to another file"));
  }
  return {};
}

bool AsJson(const Context& context) {
  return OutputFormOf(context.arguments) == OutputForm::kJson;
}

}  // namespace

Result<int> RunSeccompGenerate(Context& context) {
  const bool is_default = context.arguments.Has("default"), has_traces = !context.arguments.operands().empty();
  if (is_default == has_traces)
    return UsageFault(context, is_default ? "--default is of no trace" : "needs a TRACE, or --default");
  if (is_default && context.arguments.Has("args"))
    return UsageFault(context, "--args is of traces: not with --default");
  if (is_default) {
    TRY(WriteProfile(context, policy::DefaultSeccompProfile()));
    return exit_code::kDone;
  }
  TRY(CheckOutput(context));
  TRY(CheckOneInput(context));
  std::vector<policy::Trace> traces;
  for (const std::string& file : context.arguments.operands()) {
    const std::string text = TRY(ReadInput(file));
    auto read = policy::ReadTrace(text, file);
    if (!Tell(context, read.problems)) return Wrong(file);
    traces.push_back(*std::move(read.trace));
  }
  const policy::Trace merged = TRY(policy::MergeTraces(traces));
  if (merged.empty())
    return Fail(ErrorCode::kInvalid, "", "", "no call was recorded: a profile of none would allow nothing");
  policy::GenerateOptions options;
  options.arguments = context.arguments.Has("args");
  for (const auto& loss : policy::GenerateLosses(merged, options)) context.console.Warn(loss);
  TRY(WriteProfile(context, policy::GenerateSeccomp(merged, options)));
  return exit_code::kDone;
}

Result<int> RunSeccompDiff(Context& context) {
  TRY(CheckOneInput(context));
  const auto first = TRY(Resolve(context, context.arguments.Operand(0)));
  const auto second = TRY(Resolve(context, context.arguments.Operand(1)));
  const auto diff = policy::DiffSeccomp(first, second);
  context.console.Out(AsJson(context) ? policy::DiffJson(diff) : policy::DiffText(diff));
  return context.arguments.Has("detailed-exitcode") && !diff.empty() ? exit_code::kChanges : exit_code::kDone;
}

Result<int> RunSeccompExplain(Context& context) {
  const auto profile = TRY(Resolve(context, context.arguments.Operand(0)));
  context.console.Out(AsJson(context) ? policy::ExplainJson(profile) : policy::ExplainText(profile));
  return exit_code::kDone;
}

}  // namespace nucleus::cli
