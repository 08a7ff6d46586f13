#include "actuators/cgroup/write_limits.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "actuators/cgroup/limits.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::cgroup {

namespace {

constexpr std::string_view kMemoryMax = "memory.max";
constexpr std::string_view kMemoryHigh = "memory.high";

// Bytes; "max" is the greatest number there is.
std::uint64_t Amount(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::uint64_t value = 0;
  const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
  return err == std::errc() && end == text.data() + text.size() ? value : std::numeric_limits<std::uint64_t>::max();
}

std::string_view Get(const Facts& facts, std::string_view name, std::string_view otherwise) {
  const auto found = facts.find(std::string(name));
  return found == facts.end() ? otherwise : std::string_view(found->second);
}

std::string FilePath(const std::string& directory, std::string_view fact) {
  return directory + "/" + std::string(fact.starts_with(kIoPrefix) ? kIoMax : fact);
}

Result<> Write(const std::string& directory, const LimitWrite& write) {
  std::string text = write.value;
  if (write.fact.starts_with(kIoPrefix)) text = write.fact.substr(kIoPrefix.size()) + " " + text;
  auto written = sys::WriteKernelFile(FilePath(directory, write.fact), text);
  if (written) return {};
  Error error = std::move(written).error();
  if (error.sys_errno == ENOENT) {
    // The controllers have been enabled before: the file is one that this kernel leaves out (memory.swap.max).
    error = Error::Of(ErrorCode::kUnsupported, "set", write.fact, "this kernel has no such limit");
  } else if (error.sys_errno == ENODEV && write.fact.starts_with(kIoPrefix)) {
    error.cause = "no whole disk has this number";
  }
  return Fail(std::move(error));
}

// Lowers memory.max without an OOM kill: memory.high at the new limit makes the kernel reclaim first (and write(2)
// returns once it has tried); what is still above after that is in use.
Result<> LowerMemoryMax(const std::string& directory, const LimitWrite& write) {
  const std::string usage = directory + "/memory.current";
  const auto current = TRY(sys::ReadFileIfThere(usage));
  const auto limit = Amount(write.value);
  if (!current || Amount(*current) <= limit) return Write(directory, write);

  const std::string high_path = FilePath(directory, kMemoryHigh);
  std::string high = TRY(sys::ReadFile(high_path));
  while (high.ends_with('\n')) high.pop_back();
  TRY(sys::WriteKernelFile(high_path, write.value));
  const auto after = Amount(TRY(sys::ReadFile(usage)));
  Result<> written;
  if (after <= limit) written = Write(directory, write);
  TRY(sys::WriteKernelFile(high_path, high));
  if (after > limit) {
    return Fail(Error::Of(ErrorCode::kConflict, "set", directory + "/memory.max to " + write.value,
                          std::to_string(after) + " bytes are in use and cannot be reclaimed")
                    .Hint("restart the service to have it start under the lower limit"));
  }
  return written;
}

}  // namespace

std::vector<LimitWrite> PlanWrites(const Facts& current, const Facts& wanted) {
  std::vector<LimitWrite> writes;
  for (const auto& file : LimitFiles()) {
    const auto is = Get(current, file.name, file.standard);
    const auto should = Get(wanted, file.name, file.standard);
    if (is != should) writes.push_back({std::string(file.name), std::string(should)});
  }
  const auto max = std::find_if(writes.begin(), writes.end(), [](const auto& w) { return w.fact == kMemoryMax; });
  if (max != writes.end() && Amount(max->value) > Amount(Get(current, kMemoryMax, "max"))) {
    std::rotate(writes.begin(), max, max + 1);
  }
  for (const auto& [name, value] : current) {
    if (name.starts_with(kIoPrefix) && value != kIoStandard && !wanted.contains(name))
      writes.push_back({name, std::string(kIoStandard)});
  }
  for (const auto& [name, value] : wanted) {
    if (name.starts_with(kIoPrefix) && Get(current, name, kIoStandard) != value) writes.push_back({name, value});
  }
  return writes;
}

Result<> WriteLimits(const std::string& directory, const Facts& wanted) {
  const Facts current = TRY(ReadLimits(directory, wanted));
  for (const auto& write : PlanWrites(current, wanted)) {
    if (write.fact == kMemoryMax) {
      TRY(LowerMemoryMax(directory, write));
    } else {
      TRY(Write(directory, write));
    }
  }
  return {};
}

Result<> WriteFirstLimits(const std::string& directory, const Facts& wanted) {
  for (const auto& write : PlanWrites({}, wanted)) TRY(Write(directory, write));
  return {};
}

}  // namespace nucleus::cgroup
