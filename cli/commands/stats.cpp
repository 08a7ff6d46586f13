#include <unistd.h>

#include "actuators/process/running.hpp"
#include "actuators/sys/process.hpp"
#include "cli/containers.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "cli/usage_report.hpp"

namespace nucleus::cli {

namespace {

Result<Sample> Look(const Container& container) {
  const auto running = TRY(process::OpenRunning(container.directory, container.Name()));
  Sample sample;
  sample.name = container.Name();
  sample.id = running.launch.id;
  sample.started_ms = running.status.started_ms;
  sample.time_ms = UnixNowMs();
  sample.host_network = running.launch.host_network;
  if (!running.launch.cgroup.empty()) sample.usage = TRY(cgroup::ReadUsage(running.launch.cgroup));
  sample.links = TRY(cgroup::ReadLinks(running.status.workload.pid));
  // They were its own, if it is there still.
  if (TRY(sys::WaitForExit(running.pidfd, 0))) return Fail(ErrorCode::kNotFound, "", sample.name, "has ended");
  return sample;
}

// all: none of them may be missing.
Result<std::vector<Sample>> LookAt(const std::vector<Container>& containers, bool all) {
  std::vector<Sample> samples;
  for (const Container& container : containers) {
    auto sample = Look(container);
    if (sample) {
      samples.push_back(std::move(*sample));
    } else if (all || sample.error().code != ErrorCode::kNotFound) {
      return Fail(std::move(sample).error());
    }
  }
  return samples;
}

Result<std::vector<Container>> Find(const Directories& directories, const std::vector<std::string>& names) {
  if (names.empty()) return ListContainers(directories);
  std::vector<Container> containers;
  for (const std::string& name : names) containers.push_back(TRY(FindContainer(directories, name)));
  return containers;
}

std::string Report(OutputForm form, bool watch, const std::vector<Sample>& samples, const std::vector<Sample>& before) {
  if (form == OutputForm::kText) return UsageText(samples, before);
  return form == OutputForm::kJsonLines || watch ? UsageLines(samples, before) : UsageJson(samples, before);
}

}  // namespace

Result<int> RunStats(Context& context) {
  constexpr unsigned kEverySeconds = 1;
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  const auto& names = context.arguments.operands();
  const OutputForm form = OutputFormOf(context.arguments);
  const bool watch = context.arguments.Has("watch");
  const bool redraw = watch && form == OutputForm::kText && context.console.out_is_terminal();
  auto containers = TRY(Find(directories, names));
  auto samples = TRY(LookAt(containers, !names.empty()));
  const std::string missing = samples.empty() ? "" : MissingControllers(samples);
  const std::string remark = missing.empty() ? "" : "this machine has no cgroup2 controller for: " + missing;
  if (!redraw && !missing.empty()) context.console.Warn(remark);
  std::vector<Sample> before;
  while (true) {
    const std::string report = Report(form, watch, samples, before);
    // From the upper left corner on, and nothing of what was there below; ECMA-48.
    context.console.Out(redraw ? "\x1b[H\x1b[J" + report + (missing.empty() ? "" : "\n" + remark + "\n") : report);
    if (!watch || context.console.output_errno() != 0) return exit_code::kDone;
    ::sleep(kEverySeconds);
    before = std::exchange(samples, {});
    // Of those that were named some may have ended by now; when all have, so does this.
    if (names.empty()) containers = TRY(Find(directories, names));
    samples = TRY(LookAt(containers, false));
    if (!names.empty() && samples.empty()) return exit_code::kDone;
  }
}

}  // namespace nucleus::cli
