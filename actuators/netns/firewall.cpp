// The nftables table of a project, and the forwarding of the host that it may need.
//
// net.ipv4.ip_forward belongs to the host. What it was before the first table that needs it stands in the comment of
// every such table (a new one copies it), and the last one to go restores it. The comment is written before the
// setting is changed, and the setting is restored before the comment goes: a kill in between loses nothing. A file in
// the runtime directory says the same, for the case that somebody flushes the ruleset.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "actuators/netns/nft.hpp"
#include "actuators/netns/parts.hpp"
#include "actuators/sys/file.hpp"
#include "state/parts/firewall_model.hpp"

namespace nucleus::netns {

namespace {

constexpr const char* kForwarding = "/proc/sys/net/ipv4/ip_forward";
constexpr std::string_view kTablePrefix = "nucleus_";  // names.hpp, FirewallTable()

Result<sys::Fd> LockHost(const std::string& path) {
  if (const auto slash = path.rfind('/'); slash != 0 && slash != std::string::npos) {
    TRY(sys::MakeDirectories(path.substr(0, slash), 0755));
  }
  auto lock = TRY(sys::Open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return FailSys("lock", path);
  }
  return lock;
}

Result<bool> Forwarding() {
  return TRY(sys::ReadFile(kForwarding)).starts_with('1');
}

Result<> SetForwarding(bool on) {
  if (TRY(Forwarding()) == on) return {};  // writing resets settings of every interface: ip-sysctl.rst
  return sys::WriteKernelFile(kForwarding, on ? "1" : "0");
}

// Who remembers what the host's forwarding was.
struct Memory {
  bool exists = false;              // the table itself
  std::optional<bool> own, others;  // its comment; that of another table
  std::optional<bool> record;       // the file
  [[nodiscard]] std::optional<bool> Any() const { return own ? own : others ? others : record; }
};

Result<Memory> Recall(const std::string& name, const std::string& record) {
  Memory memory;
  for (const auto& table : TRY(DumpTables())) {
    if (!table.name.starts_with(kTablePrefix)) continue;
    const auto was = ParseTableComment(table.comment).ip_forward_was;
    if (table.name == name) {
      memory.exists = true;
      memory.own = was;
    } else if (was) {
      memory.others = was;
    }
  }
  if (const auto text = TRY(sys::ReadFileIfThere(record)); text && !text->empty()) memory.record = text->front() == '1';
  return memory;
}

// Nobody needs it any more.
Result<> Restore(const Memory& memory, const std::string& record) {
  if (memory.others || !memory.Any()) return {};
  TRY(SetForwarding(*memory.Any()));
  if (::unlink(record.c_str()) != 0 && errno != ENOENT) return FailSys("remove", record);
  return {};
}

}  // namespace

Result<> ApplyFirewall(const FirewallWanted& wanted, const Directories& directories) {
  const auto lock = TRY(LockHost(directories.HostLock()));
  const std::string record = directories.ForwardingRecord();
  const auto memory = TRY(Recall(wanted.table, record));
  if (!NeedsForwarding(wanted)) {
    TRY(Restore(memory, record));
    return RunNft(FirewallTransaction(wanted, wanted.comment), "replace table", wanted.table);
  }
  const bool was = memory.Any() ? *memory.Any() : TRY(Forwarding());
  sys::RemoveTemporaries(record);
  if (memory.record != was) TRY(sys::ReplaceFile(record, was ? "1\n" : "0\n", 0644));
  TRY(RunNft(FirewallTransaction(wanted, TableComment(wanted.comment, was)), "replace table", wanted.table));
  return SetForwarding(true);
}

Result<> UndoFirewall(const std::string& table, const Directories& directories) {
  const auto lock = TRY(LockHost(directories.HostLock()));
  const std::string record = directories.ForwardingRecord();
  const auto memory = TRY(Recall(table, record));
  TRY(Restore(memory, record));
  if (!memory.exists) return {};
  return RunNft("delete table inet " + table + "\n", "delete table", table);
}

}  // namespace nucleus::netns
