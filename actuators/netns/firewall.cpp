// The nftables table of a project, and the forwarding of the host that it may need.
//
// net.ipv4.ip_forward belongs to the host, and so does the setting of IPv6. What each was before the first table that
// needs it stands in the comment of every such table (a new one copies it), and the last one to go restores it. The
// comment is written before the setting is changed, and the setting is restored before the comment goes: a kill in
// between loses nothing. A file in the runtime directory says the same, for the case that somebody flushes the ruleset.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <vector>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/netns/leaving.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/parts.hpp"
#include "actuators/netns/passage.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/machine_lock.hpp"
#include "spec/core/link_names.hpp"
#include "state/parts/spoof_model.hpp"

namespace nucleus::netns {

namespace {

// One of the two settings, and who remembers what it was.
struct Forwarding {
  const char* path;
  std::string record;                                // the file
  std::optional<bool> TableLabel::* mark = nullptr;  // in the comment of a table
  bool v6 = false;
  std::optional<bool> own{}, others{}, recorded{};  // the comment of the table itself, of another one; the file
  [[nodiscard]] std::optional<bool> Remembered() const { return own ? own : others ? others : recorded; }
};

struct Memory {
  bool exists = false;  // the table itself
  std::vector<Forwarding> settings;
};

Result<Memory> Recall(const std::string& name, const Directories& directories) {
  Memory memory;
  memory.settings.push_back(
      {"/proc/sys/net/ipv4/ip_forward", directories.ForwardingRecord(), &TableLabel::ip_forward_was, false});
  if (HasIpv6()) {
    memory.settings.push_back({"/proc/sys/net/ipv6/conf/all/forwarding", directories.Forwarding6Record(),
                               &TableLabel::ip6_forward_was, true});
  }
  for (const auto& table : TRY(DumpTables())) {
    if (!table.name.starts_with(kTablePrefix)) continue;
    const auto label = ParseTableComment(table.comment);
    for (auto& setting : memory.settings) {
      const auto was = label.*setting.mark;
      if (table.name == name) {
        memory.exists = true;
        setting.own = was;
      } else if (was) {
        setting.others = was;
      }
    }
  }
  for (auto& setting : memory.settings) {
    if (const auto text = TRY(sys::ReadFileIfThere(setting.record)); text && !text->empty())
      setting.recorded = text->front() == '1';
  }
  return memory;
}

Result<bool> IsOn(const Forwarding& setting) {
  return TRY(sys::ReadFile(setting.path)).starts_with('1');
}

std::string AcceptPath(const std::string& link) {
  return "/proc/sys/net/ipv6/conf/" + link + "/accept_ra";
}

std::string ForwardingPath(const std::string& link) {
  return "/proc/sys/net/ipv6/conf/" + link + "/forwarding";
}

bool StartsWith(const std::string& path, char value) {
  const auto text = sys::ReadFileIfThere(path);
  return text && *text && (*text)->starts_with(value);
}

constexpr std::string_view kAccepted = "accept_ra ", kForwarded = "forwarding ";

// What stands in a record after what the setting was.
Result<std::set<std::string>> NotesOf(const Forwarding& setting) {
  std::set<std::string> notes;
  std::istringstream lines(TRY(sys::ReadFileIfThere(setting.record)).value_or(""));
  std::string line;
  std::getline(lines, line);  // the setting itself
  while (std::getline(lines, line)) notes.insert(line);
  return notes;
}

// The setting of the machine is that of every link: what single links had is written down beside it. And a machine that
// forwards IPv6 takes no router's advertisements any more, unless a link says 2 (ip-sysctl.rst): those that took them
// go on. What an earlier time has written down stays.
Result<> KeepLinks(const Forwarding& setting, bool was) {
  auto notes = TRY(NotesOf(setting));
  std::vector<std::string> links;
  std::error_code code;
  for (std::filesystem::directory_iterator it("/proc/sys/net/ipv6/conf", code), end; !code && it != end;
       it.increment(code)) {
    const auto link = it->path().filename().string();
    if (link == "all" || IsBridgeLink(link) || IsVethLink(link)) continue;
    if (StartsWith(ForwardingPath(link), '1')) notes.insert(std::string(kForwarded) + link);
    if (link == "default" || !StartsWith(AcceptPath(link), '1')) continue;
    links.push_back(link);
    notes.insert(std::string(kAccepted) + link);
  }
  if (notes.empty()) return {};
  std::string record = was ? "1\n" : "0\n";
  for (const auto& note : notes) record += note + "\n";
  TRY(sys::ReplaceFile(setting.record, record, 0644));
  for (const auto& link : links) {
    // It may be gone by now.
    const auto written = sys::WriteKernelFile(AcceptPath(link), "2");
    if (!written && written.error().sys_errno != ENOENT) return written;
  }
  return {};
}

Result<> RestoreLinks(const Forwarding& setting) {
  for (const auto& note : TRY(NotesOf(setting))) {
    const std::string link = note.substr(note.find(' ') + 1);
    if (link.empty() || link.find('/') != std::string::npos) continue;
    // It may be gone by now.
    if (note.starts_with(kForwarded)) (void)sys::WriteKernelFile(ForwardingPath(link), "1");
    if (note.starts_with(kAccepted) && StartsWith(AcceptPath(link), '2'))
      (void)sys::WriteKernelFile(AcceptPath(link), "1");
  }
  return {};
}

Result<> TurnOn(const Forwarding& setting, bool was) {
  if (TRY(IsOn(setting))) return {};  // writing resets settings of every interface: ip-sysctl.rst
  if (setting.v6) TRY(KeepLinks(setting, was));
  return sys::WriteKernelFile(setting.path, "1");
}

// Nobody needs it any more.
Result<> Restore(const Forwarding& setting) {
  const auto was = setting.Remembered();
  if (setting.others || !was) return {};
  if (TRY(IsOn(setting)) != *was) TRY(sys::WriteKernelFile(setting.path, *was ? "1" : "0"));
  if (setting.v6) TRY(RestoreLinks(setting));
  if (::unlink(setting.record.c_str()) != 0 && errno != ENOENT) return FailSys("remove", setting.record);
  return {};
}

Result<bool> HasSpoofTable(const std::string& name) {
  const auto tables = TRY(DumpTables(TableFamily::kBridge));
  return std::ranges::find(tables, name, &TableInfo::name) != tables.end();
}

// Of links that are still there, although nobody wants them any more.
Result<SpoofEntries> EntriesToKeep(Netlink& netlink, const FirewallWanted& wanted) {
  SpoofEntries kept;
  const auto listing = ListTableJson(wanted.table, TableFamily::kBridge);
  if (!listing || !*listing) return kept;  // what cannot be read is replaced
  const auto state = ParseListing(**listing);
  if (!state) return kept;
  const auto ports = PortsOf(wanted);
  for (const auto& entry : state->elements) {
    const std::string port(PortOf(entry.second));
    if (entry.first == kSpoofLeaving || ports.contains(port) || !IsVethLink(port)) continue;
    const auto link = GetLink(netlink, port);
    if (link && *link) kept.push_back(entry);
  }
  return kept;
}

Result<std::string> SourceCommands(Netlink& netlink, const FirewallWanted& wanted) {
  const bool there = TRY(HasSpoofTable(wanted.table));
  if (ChecksSources(wanted))
    return SpoofTransaction(wanted, there ? TRY(EntriesToKeep(netlink, wanted)) : SpoofEntries());
  return there ? NoSpoofTransaction(wanted.table) : std::string();
}

// One that is being removed beside this step may be gone by now.
Result<> SetBridge(Netlink& netlink, const Link& bridge, bool up) {
  LinkChange change;
  change.up = up;
  auto changed = ChangeLink(netlink, bridge.index, bridge.name, change);
  if (!changed && changed.error().sys_errno == ENODEV) return {};
  return changed;
}

// Bridges of the project that have no rules any more lead nowhere from here on: who is on one still, and is to go on
// running, leaves it in the next step. Which they were, also on error.
Result<> CloseBridges(Netlink& netlink, const FirewallWanted& wanted, std::vector<Link>& closed) {
  for (const auto& link : TRY(DumpLinks(netlink, "bridge"))) {
    if (link.kind != "bridge" || !link.up || !link.alias.starts_with(wanted.comment + "/network.")) continue;
    if (std::ranges::find(wanted.networks, link.name, &FirewallWanted::Net::link) != wanted.networks.end()) continue;
    TRY(SetBridge(netlink, link, false));
    closed.push_back(link);
  }
  return {};
}

// Both tables, as one transaction.
Result<> ReplaceTables(const FirewallWanted& wanted, std::string_view comment) {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  const auto sources = TRY(SourceCommands(netlink, wanted));
  std::vector<Link> closed;
  auto replaced = CloseBridges(netlink, wanted, closed);
  if (replaced) replaced = RunNft(FirewallTransaction(wanted, comment) + sources, "replace table", wanted.table);
  if (replaced) return replaced;
  // The old rules go on, and so does who lives by them.
  for (const auto& link : closed) (void)SetBridge(netlink, link, true);
  return replaced;
}

}  // namespace

Result<> ApplyFirewall(const FirewallWanted& wanted, const Directories& directories, const sys::LockWait& wait) {
  const auto lock = TRY(sys::TakeHostLock(sys::MachineLock::kFirewall, directories.HostLock(), wait));
  const auto memory = TRY(Recall(wanted.table, directories));
  TableLabel label;
  label.comment = wanted.comment;
  for (const auto& setting : memory.settings) {
    if (!(setting.v6 ? NeedsForwarding6(wanted) : NeedsForwarding(wanted))) {
      TRY(Restore(setting));
      continue;
    }
    const bool was = setting.Remembered() ? *setting.Remembered() : TRY(IsOn(setting));
    sys::RemoveTemporaries(setting.record);
    if (setting.recorded != was) TRY(sys::ReplaceFile(setting.record, was ? "1\n" : "0\n", 0644));
    label.*setting.mark = was;
  }
  TRY(ReplaceTables(wanted, TableComment(label)));
  TRY(ForgetGonePorts(wanted.table));
  // Only now: whoever is let through others' rules is judged by these.
  TRY(OpenPassages(wanted));
  for (const auto& setting : memory.settings) {
    if (const auto was = label.*setting.mark) TRY(TurnOn(setting, *was));
  }
  return {};
}

Result<> UndoFirewall(const std::string& table, const Directories& directories, const sys::LockWait& wait) {
  const auto lock = TRY(sys::TakeHostLock(sys::MachineLock::kFirewall, directories.HostLock(), wait));
  const auto memory = TRY(Recall(table, directories));
  for (const auto& setting : memory.settings) TRY(Restore(setting));
  TRY(ClosePassages(table));
  std::string commands;
  if (memory.exists) commands += "delete table inet " + table + "\n";
  if (TRY(HasSpoofTable(table))) commands += NoSpoofTransaction(table);
  return commands.empty() ? Result<>() : RunNft(commands, "delete table", table);
}

}  // namespace nucleus::netns
