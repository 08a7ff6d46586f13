// seccomp generate, diff, explain: what is known of profiles, without any of them taking effect.
#include "actuators/sys/file.hpp"
#include "cli/policies.hpp"
#include "cli/session.hpp"
#include "policy/seccomp_compile.hpp"
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

Result<policy::ResolvedSeccomp> Resolve(Context& context, const std::string& file) {
  const std::string text = TRY(sys::ReadFile(file));
  const auto read = policy::ReadSeccompProfile(text, file);
  if (!Tell(context, read.problems)) return Wrong(file);
  const policy::SeccompInputs inputs = MachineInputs();
  if (!Tell(context, policy::CheckSyscallNames(*read.profile, inputs))) return Wrong(file);
  auto resolved = policy::ResolveSeccomp(*read.profile, inputs);
  if (!Tell(context, resolved.problems)) return Wrong(file);
  return *std::move(resolved.profile);
}

bool AsJson(const Context& context) {
  return OutputFormOf(context.arguments) == OutputForm::kJson;
}

}  // namespace

Result<int> RunSeccompGenerate(Context& context) {
  std::vector<policy::Trace> traces;
  for (const std::string& file : context.arguments.operands()) {
    const std::string text = TRY(sys::ReadFile(file));
    auto read = policy::ReadTrace(text, file);
    if (!Tell(context, read.problems)) return Wrong(file);
    traces.push_back(*std::move(read.trace));
  }
  const policy::Trace merged = TRY(policy::MergeTraces(traces));
  if (merged.empty())
    return Fail(ErrorCode::kInvalid, "", "", "no call was recorded: a profile of none would allow nothing");
  policy::GenerateOptions options;
  options.arguments = context.arguments.Has("args");
  const std::string profile = policy::SeccompProfileJson(policy::GenerateSeccomp(merged, options));
  if (!context.arguments.Has("output")) {
    context.console.Out(profile);
    return exit_code::kDone;
  }
  TRY(sys::WriteOut(context.arguments.Value("output"), profile, 0644));
  return exit_code::kDone;
}

Result<int> RunSeccompDiff(Context& context) {
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
