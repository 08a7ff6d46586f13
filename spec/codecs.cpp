// Codecs of single values and of plain lists. Those of structured values are in codecs_structured.cpp.
#include "spec/codecs.hpp"

#include <algorithm>
#include <cmath>

#include "spec/codecs_detail.hpp"
#include "spec/net.hpp"

namespace nucleus::spec {

using detail::IsString;
using detail::ReadItems;
using detail::ReadText;
using detail::WriteItems;
using Type = Value::Type;

std::optional<std::uint64_t> ReadNumber(const Value& value, std::string_view key, Reader& reader, std::uint64_t least,
                                        std::uint64_t most) {
  std::optional<std::uint64_t> number;
  if (value.type == Type::kInteger && value.integer >= 0) number = static_cast<std::uint64_t>(value.integer);
  // A variable is always text, and numbers beyond 63 bits are written as text.
  if (value.type == Type::kString) {
    if (const auto parsed = ParseUnsigned(value.text)) number = *parsed;
  }
  if (number && *number >= least && *number <= most) return number;
  const std::string range =
      "a whole number from " + std::to_string(least) + (most == UINT64_MAX ? " up" : " to " + std::to_string(most));
  if (value.type == Type::kInteger || value.type == Type::kString) {
    reader.Wrong(key, value, "not " + range);
  } else {
    reader.WrongType(key, value, range);
  }
  return std::nullopt;
}

std::optional<std::size_t> ReadWord(const Value& value, std::string_view key, Reader& reader,
                                    std::span<const std::string_view> words) {
  std::string expected;
  for (const auto word : words) expected += (expected.empty() ? "" : ", ") + std::string(word);
  if (!IsString(value)) {
    reader.WrongType(key, value, "one of " + expected);
    return std::nullopt;
  }
  const auto found = std::ranges::find(words, std::string_view(value.text));
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  reader.Wrong(key, value, "not one of " + expected + reader.Suggestion(value.text, words));
  return std::nullopt;
}

std::optional<std::string> Text::Read(const Value& value, std::string_view key, Reader& reader) {
  auto text = ReadText(value, key, reader, "a string");
  if (text && text->empty()) {
    reader.Wrong(key, value, "must not be empty");
    return std::nullopt;
  }
  return text;
}
Value Text::Write(const std::string& value) {
  return Value::String(value);
}

std::optional<bool> Flag::Read(const Value& value, std::string_view key, Reader& reader) {
  if (value.type == Type::kBool) return value.flag;
  // What a variable stands for is text.
  if (!value.written.empty() && value.text == "true") return true;
  if (!value.written.empty() && value.text == "false") return false;
  reader.WrongType(key, value, "true or false");
  return std::nullopt;
}
Value Flag::Write(const bool& value) {
  return Value::Bool(value);
}

std::optional<std::string> HostPath::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = Text::Read(value, key, reader);
  if (!text) return std::nullopt;
  if (*text == "-") {  // which elsewhere is a standard file
    reader.Wrong(key, value, "neither standard input nor output is taken here; './-' is the file of that name");
    return std::nullopt;
  }
  auto path = reader.HostPath(value);
  const auto cause = detail::WrongHostPath(path);
  if (cause.empty()) return path;
  reader.Wrong(key, value, cause);
  return std::nullopt;
}
Value HostPath::Write(const std::string& value) {
  return Value::String(value);
}

std::optional<std::vector<std::string>> HostPaths::Read(const Value& value, std::string_view key, Reader& reader) {
  if (!IsString(value)) return ReadItems<HostPath>(value, key, reader, "a path or a list of paths");
  auto path = HostPath::Read(value, key, reader);
  if (!path) return std::nullopt;
  return std::vector<std::string>{*std::move(path)};
}
Value HostPaths::Write(const std::vector<std::string>& value) {
  return WriteItems<HostPath>(value);
}

std::optional<std::string> ContainerPath::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "an absolute path");
  if (!text) return std::nullopt;
  auto path = detail::NormalContainerPath(*text);
  if (!path) reader.Wrong(key, value, path.error().cause);
  return path ? std::optional(*std::move(path)) : std::nullopt;
}
Value ContainerPath::Write(const std::string& value) {
  return Value::String(value);
}

std::optional<Bytes> Size::Read(const Value& value, std::string_view key, Reader& reader) {
  if (value.type == Type::kInteger && value.integer >= 0) return static_cast<Bytes>(value.integer);
  if (value.type == Type::kInteger) {
    reader.Wrong(key, value, "a size cannot be negative");
    return std::nullopt;
  }
  if (!IsString(value)) {
    reader.WrongType(key, value, "a size such as \"512M\", or an integer of bytes");
    return std::nullopt;
  }
  const auto size = ParseBytes(value.text);
  // The kernel counts memory in signed numbers of 64 bits.
  const bool fits = size && *size <= INT64_MAX;
  if (!fits) reader.Wrong(key, value, size ? "the size is too large" : size.error().cause);
  return fits ? std::optional(*size) : std::nullopt;
}
Value Size::Write(const Bytes& value) {
  return Value::String(FormatBytes(value));
}

std::optional<Duration> Time::Read(const Value& value, std::string_view key, Reader& reader) {
  constexpr Duration kLongest = std::chrono::hours(24) * 365;
  std::optional<Duration> time;
  if (value.type == Type::kInteger && value.integer >= 0 && value.integer <= kLongest.count() / 1000) {
    time = Duration(value.integer * 1000);
  } else if (value.type == Type::kFloat && value.number >= 0 && value.number <= 31'536'000) {
    time = Duration(std::llround(value.number * 1000));
  } else if (value.type == Type::kInteger || value.type == Type::kFloat) {
    reader.Wrong(key, value, "not a number of seconds between 0 and a year");
    return std::nullopt;
  } else if (IsString(value)) {
    const auto parsed = ParseDuration(value.text);
    if (!parsed) {
      reader.Wrong(key, value, parsed.error().cause);
      return std::nullopt;
    }
    time = *parsed;
  } else {
    reader.WrongType(key, value, "a duration such as \"30s\", or a number of seconds");
    return std::nullopt;
  }
  if (*time <= kLongest) return time;
  reader.Wrong(key, value, "longer than a year");
  return std::nullopt;
}
Value Time::Write(const Duration& value) {
  return Value::String(FormatDuration(value));
}

std::optional<std::uint32_t> Cpus::Read(const Value& value, std::string_view key, Reader& reader) {
  std::string text = value.text;
  if (value.type == Type::kInteger) {
    text = std::to_string(value.integer);
  } else if (value.type == Type::kFloat) {
    const double milli = value.number * 1000;
    if (!(milli >= 0 && milli <= 8'192'000) || std::abs(milli - std::round(milli)) > 1e-6) {
      reader.Report(value.place,
                    std::string(key) + ": CPUs are greater than 0, at most 8192, with at most three decimals");
      return std::nullopt;
    }
    text = FormatMilliCpus(static_cast<std::uint32_t>(std::llround(milli)));
  } else if (!IsString(value)) {
    reader.WrongType(key, value, "a number of CPUs such as 2 or 0.5");
    return std::nullopt;
  }
  const auto cpus = ParseMilliCpus(text);
  if (!cpus) reader.Report(value.place, std::string(key) + ": '" + Shown(text) + "': " + cpus.error().cause);
  return cpus ? std::optional(*cpus) : std::nullopt;
}
Value Cpus::Write(const std::uint32_t& value) {
  return Value::String(FormatMilliCpus(value));
}

namespace {

// A string that may be empty: an item of a list.
struct PlainText {
  using T = std::string;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    return ReadText(value, key, reader, "a string");
  }
  static Value Write(const T& value) { return Value::String(value); }
};

struct Name {
  using T = std::string;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    auto text = ReadText(value, key, reader, "a name");
    if (!text || IsValidName(*text)) return text;
    reader.Wrong(key, value, "not a name: letters, digits, '_', '.' and '-', a letter or digit first, at most 63");
    return std::nullopt;
  }
  static Value Write(const T& value) { return Value::String(value); }
};

struct PortNumber {
  using T = std::uint16_t;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    const auto port = ReadNumber(value, key, reader, 1, 65535);
    if (!port) return std::nullopt;
    return static_cast<T>(*port);
  }
  static Value Write(const T& value) { return Value::Integer(value); }
};

// As names of hosts are, RFC 1123, and '_', which people use. In small letters; a last dot says nothing here.
std::optional<std::string> NormalDomain(std::string_view text) {
  constexpr std::size_t kMaxLabel = 63, kMaxName = 253;
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kMaxName) return std::nullopt;
  std::string name(text);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._") != std::string::npos) return std::nullopt;
  std::string_view label;
  for (std::string_view rest = name; !rest.empty();) {
    const auto dot = rest.find('.');
    label = rest.substr(0, dot);
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return std::nullopt;
  }
  // That of an address.
  if (label.find_first_not_of("0123456789") == std::string_view::npos) return std::nullopt;
  return name;
}

struct Domain {
  using T = std::string;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    const auto text = ReadText(value, key, reader, "a domain name");
    if (!text) return std::nullopt;
    auto name = NormalDomain(*text);
    if (name) return name;
    reader.Wrong(key, value,
                 text->find('*') != std::string::npos ? "there are no wildcards: write each name"
                                                      : "not a domain name, as in registry.example.com");
    return std::nullopt;
  }
  static Value Write(const T& value) { return Value::String(value); }
};

}  // namespace

std::optional<std::vector<std::string>> Strings::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<PlainText>(value, key, reader, "a list of strings");
}
Value Strings::Write(const std::vector<std::string>& value) {
  return WriteItems<PlainText>(value);
}

std::optional<std::vector<std::string>> Command::Read(const Value& value, std::string_view key, Reader& reader) {
  if (IsString(value)) {
    reader.WrongType(key, value,
                     R"(a list such as ["/bin/server", "--port", "80"] (for a shell: ["/bin/sh", "-c", "…"]))");
    return std::nullopt;
  }
  auto command = ReadItems<PlainText>(value, key, reader, "a list of strings");
  if (!command) return std::nullopt;
  if (!command->empty() && !command->front().empty()) return command;
  reader.Report(value.place, std::string(key) + ": the program is missing: its path must be the first item");
  return std::nullopt;
}
Value Command::Write(const std::vector<std::string>& value) {
  return WriteItems<PlainText>(value);
}

std::optional<std::vector<std::string>> ShellCommand::Read(const Value& value, std::string_view key, Reader& reader) {
  if (!IsString(value)) return Command::Read(value, key, reader);
  const auto text = Text::Read(value, key, reader);
  if (!text) return std::nullopt;
  return std::vector<std::string>{"/bin/sh", "-c", *text};
}
Value ShellCommand::Write(const std::vector<std::string>& value) {
  return Command::Write(value);
}

std::optional<std::vector<std::string>> Names::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<Name>(value, key, reader, "a list of names");
}
Value Names::Write(const std::vector<std::string>& value) {
  return WriteItems<Name>(value);
}

std::optional<std::string> Hostname::Read(const Value& value, std::string_view key, Reader& reader) {
  auto text = ReadText(value, key, reader, "a host name");
  if (!text) return std::nullopt;
  // sethostname(2) takes 64 bytes; the characters are those of RFC 1123, and '_' which people use.
  const bool good =
      !text->empty() && text->size() <= 63 && text->front() != '-' && text->front() != '.' &&
      text->find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == std::string::npos;
  if (good) return text;
  reader.Wrong(key, value, "not a host name: letters, digits, '-', '_' and '.', neither '-' nor '.' first, at most 63");
  return std::nullopt;
}
Value Hostname::Write(const std::string& value) {
  return Value::String(value);
}

std::optional<std::string> Id::Read(const Value& value, std::string_view key, Reader& reader) {
  std::string text = value.text;
  if (value.type == Type::kInteger) {
    text = std::to_string(value.integer);
  } else if (!IsString(value)) {
    reader.WrongType(key, value, "a numeric id or a name");
    return std::nullopt;
  }
  auto id = detail::NormalId(text);
  if (!id) reader.Wrong(key, value, id.error().cause);
  return id ? std::optional(*std::move(id)) : std::nullopt;
}
Value Id::Write(const std::string& value) {
  return Value::String(value);
}

std::optional<std::vector<std::string>> Ids::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<Id>(value, key, reader, "a list of ids or names");
}
Value Ids::Write(const std::vector<std::string>& value) {
  return WriteItems<Id>(value);
}

std::optional<Owner> UserGroup::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "an owner such as \"70:70\" or \"postgres:postgres\"");
  if (!text) return std::nullopt;
  const auto colon = text->find(':');
  auto user = detail::NormalId(text->substr(0, colon));
  auto group = colon == std::string::npos ? Result<std::string>("") : detail::NormalId(text->substr(colon + 1));
  if (user && group) return Owner{*std::move(user), *std::move(group)};
  reader.Wrong(key, value, user ? group.error().cause : user.error().cause);
  return std::nullopt;
}
Value UserGroup::Write(const Owner& value) {
  return Value::String(value.group.empty() ? value.user : value.user + ":" + value.group);
}

std::optional<std::uint32_t> Mode::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "an octal mode in quotes, such as \"0750\"");
  if (!text) return std::nullopt;
  std::uint32_t mode = 0;
  bool good = text->size() >= 3 && text->size() <= 5;
  for (const char c : *text) {
    good = good && c >= '0' && c <= '7';
    mode = mode * 8 + static_cast<std::uint32_t>(c - '0');
  }
  if (good && mode <= 07777) return mode;
  reader.Wrong(key, value, "not an octal mode; write for example \"0750\"");
  return std::nullopt;
}
Value Mode::Write(const std::uint32_t& value) {
  std::string text = "0000";
  for (int i = 0; i < 4; ++i) text[3 - i] = static_cast<char>('0' + (value >> (3 * i) & 7));
  return Value::String(text);
}

std::optional<int> Signal::Read(const Value& value, std::string_view key, Reader& reader) {
  const std::string text = value.type == Type::kInteger ? std::to_string(value.integer) : value.text;
  if (value.type != Type::kInteger && !IsString(value)) {
    reader.WrongType(key, value, "a signal such as \"SIGTERM\"");
    return std::nullopt;
  }
  const auto signal = ParseSignal(text);
  if (!signal) reader.Wrong(key, value, signal.error().cause);
  return signal ? std::optional(*signal) : std::nullopt;
}
Value Signal::Write(const int& value) {
  return Value::String(SignalName(value));
}

std::optional<Ipv4Net> Subnet::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "a network such as \"10.42.0.0/24\"");
  if (!text) return std::nullopt;
  const auto net = ParseIpv4Net(*text);
  if (!net) reader.Wrong(key, value, net.error().cause);
  return net ? std::optional(*net) : std::nullopt;
}
Value Subnet::Write(const Ipv4Net& value) {
  return Value::String(Format(value));
}

std::optional<Ipv6Net> Subnet6::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "a network such as \"fd00:42::/64\"");
  if (!text) return std::nullopt;
  const auto net = ParseIpv6Net(*text);
  if (!net) reader.Wrong(key, value, net.error().cause);
  return net ? std::optional(*net) : std::nullopt;
}
Value Subnet6::Write(const Ipv6Net& value) {
  return Value::String(Format(value));
}

std::optional<IpNet> AnyNet::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "a network such as \"10.42.0.0/24\"");
  if (!text) return std::nullopt;
  const auto net = ParseIpNet(*text);
  if (!net) reader.Wrong(key, value, net.error().cause);
  return net ? std::optional(*net) : std::nullopt;
}
Value AnyNet::Write(const IpNet& value) {
  return Value::String(Format(value));
}

std::optional<Ipv4> Ip4::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "an address such as \"10.42.0.1\"");
  if (!text) return std::nullopt;
  const auto address = ParseIpv4(*text);
  if (!address) reader.Wrong(key, value, address.error().cause);
  return address ? std::optional(*address) : std::nullopt;
}
Value Ip4::Write(const Ipv4& value) {
  return Value::String(Format(value));
}

std::optional<IpAddress> Ip::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "an address such as \"10.42.0.1\"");
  if (!text) return std::nullopt;
  const auto address = ParseIpAddress(*text);
  if (!address) reader.Wrong(key, value, address.error().cause);
  return address ? std::optional(*address) : std::nullopt;
}
Value Ip::Write(const IpAddress& value) {
  return Value::String(Format(value));
}

std::optional<std::vector<IpAddress>> Ips::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<Ip>(value, key, reader, "a list of addresses");
}
Value Ips::Write(const std::vector<IpAddress>& value) {
  return WriteItems<Ip>(value);
}

std::optional<std::vector<std::uint16_t>> PortNumbers::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<PortNumber>(value, key, reader, "a list of port numbers");
}
Value PortNumbers::Write(const std::vector<std::uint16_t>& value) {
  return WriteItems<PortNumber>(value);
}

std::optional<std::vector<std::string>> Domains::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<Domain>(value, key, reader, "a list such as [\"registry.example.com\"]");
}
Value Domains::Write(const std::vector<std::string>& value) {
  return WriteItems<Domain>(value);
}

std::optional<std::vector<IpNet>> Subnets::Read(const Value& value, std::string_view key, Reader& reader) {
  Value named = value;
  std::erase_if(named.items, [](const Value& item) { return IsString(item) && item.text.empty(); });
  return ReadItems<AnyNet>(named, key, reader, "a list such as [\"10.0.0.0/8\"]");
}
Value Subnets::Write(const std::vector<IpNet>& value) {
  return WriteItems<AnyNet>(value);
}

std::optional<std::string> PolicyFile::Read(const Value& value, std::string_view key, Reader& reader) {
  auto path = HostPath::Read(value, key, reader);
  if (!path || !reader.outside().path_kind) return path;
  const auto kind = reader.outside().path_kind(*path);
  if (kind == Outside::PathKind::kFile) return path;
  reader.Wrong(key, value,
               kind == Outside::PathKind::kAbsent ? "there is no file " + Shown(*path) : Shown(*path) + " is no file");
  return std::nullopt;
}
Value PolicyFile::Write(const std::string& value) {
  return Value::String(value);
}

std::optional<std::string> Sha::Read(const Value& value, std::string_view key, Reader& reader) {
  const auto text = ReadText(value, key, reader, "a SHA-256 digest");
  if (!text) return std::nullopt;
  const auto digest = Digest::Parse(*text);
  if (!digest) reader.Wrong(key, value, digest.error().cause);
  return digest ? std::optional(digest->Hex()) : std::nullopt;
}
Value Sha::Write(const std::string& value) {
  return Value::String(value);
}

}  // namespace nucleus::spec
