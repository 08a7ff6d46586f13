// What commands have in common: the files, the store, the machine, and the plan made of the three. Changes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/commands/commands.hpp"
#include "cli/observe_wiring.hpp"
#include "reconcile/plan.hpp"
#include "reconcile/planner.hpp"
#include "spec/types.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

enum class OutputForm { kText, kJson, kJsonLines };
OutputForm OutputFormOf(const Arguments& arguments);

// Prints a usage error and gives its exit code.
int UsageFault(Context& context, std::string_view message, std::string_view hint = "");

Result<Directories> DirectoriesOf(const Arguments& arguments);
Result<state::Store> OpenToRead(const Arguments& arguments);

// The files of -f. All problems are printed, then comes the error; warnings are printed only.
Result<spec::Topology> LoadFiles(Context& context, const spec::Outside& outside = OutsideOfFiles());
// What else is wrong with what was read, added to its problems: of files that it points at, and of this machine.
void AddProblems(const Arguments& arguments, const Result<Directories>& directories, spec::Loaded& loaded);
// What was read, after its problems were printed; an error where there are any.
Result<spec::Topology> TellProblems(Context& context, spec::Loaded loaded);
Result<spec::Topology> TellProblems(Context& context, spec::Loaded loaded, const Result<Directories>& directories);
// Problems printed; an error where there are more than warnings.
Result<> TellProblems(Context& context, const std::vector<spec::Problem>& problems);
// Which project the files of -f are about; what they point at may be gone.
Result<std::string> LoadName(Context& context);
// The paths of -f, absolute; empty where one of them can be read once only.
std::vector<std::string> AbsoluteSources(const Arguments& arguments);

// --target, --exclude, --rerun, --replace, --delete-data; an address that `known` has not is an error that offers the
// nearest one.
Result<reconcile::Options> PlanOptionsOf(const Arguments& arguments);
// known: where the addresses must be found.
Result<> CheckAddresses(const reconcile::Options& options, const spec::Topology* desired,
                        const reconcile::Applied& applied);

// A project as the store and the kernel have it.
struct World {
  std::string project;
  bool known = false;  // the store has heard of it
  reconcile::Applied applied;
  reconcile::Taken taken;
  reconcile::Observed observed;
};

Result<World> LoadWorld(state::Store& store, const std::string& project);
// The same, for a plan: where data are to be deleted, with whose they are else.
Result<World> LoadWorldFor(const reconcile::Options& options, state::Store& store, const std::string& project);
// Fills world.observed, and gives what makes a plan of it; both stay where they are until that is done.
Result<reconcile::Planner> Observe(World& world, const Probers& probers, const spec::Topology* desired,
                                   const reconcile::Options& options);
Result<reconcile::Plan> PlanFor(const World& world, const spec::Topology* desired, const reconcile::Options& options);

// A project by name, which the store must know; the nearest is offered.
Result<std::string> KnownProject(state::Store& store, const std::string& name);

// --expect and --fail-on. kDone where the plan may go on, else the exit code, after having said why.
int Gates(Context& context, const reconcile::Plan& plan);

// The plan on standard output, in the form that was asked for.
void PrintPlan(Context& context, const reconcile::Plan& plan, const std::vector<std::string>& files);

// Saves the plan where --out says, mode 0600.
Result<> WriteSavedPlan(const Arguments& arguments, const World& world, const spec::Topology* desired,
                        const reconcile::Options& options, const reconcile::Plan& plan);

// Parts that could not be read, each with why; nothing where all could.
std::vector<std::string> Unreadable(const World& world);

}  // namespace nucleus::cli
