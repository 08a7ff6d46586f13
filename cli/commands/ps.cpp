#include <algorithm>
#include <chrono>

#include "cli/listing_json.hpp"
#include "cli/services.hpp"
#include "cli/session.hpp"

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
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  context.console.Out(ServicesText(rows, std::chrono::duration_cast<std::chrono::milliseconds>(now).count()));
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
