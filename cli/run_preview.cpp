#include "cli/run_preview.hpp"

#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "actuators/security/landlock_abi.hpp"
#include "actuators/security/security_names.hpp"
#include "actuators/security/user_map.hpp"
#include "actuators/sys/landlock.hpp"
#include "cli/table.hpp"
#include "spec/core/text.hpp"
#include "spec/core/units.hpp"
#include "spec/net.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string_view TypeName(MountOp::Type type) {
  switch (type) {
    case MountOp::Type::kRootTmpfs:
      return "root tmpfs";
    case MountOp::Type::kRootBind:
      return "root";
    case MountOp::Type::kRootOverlay:
      return "root overlay";
    case MountOp::Type::kDirectory:
      return "directory";
    case MountOp::Type::kFile:
      return "file";
    case MountOp::Type::kSymlink:
      return "link";
    case MountOp::Type::kBind:
      return "bind";
    case MountOp::Type::kFilesystem:
      return "file system";
    case MountOp::Type::kMask:
      return "masked";
    case MountOp::Type::kReadOnly:
      return "read-only";
    case MountOp::Type::kSealRoot:
      return "sealed root";
    case MountOp::Type::kContext:
      return "copy";
    case MountOp::Type::kSecrets:
      return "secrets";
    case MountOp::Type::kSecretFile:
    case MountOp::Type::kSecret:
      return "secret";
  }
  return "";
}

std::vector<std::string> Flags(const MountOp& op) {
  std::vector<std::string> out;
  if ((op.flags & kMountReadOnly) != 0 || op.type == MountOp::Type::kReadOnly || op.type == MountOp::Type::kMask)
    out.emplace_back("ro");
  if ((op.flags & kMountNoSuid) != 0) out.emplace_back("nosuid");
  if ((op.flags & kMountNoDev) != 0) out.emplace_back("nodev");
  if ((op.flags & kMountNoExec) != 0) out.emplace_back("noexec");
  return out;
}

// Directories, files and links are what mounts stand on; they confine nothing.
bool IsMount(const MountOp& op) {
  using enum MountOp::Type;
  return op.type != kDirectory && op.type != kFile && op.type != kSymlink && op.type != kSecretFile;
}

// Where there are arguments, variables or paths of a hostile image, in a form that may be shown.
Json Words(const std::vector<std::string>& words) {
  Json out = Json::array();
  for (const auto& word : words) out.push_back(Printable(word));
  return out;
}

Json Namespaces(const Launch& launch) {
  Json out = {"mount", "pid", "ipc", "uts"};
  if (!launch.host_cgroups) out.push_back("cgroup");
  if (!launch.host_network) out.push_back("network");
  if (launch.time_namespace) out.push_back("time");
  return out;
}

Json Ranges(const std::vector<IdRange>& ranges) {
  Json out = Json::array();
  for (const auto& range : ranges)
    out.push_back({{"inside", range.inside}, {"outside", range.outside}, {"count", range.count}});
  return out;
}

Json Network(const Preview& preview) {
  const auto& attachments = preview.network.attachments;
  if (attachments.empty()) return {{"kind", preview.launch.host_network ? "host" : "none"}};
  const auto& bridge = attachments.front();
  Json json = {{"kind", "bridge"}, {"backend", preview.backend}, {"address", spec::Format(bridge.address)}};
  if (bridge.v6) json["address6"] = spec::Format(bridge.v6->address);
  Json ports = Json::array();
  for (const auto& port : preview.service.port_forwards) ports.push_back(spec::Format(port));
  json["published"] = ports;
  if (!preview.network.egress) return json;
  Json rules = Json::array();
  for (const auto& rule : EgressRules(*preview.network.egress)) rules.push_back(rule.chain + ": " + rule.text);
  json["egress"] = rules;
  return json;
}

// landlock(7).
Json LandlockOf(const Landlock& landlock) {
  Json rules = Json::array();
  for (const auto& rule : landlock.rules)
    rules.push_back({{"path", rule.path}, {"access", sys::LandlockWords(rule.access)}});
  Json out = {
      {"enabled", landlock.enabled}, {"required", landlock.required}, {"min_abi", landlock.min_abi}, {"rules", rules}};
  // Each is restricted as a whole, or not at all.
  for (const auto& [name, right] :
       {std::pair("tcp_bind", security::kBindTcp), std::pair("tcp_connect", security::kConnectTcp)}) {
    if ((landlock.handled_net & right) == 0) continue;
    out[name] = Json::array();
    for (const auto& port : landlock.ports)
      if ((port.access & right) != 0) out[name].push_back(port.port);
  }
  out["scopes"] = Json::array();
  if ((landlock.scoped & security::kScopeAbstractSocket) != 0) out["scopes"].push_back("abstract sockets");
  if ((landlock.scoped & security::kScopeSignal) != 0) out["scopes"].push_back("signals");
  return out;
}

Json Document(const Preview& preview) {
  const Launch& launch = preview.launch;
  Json json;
  json["format_version"] = 1;
  json["container"] = launch.address;
  json["mode"] = launch.production ? "production" : "agent";
  json["command"] = Words(launch.argv);
  json["workdir"] = Printable(launch.workdir);
  json["hostname"] = launch.hostname;
  json["identity"] = {{"uid", launch.identity.uid}, {"gid", launch.identity.gid}, {"groups", launch.identity.groups}};
  json["namespaces"] = Namespaces(launch);
  if (const UserNamespace users = security::SeenFromOutside(launch.user_namespace, preview.own); users.enabled) {
    json["namespaces"].push_back("user");
    json["id_maps"] = {{"users", Ranges(users.uids)}, {"groups", Ranges(users.gids)}};
  }
  json["init"] = launch.init;
  json["no_new_privs"] = true;
  const CapabilitySets& sets = launch.security.capabilities;
  json["capabilities"] = {{"bounding", security::CapabilityNames(sets.bounding)},
                          {"effective", security::CapabilityNames(sets.effective)},
                          {"permitted", security::CapabilityNames(sets.permitted)},
                          {"inheritable", security::CapabilityNames(sets.inheritable)},
                          {"ambient", security::CapabilityNames(sets.ambient)}};
  const std::string& profile = preview.service.seccomp_profile;
  const Security& security = launch.security;
  json["seccomp"] = {{"mode", security.seccomp_trace ? "trace" : "enforce"},
                     {"profile", security.seccomp_trace ? "none"
                                 : profile.empty()      ? "default"
                                                        : Printable(profile)},
                     {"allow", preview.service.seccomp_allow},
                     {"instructions", security.seccomp_trace ? 0 : security.seccomp.size()},
                     {"log", Printable(security.seccomp_log)},
                     {"log_denied", security.seccomp_log_denied}};
  json["landlock"] = LandlockOf(launch.security.landlock);
  json["network"] = Network(preview);
  json["cgroup"] = launch.cgroup;
  json["limits"] = preview.limits;
  for (const auto& limit : launch.rlimits)
    if (limit.resource == RLIMIT_MEMLOCK) json["limits"]["memlock"] = std::to_string(limit.hard);
  Json mounts = Json::array();
  for (const auto& op : launch.mounts) {
    if (!IsMount(op)) continue;
    Json mount = {{"target", op.target.empty() ? "/" : Printable(op.target)}, {"type", TypeName(op.type)}};
    if (!op.source.empty()) mount["source"] = Printable(op.source);
    if (!op.fstype.empty()) mount["file_system"] = op.fstype;
    mount["flags"] = Flags(op);
    mounts.push_back(std::move(mount));
  }
  json["mounts"] = mounts;
  return json;
}

std::string Joined(const Json& list) {
  std::string out;
  for (const auto& item : list)
    out += (out.empty() ? "" : " ") + (item.is_string() ? item.get<std::string>() : item.dump());
  return out.empty() ? "none" : out;
}

std::string SeccompText(const Json& seccomp) {
  if (seccomp["mode"] == "trace")
    return "trace: every call is let through, and recorded in " + seccomp["log"].get<std::string>();
  const auto& allow = seccomp["allow"];
  return seccomp["profile"].get<std::string>() + (allow.empty() ? " profile, " : ", and " + Joined(allow) + "; ") +
         seccomp["instructions"].dump() + " instructions" +
         (seccomp["log_denied"].get<bool>() ? ", denials are told" : "");
}

}  // namespace

std::string PreviewJson(const Preview& preview) {
  return Document(preview).dump(2) + "\n";
}

std::string PreviewText(const Preview& preview) {
  const Json json = Document(preview);
  std::vector<std::vector<std::string>> table;
  const auto add = [&table](std::string name, std::string value) {
    table.push_back({std::move(name), std::move(value)});
  };
  add("container", json["container"].get<std::string>() + ", " + json["mode"].get<std::string>() + " mode");
  add("command", Joined(json["command"]));
  add("directory", json["workdir"].get<std::string>());
  add("identity", "uid " + json["identity"]["uid"].dump() + ", gid " + json["identity"]["gid"].dump() + ", groups " +
                      Joined(json["identity"]["groups"]));
  add("namespaces", Joined(json["namespaces"]));
  const Json maps = json.value("id_maps", Json::object());
  for (const auto& [ids, ranges] : maps.items()) {
    std::string text;
    for (const auto& range : ranges)
      text += (text.empty() ? "" : ", ") + range["inside"].dump() + " is " + range["outside"].dump() + " (" +
              range["count"].dump() + ")";
    add(ids + " inside", text);
  }
  add("init", json["init"].get<bool>() ? "yes" : "no");
  add("no_new_privs", "yes");
  for (const auto& [set, names] : json["capabilities"].items()) add("capabilities, " + set, Joined(names));
  add("seccomp", SeccompText(json["seccomp"]));
  const Json& landlock = json["landlock"];
  const bool landlocked = landlock["enabled"].get<bool>();
  add("landlock", !landlocked ? "no"
                              : std::to_string(landlock["rules"].size()) + " rules" +
                                    (landlock["required"].get<bool>() ? ", required" : ""));
  for (const auto& [key, name] :
       {std::pair("tcp_bind", "landlock, TCP bind"), std::pair("tcp_connect", "landlock, TCP connect")})
    if (landlocked && landlock.contains(key)) add(name, Joined(landlock[key]));
  if (landlocked && !landlock["scopes"].empty()) {
    std::string scopes;
    for (const auto& scope : landlock["scopes"]) scopes += (scopes.empty() ? "" : ", ") + scope.get<std::string>();
    add("landlock, kept apart", scopes);
  }
  const Json& network = json["network"];
  add("network", network["kind"].get<std::string>() +
                     (network.contains("backend") ? ", " + network["backend"].get<std::string>() : "") +
                     (network.contains("address") ? ", " + network["address"].get<std::string>() : ""));
  if (network.contains("published")) add("published", Joined(network["published"]));
  if (network.contains("address")) {
    add("egress", network.contains("egress") ? "by rules:" : "wherever the bridge leads");
    for (const auto& rule : network.value("egress", Json::array())) add("", rule.get<std::string>());
  }
  add("cgroup", json["cgroup"].get<std::string>().empty() ? "none" : json["cgroup"].get<std::string>());
  for (const auto& [name, value] : json["limits"].items()) add("limit, " + name, value.get<std::string>());
  std::vector<std::vector<std::string>> mounts{{"MOUNT", "TYPE", "FLAGS", "SOURCE"}};
  for (const auto& mount : json["mounts"]) {
    mounts.push_back(
        {mount["target"].get<std::string>(), mount["type"].get<std::string>(), Joined(mount["flags"]),
         mount.contains("source") ? mount["source"].get<std::string>() : mount.value("file_system", std::string("-"))});
  }
  std::vector<std::vector<std::string>> rules{{"LANDLOCK", "ACCESS"}};
  for (const auto& rule : landlock["rules"]) rules.push_back({rule["path"].get<std::string>(), Joined(rule["access"])});
  return TableText(table) + "\n" + TableText(mounts) + "\n" + TableText(rules);
}

}  // namespace nucleus::cli
