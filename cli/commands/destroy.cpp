#include "cli/converge.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

Result<int> RunDestroy(Context& context) {
  const std::string name = context.arguments.Operand(0);
  const bool files = context.arguments.Has("file");
  if (files == !name.empty()) return UsageFault(context, "takes a name or -f FILE");
  Goal goal;
  goal.project = files ? TRY(LoadName(context)) : name;
  goal.must_be_known = !files;  // what a file names may well be gone already
  goal.options = TRY(PlanOptionsOf(context.arguments));
  return Converge(context, std::move(goal));
}

}  // namespace nucleus::cli
