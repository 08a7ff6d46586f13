#include "actuators/netns/inside.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#include "actuators/sys/file.hpp"

namespace nucleus::netns {

namespace {

// Below this many, starting a second thread costs more than it saves.
constexpr std::size_t kPinsPerThread = 32;
constexpr std::size_t kMaxThreads = 8;

Result<Inside> LookHere() {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  Inside inside;
  inside.snapshot = TRY(DumpAll(netlink));
  inside.sysctls = ReadSysctls(NetnsSysctls(), "");
  return inside;
}

Result<Inside> Look(const Pin& pin) {
  if (pin.state != PinState::kMounted) {
    return Fail(ErrorCode::kNotFound, "enter", "network namespace", "not pinned");
  }
  if (::setns(pin.fd.get(), CLONE_NEWNET) != 0) return FailSys("enter", "network namespace");
  return LookHere();
}

}  // namespace

std::string SysctlPath(std::string_view setting, std::string_view link) {
  std::string path = "/proc/sys/";
  path += setting;
  if (const auto at = path.find('%'); at != std::string::npos) path.replace(at, 1, link);
  return path;
}

Facts ReadSysctls(std::span<const std::pair<std::string_view, std::string_view>> settings, std::string_view link) {
  Facts facts;
  for (const auto& [setting, expected] : settings) {
    const std::string name = SettingName(setting);
    const auto text = sys::ReadFileIfThere(SysctlPath(setting, link), 4096);
    if (!text) {
      facts[name] = text.error().Message();
    } else if (!*text) {
      facts[name] = expected;
    } else {
      std::string value = **text;
      while (!value.empty() && value.back() == '\n') value.pop_back();
      std::ranges::replace(value, '\t', ' ');
      facts[name] = std::move(value);
    }
  }
  return facts;
}

std::vector<Result<Inside>> LookInside(const std::vector<Pin>& pins) {
  std::vector<Result<Inside>> answers;
  answers.reserve(pins.size());
  for (std::size_t i = 0; i < pins.size(); ++i) {
    answers.push_back(Fail(ErrorCode::kInternal, "enter", "network namespace", "no thread to enter it with"));
  }
  if (pins.empty()) return answers;

  std::atomic<std::size_t> next = 0;
  // Threads never come back to the namespace they started in: they end.
  const auto work = [&] {
    for (std::size_t i = next++; i < pins.size(); i = next++) answers[i] = Look(pins[i]);
  };
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t wanted = std::min({cores, kMaxThreads, (pins.size() + kPinsPerThread - 1) / kPinsPerThread});
  std::vector<std::jthread> threads;
  try {
    for (std::size_t i = 0; i < wanted; ++i) threads.emplace_back(work);
  } catch (const std::system_error&) {
    // Fewer threads do the same work; with none at all the answers say so.
  }
  threads.clear();
  return answers;
}

}  // namespace nucleus::netns
