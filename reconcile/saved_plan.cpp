#include "reconcile/saved_plan.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reconcile/diff.hpp"
#include "reconcile/json_number.hpp"
#include "reconcile/ordered_json.hpp"
#include "spec/core/nesting.hpp"
#include "spec/load.hpp"

namespace nucleus::reconcile {

namespace {

using Json = nlohmann::ordered_json;
using Read = nlohmann::json;  // others may have written thousands of members

constexpr unsigned kFormat = 1;
constexpr std::string_view kType = "nucleus-plan";

std::string_view PresenceName(Presence presence) {
  switch (presence) {
    case Presence::kAbsent:
      return "absent";
    case Presence::kPresent:
      return "present";
    case Presence::kUnreadable:
      return "unreadable";
  }
  return "absent";
}

Result<Presence> PresenceNamed(std::string_view name) {
  for (const Presence presence : {Presence::kAbsent, Presence::kPresent, Presence::kUnreadable}) {
    if (PresenceName(presence) == name) return presence;
  }
  return Fail(ErrorCode::kCorrupt, "read", "plan", "unknown presence of a part");
}

Json AddressesJson(const std::set<Address>& addresses) {
  Json json = Json::array();
  for (const Address& address : addresses) json.push_back(address.Text());
  return json;
}

Result<std::set<Address>> AddressesFrom(const Read& json) {
  std::set<Address> addresses;
  for (const Read& item : json) addresses.insert(TRY(Address::Parse(item.get<std::string>())));
  return addresses;
}

Json OptionsJson(const Options& options) {
  return {{"targets", AddressesJson(options.targets)},
          {"excludes", AddressesJson(options.excludes)},
          {"rerun", options.rerun},
          {"replace", options.replace},
          {"destroy", options.destroy},
          {"delete_data", options.delete_data},
          {"drift_only", options.drift_only}};
}

Result<Options> OptionsFrom(const Read& json) {
  Options options;
  options.targets = TRY(AddressesFrom(json.at("targets")));
  options.excludes = TRY(AddressesFrom(json.at("excludes")));
  options.rerun = json.at("rerun").get<std::set<std::string>>();
  options.replace = json.at("replace").get<std::set<std::string>>();
  options.destroy = json.at("destroy").get<bool>();
  options.delete_data = json.at("delete_data").get<bool>();
  options.drift_only = json.at("drift_only").get<bool>();
  return options;
}

Result<Observations> SeenFrom(std::string_view project, const Read& json) {
  Observations seen;
  for (const auto& [name, value] : json.items()) {
    const PartKey key = TRY(PartKey::Parse(project, name));
    Observation observation;
    observation.presence = TRY(PresenceNamed(value.at("presence").get<std::string>()));
    observation.facts = value.at("facts").get<Facts>();
    seen.emplace(key, std::move(observation));
  }
  return seen;
}

// ---- staleness ----

const Observation& At(const Observations& observations, const PartKey& key) {
  static const Observation kAbsentPart;
  const auto found = observations.find(key);
  return found == observations.end() ? kAbsentPart : found->second;
}

// A digest says nothing in full.
std::string Shown(const std::string& value) {
  constexpr std::size_t kLongest = 48, kHead = 12;
  return value.size() <= kLongest ? value : value.substr(0, kHead) + "…";
}

void CompareFacts(const std::string& where, const Facts& before, const Facts& now, std::vector<std::string>& out) {
  std::set<std::string> names;
  for (const auto& [name, value] : before) names.insert(name);
  for (const auto& [name, value] : now) names.insert(name);
  for (const std::string& name : names) {
    const auto old_value = before.find(name);
    const auto new_value = now.find(name);
    if (old_value == before.end()) {
      out.push_back(where + ": " + name + " is " + Shown(new_value->second) + ", was not there");
    } else if (new_value == now.end()) {
      out.push_back(where + ": " + name + " is not there, was " + Shown(old_value->second));
    } else if (old_value->second != new_value->second) {
      out.push_back(where + ": " + name + " is " + Shown(new_value->second) + ", was " + Shown(old_value->second));
    }
  }
}

void CompareSeen(const Observations& before, const Observations& now, std::vector<std::string>& out) {
  std::set<PartKey> keys;
  for (const auto& [key, observation] : before) keys.insert(key);
  for (const auto& [key, observation] : now) keys.insert(key);
  for (const PartKey& key : keys) {
    const Observation& a = At(before, key);
    const Observation& b = At(now, key);
    if (a.presence != b.presence) {
      out.push_back(key.Text() + ": is " + std::string(PresenceName(b.presence)) + ", was " +
                    std::string(PresenceName(a.presence)));
    } else {
      CompareFacts(key.Text(), a.facts, b.facts, out);
    }
  }
}

template <class Resource>
void CompareResources(std::string_view kind, const std::map<std::string, Resource>& before,
                      const std::map<std::string, Resource>& now, std::vector<std::string>& out) {
  std::set<std::string> names;
  for (const auto& [name, resource] : before) names.insert(name);
  for (const auto& [name, resource] : now) names.insert(name);
  for (const std::string& name : names) {
    const std::string where = std::string(kind) + "." + name;
    const auto a = before.find(name);
    const auto b = now.find(name);
    if (a == before.end()) {
      out.push_back(where + ": is new in the file");
    } else if (b == now.end()) {
      out.push_back(where + ": is gone from the file");
    } else {
      // In the words of a diff, which show no value that may be a secret.
      for (const auto& change : DiffFields(a->second, b->second)) {
        out.push_back(where + ": " + change.text + ", in the file");
      }
    }
  }
}

}  // namespace

std::string Encode(const SavedPlan& saved) {
  Json seen = Json::object();
  for (const auto& [key, observation] : saved.seen) {
    Append(seen, key.Text(), {{"presence", PresenceName(observation.presence)}, {"facts", observation.facts}});
  }
  Json json{{"type", kType},
            {"format_version", kFormat},
            {"project", saved.project},
            {"digest", "sha256:" + saved.digest.Hex()},
            {"base_revision", saved.base_revision},
            {"sources", saved.sources},
            {"options", OptionsJson(saved.options)},
            {"desired", nullptr},
            {"seen", seen},
            {"plan", saved.document}};
  if (saved.desired) json["desired"] = spec::ToJson(*saved.desired);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool LooksLikeSavedPlan(std::string_view text) {
  const std::string_view head = text.substr(0, 64);
  return head.starts_with("{") && head.find(kType) != std::string_view::npos;
}

Result<SavedPlan> DecodeSavedPlan(std::string_view text) {
  if (IsNestedTooDeeply(text)) return Fail(ErrorCode::kCorrupt, "read", "plan", "it is nested too deeply");
  try {
    const Read json = Read::parse(text);
    if (json.at("type").get<std::string>() != kType) return Fail(ErrorCode::kCorrupt, "read", "plan", "not a plan");
    if (WholeNumber<unsigned>(json.at("format_version")) != kFormat) {
      return Fail(Error::Of(ErrorCode::kUnsupported, "read", "plan", "it was saved by another version of nucleus")
                      .Hint("make it anew with `nucleus diff --out`"));
    }
    SavedPlan saved;
    saved.project = json.at("project").get<std::string>();
    if (!IsValidProjectName(saved.project)) return Fail(ErrorCode::kCorrupt, "read", "plan", "bad name of a project");
    saved.digest = TRY(Digest::Parse(json.at("digest").get<std::string>()));
    saved.base_revision = WholeNumber<std::uint64_t>(json.at("base_revision"));
    saved.sources = json.at("sources").get<std::vector<std::string>>();
    saved.options = TRY(OptionsFrom(json.at("options")));
    if (const Read& desired = json.at("desired"); !desired.is_null()) {
      saved.desired = TRY(spec::FromJson(desired.get<std::string>()));
    }
    saved.seen = TRY(SeenFrom(saved.project, json.at("seen")));
    saved.document = json.at("plan").get<std::string>();
    return saved;
  } catch (const std::exception& e) {  // nlohmann's parse_error, type_error, out_of_range
    return Fail(Error::Of(ErrorCode::kCorrupt, "read", "plan", std::string("it is not whole: ") + e.what())
                    .Hint("make it anew with `nucleus diff --out`"));
  }
}

std::vector<std::string> StaleBecause(const SavedPlan& saved, const Present& present) {
  std::vector<std::string> out;
  if (saved.base_revision != present.revision) {
    out.push_back("revision: is " + std::to_string(present.revision) + ", was " + std::to_string(saved.base_revision));
  }
  if (present.desired != nullptr && saved.desired) {
    if (present.desired->name != saved.desired->name) {
      out.push_back("name: is " + present.desired->name + ", was " + saved.desired->name + ", in the file");
    }
    CompareResources("network", saved.desired->networks, present.desired->networks, out);
    CompareResources("volume", saved.desired->volumes, present.desired->volumes, out);
    CompareResources("service", saved.desired->services, present.desired->services, out);
  }
  if (present.seen != nullptr) CompareSeen(saved.seen, *present.seen, out);
  // What else a plan rests on (leases of other projects, controllers of the machine) shows in its digest.
  if (present.plan != nullptr && out.empty() && present.plan->digest != saved.digest) {
    out.push_back("plan: is sha256:" + present.plan->digest.Hex().substr(0, 12) +
                  ", was sha256:" + saved.digest.Hex().substr(0, 12));
  }
  return out;
}

}  // namespace nucleus::reconcile
