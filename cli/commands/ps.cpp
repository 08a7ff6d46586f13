#include <algorithm>

#include "cli/listing_json.hpp"
#include "cli/services.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"

namespace nucleus::cli {

namespace {

Result<int> Print(Context& context, const std::string& project) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  std::vector<ServiceRow> rows = TRY(ListServices(store, directories, project));
  if (!context.arguments.Has("all")) {
    std::erase_if(rows, [](const ServiceRow& row) { return row.Ended(); });
  }
  CountDenials(directories, rows);
  if (context.arguments.Value("output") == "json") {
    context.console.Out(ServicesJson(rows));
    return exit_code::kDone;
  }
  context.console.Out(ServicesText(rows, UnixNowMs()));
  return exit_code::kDone;
}

}  // namespace

Result<int> RunPs(Context& context) {
  return Print(context, "");
}

Result<int> RunComposePs(Context& context) {
  if (!context.arguments.Has("file")) return UsageFault(context, "needs -f FILE");
  return Print(context, TRY(LoadName(context)));
}

}  // namespace nucleus::cli
