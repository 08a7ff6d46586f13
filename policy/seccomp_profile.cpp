#include "policy/seccomp_profile.hpp"

#include <algorithm>
#include <array>

#include "actuators/security/security_names.hpp"
#include "policy/json.hpp"
#include "policy/read_document.hpp"
#include "policy/seccomp_words.hpp"

namespace nucleus::policy {

namespace {

constexpr std::uint16_t kMostErrno = 4095;  // MAX_ERRNO of the kernel, which cuts larger ones down to it
constexpr std::uint16_t kEperm = 1;

bool IsSyscallName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

class ProfileReader {
 public:
  explicit ProfileReader(JsonDocument& document) : doc_(document) {}

  SeccompProfile Read(const Json& root) {
    SeccompProfile profile;
    if (!doc_.Is(root, Json::Type::kObject, "/")) return profile;
    doc_.Keys(root, "",
              {"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "listenerPath",
               "listenerMetadata", "syscalls", "comment"});
    profile.default_verdict = Verdict(root, "", "defaultAction", "defaultErrnoRet", "defaultErrno");
    profile.architectures = Arches(root, "architectures", "", ArchWords());
    ArchMap(root, profile);
    Flags(root, profile);
    for (const std::string_view key : {"listenerPath", "listenerMetadata"}) {
      const Json* value = Given(root, key);
      if (value != nullptr && !(value->type == Json::Type::kString && value->text.empty())) {
        doc_.Wrong(*value, "/" + std::string(key), "nucleus has no listener for seccomp notifications");
      }
    }
    if (const Json* rules = Given(root, "syscalls");
        rules != nullptr && doc_.Is(*rules, Json::Type::kArray, "/syscalls")) {
      for (std::size_t i = 0; i < rules->items.size(); ++i) {
        Rule(rules->items[i], "/syscalls/" + std::to_string(i), profile.rules);
      }
    }
    return profile;
  }

 private:
  // null is what Go's encoder writes for what is not there.
  static const Json* Given(const Json& object, std::string_view key) {
    const Json* value = object.Find(key);
    return value == nullptr || value->type == Json::Type::kNull ? nullptr : value;
  }

  SeccompVerdict Verdict(const Json& object, const std::string& path, std::string_view action_key,
                         std::string_view number_key, std::string_view name_key) {
    SeccompVerdict verdict;
    const std::string where = path + "/" + std::string(action_key);
    const Json* action = Given(object, action_key);
    if (action == nullptr) {
      doc_.Wrong(object, where, "it is missing");
      return verdict;
    }
    if (!doc_.Is(*action, Json::Type::kString, where)) return verdict;
    const auto known = ValueOf(ActionWords(), action->text);
    if (!known) {
      if (action->text == "SCMP_ACT_TRACE" || action->text == "SCMP_ACT_NOTIFY") {
        doc_.Wrong(*action, where, action->text + " needs a program that answers for the kernel; nucleus has none");
      } else {
        doc_.Unknown(*action, where, "action", action->text, Texts(ActionWords()));
      }
      return verdict;
    }
    verdict.action = *known;
    const auto error = Errno(object, path, number_key, name_key);
    if (verdict.action == SeccompAction::kErrno) {
      verdict.error = error.value_or(kEperm);
    } else if (error && *error != 0) {
      // The specification: an error where the action does not support an errno.
      doc_.Wrong(*action, where, action->text + " takes no errno, but one is given");
    }
    return verdict;
  }

  std::optional<std::uint16_t> Errno(const Json& object, const std::string& path, std::string_view number_key,
                                     std::string_view name_key) {
    std::optional<std::uint16_t> number, named;
    if (const Json* value = Given(object, number_key)) {
      const auto read = doc_.Number(*value, path + "/" + std::string(number_key), kMostErrno);
      if (read) number = static_cast<std::uint16_t>(*read);
    }
    const Json* name = Given(object, name_key);
    if (name == nullptr) return number;
    const std::string where = path + "/" + std::string(name_key);
    if (!doc_.Is(*name, Json::Type::kString, where) || name->text.empty()) return number;
    named = ErrnoNumber(name->text);
    if (!named) {
      doc_.Wrong(*name, where, "'" + spec::Shown(name->text) + "' is no errno of Linux");
    } else if (number && *number != *named) {
      doc_.Wrong(*name, where,
                 name->text + " is " + std::to_string(*named) + ", but " + std::string(number_key) + " is " +
                     std::to_string(*number));
    }
    return number ? number : named;
  }

  std::vector<SeccompArch> Arches(const Json& object, std::string_view key, const std::string& path,
                                  std::span<const Word<SeccompArch>> words) {
    std::vector<SeccompArch> arches;
    const Json* list = Given(object, key);
    const std::string where = path + "/" + std::string(key);
    if (list == nullptr || !doc_.Is(*list, Json::Type::kArray, where)) return arches;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const auto arch = Arch(list->items[i], where + "/" + std::to_string(i), words);
      if (arch && std::ranges::find(arches, *arch) == arches.end()) arches.push_back(*arch);
    }
    return arches;
  }

  std::optional<SeccompArch> Arch(const Json& value, const std::string& where,
                                  std::span<const Word<SeccompArch>> words) {
    if (!doc_.Is(value, Json::Type::kString, where)) return std::nullopt;
    const auto arch = ValueOf(words, value.text);
    if (!arch) doc_.Unknown(value, where, "architecture", value.text, Texts(words));
    return arch;
  }

  void ArchMap(const Json& root, SeccompProfile& profile) {
    const Json* list = Given(root, "archMap");
    if (list == nullptr || !doc_.Is(*list, Json::Type::kArray, "/archMap")) return;
    if (!list->items.empty() && !profile.architectures.empty()) {
      doc_.Wrong(*list, "/archMap", "both architectures and archMap are given; keep one");
    }
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const Json& item = list->items[i];
      const std::string where = "/archMap/" + std::to_string(i);
      if (!doc_.Is(item, Json::Type::kObject, where)) continue;
      doc_.Keys(item, where, {"architecture", "subArchitectures"});
      const Json* name = Given(item, "architecture");
      if (name == nullptr) {
        doc_.Wrong(item, where + "/architecture", "it is missing");
        continue;
      }
      SeccompArchMap map;
      const auto arch = Arch(*name, where + "/architecture", ArchWords());
      map.sub_architectures = Arches(item, "subArchitectures", where, ArchWords());
      if (!arch) continue;
      map.architecture = *arch;
      if (std::ranges::find(profile.arch_map, *arch, &SeccompArchMap::architecture) != profile.arch_map.end()) {
        doc_.Wrong(*name, where + "/architecture", name->text + " is there twice");
        continue;
      }
      profile.arch_map.push_back(std::move(map));
    }
  }

  void Flags(const Json& root, SeccompProfile& profile) {
    const Json* list = Given(root, "flags");
    if (list == nullptr || !doc_.Is(*list, Json::Type::kArray, "/flags")) return;
    constexpr std::array<std::string_view, 4> kFlags{"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                                     "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                                     "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const Json& flag = list->items[i];
      const std::string where = "/flags/" + std::to_string(i);
      if (!doc_.Is(flag, Json::Type::kString, where)) continue;
      if (flag.text == kFlags[0]) continue;  // the one thread there is gets the filter before it executes the workload
      if (flag.text == kFlags[1]) {
        profile.flag_log = true;
      } else if (flag.text == kFlags[2]) {
        profile.flag_spec_allow = true;
      } else if (flag.text == kFlags[3]) {
        doc_.Wrong(flag, where, "nucleus has no listener for seccomp notifications");
      } else {
        doc_.Unknown(flag, where, "flag", flag.text, kFlags);
      }
    }
  }

  void Rule(const Json& json, const std::string& path, std::vector<SeccompRule>& rules) {
    if (!doc_.Is(json, Json::Type::kObject, path)) return;
    doc_.Keys(json, path, {"names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"});
    SeccompRule rule;
    rule.path = path;
    rule.place = doc_.At(json);
    Names(json, path, rule);
    rule.verdict = Verdict(json, path, "action", "errnoRet", "errno");
    if (const Json* comment = Given(json, "comment")) doc_.Is(*comment, Json::Type::kString, path + "/comment");
    Args(json, path, rule);
    rule.includes = Scope(json, "includes", path);
    rule.excludes = Scope(json, "excludes", path);
    rules.push_back(std::move(rule));
  }

  void Names(const Json& json, const std::string& path, SeccompRule& rule) {
    const Json* one = Given(json, "name");
    if (one != nullptr && one->type == Json::Type::kString && one->text.empty()) one = nullptr;
    const Json* list = Given(json, "names");
    if (one != nullptr) Name(*one, path + "/name", rule);
    if (list != nullptr && doc_.Is(*list, Json::Type::kArray, path + "/names")) {
      if (one != nullptr && !list->items.empty()) doc_.Wrong(*one, path + "/name", "both name and names are given");
      for (std::size_t i = 0; i < list->items.size(); ++i) {
        Name(list->items[i], path + "/names/" + std::to_string(i), rule);
      }
      if (one == nullptr && list->items.empty()) doc_.Wrong(*list, path + "/names", "no system call is named");
    } else if (one == nullptr && list == nullptr) {
      doc_.Wrong(json, path + "/names", "it is missing");
    }
  }

  void Name(const Json& value, const std::string& where, SeccompRule& rule) {
    if (!doc_.Is(value, Json::Type::kString, where)) return;
    if (!IsSyscallName(value.text)) {
      doc_.Wrong(value, where, "'" + spec::Shown(value.text) + "' is no name of a system call");
      return;
    }
    rule.names.push_back({value.text, doc_.At(value)});
  }

  void Args(const Json& json, const std::string& path, SeccompRule& rule) {
    const Json* list = Given(json, "args");
    if (list == nullptr || !doc_.Is(*list, Json::Type::kArray, path + "/args")) return;
    std::array<int, 6> seen{};
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const std::string where = path + "/args/" + std::to_string(i);
      const auto arg = Arg(list->items[i], where);
      if (!arg) continue;
      rule.args.push_back(*arg);
      if (++seen[arg->index] == 2) {
        doc_.Warn(list->items[i], where,
                  "argument " + std::to_string(arg->index) +
                      " is tested twice: any test of this rule suffices then, as in runc and crun");
      }
    }
    constexpr std::size_t kMost = 32;
    if (rule.args.size() > kMost) doc_.Wrong(*list, path + "/args", "more than 32 tests");
  }

  std::optional<SeccompArg> Arg(const Json& json, const std::string& path) {
    if (!doc_.Is(json, Json::Type::kObject, path)) return std::nullopt;
    doc_.Keys(json, path, {"index", "value", "valueTwo", "op"});
    SeccompArg arg;
    bool sound = true;
    const auto number = [&](std::string_view key, std::uint64_t most, bool required) -> std::uint64_t {
      const Json* value = Given(json, key);
      const std::string where = path + "/" + std::string(key);
      if (value == nullptr) {
        if (required) {
          doc_.Wrong(json, where, "it is missing");
          sound = false;
        }
        return 0;
      }
      const auto read = doc_.Number(*value, where, most);
      sound = sound && read.has_value();
      return read.value_or(0);
    };
    arg.index = static_cast<std::uint32_t>(number("index", 5, true));
    arg.value = number("value", UINT64_MAX, true);
    arg.value_two = number("valueTwo", UINT64_MAX, false);
    const Json* op = Given(json, "op");
    if (op == nullptr) {
      doc_.Wrong(json, path + "/op", "it is missing");
      return std::nullopt;
    }
    if (!doc_.Is(*op, Json::Type::kString, path + "/op")) return std::nullopt;
    const auto known = ValueOf(OperatorWords(), op->text);
    if (!known) {
      doc_.Unknown(*op, path + "/op", "operator", op->text, Texts(OperatorWords()));
      return std::nullopt;
    }
    arg.op = *known;
    if (!sound) return std::nullopt;
    return Sense(json, path, arg);
  }

  // What can never hold, or always does, is not what the author meant.
  std::optional<SeccompArg> Sense(const Json& json, const std::string& path, SeccompArg arg) {
    if (arg.op == SeccompOp::kMaskedEqual) {
      if (arg.value == 0) {
        doc_.Wrong(json, path + "/value", "a mask of 0 tests nothing");
        return std::nullopt;
      }
      if ((arg.value_two & ~arg.value) != 0) {
        doc_.Wrong(json, path + "/valueTwo", "it has bits that are not in the mask, so it can never be equal");
        return std::nullopt;
      }
      return arg;
    }
    if (arg.value_two != 0) doc_.Warn(json, path + "/valueTwo", "only SCMP_CMP_MASKED_EQ looks at it");
    arg.value_two = 0;
    const bool never =
        (arg.op == SeccompOp::kLess && arg.value == 0) || (arg.op == SeccompOp::kGreater && arg.value == UINT64_MAX);
    const bool always = (arg.op == SeccompOp::kGreaterOrEqual && arg.value == 0) ||
                        (arg.op == SeccompOp::kLessOrEqual && arg.value == UINT64_MAX);
    if (never || always) {
      doc_.Wrong(json, path, std::string("it can ") + (never ? "never hold" : "not fail"));
      return std::nullopt;
    }
    return arg;
  }

  SeccompScope Scope(const Json& json, std::string_view key, const std::string& path) {
    SeccompScope scope;
    const Json* object = Given(json, key);
    const std::string where = path + "/" + std::string(key);
    if (object == nullptr || !doc_.Is(*object, Json::Type::kObject, where)) return scope;
    doc_.Keys(*object, where, {"caps", "arches", "minKernel"});
    scope.arches = Arches(*object, "arches", where, ShortArchWords());
    if (const Json* caps = Given(*object, "caps");
        caps != nullptr && doc_.Is(*caps, Json::Type::kArray, where + "/caps")) {
      for (std::size_t i = 0; i < caps->items.size(); ++i) {
        const Json& name = caps->items[i];
        const std::string at = where + "/caps/" + std::to_string(i);
        if (!doc_.Is(name, Json::Type::kString, at)) continue;
        const auto number = security::CapabilityNumber(name.text);
        if (number) {
          scope.capabilities |= std::uint64_t{1} << *number;
        } else {
          std::vector<std::string> known = security::CapabilityNames((std::uint64_t{1} << 41) - 1);
          for (auto& one : known) one.insert(0, "CAP_");
          doc_.Unknown(name, at, "capability", name.text, known);
        }
      }
    }
    if (const Json* kernel = Given(*object, "minKernel");
        kernel != nullptr && doc_.Is(*kernel, Json::Type::kString, where + "/minKernel") && !kernel->text.empty()) {
      scope.kernel = ParseKernelVersion(kernel->text);
      if (!scope.kernel) {
        doc_.Wrong(*kernel, where + "/minKernel", "'" + spec::Shown(kernel->text) + "' is no version; write \"4.8\"");
      }
    }
    return scope;
  }

  template <class T>
  static std::vector<std::string_view> Texts(std::span<const Word<T>> words) {
    std::vector<std::string_view> texts;
    for (const auto& word : words) texts.push_back(word.text);
    return texts;
  }

  JsonDocument& doc_;
};

}  // namespace

SeccompRead ReadSeccompProfile(std::string_view text, std::string_view file) {
  SeccompRead out;
  JsonDocument document(text, file);
  if (const auto root = document.Parse({})) {
    SeccompProfile profile = ProfileReader(document).Read(*root);
    profile.file = file;
    if (!document.failed()) out.profile = std::move(profile);
  }
  out.problems = document.TakeProblems();
  return out;
}

}  // namespace nucleus::policy
