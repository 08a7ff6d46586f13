// The binary form of a Launch and a Policy. One visitor per type names the fields in order; a Writer and a Reader walk
// the same visitor, so that the two directions cannot differ.
//
// "NUC", a letter for the type, the version, then the fields: integers as LEB128 (signed ones zigzag), strings and
// lists with their length before them. No padding, no pointers, no trailing data.
#include "state/parts/launch.hpp"

#include <array>
#include <limits>
#include <type_traits>

namespace nucleus {

namespace {

constexpr std::uint64_t kVersion = 6;
constexpr std::string_view kMagic = "NUC";

class Writer {
  static constexpr std::size_t kRoom = 16 << 10;

 public:
  // Thousands of them, most of one byte.
  void Number(std::uint64_t value) {
    constexpr std::size_t kLongest = 10;
    if (out_.size() - size_ < kLongest) out_.resize(2 * out_.size() + kLongest);
    while (value >= 0x80) {
      out_[size_++] = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    out_[size_++] = static_cast<char>(value);
  }
  void Bytes(std::string_view data) {
    if (out_.size() - size_ < data.size()) out_.resize(2 * out_.size() + data.size());
    data.copy(out_.data() + size_, data.size());
    size_ += data.size();
  }
  void Text(const std::string& text) {
    Number(text.size());
    Bytes(text);
  }
  std::string Take() {
    out_.resize(size_);
    return std::move(out_);
  }

 private:
  std::string out_ = std::string(kRoom, '\0');  // with room behind its end
  std::size_t size_ = 0;
};

// Reads from text it does not trust. The first thing that is wrong is remembered and everything after it reads as zero.
class Reader {
 public:
  explicit Reader(std::string_view data) : rest_(data) {}

  std::uint64_t Number(std::uint64_t max) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return Bad("it ends too early");
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return Bad("a number is too long");
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value <= max ? value : Bad("a number is out of range");
    }
    return Bad("a number is too long");
  }
  std::string_view Bytes(std::size_t size) {
    if (size > rest_.size()) {
      Bad("it ends too early");
      return {};
    }
    const auto data = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return data;
  }
  std::string Text() { return std::string(Bytes(Number(std::numeric_limits<std::uint32_t>::max()))); }
  // The length of a list: never more than the bytes that are left, so that a wrong one cannot take memory.
  std::size_t Count() {
    const auto count = Number(std::numeric_limits<std::uint32_t>::max());
    return count <= rest_.size() ? count : Bad("a list is longer than the data");
  }
  std::uint64_t Bad(const char* why) {
    if (why_ == nullptr) why_ = why;
    rest_ = {};
    return 0;
  }
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] const char* why() const { return why_; }

 private:
  std::string_view rest_;
  const char* why_ = nullptr;
};

// The greatest valid value of an enumeration.
template <class E>
constexpr E kLast{};
template <>
constexpr MountOp::Type kLast<MountOp::Type> = MountOp::Type::kSecret;
template <>
constexpr spec::RestartPolicy kLast<spec::RestartPolicy> = spec::RestartPolicy::kAlways;
template <>
constexpr spec::OnUnhealthy kLast<spec::OnUnhealthy> = spec::OnUnhealthy::kNone;

template <class T>
concept Signed = std::is_integral_v<T> && std::is_signed_v<T>;
template <class T>
concept Unsigned = std::is_integral_v<T> && std::is_unsigned_v<T> && !std::is_same_v<T, bool>;
template <class T>
concept Enumeration = std::is_enum_v<T>;

// ---- scalars, both ways ----

void Walk(Writer& io, const bool& value) {
  io.Number(value ? 1 : 0);
}
void Walk(Reader& io, bool& value) {
  value = io.Number(1) != 0;
}

template <Unsigned T>
void Walk(Writer& io, const T& value) {
  io.Number(value);
}
template <Unsigned T>
void Walk(Reader& io, T& value) {
  value = static_cast<T>(io.Number(std::numeric_limits<T>::max()));
}

template <Signed T>
void Walk(Writer& io, const T& value) {
  const auto wide = static_cast<std::int64_t>(value);
  io.Number((static_cast<std::uint64_t>(wide) << 1) ^ static_cast<std::uint64_t>(wide >> 63));
}
template <Signed T>
void Walk(Reader& io, T& value) {
  const auto raw = io.Number(std::numeric_limits<std::uint64_t>::max());
  const auto wide = static_cast<std::int64_t>((raw >> 1) ^ (~(raw & 1) + 1));
  if (wide < std::numeric_limits<T>::min() || wide > std::numeric_limits<T>::max()) {
    io.Bad("a number is out of range");
    value = 0;
    return;
  }
  value = static_cast<T>(wide);
}

template <Enumeration E>
void Walk(Writer& io, const E& value) {
  io.Number(static_cast<std::uint64_t>(value));
}
template <Enumeration E>
void Walk(Reader& io, E& value) {
  value = static_cast<E>(io.Number(static_cast<std::uint64_t>(kLast<E>)));
}

void Walk(Writer& io, const std::string& value) {
  io.Text(value);
}
void Walk(Reader& io, std::string& value) {
  value = io.Text();
}

void Walk(Writer& io, const Duration& value) {
  Walk(io, static_cast<std::int64_t>(value.count()));
}
void Walk(Reader& io, Duration& value) {
  std::int64_t count = 0;
  Walk(io, count);
  value = Duration(count);
}

void Walk(Writer& io, const Digest& value) {
  io.Bytes({reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()});
}
void Walk(Reader& io, Digest& value) {
  const auto data = io.Bytes(value.bytes.size());
  for (std::size_t i = 0; i < data.size(); ++i) value.bytes[i] = static_cast<std::uint8_t>(data[i]);
}

// ---- the visitors: the fields of each type, once ----

template <class T, class V>
concept Is = std::is_same_v<std::remove_const_t<T>, V>;

template <class IO, class T>
void Walk(IO& io, std::vector<T>& list);
template <class T>
void Walk(Writer& io, const std::vector<T>& list);

template <class IO>
void Fields(IO&) {}
template <class IO, class First, class... Rest>
void Fields(IO& io, First& first, Rest&... rest) {
  Walk(io, first);
  Fields(io, rest...);
}

template <class IO, Is<MountOp> T>
void Walk(IO& io, T& v) {
  Fields(io, v.type, v.target, v.source, v.fstype, v.data, v.flags, v.mode, v.uid, v.gid, v.no_follow, v.recursive,
         v.skeleton, v.id_mapped, v.optional, v.verify);
}
template <class IO, Is<CapabilitySets> T>
void Walk(IO& io, T& v) {
  Fields(io, v.bounding, v.permitted, v.effective, v.inheritable, v.ambient);
}
template <class IO, Is<LandlockRule> T>
void Walk(IO& io, T& v) {
  Fields(io, v.path, v.access, v.required);
}
template <class IO, Is<LandlockPort> T>
void Walk(IO& io, T& v) {
  Fields(io, v.port, v.access);
}
template <class IO, Is<Landlock> T>
void Walk(IO& io, T& v) {
  Fields(io, v.enabled, v.required, v.min_abi, v.handled_fs, v.handled_net, v.scoped, v.rules, v.ports);
}
template <class IO, Is<BpfInstruction> T>
void Walk(IO& io, T& v) {
  Fields(io, v.code, v.jt, v.jf, v.k);
}
template <class IO, Is<Security> T>
void Walk(IO& io, T& v) {
  Fields(io, v.capabilities, v.seccomp, v.seccomp_flags, v.seccomp_trace, v.seccomp_log, v.seccomp_log_denied,
         v.seccomp_own, v.landlock);
}
template <class IO, Is<Identity> T>
void Walk(IO& io, T& v) {
  Fields(io, v.uid, v.gid, v.groups);
}
template <class IO, Is<IdRange> T>
void Walk(IO& io, T& v) {
  Fields(io, v.inside, v.outside, v.count);
}
template <class IO, Is<UserNamespace> T>
void Walk(IO& io, T& v) {
  Fields(io, v.enabled, v.uids, v.gids);
}
template <class IO, Is<Rlimit> T>
void Walk(IO& io, T& v) {
  Fields(io, v.resource, v.soft, v.hard);
}
template <class IO, Is<spec::CommandProbe> T>
void Walk(IO& io, T& v) {
  Fields(io, v.argv);
}
template <class IO, Is<spec::TcpProbe> T>
void Walk(IO& io, T& v) {
  Fields(io, v.port);
}
template <class IO, Is<spec::HttpProbe> T>
void Walk(IO& io, T& v) {
  Fields(io, v.port, v.path);
}

template <class IO, Is<spec::Hook> T>
void Walk(IO& io, T& v) {
  Fields(io, v.path, v.args, v.env, v.timeout);
}
template <class IO, Is<spec::Hooks> T>
void Walk(IO& io, T& v) {
  Fields(io, v.create_runtime, v.create_container, v.start_container, v.poststart, v.poststop);
}

using Probe = decltype(spec::HealthCheck::probe);
void Walk(Writer& io, const Probe& probe) {
  io.Number(probe.index());
  std::visit([&io](const auto& v) { Walk(io, v); }, probe);
}
void Walk(Reader& io, Probe& probe) {
  switch (io.Number(std::variant_size_v<Probe> - 1)) {
    case 0:
      return Walk(io, probe.emplace<0>());
    case 1:
      return Walk(io, probe.emplace<1>());
    case 2:
      return Walk(io, probe.emplace<2>());
  }
}

template <class IO, Is<spec::HealthCheck> T>
void Walk(IO& io, T& v) {
  Fields(io, v.probe, v.interval, v.timeout, v.start_period, v.retries, v.on_unhealthy);
}
template <class IO, Is<Policy> T>
void Walk(IO& io, T& v) {
  Fields(io, v.restart, v.backoff_first_ms, v.backoff_max_ms, v.stop_signal, v.stop_timeout_ms, v.has_health, v.health,
         v.has_readiness, v.readiness, v.log_max_bytes, v.digest);
}
template <class IO, Is<Launch> T>
void Walk(IO& io, T& v) {
  Fields(io, v.project, v.address, v.id, v.digest, v.argv, v.env, v.workdir, v.hostname, v.identity, v.rlimits,
         v.cgroup, v.netns, v.host_network, v.host_cgroups, v.time_namespace, v.user_namespace, v.mounts, v.security,
         v.init, v.terminal, v.notify, v.job, v.production, v.chroot_fallback, v.degraded, v.hooks, v.mount_audit,
         v.policy);
}

template <class T>
void Walk(Writer& io, const std::vector<T>& list) {
  io.Number(list.size());
  for (const auto& item : list) Walk(io, item);
}
template <class IO, class T>
void Walk(IO& io, std::vector<T>& list) {
  const auto count = io.Count();
  list.clear();
  for (std::size_t i = 0; i < count && io.why() == nullptr; ++i) Walk(io, list.emplace_back());
}

template <class T>
std::string EncodeAs(char type, const T& value) {
  Writer writer;
  writer.Bytes(kMagic);
  writer.Bytes({&type, 1});
  writer.Number(kVersion);
  Walk(writer, value);
  return writer.Take();
}

template <class T>
Result<T> DecodeAs(char type, std::string_view name, std::string_view data) {
  const std::size_t head = kMagic.size() + 1;
  if (data.size() < head || !data.starts_with(kMagic) || data[head - 1] != type) {
    return Fail(ErrorCode::kCorrupt, "read", name, "it does not begin as such a file does");
  }
  Reader reader(data.substr(head));
  const auto version = reader.Number(std::numeric_limits<std::uint64_t>::max());
  if (reader.why() == nullptr && version != kVersion) {
    return Fail(
        version > kVersion ? ErrorCode::kUnsupported : ErrorCode::kCorrupt, "read", name,
        "it has format version " + std::to_string(version) + ", this program reads " + std::to_string(kVersion));
  }
  T value;
  Walk(reader, value);
  if (reader.why() != nullptr) return Fail(ErrorCode::kCorrupt, "read", name, reader.why());
  if (!reader.done()) return Fail(ErrorCode::kCorrupt, "read", name, "there is more data after its end");
  return value;
}

}  // namespace

std::string Encode(const Launch& launch) {
  return EncodeAs('L', launch);
}
Result<Launch> DecodeLaunch(std::string_view data) {
  return DecodeAs<Launch>('L', "launch", data);
}
std::string Encode(const Policy& policy) {
  return EncodeAs('P', policy);
}
Result<Policy> DecodePolicy(std::string_view data) {
  return DecodeAs<Policy>('P', "policy", data);
}

}  // namespace nucleus
