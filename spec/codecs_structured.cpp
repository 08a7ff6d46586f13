// Codecs of values that have parts: ports, mounts, limits, dependencies, probes, tables of strings.
#include <algorithm>

#include "spec/codecs.hpp"
#include "spec/codecs_detail.hpp"
#include "spec/net.hpp"

namespace nucleus::spec {

using detail::IsString;
using detail::OnlyKnown;
using detail::ReadItems;
using detail::ReadText;
using detail::WriteItems;
using Type = Value::Type;

namespace detail {

// Reports members of a table that are not known.
bool OnlyKnown(const Value& table, std::string_view key, Reader& reader, std::span<const std::string_view> known) {
  bool good = true;
  for (const auto& member : table.members) {
    if (std::ranges::find(known, std::string_view(member.name)) != known.end()) continue;
    good = false;
    reader.Report(member.place, std::string(key) + ": unknown key '" + Shown(member.name) + "'" +
                                    reader.Suggestion(member.name, known));
  }
  return good;
}

Result<std::string> NormalContainerPath(std::string_view text) {
  if (!text.starts_with('/')) return Fail(Error::Invalid(text, "must be an absolute path inside the container"));
  std::string path;
  std::string_view rest = text;
  while (!rest.empty()) {
    rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
    const auto part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(part.size());
    if (part == "..") return Fail(Error::Invalid(text, "must not have '..' in it"));
    if (part.size() > 255) return Fail(Error::Invalid(text, "a component is longer than 255 bytes"));
    if (part.empty() || part == ".") continue;
    path += '/';
    path += part;
  }
  if (path.size() > 4095) return Fail(Error::Invalid(text, "longer than 4095 bytes"));
  return path.empty() ? "/" : path;
}

std::string WrongHostPath(std::string_view path) {
  if (!path.starts_with('/')) return "must be an absolute path";  // of canonical JSON: a file's have its directory
  if (path.size() > 4095) return "longer than 4095 bytes";
  if (!IsUtf8(path)) return "not UTF-8";  // the directory of the file, which nobody checked
  return "";
}

Result<std::string> NormalId(std::string_view text) {
  const auto fail = [&](std::string_view cause) { return Fail(Error::Invalid(text, cause)); };
  if (text.empty()) return fail("an empty user or group");
  if (text.front() >= '0' && text.front() <= '9') {
    const auto number = ParseUnsigned(text);
    // Larger ones become negative in programs that keep ids in an int, and 2^32-1 means "leave it" to chown(2).
    if (!number || *number > 2147483647) return fail("not an id from 0 to 2147483647");
    return std::to_string(*number);
  }
  constexpr std::string_view kMore = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  if (text.size() > 32 || text.front() == '-' || text.front() == '.' ||
      text.find_first_not_of(kMore) != std::string_view::npos) {
    return fail("not a numeric id from 0 to 2147483647, and not a name of letters, digits, '_', '.' and '-'");
  }
  return std::string(text);
}

}  // namespace detail

namespace {

template <class Codec>
std::optional<typename Codec::T> ReadMember(const Value& table, std::string_view name, std::string_view key,
                                            Reader& reader, bool& good) {
  const Value* member = table.Find(name);
  if (member == nullptr) return std::nullopt;
  auto read = Codec::Read(*member, std::string(key) + "." + std::string(name), reader);
  good = good && read.has_value();
  return read;
}

bool GoodVariableName(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::ranges::none_of(name,
                              [](char c) { return c == '=' || c == ' ' || static_cast<unsigned char>(c) < 0x20; });
}

// Numbers and booleans become text as they are written in TOML; a float has more than one spelling and is refused.
std::optional<std::string> ReadScalar(const Value& value, std::string_view key, Reader& reader) {
  if (value.type == Type::kInteger) return std::to_string(value.integer);
  if (value.type == Type::kBool) return std::string(value.flag ? "true" : "false");
  return ReadText(value, key, reader, "a string (put the value in quotes)");
}

}  // namespace

std::optional<StringMap> Environment::Read(const Value& value, std::string_view key, Reader& reader) {
  StringMap map;
  bool good = true;
  const auto add = [&](const Value& at, const std::string& name, std::optional<std::string> text) {
    if (!GoodVariableName(name)) {
      reader.Report(at.place, std::string(key) + ": '" + Shown(name) + "' is not a name of a variable");
      text.reset();
    }
    good = good && text.has_value();
    if (text && !map.emplace(name, *text).second) {
      reader.Report(at.place, std::string(key) + ": '" + Shown(name) + "' is given twice");
      good = false;
    }
  };
  if (value.type == Type::kTable) {
    for (const auto& member : value.members) {
      add(member.value, member.name, ReadScalar(member.value, std::string(key) + "." + Shown(member.name), reader));
    }
  } else if (value.type == Type::kArray) {
    for (const auto& item : value.items) {
      const auto text = ReadText(item, key, reader, "\"NAME=value\"");
      const auto equals = text ? text->find('=') : std::string::npos;
      if (text && equals == std::string::npos) reader.Wrong(key, item, "write NAME=value");
      if (equals == std::string::npos) {
        good = false;
      } else {
        add(item, text->substr(0, equals), text->substr(equals + 1));
      }
    }
  } else {
    reader.WrongType(key, value, "a table such as { NAME = \"value\" }");
    return std::nullopt;
  }
  return good ? std::optional(std::move(map)) : std::nullopt;
}
Value Environment::Write(const StringMap& value) {
  return Labels::Write(value);
}

std::optional<StringMap> Labels::Read(const Value& value, std::string_view key, Reader& reader) {
  if (value.type != Type::kTable) {
    reader.WrongType(key, value, "a table such as { team = \"web\" }");
    return std::nullopt;
  }
  StringMap map;
  bool good = true;
  for (const auto& member : value.members) {
    auto text = ReadScalar(member.value, std::string(key) + "." + Shown(member.name), reader);
    good = good && text.has_value();
    if (text) map[member.name] = *std::move(text);
  }
  return good ? std::optional(std::move(map)) : std::nullopt;
}
Value Labels::Write(const StringMap& value) {
  Value table = Value::Table();
  for (const auto& [name, text] : value) table.Set(name, Value::String(text));
  return table;
}

std::optional<std::vector<PortForward>> Ports::Read(const Value& value, std::string_view key, Reader& reader) {
  if (value.type != Type::kArray) {
    reader.WrongType(key, value, "a list such as [\"8080:80\"]");
    return std::nullopt;
  }
  std::vector<PortForward> forwards;
  for (const auto& item : value.items) {
    const auto text = ReadText(item, key, reader, "a string such as \"8080:80\"");
    auto parsed = text ? ParsePortForwards(*text) : Result<std::vector<PortForward>>();
    if (text && !parsed) reader.Wrong(key, item, parsed.error().cause);
    if (parsed) forwards.insert(forwards.end(), parsed->begin(), parsed->end());
    constexpr std::size_t kMost = 65536;  // a list of full ranges would ask for all memory
    if (forwards.size() > kMost) {
      reader.Report(value.place, std::string(key) + ": more than " + std::to_string(kMost) + " ports");
      return std::nullopt;
    }
  }
  return forwards;
}
Value Ports::Write(const std::vector<PortForward>& value) {
  std::vector<Value> items;
  for (const auto& forward : value) items.push_back(Value::String(Format(forward)));
  return Value::Array(std::move(items));
}

namespace {

struct Mount {
  using T = VolumeMount;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    const auto text = ReadText(value, key, reader, "a string such as \"data:/var/lib/app\"");
    if (!text) return std::nullopt;
    const auto wrong = [&](std::string_view cause) {
      reader.Wrong(key, value, cause);
      return std::nullopt;
    };
    constexpr std::string_view kForm =
        "write volume:/destination or /host/path:/destination, with :ro, :rw or ,noexec after it";
    const auto first = text->find(':');
    if (first == std::string::npos || first == 0) return wrong(kForm);
    const auto second = text->find(':', first + 1);
    VolumeMount mount;
    Value source = value;
    source.text = text->substr(0, first);
    if (source.text.starts_with('/') || source.text.starts_with('.')) {
      mount.source = reader.HostPath(source);
      if (const auto cause = detail::WrongHostPath(mount.source); !cause.empty()) return wrong(cause);
      // Not by what is written here, but by the directory of the file.
      if (mount.source.find(':') != std::string::npos) return wrong("the host path has a ':' in it");
    } else if (IsValidName(source.text)) {
      mount.volume = source.text;
    } else {
      return wrong("the source is neither the name of a volume nor a path that begins with '/' or '.'");
    }
    const auto length = second == std::string::npos ? second : second - first - 1;
    auto destination = detail::NormalContainerPath(std::string_view(*text).substr(first + 1, length));
    if (!destination) return wrong("the destination " + destination.error().cause);
    mount.destination = *std::move(destination);
    if (second == std::string::npos) return mount;
    std::string_view options = std::string_view(*text).substr(second + 1);
    bool ro = false, rw = false;
    while (true) {
      const auto option = options.substr(0, options.find(','));
      ro = ro || option == "ro";
      rw = rw || option == "rw";
      if (option == "noexec") mount.no_exec = true;
      if (option != "ro" && option != "rw" && option != "noexec") {
        return wrong("option '" + Shown(option) + "' is none of ro, rw, noexec");
      }
      if (option.size() == options.size()) break;
      options.remove_prefix(option.size() + 1);
    }
    if (ro && rw) return wrong("both ro and rw");
    mount.read_only = ro;
    return mount;
  }
  static Value Write(const T& mount) {
    std::string text = (mount.volume.empty() ? mount.source : mount.volume) + ":" + mount.destination;
    if (mount.read_only) text += mount.no_exec ? ":ro,noexec" : ":ro";
    if (!mount.read_only && mount.no_exec) text += ":rw,noexec";
    return Value::String(text);
  }
};

struct TmpfsItem {
  using T = TmpfsMount;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    const auto text = ReadText(value, key, reader, "a string such as \"/run:64M\"");
    if (!text) return std::nullopt;
    const auto colon = text->find(':');
    auto destination = detail::NormalContainerPath(std::string_view(*text).substr(0, colon));
    const auto size =
        colon == std::string::npos ? Result<Bytes>(0) : ParseBytes(std::string_view(*text).substr(colon + 1));
    // To tmpfs(5) it would be a size without a limit.
    const bool nothing = size && *size == 0 && colon != std::string::npos;
    if (destination && size && !nothing) return TmpfsMount{*std::move(destination), *size};
    reader.Wrong(key, value,
                 !destination ? destination.error().cause
                 : nothing    ? "nothing fits into no memory"
                              : size.error().cause);
    return std::nullopt;
  }
  static Value Write(const T& mount) {
    return Value::String(mount.size == 0 ? mount.destination : mount.destination + ":" + FormatBytes(mount.size));
  }
};

bool GoodDevice(std::string_view device) {
  if (device.starts_with("/dev/")) return detail::NormalContainerPath(device).has_value();
  const auto colon = device.find(':');
  return colon != std::string_view::npos && ParseUnsigned(device.substr(0, colon)) &&
         ParseUnsigned(device.substr(colon + 1));
}

struct IoLimitItem {
  using T = IoLimit;
  using Rate = Number<1, UINT64_MAX>;

  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    if (IsString(value)) return ReadLine(value, key, reader);
    if (value.type != Type::kTable) {
      reader.WrongType(key, value, "a table such as { device = \"8:0\", read_bps = \"10M\" }");
      return std::nullopt;
    }
    constexpr std::array<std::string_view, 5> kKnown{"device", "read_bps", "write_bps", "read_iops", "write_iops"};
    bool good = OnlyKnown(value, key, reader, kKnown);
    IoLimit limit;
    const auto device = ReadMember<Text>(value, "device", key, reader, good);
    limit.read_bps = ReadMember<Size>(value, "read_bps", key, reader, good);
    limit.write_bps = ReadMember<Size>(value, "write_bps", key, reader, good);
    limit.read_iops = ReadMember<Rate>(value, "read_iops", key, reader, good);
    limit.write_iops = ReadMember<Rate>(value, "write_iops", key, reader, good);
    if (!good) return std::nullopt;
    limit.device = device.value_or("");
    return Check(std::move(limit), value, key, reader);
  }

  // "8:0 rbps=1M wiops=100", the form of io.max and of --io-limit.
  static std::optional<T> ReadLine(const Value& value, std::string_view key, Reader& reader) {
    IoLimit limit;
    std::string_view rest = value.text;
    limit.device = rest.substr(0, rest.find(' '));
    rest.remove_prefix(limit.device.size());
    while (!rest.empty()) {
      rest.remove_prefix(1);
      const auto item = rest.substr(0, rest.find(' '));
      rest.remove_prefix(item.size());
      const auto equals = item.find('=');
      const auto name = item.substr(0, equals);
      const auto number = equals == std::string_view::npos ? ParseBytes("") : ParseBytes(item.substr(equals + 1));
      const bool known = name == "rbps" || name == "wbps" || name == "riops" || name == "wiops";
      if (!known || !number) {
        reader.Wrong(key, value, "write DEVICE, then rbps=, wbps=, riops= or wiops= with a number");
        return std::nullopt;
      }
      auto& rate = name == "rbps"    ? limit.read_bps
                   : name == "wbps"  ? limit.write_bps
                   : name == "riops" ? limit.read_iops
                                     : limit.write_iops;
      if (rate) {
        reader.Wrong(key, value, std::string(name) + "= is there twice");
        return std::nullopt;
      }
      rate = *number;
    }
    return Check(std::move(limit), value, key, reader);
  }

  static std::optional<T> Check(IoLimit limit, const Value& value, std::string_view key, Reader& reader) {
    const auto zero = [](const std::optional<std::uint64_t>& rate) { return rate == 0; };
    std::string cause;
    if (!GoodDevice(limit.device)) cause = "the device must be MAJOR:MINOR or a path under /dev";
    if (!limit.read_bps && !limit.write_bps && !limit.read_iops && !limit.write_iops)
      cause = "limits nothing; write for example \"8:0 rbps=10M wiops=100\"";
    if (zero(limit.read_bps) || zero(limit.write_bps) || zero(limit.read_iops) || zero(limit.write_iops)) {
      cause = "a limit of 0 would stop the workload";
    }
    if (cause.empty()) return limit;
    reader.Report(value.place, std::string(key) + ": " + cause);
    return std::nullopt;
  }

  static Value Write(const T& limit) {
    Value table = Value::Table();
    table.Set("device", Value::String(limit.device));
    if (limit.read_bps) table.Set("read_bps", Size::Write(*limit.read_bps));
    if (limit.write_bps) table.Set("write_bps", Size::Write(*limit.write_bps));
    if (limit.read_iops) table.Set("read_iops", Value::Integer(*limit.read_iops));
    if (limit.write_iops) table.Set("write_iops", Value::Integer(*limit.write_iops));
    return table;
  }
};

constexpr std::array<std::string_view, 3> kConditionWords{"started", "healthy", "completed"};
using ConditionWord = Word<kConditionWords, Condition>;

struct DependencyItem {
  using T = Dependency;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    if (IsString(value)) return Dependency{value.text, Condition::kStarted, false};
    if (value.type != Type::kTable) {
      reader.WrongType(key, value, "a name, or a table such as { service = \"db\", condition = \"healthy\" }");
      return std::nullopt;
    }
    constexpr std::array<std::string_view, 3> kKnown{"service", "condition", "restart"};
    bool good = OnlyKnown(value, key, reader, kKnown);
    const auto service = ReadMember<Text>(value, "service", key, reader, good);
    const auto condition = ReadMember<ConditionWord>(value, "condition", key, reader, good);
    const auto restart = ReadMember<Flag>(value, "restart", key, reader, good);
    if (good && !service) {
      reader.Report(value.place, std::string(key) + ": 'service' is missing: the name of the other service");
      good = false;
    }
    if (!good) return std::nullopt;
    return Dependency{*service, condition.value_or(Condition::kStarted), restart.value_or(false)};
  }
  static Value Write(const T& dependency) {
    Value table = Value::Table();
    table.Set("service", Value::String(dependency.service));
    if (dependency.condition != Condition::kStarted) table.Set("condition", ConditionWord::Write(dependency.condition));
    if (dependency.restart) table.Set("restart", Value::Bool(true));
    return table;
  }
};

}  // namespace

std::optional<std::vector<VolumeMount>> Mounts::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<Mount>(value, key, reader, "a list such as [\"data:/var/lib/app\"]");
}
Value Mounts::Write(const std::vector<VolumeMount>& value) {
  return WriteItems<Mount>(value);
}

std::optional<std::vector<TmpfsMount>> Tmpfs::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<TmpfsItem>(value, key, reader, "a list such as [\"/run:64M\"]");
}
Value Tmpfs::Write(const std::vector<TmpfsMount>& value) {
  return WriteItems<TmpfsItem>(value);
}

std::optional<std::vector<IoLimit>> IoLimits::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<IoLimitItem>(value, key, reader, "a list of tables");
}
Value IoLimits::Write(const std::vector<IoLimit>& value) {
  return WriteItems<IoLimitItem>(value);
}

std::optional<std::vector<Dependency>> Dependencies::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<DependencyItem>(value, key, reader, "a list of names or tables");
}
Value Dependencies::Write(const std::vector<Dependency>& value) {
  return WriteItems<DependencyItem>(value);
}

std::optional<Probe> HealthProbe::Read(const Value& value, std::string_view key, Reader& reader) {
  if (IsString(value) || value.type == Type::kArray) {
    auto argv = ShellCommand::Read(value, key, reader);
    if (!argv) return std::nullopt;
    return CommandProbe{*std::move(argv)};
  }
  if (value.type != Type::kTable) {
    reader.WrongType(key, value,
                     "a shell command, a list of arguments, { tcp = PORT } or { http = PORT, path = \"/\" }");
    return std::nullopt;
  }
  constexpr std::array<std::string_view, 3> kKnown{"tcp", "http", "path"};
  using Port = Number<1, 65535>;
  bool good = OnlyKnown(value, key, reader, kKnown);
  const auto tcp = ReadMember<Port>(value, "tcp", key, reader, good);
  const auto http = ReadMember<Port>(value, "http", key, reader, good);
  const auto path = ReadMember<Text>(value, "path", key, reader, good);
  if (!good) return std::nullopt;
  const bool clean_path =
      !path || (path->starts_with('/') && std::ranges::all_of(*path, [](char c) {
                  return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
                }));
  if (!clean_path) {
    reader.Wrong(std::string(key) + ".path", *value.Find("path"), "must begin with '/' and have no blanks");
    return std::nullopt;
  }
  if (tcp && !http && !path) return TcpProbe{static_cast<std::uint16_t>(*tcp)};
  if (http && !tcp) return HttpProbe{static_cast<std::uint16_t>(*http), path.value_or("/")};
  reader.Report(value.place, std::string(key) + ": give either tcp, or http and perhaps path");
  return std::nullopt;
}

Value HealthProbe::Write(const Probe& value) {
  if (const auto* command = std::get_if<CommandProbe>(&value)) return Command::Write(command->argv);
  Value table = Value::Table();
  if (const auto* tcp = std::get_if<TcpProbe>(&value)) table.Set("tcp", Value::Integer(tcp->port));
  if (const auto* http = std::get_if<HttpProbe>(&value)) {
    table.Set("http", Value::Integer(http->port));
    if (http->path != "/") table.Set("path", Value::String(http->path));
  }
  return table;
}

}  // namespace nucleus::spec
