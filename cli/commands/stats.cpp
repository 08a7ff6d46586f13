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

// named: none of them may be missing.
Result<std::vector<Sample>> LookAt(const std::vector<Container>& containers, bool named) {
  std::vector<Sample> samples;
  for (const Container& container : containers) {
    auto sample = Look(container);
    if (sample) {
      samples.push_back(std::move(*sample));
    } else if (named || sample.error().code != ErrorCode::kNotFound) {
      return Fail(std::move(sample).error());
    }
  }
  return samples;
}

Result<std::vector<Sample>> Take(const Directories& directories, const std::vector<std::string>& names) {
  if (names.empty()) return LookAt(TRY(ListContainers(directories)), false);
  std::vector<Container> containers;
  for (const std::string& name : names) containers.push_back(TRY(FindContainer(directories, name)));
  return LookAt(containers, true);
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
  auto samples = TRY(Take(directories, names));
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
    samples = TRY(Take(directories, names));
  }
}

}  // namespace nucleus::cli
