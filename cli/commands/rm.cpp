#include "cli/converge.hpp"
#include "cli/services.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

Result<> Remove(Context& context, const std::string& word) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(OpenToRead(context.arguments));
  const auto rows = TRY(ListServices(store, directories, ""));
  const ServiceRow row = TRY(FindService(rows, word));
  if (row.address.kind == Kind::kContainer) {
    return Fail(Error::Of(ErrorCode::kConflict, "", row.Name(), "runs in the foreground")
                    .Hint("it is gone once it has ended: `nucleus stop " + row.Name() + "`"));
  }
  if (!row.alone) {
    return Fail(Error::Of(ErrorCode::kConflict, "", row.Name(), "belongs to the topology '" + row.project + "'")
                    .Hint("take it out of the file and apply that, or `nucleus destroy " + row.project + "`"));
  }
  if (!row.Ended() && !context.arguments.Has("force")) {
    return Fail(Error::Of(ErrorCode::kConflict, "", row.Name(), "is " + row.state)
                    .Hint("stop it first, or remove it with --force"));
  }
  Goal goal;
  goal.project = row.project;
  goal.must_be_known = true;
  TRY(ConvergeQuietly(context, std::move(goal)));
  context.console.Out(row.Name() + "\n");
  return {};
}

}  // namespace

Result<int> RunRm(Context& context) {
  int code = exit_code::kDone;
  for (const std::string& word : context.arguments.operands()) {
    const auto removed = Remove(context, word);
    if (removed) continue;
    context.console.Fail(context.arguments.command().name, removed.error());
    code = exit_code::kError;
  }
  return code;
}

}  // namespace nucleus::cli
