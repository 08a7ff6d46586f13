#include "actuators/netns/inside.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"
#include "spec/core/threads.hpp"

namespace nucleus::netns {

namespace {

// The kernel waits for all processors when a mount goes (namespace_unlock() in fs/namespace.c): nobody else has to.
void CloseElsewhere(sys::Fd* mount) {
  const int fd = mount->release();
  delete mount;
  try {
    std::thread([fd] {
      HoldSignals();
      ::close(fd);
    }).detach();
  } catch (const std::system_error&) {
    ::close(fd);
  }
}

// An instance of proc of our own; the machine's /proc where we may not have one. Thread-safe.
std::shared_ptr<const sys::Fd> ProcInstance() {
  constexpr int kUses = 16;  // of namespaces
  static std::mutex mutex;
  static std::shared_ptr<const sys::Fd> current;
  static int left = 0;
  const std::lock_guard lock(mutex);
  if (left-- > 0) return current;
  left = kUses;
  const sys::Fd fs(sys::Fsopen("proc"));
  sys::Fd mount;
  if (fs && sys::Fsconfig(fs.get(), sys::FsconfigCommand::kCreate, nullptr, nullptr) == 0) {
    mount.reset(sys::Fsmount(fs.get(), sys::kAttrNoSuid | sys::kAttrNoDev | sys::kAttrNoExec));
  }
  if (!mount) mount.reset(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return current = std::shared_ptr<const sys::Fd>(new sys::Fd(std::move(mount)), CloseElsewhere);
}

// As it is written down: on one line, and without its end.
std::string OneLine(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::ranges::replace(text, '\t', ' ');
  return text;
}

// "/proc/sys/..." as seen from an instance.
std::string InProc(const std::string& path) {
  return path.substr(std::string_view("/proc/").size());
}

using Setting = std::span<const std::pair<std::string_view, std::string_view>, 1>;

// Opened once for the look and the change. What cannot be changed may be right, or none of this kernel's.
Result<> WriteSysctl(Setting setting, std::string_view link) {
  const auto& [name, value] = setting.front();
  const std::string path = SysctlPath(name, link);
  const auto proc = ProcInstance();
  const sys::Fd fd(::openat(proc->get(), InProc(path).c_str(), O_RDWR | O_CLOEXEC));
  const int why = errno;
  if (!fd) return ReadSysctls(setting, link).at(SettingName(name)) == value ? Result<>() : FailSys("open", path, why);
  if (const auto text = sys::ReadBrief(fd.get(), path); text && OneLine(*text) == value) return {};
  if (::pwrite(fd.get(), value.data(), value.size(), 0) == static_cast<ssize_t>(value.size())) return {};
  return FailSys("write", path + " \"" + std::string(value) + "\"");
}

Result<Inside> LookHere(Netlink::Buffer& buffer, const Scope& scope) {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE, &buffer));
  Inside inside;
  inside.snapshot = TRY(DumpAll(netlink, scope.v6));
  if (scope.rules) inside.rules = TRY(DumpRules(netlink, scope.v6));
  inside.sysctls = ReadSysctls(NetnsSettingsInFiles(), "");
  const bool forwards = std::ranges::any_of(inside.snapshot.links, &Link::forwards);
  inside.sysctls[SettingName(kForwardSetting)] = forwards ? "1" : "0";
  inside.egress = ReadEgress(scope.egress, &buffer);
  return inside;
}

Result<Inside> Enter(const Pin& pin, Netlink::Buffer& buffer, const Scope& scope) {
  if (pin.state != PinState::kMounted) {
    return Fail(ErrorCode::kNotFound, "enter", "network namespace", "not pinned");
  }
  if (::setns(pin.fd.get(), CLONE_NEWNET) != 0) return FailSys("enter", "network namespace");
  return LookHere(buffer, scope);
}

// Of so many places: that nobody has looked.
std::vector<Seen> NothingSeen(std::size_t places) {
  const auto nobody = [] {
    return Fail(ErrorCode::kInternal, "enter", "network namespace", "no thread to enter it with");
  };
  std::vector<Seen> seen;
  seen.reserve(places);
  while (seen.size() < places) seen.push_back({nobody(), nobody()});
  return seen;
}

}  // namespace

std::string SysctlPath(std::string_view setting, std::string_view link) {
  std::string path = "/proc/sys/";
  path += setting;
  if (const auto at = path.find('%'); at != std::string::npos) path.replace(at, 1, link);
  return path;
}

Facts ReadSysctls(std::span<const std::pair<std::string_view, std::string_view>> settings, std::string_view link) {
  const auto proc = ProcInstance();
  Facts facts;
  for (const auto& [setting, expected] : settings) {
    const std::string path = SysctlPath(setting, link);
    auto text = sys::ReadBriefIfThere(proc->get(), InProc(path));
    std::string& fact = facts[SettingName(setting)];
    if (!text) {
      text.error().subject = path;
      fact = text.error().Message();
    } else if (!*text) {
      fact = expected;
    } else {
      fact = OneLine(**std::move(text));
    }
  }
  return facts;
}

Result<> WriteSysctls(std::span<const std::pair<std::string_view, std::string_view>> settings, std::string_view link) {
  // One by one: some set others back.
  for (std::size_t i = 0; i < settings.size(); ++i) TRY(WriteSysctl(Setting(settings.subspan(i, 1)), link));
  return {};
}

Seen LookAt(const Place& place, const NamespaceId& own, Netlink::Buffer& buffer) {
  auto pin = OpenPin(place.pin, own);
  auto inside = pin ? Enter(*pin, buffer, place.scope) : Result<Inside>(Fail(pin.error()));
  if (pin) pin->fd.reset();
  return {std::move(pin), std::move(inside)};
}

std::vector<Seen> LookInside(const std::vector<Place>& places) {
  auto seen = NothingSeen(places.size());
  const auto own = OwnNamespace();
  if (!own) {
    for (auto& one : seen) one = {Fail(own.error()), Fail(own.error())};
    return seen;
  }
  std::atomic<std::size_t> next = 0;
  OnThreads(places.size(), [&] {
    auto buffer = Netlink::MakeBuffer();
    for (std::size_t i = next++; i < places.size(); i = next++) seen[i] = LookAt(places[i], *own, buffer);
  });
  return seen;
}

}  // namespace nucleus::netns
