#include "reconcile/process_word.hpp"

#include "spec/core/units.hpp"
#include "state/parts/crash_loop.hpp"

namespace nucleus::reconcile {

namespace {

std::string_view NoteOf(const PartState& part, std::string_view name) {
  const auto found = part.seen->notes.find(std::string(name));
  return found == part.seen->notes.end() ? std::string_view() : std::string_view(found->second);
}

std::uint64_t NumberOf(const PartState& part, std::string_view name) {
  return ParseUnsigned(NoteOf(part, name)).value_or(0);
}

// It was started again several times, and now did not start, or ended soon. An error of a run that has ended is of its
// health.
bool IsInCrashLoop(const PartState& process) {
  if (NumberOf(process, "restarts") < kCrashLoop) return false;
  const bool did_not_start = NoteOf(process, "ending").empty() && !NoteOf(process, "error").empty();
  const auto started = NumberOf(process, "started_ms"), finished = NumberOf(process, "finished_ms");
  return did_not_start || finished < started + kStableAfterMs;
}

// It is being stopped, to be started again.
bool IsStoppedOfIllHealth(const PartState& process, const spec::Service& service) {
  return NoteOf(process, "ending") == "unhealthy" && service.health &&
         service.health->on_unhealthy == spec::OnUnhealthy::kRestart;
}

}  // namespace

std::string_view FactOf(const PartState& part, std::string_view name) {
  if (!part.present()) return {};
  const auto found = part.seen->facts.find(std::string(name));
  return found == part.seen->facts.end() ? std::string_view() : std::string_view(found->second);
}

bool HasEnded(const PartState& process) {
  const auto state = FactOf(process, "state");
  return state == "exited" || (state == "stopping" && !NoteOf(process, "exit_code").empty());
}

bool EndedWell(const PartState& process) {
  return HasEnded(process) && NoteOf(process, "exit_code") == "0";
}

bool StaysEnded(const PartState& process, const spec::Service& service) {
  if (!HasEnded(process)) return false;
  return service.restart == spec::RestartPolicy::kNo ||
         (service.restart == spec::RestartPolicy::kOnFailure && EndedWell(process));
}

bool OnItsWay(const Resource& resource, const PartState& part, const FactChange& fact) {
  if (part.part != Part::kProcess) return false;
  if (fact.name == "state" && fact.seen == "starting") return true;
  if (fact.name == "state" && fact.seen == "backoff" && !IsInCrashLoop(part)) return true;
  const auto* service = resource.service.desired;
  if (fact.name == "state" && fact.seen == "stopping" && service != nullptr && !HasEnded(part))
    return IsStoppedOfIllHealth(part, *service);
  return resource.job() && (fact.name == "state" || fact.name == "supervisor") && EndedWell(part);
}

}  // namespace nucleus::reconcile
