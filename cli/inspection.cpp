#include "cli/inspection.hpp"

#include <nlohmann/json.hpp>

#include "cli/listing_json.hpp"
#include "cli/users_machine.hpp"
#include "spec/core/text.hpp"
#include "spec/net.hpp"
#include "state/parts/egress_model.hpp"
#include "state/parts/firewall_model.hpp"
#include "state/parts/netns_facts.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

template <class Address>
std::string WithPrefix(const Address& address, std::uint8_t prefix) {
  return spec::Format(address) + "/" + std::to_string(prefix);
}

template <class T>
const T* Find(const Inspected& what, const Address& address, Part part) {
  const auto found = what.parts.find({what.project, address, part});
  return found == what.parts.end() ? nullptr : std::get_if<T>(&found->second);
}

Json OfAttachment(const NetnsWanted::Attachment& at) {
  Json json{{"network", at.network},
            {"link", at.link},
            {"address", WithPrefix(at.address, at.prefix)},
            {"mac", Format(MacOf(at.address))},
            {"mtu", at.mtu},
            {"bridge", at.bridge},
            {"host_link", at.host_link}};
  if (at.v6) json["address6"] = WithPrefix(at.v6->address, at.v6->prefix);
  if (at.gateway) json["gateway"] = spec::Format(*at.gateway);
  if (at.gateway6) json["gateway6"] = spec::Format(*at.gateway6);
  return json;
}

void TellNetworking(const NetnsWanted& netns, const ServiceRow* row, Json& json) {
  json["networks"] = Json::array();
  for (const auto& attachment : netns.attachments) json["networks"].push_back(OfAttachment(attachment));
  if (!netns.egress) return;
  Json rules = Json::array();
  for (const auto& rule : EgressRules(*netns.egress)) rules.push_back(rule.chain + ": " + rule.text);
  json["egress"] = {{"denied", nullptr}, {"rules", std::move(rules)}};
  if (row != nullptr && row->egress_denied) json["egress"]["denied"] = *row->egress_denied;
}

void TellNetwork(const Inspected& what, const BridgeWanted& bridge, Json& json) {
  json["bridge"] = bridge.link;
  json["gateway"] = WithPrefix(bridge.gateway, bridge.prefix);
  if (bridge.v6) json["gateway6"] = WithPrefix(bridge.v6->address, bridge.v6->prefix);
  json["mtu"] = bridge.mtu;
  json["published"] = Json::array();
  for (const auto& [key, wanted] : what.parts) {
    const auto* firewall = std::get_if<FirewallWanted>(&wanted);
    if (firewall == nullptr) continue;
    for (const auto& net : firewall->networks) {
      if (net.network != what.address.name) continue;
      json["internal"] = net.internal;
      json["subnet"] = spec::Format(net.subnet);
      if (net.subnet6) json["subnet6"] = spec::Format(*net.subnet6);
      json["table"] = firewall->table;
    }
    for (const auto& forward : firewall->forwards) {
      if (forward.link == bridge.link && what.machine.Publishes(spec::Format(AtUsersMachine(forward.port))))
        json["published"].push_back({{"service", forward.service}, {"port", spec::Format(forward.port)}});
    }
  }
  json["services"] = Json::array();
  for (const auto& [key, wanted] : what.parts) {
    const auto* netns = std::get_if<NetnsWanted>(&wanted);
    if (netns == nullptr) continue;
    for (const auto& attachment : netns->attachments) {
      if (attachment.network != what.address.name) continue;
      Json member{{"service", key.address.name}};
      member.update(OfAttachment(attachment));
      member.erase("network");
      json["services"].push_back(std::move(member));
    }
  }
}

Json OfObservation(const Observation& seen) {
  switch (seen.presence) {
    case Presence::kAbsent:
      return {{"presence", "absent"}};
    case Presence::kUnreadable:
      return {{"presence", "unreadable"}, {"detail", seen.detail}};
    case Presence::kPresent:
      break;
  }
  Json json{{"presence", "present"}, {"facts", seen.facts}};
  if (!seen.notes.empty()) json["notes"] = seen.notes;
  return json;
}

Json DocumentOf(const Inspected& what) {
  Json json{{"format_version", kFormat}, {"type", KindName(what.address.kind)}};
  if (what.row) {
    json.update(Json::parse(ServiceJson(*what.row)));
  } else {
    json["name"] = what.project + "/" + what.address.name;
    json["project"] = what.project;
    json["address"] = what.address.Text();
  }
  if (const auto* netns = Find<NetnsWanted>(what, what.address, Part::kNetns))
    TellNetworking(*netns, what.row ? &*what.row : nullptr, json);
  if (const auto* names = Find<NamesWanted>(what, what.address, Part::kNames)) json["names"] = names->directory;
  if (const auto* bridge = Find<BridgeWanted>(what, what.address, Part::kBridge)) TellNetwork(what, *bridge, json);
  if (const auto* directory = Find<DirectoryWanted>(what, what.address, Part::kDirectory))
    json["path"] = directory->path;
  if (const auto* group = Find<CgroupWanted>(what, what.address, Part::kCgroup)) json["cgroup"] = group->path;
  json["seen"] = Json::object();
  for (const auto& [key, seen] : what.seen) {
    if (key.address == what.address) json["seen"][std::string(PartName(key.part))] = OfObservation(seen);
  }
  return json;
}

std::string Scalar(const Json& value) {
  if (value.is_string()) return Printable(value.get<std::string>());
  return value.is_null() ? "-" : value.dump();
}

void TellText(const Json& json, std::size_t depth, std::string& text) {
  const std::string indent(2 * depth, ' ');
  for (const auto& [name, value] : json.items()) {
    const std::string label = json.is_array() ? "-" : Printable(name) + ":";
    if (!value.is_structured()) {
      text += indent + label + " " + Scalar(value) + "\n";
    } else if (value.empty()) {
      text += indent + label + " none\n";
    } else {
      text += indent + label + "\n";
      TellText(value, depth + 1, text);
    }
  }
}

}  // namespace

std::string InspectJson(const Inspected& what) {
  return DocumentOf(what).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string InspectText(const Inspected& what) {
  Json json = DocumentOf(what);
  json.erase("format_version");
  std::string text;
  TellText(json, 0, text);
  return text;
}

}  // namespace nucleus::cli
