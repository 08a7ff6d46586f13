#include "cli/posture_report.hpp"

#include <nlohmann/json.hpp>

#include "cli/table.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;
using process::Verdict;

std::string_view ResultName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kDiffers:
      return "differs";
    case Verdict::kUnreadable:
      return "?";
    case Verdict::kUnseen:
      return "-";
  }
  return "?";
}

bool IsToBeTold(const process::Check& check) {
  return check.verdict == Verdict::kDiffers || check.verdict == Verdict::kUnreadable;
}

std::string SummaryOf(const Verified& container) {
  const VerifyCount count = CountOf(container.checks);
  const std::string lines = std::to_string(container.checks.size());
  std::string text = container.row.Name() + ": ";
  if (count.differ != 0) {
    text += std::to_string(count.differ) + " of " + lines + (count.differ == 1 ? " differs" : " differ");
  } else if (count.unreadable == 0) {
    return text + "as asked, " + lines + " checks";
  }
  if (count.unreadable == 0) return text;
  return text + (count.differ != 0 ? ", " : "") + std::to_string(count.unreadable) + " of " + lines + " not readable";
}

}  // namespace

VerifyCount CountOf(const std::vector<process::Check>& checks) {
  VerifyCount count;
  for (const auto& check : checks) {
    count.differ += check.verdict == Verdict::kDiffers ? 1 : 0;
    count.unreadable += check.verdict == Verdict::kUnreadable ? 1 : 0;
  }
  return count;
}

std::string VerifyText(const std::vector<Verified>& containers, bool all) {
  std::string out;
  for (const Verified& container : containers) {
    out += SummaryOf(container) + "\n";
    std::vector<std::vector<std::string>> table{{"", "CHECK", "ASKED", "FOUND", "RESULT"}};
    for (const auto& check : container.checks) {
      if (!all && !IsToBeTold(check)) continue;
      // Names of hosts, mounts and files are whatever somebody gave them.
      table.push_back({"", Printable(check.name), Printable(check.asked), Printable(check.found),
                       std::string(ResultName(check.verdict))});
    }
    if (table.size() > 1) out += TableText(table);
  }
  return out;
}

std::string VerifyJson(const std::vector<Verified>& containers) {
  Json json{{"format_version", 1}, {"type", "verify"}, {"containers", Json::array()}};
  for (const Verified& container : containers) {
    const ServiceRow& row = container.row;
    const VerifyCount count = CountOf(container.checks);
    Json checks = Json::array();
    for (const auto& check : container.checks)
      checks.push_back({{"check", check.name},
                        {"asked", check.asked},
                        {"found", check.found},
                        {"result", ResultName(check.verdict)}});
    json["containers"].push_back({{"name", row.Name()},
                                  {"project", row.project},
                                  {"address", row.Asked()},
                                  {"id", row.id},
                                  {"pid", row.pid},
                                  {"differ", count.differ},
                                  {"unreadable", count.unreadable},
                                  {"checks", std::move(checks)}});
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace nucleus::cli
