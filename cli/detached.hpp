// A container in the background: a project of its own with one container in it, brought about by the road that apply
// takes and watched by the supervisor that services have. So what is said of services holds for it: it survives who
// started it, its restart policy, limits, log and health are kept, and `ps`, `logs`, `inspect`, `drift` know it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/session.hpp"
#include "spec/flags.hpp"

namespace nucleus::cli {

// The options of `run` that are keys of the desired state.
std::vector<spec::GivenFlag> FlagsOf(const Arguments& arguments);

// `run -d`, `create -d`: prints the id once the workload is executed. Where that fails nothing is left.
Result<int> RunDetached(Context& context);

// Has a container of that name converge in the background, and prints its id.
struct DetachedStart {
  bool remove = false;                 // it goes once it has ended
  std::function<Result<>()> before{};  // last before anything is made
};
Result<> StartDetached(Context& context, const Directories& directories, const std::string& name,
                       spec::Topology topology, const DetachedStart& start);

// kConflict where a container in the background, or a topology, is called that: two are not told apart by their name.
Result<> CheckNotDetached(const Directories& directories, const std::string& name);

// Takes away those of these names, as Store::ProjectsThatGoAtTheirEnd() gives them, that have ended and that nobody
// sees to: their supervisor was killed, or the machine went with them. What cannot be taken away is left to the next
// one.
void RemoveForgotten(Context& context, const Directories& directories, const std::vector<std::string>& names);

}  // namespace nucleus::cli
