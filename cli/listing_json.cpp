#include "cli/listing_json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/table.hpp"
#include "spec/net.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kListingFormat = 1;

std::string Document(std::string_view type, const Json& body) {
  Json json{{"format_version", kListingFormat}, {"type", type}};
  json.update(body);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// A time, or null for none.
Json TimeJson(std::int64_t unix_ms) {
  if (unix_ms <= 0) return nullptr;
  return UtcTime(unix_ms);
}

// spec_json is our own canonical JSON; where it does not read back it is shown as text rather than lost.
Json Embedded(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return text;
  return json;
}

Json OfService(const ServiceRow& row) {
  Json item{{"name", row.Name()},
            {"project", row.project},
            {"address", row.Asked()},
            {"id", row.id},
            {"state", row.state},
            {"ready", nullptr},
            {"health", nullptr},
            {"restarts", row.restarts},
            {"pid", nullptr},
            {"started", TimeJson(row.started_ms)},
            {"finished", TimeJson(row.finished_ms)},
            {"exit_code", nullptr},
            {"reason", nullptr},
            {"egress_denied", nullptr},
            {"ports", row.ports}};
  if (row.egress_denied) item["egress_denied"] = *row.egress_denied;
  if (!row.readiness.empty()) item["ready"] = row.readiness == ReadinessName(Status::Readiness::kReady);
  if (!row.words.empty()) item["status"] = row.words;
  if (!row.health.empty()) item["health"] = row.health;
  if (row.pid > 0) item["pid"] = row.pid;
  item["supervisor_pid"] = nullptr;
  if (row.supervisor_pid > 0) item["supervisor_pid"] = row.supervisor_pid;
  if (!row.exit_code.empty()) item["exit_code"] = std::atoi(row.exit_code.c_str());
  if (!row.reason.empty()) item["reason"] = row.reason;
  if (!row.detail.empty()) item["detail"] = row.detail;
  return item;
}

}  // namespace

std::string_view RevisionStateName(const state::RevisionRow& row, const std::vector<state::RevisionRow>& all,
                                   bool running) {
  switch (row.state) {
    case state::RevisionState::kApplying: {
      const bool newest = std::ranges::none_of(all, [&](const auto& other) { return other.number > row.number; });
      return newest && running ? "applying" : "interrupted";
    }
    case state::RevisionState::kApplied:
      return "applied";
    case state::RevisionState::kFailed:
      return "failed";
  }
  return "";
}

std::string ServiceJson(const ServiceRow& row) {
  return OfService(row).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ServicesJson(const std::vector<ServiceRow>& rows) {
  Json body = Json::object();
  body["services"] = Json::array();
  for (const ServiceRow& row : rows) body["services"].push_back(OfService(row));
  return Document("services", body);
}

std::string HistoryJson(std::string_view project, const std::vector<state::RevisionRow>& revisions, bool running) {
  Json body = Json::object();
  body["project"] = project;
  body["revisions"] = Json::array();
  for (const state::RevisionRow& row : revisions) {
    body["revisions"].push_back({{"revision", row.number},
                                 {"time", TimeJson(row.time_ms)},
                                 {"state", RevisionStateName(row, revisions, running)},
                                 {"summary", row.summary},
                                 {"plan", row.plan_digest}});
  }
  return Document("history", body);
}

std::string ProjectJson(const state::ProjectRow& project) {
  Json body = Json::object();
  body["project"] = project.name;
  body["revision"] = project.revision;
  body["resources"] = Json::array();
  for (const state::ResourceRow& row : project.resources) {
    body["resources"].push_back(
        {{"address", row.address.Text()}, {"revision", row.revision}, {"spec", Embedded(row.spec_json)}});
  }
  body["addresses"] = Json::object();
  for (const auto& [name, address] : project.addresses) body["addresses"][name] = spec::Format(address);
  body["subnets"] = Json::object();
  for (const auto& [name, subnet] : project.subnets) body["subnets"][name] = spec::Format(subnet);
  body["completed_jobs"] = Json::object();
  for (const auto& [name, digest] : project.completed_jobs) body["completed_jobs"][name] = "sha256:" + digest.Hex();
  return Document("project", body);
}

std::string ValidateJson(std::string_view name, bool ok, const std::vector<std::string>& order,
                         std::span<const spec::Problem> problems) {
  Json body = Json::object();
  body["valid"] = ok;
  body["project"] = name;
  body["start_order"] = order;
  body["problems"] = Json::array();
  for (const spec::Problem& problem : problems) {
    body["problems"].push_back({{"severity", problem.warning ? "warning" : "error"},
                                {"file", problem.file},
                                {"line", problem.line},
                                {"column", problem.column},
                                {"message", problem.message}});
  }
  return Document("validation", body);
}

std::string ActedJson(std::string_view type, const std::vector<Acted>& containers) {
  Json body = Json::object();
  body["containers"] = Json::array();
  for (const Acted& one : containers) {
    Json item{{"name", one.name}};
    if (one.exit_code) item["exit_code"] = *one.exit_code >= 0 ? Json(*one.exit_code) : Json(nullptr);
    body["containers"].push_back(std::move(item));
  }
  return Document(type, body);
}

std::string VersionJson(std::string_view version) {
  Json body = Json::object();
  body["version"] = version;
  return Document("version", body);
}

}  // namespace nucleus::cli
