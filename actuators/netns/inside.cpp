#include "actuators/netns/inside.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include "actuators/netns/routing.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"

namespace nucleus::netns {

namespace {

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
  return current = std::make_shared<const sys::Fd>(std::move(mount));
}

// "/proc/sys/..." as seen from an instance.
std::string InProc(const std::string& path) {
  return path.substr(std::string_view("/proc/").size());
}

Result<Inside> LookHere(Netlink::Buffer& buffer, const Scope& scope) {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE, &buffer));
  Inside inside;
  inside.snapshot = TRY(DumpAll(netlink, scope.v6));
  if (scope.routing) inside.routing = RoutingFaults(inside.snapshot, TRY(DumpRules(netlink, scope.v6)));
  inside.sysctls = ReadSysctls(NetnsSettingsInFiles(), "");
  const bool forwards = std::ranges::any_of(inside.snapshot.links, &Link::forwards);
  inside.sysctls[SettingName(kForwardSetting)] = forwards ? "1" : "0";
  inside.egress = ReadEgress(scope.egress);
  return inside;
}

Result<Inside> Look(const Pin& pin, Netlink::Buffer& buffer, const Scope& scope) {
  if (pin.state != PinState::kMounted) {
    return Fail(ErrorCode::kNotFound, "enter", "network namespace", "not pinned");
  }
  if (::setns(pin.fd.get(), CLONE_NEWNET) != 0) return FailSys("enter", "network namespace");
  return LookHere(buffer, scope);
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
      fact = **text;
      while (!fact.empty() && fact.back() == '\n') fact.pop_back();
      std::ranges::replace(fact, '\t', ' ');
    }
  }
  return facts;
}

Result<> WriteSysctls(std::span<const std::pair<std::string_view, std::string_view>> settings, std::string_view link) {
  // One by one: some set others back.
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const auto& [setting, value] = settings[i];
    if (ReadSysctls(settings.subspan(i, 1), link).at(SettingName(setting)) == value) continue;
    const std::string path = SysctlPath(setting, link);
    const sys::Fd fd(::openat(ProcInstance()->get(), InProc(path).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return FailSys("open", path);
    if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
      return FailSys("write", path + " \"" + std::string(value) + "\"");
    }
  }
  return {};
}

std::vector<Result<Inside>> LookInside(const std::vector<Pin>& pins, const std::vector<Scope>& scopes) {
  std::vector<Result<Inside>> answers;
  answers.reserve(pins.size());
  for (std::size_t i = 0; i < pins.size(); ++i) {
    answers.push_back(Fail(ErrorCode::kInternal, "enter", "network namespace", "no thread to enter it with"));
  }
  if (pins.empty()) return answers;

  std::atomic<std::size_t> next = 0;
  // Threads never come back to the namespace they started in: they end.
  const auto work = [&] {
    auto buffer = Netlink::MakeBuffer();
    for (std::size_t i = next++; i < pins.size(); i = next++) answers[i] = Look(pins[i], buffer, scopes[i]);
  };
  OnThreads(pins.size(), work);
  return answers;
}

}  // namespace nucleus::netns
