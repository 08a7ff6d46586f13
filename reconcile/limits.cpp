#include "reconcile/limits.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace nucleus::reconcile {

namespace {

using spec::Service;

constexpr Bytes kPage = 4096;
constexpr std::uint32_t kCpuPeriod = 100'000;  // microseconds; the kernel's default

template <class T>
std::string OrMax(const std::optional<T>& value) {
  return value ? std::to_string(*value) : "max";
}

// The kernel counts pages and rounds down.
std::optional<std::string> Pages(const std::optional<Bytes>& bytes) {
  if (!bytes) return std::nullopt;
  return std::to_string(*bytes / kPage * kPage);
}

using Value = std::optional<std::string> (*)(const Service&);

struct LimitRule {
  std::string_view key;
  std::string_view controller;
  std::string_view file;
  std::string_view standard;  // what the kernel has by itself
  Value value;
};

constexpr auto kLimits = std::to_array<LimitRule>({
    {"memory", "memory", "memory.max", "max", [](const Service& s) { return Pages(s.memory); }},
    {"memory_high", "memory", "memory.high", "max", [](const Service& s) { return Pages(s.memory_high); }},
    {"memory_swap", "memory", "memory.swap.max", "max", [](const Service& s) { return Pages(s.memory_swap); }},
    // Under a limit of its own the container dies as one, not process by process.
    {"memory", "memory", "memory.oom.group", "0",
     [](const Service& s) { return s.memory ? std::optional<std::string>("1") : std::nullopt; }},
    {"cpus", "cpu", "cpu.max", "max 100000",
     [](const Service& s) -> std::optional<std::string> {
       if (!s.milli_cpus) return std::nullopt;
       return std::to_string(std::uint64_t{*s.milli_cpus} * (kCpuPeriod / 1000)) + " " + std::to_string(kCpuPeriod);
     }},
    {"cpu_weight", "cpu", "cpu.weight", "100",
     [](const Service& s) -> std::optional<std::string> {
       if (!s.cpu_weight) return std::nullopt;
       return std::to_string(*s.cpu_weight);
     }},
    {"pids", "pids", "pids.max", "max",
     [](const Service& s) -> std::optional<std::string> {
       if (!s.pids) return std::nullopt;
       return std::to_string(*s.pids);
     }},
});

bool Has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void AddIo(const Service& service, bool available, Limits& limits) {
  if (!available) {
    if (!service.io_limits.empty()) limits.unavailable.emplace_back("io_limits");
    return;
  }
  for (const auto& io : service.io_limits) {
    limits.files["io.max:" + io.device] = "rbps=" + OrMax(io.read_bps) + " wbps=" + OrMax(io.write_bps) +
                                          " riops=" + OrMax(io.read_iops) + " wiops=" + OrMax(io.write_iops);
  }
}

}  // namespace

Limits LimitsOf(const Service& service, const std::vector<std::string>& controllers) {
  Limits limits;
  for (const auto& rule : kLimits) {
    const auto asked = rule.value(service);
    if (!Has(controllers, rule.controller)) {
      if (asked && !Has(limits.unavailable, rule.key)) limits.unavailable.emplace_back(rule.key);
      continue;
    }
    limits.files.emplace(rule.file, asked.value_or(std::string(rule.standard)));
  }
  AddIo(service, Has(controllers, "io"), limits);
  return limits;
}

Error NotHeld(std::string_view what) {
  return Error::Of(ErrorCode::kUnsupported, "limit", what, kNoController)
      .Hint("service_mode = \"agent\" goes on without the limit");
}

}  // namespace nucleus::reconcile
