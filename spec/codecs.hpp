// How each type of key is read from a document, written in canonical form, and described in the JSON Schema.
//
// A codec has: T, the value; kType, its name in the reference; kSchema, JSON Schema (draft 4) of every form it reads;
// Read, which reports what is wrong and returns nothing then; Write, such that Read(Write(x)) == x.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "spec/reader.hpp"
#include "spec/types.hpp"
#include "spec/value.hpp"

namespace nucleus::spec {

#define NUCLEUS_SPEC_CODEC(Name, Type, type_name, schema)                                   \
  struct Name {                                                                             \
    using T = Type;                                                                         \
    static constexpr std::string_view kType = type_name;                                    \
    static constexpr std::string_view kSchema = schema;                                     \
    static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader); \
    static Value Write(const T& value);                                                     \
  }

using StringMap = std::map<std::string, std::string>;
using Probe = std::variant<CommandProbe, TcpProbe, HttpProbe>;

NUCLEUS_SPEC_CODEC(Text, std::string, "string", R"({"type":"string","minLength":1})");
NUCLEUS_SPEC_CODEC(Flag, bool, "boolean", R"({"type":"boolean"})");
NUCLEUS_SPEC_CODEC(HostPath, std::string, "host path", R"({"type":"string","minLength":1})");
NUCLEUS_SPEC_CODEC(HostPaths, std::vector<std::string>, "host path, or list of them",
                   R"({"oneOf":[{"type":"string","minLength":1},{"$ref":"#/definitions/strings"}]})");
NUCLEUS_SPEC_CODEC(ContainerPath, std::string, "absolute path", R"({"type":"string","pattern":"^/"})");
NUCLEUS_SPEC_CODEC(Size, Bytes, "size", R"({"$ref":"#/definitions/size"})");
NUCLEUS_SPEC_CODEC(Time, Duration, "duration", R"({"$ref":"#/definitions/duration"})");
NUCLEUS_SPEC_CODEC(Cpus, std::uint32_t, "number of CPUs", R"({"$ref":"#/definitions/cpus"})");
NUCLEUS_SPEC_CODEC(Strings, std::vector<std::string>, "list of strings", R"({"$ref":"#/definitions/strings"})");
NUCLEUS_SPEC_CODEC(Command, std::vector<std::string>, "list of strings",
                   R"({"type":"array","minItems":1,"items":{"type":"string"}})");
NUCLEUS_SPEC_CODEC(
    ShellCommand, std::vector<std::string>, "shell command, or list of arguments",
    R"({"oneOf":[{"type":"string","minLength":1},{"type":"array","minItems":1,"items":{"type":"string"}}]})");
NUCLEUS_SPEC_CODEC(Names, std::vector<std::string>, "list of names",
                   R"({"type":"array","items":{"$ref":"#/definitions/name"}})");
NUCLEUS_SPEC_CODEC(Environment, StringMap, "table of strings, or list of \"NAME=value\"",
                   R"({"$ref":"#/definitions/environment"})");
NUCLEUS_SPEC_CODEC(Labels, StringMap, "table of strings",
                   R"({"type":"object","additionalProperties":{"type":["string","integer","boolean"]}})");
NUCLEUS_SPEC_CODEC(Hostname, std::string, "host name", R"({"$ref":"#/definitions/hostname"})");
NUCLEUS_SPEC_CODEC(Id, std::string, "id or name", R"({"$ref":"#/definitions/id"})");
NUCLEUS_SPEC_CODEC(Ids, std::vector<std::string>, "list of ids or names",
                   R"({"type":"array","items":{"$ref":"#/definitions/id"}})");
NUCLEUS_SPEC_CODEC(UserGroup, Owner, "\"user[:group]\"", R"({"type":"string","pattern":"^[^:]+(:[^:]+)?$"})");
NUCLEUS_SPEC_CODEC(Mode, std::uint32_t, "octal mode", R"({"type":"string","pattern":"^0?[0-7]{3,4}$"})");
NUCLEUS_SPEC_CODEC(Signal, int, "signal", R"({"$ref":"#/definitions/signal"})");
NUCLEUS_SPEC_CODEC(Subnet, Ipv4Net, "network", R"({"type":"string","pattern":"^[0-9]+(\\.[0-9]+){3}/[0-9]{1,2}$"})");
NUCLEUS_SPEC_CODEC(Subnet6, Ipv6Net, "IPv6 network", R"({"type":"string","pattern":"^[0-9A-Fa-f:.]+/[0-9]{1,3}$"})");
NUCLEUS_SPEC_CODEC(Ip4, Ipv4, "IPv4 address", R"({"$ref":"#/definitions/address"})");
NUCLEUS_SPEC_CODEC(AnyNet, IpNet, "network", R"({"type":"string"})");
NUCLEUS_SPEC_CODEC(Ip, IpAddress, "address", R"({"$ref":"#/definitions/any_address"})");
NUCLEUS_SPEC_CODEC(Ips, std::vector<IpAddress>, "list of addresses",
                   R"({"type":"array","items":{"$ref":"#/definitions/any_address"}})");
NUCLEUS_SPEC_CODEC(Ports, std::vector<PortForward>, "list of ports",
                   R"({"type":"array","items":{"$ref":"#/definitions/port_forward"}})");
NUCLEUS_SPEC_CODEC(PortNumbers, std::vector<std::uint16_t>, "list of port numbers",
                   R"({"type":"array","items":{"type":"integer","minimum":1,"maximum":65535}})");
NUCLEUS_SPEC_CODEC(Domains, std::vector<std::string>, "list of domain names",
                   R"({"type":"array","items":{"type":"string","minLength":1,"maxLength":254}})");
NUCLEUS_SPEC_CODEC(Mounts, std::vector<VolumeMount>, "list of mounts",
                   R"({"type":"array","items":{"$ref":"#/definitions/mount"}})");
NUCLEUS_SPEC_CODEC(
    Secrets, std::vector<SecretMount>, "list of \"source:/destination\" or tables",
    R"({"type":"array","items":{"anyOf":[{"type":"string","pattern":"^.+:/.+$"},{"type":"object","properties":{"source":{"type":"string","minLength":1},"destination":{"type":"string","pattern":"^/"}},"required":["source","destination"],"additionalProperties":false}]}})");
NUCLEUS_SPEC_CODEC(
    Credentials, std::vector<SecretMount>, "list of \"name:/destination\" or tables",
    R"({"type":"array","items":{"anyOf":[{"type":"string","pattern":"^.+:/.+$"},{"type":"object","properties":{"name":{"type":"string","minLength":1},"destination":{"type":"string","pattern":"^/"}},"required":["name","destination"],"additionalProperties":false}]}})");
NUCLEUS_SPEC_CODEC(Tmpfs, std::vector<TmpfsMount>, "list of \"/destination[:size]\"",
                   R"({"type":"array","items":{"type":"string","pattern":"^/[^:]*(:[^:]+)?$"}})");
NUCLEUS_SPEC_CODEC(IoLimits, std::vector<IoLimit>, "list of I/O limits",
                   R"({"type":"array","items":{"$ref":"#/definitions/io_limit"}})");
NUCLEUS_SPEC_CODEC(Dependencies, std::vector<Dependency>, "list of names or tables",
                   R"({"type":"array","items":{"$ref":"#/definitions/dependency"}})");
NUCLEUS_SPEC_CODEC(HealthProbe, Probe, "command, list of arguments, or table",
                   R"({"$ref":"#/definitions/health_check"})");
NUCLEUS_SPEC_CODEC(PolicyFile, std::string, "host path", R"({"type":"string","minLength":1})");
NUCLEUS_SPEC_CODEC(Sha, std::string, "SHA-256 digest", R"({"type":"string","pattern":"^(sha256:)?[0-9A-Fa-f]{64}$"})");
NUCLEUS_SPEC_CODEC(
    Subnets, std::vector<IpNet>, "list of networks; an empty text stands for none",
    R"({"type":"array","items":{"type":"string","pattern":"^([0-9]+(\\.[0-9]+){3}/[0-9]{1,2}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/[0-9]{1,3}|.*\\$\\{.*)?$"}})");
NUCLEUS_SPEC_CODEC(OciHooks, Hooks, "table of lists of tables", R"({"$ref":"#/definitions/hooks"})");

#undef NUCLEUS_SPEC_CODEC

// A whole number between two bounds.
std::optional<std::uint64_t> ReadNumber(const Value& value, std::string_view key, Reader& reader, std::uint64_t least,
                                        std::uint64_t most);

template <std::uint64_t kLeast, std::uint64_t kMost>
struct Number {
  using T = std::uint64_t;
  static constexpr std::string_view kType = "integer";
  static constexpr std::string_view kSchema = "";  // made from the bounds
  static constexpr std::uint64_t kMin = kLeast, kMax = kMost;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    return ReadNumber(value, key, reader, kLeast, kMost);
  }
  static Value Write(const T& value) { return Value::Integer(value); }
};

// One of several words. Words maps them: a constexpr array of pairs, in the order of the enum.
std::optional<std::size_t> ReadWord(const Value& value, std::string_view key, Reader& reader,
                                    std::span<const std::string_view> words);

template <const auto& kWordList, class Enum>
struct Word {
  using T = Enum;
  static constexpr std::string_view kType = "word";
  static constexpr std::string_view kSchema = "";  // made from the words
  static constexpr std::span<const std::string_view> kWords{kWordList};
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    const auto index = ReadWord(value, key, reader, kWords);
    if (!index) return std::nullopt;
    return static_cast<Enum>(*index);
  }
  static Value Write(const T& value) { return Value::String(kWords[static_cast<std::size_t>(value)]); }
};

}  // namespace nucleus::spec
