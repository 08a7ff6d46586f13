#include "reconcile/plan_json.hpp"

#include <nlohmann/json.hpp>

#include "reconcile/explain.hpp"
#include "reconcile/json_number.hpp"
#include "reconcile/ordered_json.hpp"
#include "spec/core/text.hpp"
#include "spec/net.hpp"

namespace nucleus::reconcile {

namespace {

using Json = nlohmann::ordered_json;
using Read = nlohmann::json;  // others may have written thousands of members

// Texts may hold bytes that are no UTF-8 (a path, a log line): they are replaced, never a reason to fail.
std::string Dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json PlaceJson(const spec::Place& place, std::span<const std::string> files) {
  if (place.line == 0 || place.file >= files.size()) return nullptr;
  return {{"file", files[place.file]}, {"line", place.line}, {"column", place.column}};
}

Json ChangeJson(const Change& change, std::span<const std::string> files) {
  Json reasons = Json::array();
  for (const Reason& reason : change.reasons) {
    reasons.push_back({{"type", ReasonName(reason.type)},
                       {"text", reason.text},
                       {"field", reason.field},
                       {"place", PlaceJson(reason.place, files)}});
  }
  return {{"address", change.address.Text()},
          {"action", ActionName(change.action)},
          {"drift", change.drift},
          {"unreadable", change.unknown},
          {"reasons", reasons}};
}

Json CountsJson(const Plan& plan) {
  const Counts counts = CountLines(plan);
  Json json = Json::object();
  for (std::size_t i = 0; i + 1 < kLineTypes; ++i) {
    json[std::string(LineTypeName(static_cast<LineType>(i)))] = counts.of[i];
  }
  return json;
}

Json StepJson(const Plan& plan, std::size_t index) {
  const Step& step = plan.steps[index];
  return {{"id", index},
          {"step", step.Text()},
          {"part", step.key.Text()},
          {"verb", VerbName(step.verb)},
          {"action", ActionName(step.action)},
          {"after", step.after}};
}

Json PlanHead(const Plan& plan) {
  return {{"project", plan.project},
          {"base_revision", plan.base_revision},
          {"digest", "sha256:" + plan.digest.Hex()},
          {"summary", Summary(plan)},
          {"counts", CountsJson(plan)}};
}

Json PlanValue(const Plan& plan, std::span<const std::string> files) {
  Json json = PlanHead(plan);
  json["changes"] = Json::array();
  for (const Change& change : plan.changes) json["changes"].push_back(ChangeJson(change, files));
  json["steps"] = Json::array();
  for (std::size_t i = 0; i < plan.steps.size(); ++i) json["steps"].push_back(StepJson(plan, i));
  json["warnings"] = plan.warnings;
  Json addresses = Json::object();
  Json subnets = Json::object();
  for (const auto& [name, address] : plan.addresses) Append<Json>(addresses, name, spec::Format(address));
  for (const auto& [name, subnet] : plan.subnets) Append<Json>(subnets, name, spec::Format(subnet));
  json["leases"] = {{"addresses", std::move(addresses)}, {"subnets", std::move(subnets)}};
  return json;
}

Json ErrorJson(const Error& error) {
  Json json{{"message", error.Message()}};
  if (!error.hint.empty()) json["hint"] = error.hint;
  if (error.sys_errno != 0) json["errno"] = ErrnoName(error.sys_errno);
  return json;
}

Json OutcomeJson(const Plan& plan, const Outcome& outcome, std::uint64_t revision, std::string_view result) {
  Json json{{"result", result},           {"revision", revision},
            {"steps_done", outcome.done}, {"interrupted", outcome.interrupted},
            {"failed", Json::array()},    {"skipped", Json::array()}};
  for (const auto& [step, error] : outcome.failed) {
    Json item = ErrorJson(error);
    item["step"] = step < plan.steps.size() ? plan.steps[step].Text() : "";
    json["failed"].push_back(item);
  }
  for (const std::uint32_t step : outcome.skipped) {
    json["skipped"].push_back(step < plan.steps.size() ? plan.steps[step].Text() : "");
  }
  return json;
}

Json Document(std::string_view type, const Json& body) {
  Json json{{"format_version", kPlanFormat}, {"type", type}};
  json.update(body);
  return json;
}

std::string_view EventName(Event::Type type) {
  switch (type) {
    case Event::Type::kStepStarted:
      return "step_started";
    case Event::Type::kStepProgress:
      return "step_progress";
    case Event::Type::kStepDone:
      return "step_done";
    case Event::Type::kStepFailed:
      return "step_failed";
    case Event::Type::kStepSkipped:
      return "step_skipped";
  }
  return "step_progress";
}

Action ActionNamed(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Action::kDestroy); ++i) {
    if (ActionName(static_cast<Action>(i)) == name) return static_cast<Action>(i);
  }
  return Action::kNone;
}

Reason::Type ReasonNamed(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Reason::Type::kAdopted); ++i) {
    if (ReasonName(static_cast<Reason::Type>(i)) == name) return static_cast<Reason::Type>(i);
  }
  return Reason::Type::kChanged;
}

std::uint32_t FileIndex(std::vector<std::string>& files, const std::string& file) {
  for (std::uint32_t i = 0; i < files.size(); ++i) {
    if (files[i] == file) return i;
  }
  files.push_back(file);
  return static_cast<std::uint32_t>(files.size() - 1);
}

Result<Change> ChangeFromJson(const Read& json, std::vector<std::string>& files) {
  Change change;
  change.address = TRY(Address::Parse(json.at("address").get<std::string>()));
  change.action = ActionNamed(json.at("action").get<std::string>());
  change.drift = json.at("drift").get<bool>();
  change.unknown = json.at("unreadable").get<bool>();
  for (const Read& item : json.at("reasons")) {
    Reason reason;
    reason.type = ReasonNamed(item.at("type").get<std::string>());
    reason.text = item.at("text").get<std::string>();
    reason.field = item.at("field").get<std::string>();
    if (const Read& place = item.at("place"); !place.is_null()) {
      reason.place.file = FileIndex(files, place.at("file").get<std::string>());
      reason.place.line = WholeNumber<std::uint32_t>(place.at("line"));
      reason.place.column = WholeNumber<std::uint32_t>(place.at("column"));
    }
    change.reasons.push_back(std::move(reason));
  }
  return change;
}

// Quoted for dot and mermaid: neither can be broken out of by a name, whatever it holds.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : Printable(text)) {
    if (c == '"' || c == '\\') {
      out += '\'';
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string PlanJson(const Plan& plan, std::span<const std::string> files) {
  return Dump(Document("plan", PlanValue(plan, files)));
}

std::string PlansJson(std::span<const Plan> plans) {
  Json body{{"plans", Json::array()}};
  for (const Plan& plan : plans) body["plans"].push_back(Document("plan", PlanValue(plan, {})));
  return Dump(Document("plans", body));
}

std::string ApplyJson(const Plan& plan, std::span<const std::string> files, const Outcome& outcome,
                      std::uint64_t revision, std::string_view result, std::string_view rollback) {
  Json body{{"project", plan.project}};
  body.update(OutcomeJson(plan, outcome, revision, result));
  body["plan"] = PlanValue(plan, files);
  if (!rollback.empty()) body["rollback"] = Json::parse(rollback);
  return Dump(Document("apply", body));
}

std::string PlanEvents(const Plan& plan, std::span<const std::string> files) {
  std::string out = Dump(Document("plan", PlanHead(plan)));
  for (const Change& change : plan.changes) out += Dump(Document("change", ChangeJson(change, files)));
  for (const std::string& warning : plan.warnings) out += Dump(Document("warning", {{"text", warning}}));
  return out;
}

std::string StepEvent(const Plan& plan, const Event& event) {
  Json body = event.step < plan.steps.size() ? StepJson(plan, event.step) : Json::object();
  if (!event.text.empty()) body["text"] = event.text;
  if (!event.skipped_because.empty()) body["skipped_because"] = event.skipped_because;
  if (event.took.count() != 0) body["took_us"] = event.took.count();
  return Dump(Document(EventName(event.type), body));
}

std::string FinishedEvent(const Plan& plan, const Outcome& outcome, std::uint64_t revision, std::string_view result) {
  return Dump(Document("finished", OutcomeJson(plan, outcome, revision, result)));
}

Result<Plan> PlanFromJson(std::string_view text, std::vector<std::string>& files) {
  try {
    const Read json = Read::parse(text);
    Plan plan;
    if (WholeNumber<unsigned>(json.at("format_version")) != kPlanFormat) {
      return Fail(ErrorCode::kUnsupported, "read", "plan", "it was written by another version of nucleus");
    }
    plan.project = json.at("project").get<std::string>();
    plan.base_revision = WholeNumber<std::uint64_t>(json.at("base_revision"));
    plan.digest = TRY(Digest::Parse(json.at("digest").get<std::string>()));
    for (const Read& change : json.at("changes")) plan.changes.push_back(TRY(ChangeFromJson(change, files)));
    plan.warnings = json.at("warnings").get<std::vector<std::string>>();
    return plan;
  } catch (const std::exception& e) {  // nlohmann's parse_error, type_error, out_of_range
    return Fail(ErrorCode::kCorrupt, "read", "plan", e.what());
  }
}

std::string GraphText(const Plan& plan, GraphFormat format) {
  switch (format) {
    case GraphFormat::kJson: {
      Json body{{"project", plan.project}, {"nodes", Json::array()}, {"edges", Json::array()}};
      for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        Json node = StepJson(plan, i);
        node.erase("after");
        body["nodes"].push_back(node);
        for (const std::uint32_t before : plan.steps[i].after) body["edges"].push_back({before, i});
      }
      return Dump(Document("graph", body));
    }
    case GraphFormat::kDot: {
      std::string out = "digraph " + Quoted(plan.project) + " {\n  rankdir=LR;\n  node [shape=box];\n";
      for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        out += "  s" + std::to_string(i) + " [label=" + Quoted(StepWords(plan.steps[i])) + "];\n";
      }
      for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        for (const std::uint32_t before : plan.steps[i].after) {
          out += "  s" + std::to_string(before) + " -> s" + std::to_string(i) + ";\n";
        }
      }
      return out + "}\n";
    }
    case GraphFormat::kMermaid: {
      std::string out = "graph LR\n";
      for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        out += "  s" + std::to_string(i) + "[" + Quoted(StepWords(plan.steps[i])) + "]\n";
      }
      for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        for (const std::uint32_t before : plan.steps[i].after) {
          out += "  s" + std::to_string(before) + " --> s" + std::to_string(i) + "\n";
        }
      }
      return out;
    }
  }
  return "";
}

}  // namespace nucleus::reconcile
