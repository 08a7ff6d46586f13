#include "cli/usage_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/table.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;
using cgroup::Count;
using cgroup::Pressure;

constexpr int kUsageFormat = 1;

const Sample* Earlier(const std::vector<Sample>& before, const Sample& sample) {
  const auto found = std::ranges::find_if(before, [&](const Sample& one) { return one.id == sample.id; });
  return found == before.end() ? nullptr : &*found;
}

// 12345 thousandths -> "12.3"
std::string Tenths(std::uint64_t thousandths) {
  return std::to_string(thousandths / 1000) + "." + std::to_string(thousandths % 1000 / 100);
}

std::string Amount(const Count& count) {
  return count ? RoughBytes(*count) : "-";
}

std::string OfLimit(const Count& used, const Count& limit) {
  return Amount(used) + (used && limit ? " / " + RoughBytes(*limit) : "");
}

std::string Both(const Count& one, const Count& other) {
  return one || other ? Amount(one) + " / " + Amount(other) : "-";
}

std::string Waiting(const std::optional<Pressure>& pressure) {
  return pressure ? Tenths(std::uint64_t{pressure->some_avg10} * 10) : "-";
}

struct Passed {
  Count received, sent;
};
Passed Total(const Sample& sample) {
  if (!sample.links || sample.host_network) return {};
  Passed passed{0, 0};
  for (const auto& [name, link] : *sample.links) {
    *passed.received += link.received;
    *passed.sent += link.sent;
  }
  return passed;
}

Json OfCount(const Count& count) {
  return count ? Json(*count) : Json(nullptr);
}

Json OfPressure(const std::optional<Pressure>& pressure) {
  if (!pressure) return nullptr;
  return {{"some_avg10_percent", pressure->some_avg10 / 100.0},
          {"full_avg10_percent", pressure->full_avg10 / 100.0},
          {"some_total_usec", pressure->some_total},
          {"full_total_usec", pressure->full_total}};
}

Json OfLinks(const Sample& sample) {
  if (!sample.links || sample.host_network) return nullptr;
  Json links = Json::object();
  for (const auto& [name, link] : *sample.links) {
    links[name] = {{"received_bytes", link.received},           {"received_packets", link.received_packets},
                   {"received_dropped", link.received_dropped}, {"sent_bytes", link.sent},
                   {"sent_packets", link.sent_packets},         {"sent_dropped", link.sent_dropped}};
  }
  return links;
}

Json OfSample(const Sample& sample, const Sample* before) {
  const auto& usage = sample.usage;
  const auto share = CpuShare(sample, before);
  return {{"name", sample.name},
          {"id", sample.id},
          {"time", UtcTime(sample.time_ms)},
          {"cpu",
           {{"percent", share ? Json(static_cast<double>(*share) / 10.0) : Json(nullptr)},
            {"usage_usec", OfCount(usage.cpu)},
            {"user_usec", OfCount(usage.cpu_user)},
            {"system_usec", OfCount(usage.cpu_system)},
            {"throttled_usec", OfCount(usage.cpu_throttled)},
            {"pressure", OfPressure(usage.cpu_pressure)}}},
          {"memory",
           {{"bytes", OfCount(usage.memory)},
            {"limit_bytes", OfCount(usage.memory_limit)},
            {"peak_bytes", OfCount(usage.memory_peak)},
            {"anonymous_bytes", OfCount(usage.memory_anonymous)},
            {"file_bytes", OfCount(usage.memory_files)},
            {"swap_bytes", OfCount(usage.swap)},
            {"swap_limit_bytes", OfCount(usage.swap_limit)},
            {"pressure", OfPressure(usage.memory_pressure)}}},
          {"pids", {{"count", OfCount(usage.pids)}, {"limit", OfCount(usage.pids_limit)}}},
          {"io",
           {{"read_bytes", OfCount(usage.read_bytes)},
            {"written_bytes", OfCount(usage.written_bytes)},
            {"reads", OfCount(usage.reads)},
            {"writes", OfCount(usage.writes)},
            {"pressure", OfPressure(usage.io_pressure)}}},
          {"network", OfLinks(sample)}};
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::optional<std::uint64_t> CpuShare(const Sample& now, const Sample* before) {
  if (!now.usage.cpu) return std::nullopt;
  std::uint64_t used = *now.usage.cpu;
  std::int64_t over_ms = now.time_ms - now.started_ms;
  if (before != nullptr && before->usage.cpu && *before->usage.cpu <= used) {
    used -= *before->usage.cpu;
    over_ms = now.time_ms - before->time_ms;
  }
  if (over_ms <= 0) return std::nullopt;
  return used / static_cast<std::uint64_t>(over_ms);  // microseconds a millisecond
}

std::string UsageText(const std::vector<Sample>& samples, const std::vector<Sample>& before) {
  std::vector<std::vector<std::string>> table{
      {"NAME", "CPU %", "CPU TIME", "MEMORY", "SWAP", "PIDS", "NET IN / OUT", "DISK IN / OUT", "WAIT % CPU MEM IO"}};
  for (const Sample& sample : samples) {
    const auto& usage = sample.usage;
    const auto share = CpuShare(sample, Earlier(before, sample));
    const Passed passed = Total(sample);
    const auto waiting =
        Waiting(usage.cpu_pressure) + " " + Waiting(usage.memory_pressure) + " " + Waiting(usage.io_pressure);
    std::string pids = usage.pids ? std::to_string(*usage.pids) : "-";
    if (usage.pids && usage.pids_limit) pids += " / " + std::to_string(*usage.pids_limit);
    table.push_back({sample.name, share ? Tenths(*share * 100) : "-", usage.cpu ? Tenths(*usage.cpu / 1000) + "s" : "-",
                     OfLimit(usage.memory, usage.memory_limit), OfLimit(usage.swap, usage.swap_limit), pids,
                     sample.host_network ? "host" : Both(passed.received, passed.sent),
                     Both(usage.read_bytes, usage.written_bytes), waiting});
  }
  return TableText(table);
}

std::string UsageJson(const std::vector<Sample>& samples, const std::vector<Sample>& before) {
  Json json{{"format_version", kUsageFormat}, {"type", "stats"}, {"containers", Json::array()}};
  for (const Sample& sample : samples) json["containers"].push_back(OfSample(sample, Earlier(before, sample)));
  return Line(json);
}

std::string UsageLines(const std::vector<Sample>& samples, const std::vector<Sample>& before) {
  std::string lines;
  for (const Sample& sample : samples) {
    Json json{{"format_version", kUsageFormat}, {"type", "usage"}};
    json.update(OfSample(sample, Earlier(before, sample)));
    lines += Line(json);
  }
  return lines;
}

std::string MissingControllers(const std::vector<Sample>& samples) {
  const auto none = [&samples](Count cgroup::Usage::* count) {
    return std::ranges::none_of(samples, [count](const Sample& one) { return (one.usage.*count).has_value(); });
  };
  std::string missing;
  const auto add = [&missing](std::string_view name) { missing += (missing.empty() ? "" : ", ") + std::string(name); };
  if (none(&cgroup::Usage::memory)) add("memory");
  if (none(&cgroup::Usage::pids)) add("pids");
  if (none(&cgroup::Usage::read_bytes)) add("io");
  return missing;
}

}  // namespace nucleus::cli
