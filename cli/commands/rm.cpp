#include "cli/converge.hpp"
#include "cli/detached.hpp"
#include "cli/run_network.hpp"
#include "cli/services.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

namespace {

Result<> CheckMayGo(const ServiceRow& row, bool force) {
  const bool foreground = row.address.kind == Kind::kContainer;
  if (foreground && !row.Ended() && !(force && row.state == "orphaned")) {
    return Fail(Error::Of(ErrorCode::kConflict, "", row.Name(), "runs in the foreground")
                    .Hint("it is gone once it has ended: `nucleus stop " + row.Name() + "`"));
  }
  if (!foreground && !row.alone) {
    return Fail(Error::Of(ErrorCode::kConflict, "", row.Name(), "belongs to the topology '" + row.project + "'")
                    .Hint("take it out of the file and apply that, or `nucleus destroy " + row.project + "`"));
  }
  if (row.Ended() || force) return {};
  return Fail(Error::Of(ErrorCode::kConflict, "", row.Name(), "is " + row.state)
                  .Hint("stop it first, or remove it with --force"));
}

// Who wants it to go: somebody, now; or whoever started it, at its end, unless files have come to ask for it since.
enum class Wish { kNow, kAtItsEnd };

Result<bool> IsWished(state::Store& store, const ServiceRow& row, Wish wish) {
  if (wish == Wish::kNow) return true;
  const auto project = TRY(store.LoadProject(row.project));
  return project && project->origin == state::Origin::kCommandUntilItEnds;
}

Result<> Remove(Context& context, const std::string& word, Wish wish) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  const bool force = wish == Wish::kAtItsEnd || context.arguments.Has("force");
  state::Store store = TRY(OpenToRead(context.arguments));
  const auto rows = TRY(ListServices(store, directories, ""));
  const ServiceRow row = TRY(FindService(rows, word));
  if (!TRY(IsWished(store, row, wish))) return {};
  TRY(CheckMayGo(row, force));
  if (row.address.kind == Kind::kContainer) {
    TRY_IN(row.Name(), RunNetwork::RemoveOrphan(directories, row.address.name, RunNetwork::Patience()));
    context.console.Out(row.Name() + "\n");
    return {};
  }
  Goal goal;
  goal.project = row.project;
  goal.must_be_known = true;
  // Another one may be called that by the time that the lock is had.
  goal.admit = [&](state::Store& now, const World&) -> Result<> {
    if (!TRY(IsWished(now, row, wish))) return Fail(ErrorCode::kConflict, "", row.Name(), "is to stay by now");
    const auto same = TRY(ListServices(now, directories, row.project));
    if (same.size() == 1 && same.front().id == row.id) return CheckMayGo(same.front(), force);
    return Fail(ErrorCode::kNotFound, "", row.Name(), "is gone; another one has its name");
  };
  TRY(ConvergeQuietly(context, std::move(goal)));
  context.console.Out(row.Name() + "\n");
  return {};
}

Result<int> RemoveAll(Context& context, Wish wish) {
  int code = exit_code::kDone;
  for (const std::string& word : context.arguments.operands()) {
    const auto removed = Remove(context, word, wish);
    if (removed) continue;
    context.console.Fail(context.arguments.command().name, removed.error());
    code = exit_code::kError;
  }
  const auto directories = DirectoriesOf(context.arguments);
  auto store = OpenToRead(context.arguments);
  const auto forgotten = store ? store->ProjectsThatGoAtTheirEnd() : Fail(store.error());
  if (directories && forgotten) RemoveForgotten(context, *directories, *forgotten);
  return code;
}

}  // namespace

Result<int> RunRm(Context& context) {
  return RemoveAll(context, Wish::kNow);
}

Result<int> RunEnded(Context& context) {
  return RemoveAll(context, Wish::kAtItsEnd);
}

}  // namespace nucleus::cli
