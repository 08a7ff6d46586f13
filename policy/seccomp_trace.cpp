#include "policy/seccomp_trace.hpp"

#include <linux/audit.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <nlohmann/json.hpp>

#include "actuators/sys/syscall_names.hpp"
#include "policy/read_document.hpp"

namespace nucleus::policy {

namespace {

constexpr std::size_t kMostBytes = std::size_t{16} << 20;
constexpr std::size_t kMostLine = std::size_t{256} << 10;
constexpr std::size_t kMostErrors = 100;  // after that the file is something else
constexpr std::size_t kMostKept = 1024;   // values of an argument
constexpr std::size_t kMostValues = 64;   // of an argument; with more of them a condition tells nothing
constexpr std::uint64_t kMostNumber = 0xffff;

// The argument that tells what a call is about.
struct Telling {
  std::string_view call;
  std::uint32_t index;
};
constexpr Telling kTelling[] = {{"clone", 0}, {"ioctl", 1}, {"prctl", 0}, {"socket", 0}};

constexpr std::string_view kClone3 = "clone3";

// The numbers of an ABI, as sys/syscall_names.hpp has them.
struct Numbers {
  std::uint32_t architecture = sys::kNativeArchitecture, first = 0;
};

// The ABIs that a machine has besides its own, and which one that is then.
struct Abi {
  std::string_view word;
  SeccompArch arch, native;
  Numbers numbers;
};
constexpr Abi kAbis[] = {{"x86", SeccompArch::kX86, SeccompArch::kX86_64, {AUDIT_ARCH_I386, 0}},
                         {"x32", SeccompArch::kX32, SeccompArch::kX86_64, {AUDIT_ARCH_X86_64, sys::kX32CallBit}},
                         {"arm", SeccompArch::kArm, SeccompArch::kAarch64, {AUDIT_ARCH_ARM, 0}}};

using Values = std::vector<std::uint64_t>;

void Sort(Values& values) {
  std::ranges::sort(values);
  const auto rest = std::ranges::unique(values);
  values.erase(rest.begin(), rest.end());
}

// Adds what else was seen of a call.
void Add(TracedCall& to, const TracedCall& more) {
  to.count = to.count > UINT64_MAX - more.count ? UINT64_MAX : to.count + more.count;
  to.abis.insert(more.abis.begin(), more.abis.end());
  to.missing = to.missing && more.missing;
  std::erase_if(to.args, [&more](const auto& arg) { return !more.args.contains(arg.first); });
  for (auto& [index, values] : to.args) {
    Values both;
    std::ranges::set_union(values, more.args.at(index), std::back_inserter(both));
    values = std::move(both);
  }
  std::erase_if(to.args, [](const auto& arg) { return arg.second.size() > kMostKept; });
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

class LineReader {
 public:
  LineReader(JsonDocument& document, Trace& trace, std::set<std::string, std::less<>>& left_out)
      : doc_(document), trace_(trace), left_out_(left_out) {}

  void Read(const Json& line) {
    if (!doc_.Is(line, Json::Type::kObject, "")) return;
    doc_.Keys(line, "", {"syscall", "name", "count", "args", "abis", "missing"});
    const Json* number = Needed(line, "syscall");
    const Json* name = Needed(line, "name");
    const Json* count = Needed(line, "count");
    if (number == nullptr || name == nullptr || count == nullptr) return;
    TracedCall call;
    call.number = doc_.Number(*number, "/syscall", kMostNumber).value_or(0);
    call.count = doc_.Number(*count, "/count", UINT64_MAX).value_or(0);
    if (!doc_.Is(*name, Json::Type::kString, "/name")) return;
    if (!IsName(name->text)) {
      doc_.Wrong(*name, "/name",
                 "'" + spec::Shown(name->text) + "' is no name of a system call; number " +
                     std::to_string(call.number) + " needs one to be put into a profile");
      return;
    }
    if (const Json* args = line.Find("args")) Args(*args, call);
    if (const Json* abis = line.Find("abis")) Abis(*abis, call);
    if (const Json* missing = line.Find("missing"))
      call.missing = doc_.Is(*missing, Json::Type::kBool, "/missing") && missing->flag;
    const auto known = Known(*number, *name, call);
    if (known) Keep(*number, *known, call);
  }

 private:
  // The name of the call, where number and name are of one.
  std::optional<std::string> Known(const Json& number, const Json& name, const TracedCall& call) {
    const std::string digits = std::to_string(call.number);
    const bool unnamed = name.text == "syscall_" + digits;  // to whoever recorded it
    std::vector<Numbers> all{Numbers{}};
    for (const Abi& abi : kAbis)
      if (call.abis.contains(abi.arch)) all.push_back(abi.numbers);
    std::string_view own;
    for (const auto& [architecture, first] : all) {
      const auto here = sys::SyscallName(architecture, first + static_cast<std::uint32_t>(call.number));
      if (!here.empty() && (unnamed || here == name.text)) return std::string(here);
      if (own.empty()) own = here;
    }
    if (!own.empty()) {
      doc_.Wrong(number, "/syscall", digits + " is " + std::string(own) + " on this machine, and not " + name.text);
    } else if (const auto its = sys::SyscallNumber(sys::kNativeArchitecture, name.text)) {
      doc_.Wrong(number, "/syscall", name.text + " is " + std::to_string(*its) + " on this machine, and not " + digits);
    } else if (left_out_.insert(name.text).second) {
      doc_.Warn(name, "/name",
                "no call '" + name.text + "' is known, nor one of number " + digits +
                    "; the profile is made without it, and the program is killed where it makes it");
    }
    return std::nullopt;
  }

  void Keep(const Json& number, const std::string& name, const TracedCall& call) {
    const auto [known, is_new] = trace_.try_emplace(name, call);
    if (is_new) return;
    if (known->second.number != call.number) {
      doc_.Wrong(
          number, "/syscall",
          name + " is " + std::to_string(call.number) + " here, and was " + std::to_string(known->second.number));
      return;
    }
    Add(known->second, call);
  }

  const Json* Needed(const Json& line, std::string_view key) {
    const Json* value = line.Find(key);
    if (value == nullptr) doc_.Wrong(line, "/" + std::string(key), "it is missing");
    return value;
  }

  void Abis(const Json& abis, TracedCall& call) {
    if (!doc_.Is(abis, Json::Type::kArray, "/abis")) return;
    for (const Json& item : abis.items) {
      if (!doc_.Is(item, Json::Type::kString, "/abis")) continue;
      const auto* const known = std::ranges::find(kAbis, item.text, &Abi::word);
      if (known == std::end(kAbis)) {
        doc_.Wrong(item, "/abis", "'" + spec::Shown(item.text) + "' is none of x86, x32 and arm");
        continue;
      }
      call.abis.insert(known->arch);
    }
  }

  void Args(const Json& args, TracedCall& call) {
    if (!doc_.Is(args, Json::Type::kObject, "/args")) return;
    for (const auto& member : args.members) {
      const std::string path = "/args/" + member.name;
      if (member.name.size() != 1 || member.name[0] < '0' || member.name[0] > '5') {
        doc_.Wrong(member.value, "/args", "'" + spec::Shown(member.name) + "' is no index of an argument, 0 to 5");
        continue;
      }
      if (!doc_.Is(member.value, Json::Type::kArray, path)) continue;
      Values values;
      for (std::size_t i = 0; i < member.value.items.size(); ++i) {
        const auto value = doc_.Number(member.value.items[i], path + "/" + std::to_string(i), UINT64_MAX);
        if (value) values.push_back(*value);
      }
      Sort(values);
      if (values.size() <= kMostKept) call.args[static_cast<std::uint32_t>(member.name[0] - '0')] = std::move(values);
    }
  }

  JsonDocument& doc_;
  Trace& trace_;
  std::set<std::string, std::less<>>& left_out_;  // told of already
};

// Conditions for a call, or none where not enough is known.
std::vector<SeccompArg> Conditions(std::string_view name, const TracedCall& call) {
  const auto telling = std::ranges::find(kTelling, name, &Telling::call);
  if (telling == std::end(kTelling) || !call.abis.empty()) return {};
  const auto seen = call.args.find(telling->index);
  if (seen == call.args.end()) return {};
  Values values;
  for (const std::uint64_t value : seen->second) values.push_back(value & UINT32_MAX);
  Sort(values);
  if (values.size() > kMostValues) return {};
  std::vector<SeccompArg> conditions;
  for (const std::uint64_t value : values) {
    conditions.push_back({telling->index, SeccompOp::kMaskedEqual, UINT32_MAX, value});
  }
  return conditions;
}

// Empty: the machine's own alone.
std::vector<SeccompArch> Architectures(const Trace& trace) {
  std::set<SeccompArch> seen;
  for (const auto& [name, call] : trace) seen.insert(call.abis.begin(), call.abis.end());
  std::vector<SeccompArch> all;
  for (const Abi& abi : kAbis) {
    if (!seen.contains(abi.arch)) continue;
    if (all.empty()) all.push_back(abi.native);
    all.push_back(abi.arch);
  }
  return all;
}

}  // namespace

TraceRead ReadTrace(std::string_view text, std::string_view file) {
  TraceRead out;
  const auto report = [&](std::size_t line, std::uint32_t column, std::string message, bool warning) {
    out.problems.push_back({std::string(file), static_cast<std::uint32_t>(line), column, std::move(message), warning});
  };
  if (text.size() > kMostBytes) {
    report(1, 1, "larger than 16M", false);
    return out;
  }
  Trace trace;
  std::set<std::string, std::less<>> left_out;
  std::size_t errors = 0;
  std::size_t number = 0;
  while (!text.empty() && errors < kMostErrors) {
    const auto end = text.find('\n');
    const bool whole = end != std::string_view::npos;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(whole ? end + 1 : text.size());
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    JsonDocument document(line, file);
    const auto value = document.Parse({.bytes = kMostLine, .depth = 4, .values = 8192});
    if (!value && !whole && number > 1) {
      report(number, 1, "the trace ends in the midst of a line, which is passed over", true);
      break;
    }
    if (value) LineReader(document, trace, left_out).Read(*value);
    for (const auto& problem : document.TakeProblems()) {
      report(number, problem.column, problem.message, problem.warning);
      errors += problem.warning ? 0 : 1;
    }
  }
  if (errors >= kMostErrors) report(number, 1, "and so on: the rest was not read", false);
  if (errors == 0) out.trace = std::move(trace);
  return out;
}

std::string TraceLine(std::string_view name, const TracedCall& call) {
  nlohmann::ordered_json line{{"syscall", call.number}, {"name", name}, {"count", call.count}};
  for (const auto& [index, values] : call.args) line["args"][std::to_string(index)] = values;
  for (const Abi& abi : kAbis)
    if (call.abis.contains(abi.arch)) line["abis"].push_back(abi.word);
  if (call.missing) line["missing"] = true;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<Trace> MergeTraces(std::span<const Trace> traces) {
  Trace merged;
  for (const Trace& trace : traces) {
    for (const auto& [name, call] : trace) {
      const auto [known, is_new] = merged.try_emplace(name, call);
      if (is_new) continue;
      if (known->second.number != call.number) {
        return Fail(Error::Of(ErrorCode::kInvalid, "merge traces", name,
                              "its number is " + std::to_string(known->second.number) + " in one and " +
                                  std::to_string(call.number) + " in another")
                        .Hint("traces of different architectures make different profiles"));
      }
      Add(known->second, call);
    }
  }
  return merged;
}

SeccompProfile GenerateSeccomp(const Trace& trace, const GenerateOptions& options) {
  SeccompProfile profile;
  profile.default_verdict = options.default_verdict;
  profile.architectures = options.architectures;
  if (profile.architectures.empty()) profile.architectures = Architectures(trace);
  const SeccompVerdict allow{SeccompAction::kAllow, 0};
  SeccompRule plain;
  plain.verdict = allow;
  std::vector<SeccompRule> conditional;
  for (const auto& [name, call] : trace) {
    const auto conditions = options.arguments ? Conditions(name, call) : std::vector<SeccompArg>{};
    SeccompRule rule;
    rule.names = {{name, {}}};
    rule.verdict = allow;
    if (options.arguments && name == kClone3) {
      rule.verdict = {SeccompAction::kErrno, ENOSYS};
      conditional.push_back(rule);
    } else if (conditions.empty()) {
      plain.names.push_back({name, {}});
    }
    for (const SeccompArg& arg : conditions) {
      rule.args = {arg};
      conditional.push_back(rule);
    }
  }
  if (!plain.names.empty()) profile.rules.push_back(std::move(plain));
  std::ranges::move(conditional, std::back_inserter(profile.rules));
  return profile;
}

std::vector<std::string> GenerateLosses(const Trace& trace, const GenerateOptions& options) {
  std::vector<std::string> losses;
  const auto clone3 = trace.find(kClone3);
  if (options.arguments && clone3 != trace.end() && !clone3->second.missing) {
    losses.emplace_back(
        "clone3 is not there (ENOSYS) with conditions on arguments, and was there when the trace was recorded: the "
        "program may be killed at the clone that it goes on with, for a thread or a fork; record it once more");
  }
  return losses;
}

}  // namespace nucleus::policy
