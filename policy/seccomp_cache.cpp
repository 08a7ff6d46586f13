#include "policy/seccomp_cache.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "actuators/sys/file.hpp"

namespace nucleus::policy {

namespace {

// magic, key, flags, instructions, and the digest of all before it. Little endian, as all machines of nucleus are.
constexpr std::string_view kMagic = "nucleus-seccomp 1\n";
constexpr std::size_t kInstruction = 8;
constexpr std::size_t kDigest = 32;
constexpr std::string_view kSuffix = ".bpf";

std::string PathOf(const std::string& directory, const Digest& key) {
  return directory + "/" + key.Hex() + std::string(kSuffix);
}

std::string_view Bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

template <class T>
void Put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
}

// Each change of a profile leaves an entry that nobody asks for any more. Somebody may be reading one that goes, and
// reads it to its end; who comes later compiles it again.
void RemoveOldest(const std::string& directory) {
  const auto close = [](DIR* open) { ::closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> stream(::opendir(directory.c_str()), close);
  if (!stream) return;
  std::vector<std::pair<std::int64_t, std::string>> entries;  // nanoseconds of its last change
  while (const dirent* entry = ::readdir(stream.get())) {
    struct stat st{};
    const std::string_view name = entry->d_name;
    if (!name.ends_with(kSuffix) || ::fstatat(::dirfd(stream.get()), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    entries.emplace_back(std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec, name);
  }
  if (entries.size() <= kMostCachedSeccomp) return;
  std::ranges::sort(entries);
  entries.resize(entries.size() - kMostCachedSeccomp);
  for (const auto& [time, name] : entries) ::unlinkat(::dirfd(stream.get()), name.c_str(), 0);
}

}  // namespace

Digest SeccompCacheKey(std::string_view profile, const SeccompInputs& inputs, std::string_view compiler) {
  auto allow = inputs.allow;
  std::ranges::sort(allow);
  Sha256 hash;
  hash.AddField("nucleus seccomp " NUCLEUS_VERSION).AddField(compiler).AddField(profile);
  std::string numbers;
  Put(numbers, inputs.capabilities);
  Put(numbers, inputs.kernel.major);
  Put(numbers, inputs.kernel.minor);
  Put(numbers, static_cast<std::uint8_t>(inputs.native));
  hash.AddField(numbers);
  for (const auto& name : allow) hash.AddField(name);
  return hash.Finish();
}

std::string EncodeCachedSeccomp(const Digest& key, const CachedSeccomp& entry) {
  std::string out(kMagic);
  out += Bytes(key);
  out += static_cast<char>((entry.flag_log ? 1 : 0) | (entry.flag_spec_allow ? 2 : 0));
  for (const BpfInstruction& i : entry.program) {
    Put(out, i.code);
    Put(out, i.jt);
    Put(out, i.jf);
    Put(out, i.k);
  }
  out += Bytes(Sha256::Of(out));
  return out;
}

std::optional<CachedSeccomp> DecodeCachedSeccomp(const Digest& key, std::string_view data) {
  const std::size_t head = kMagic.size() + kDigest + 1;
  if (data.size() < head + kInstruction + kDigest || (data.size() - head - kDigest) % kInstruction != 0) return {};
  const std::string_view body = data.substr(0, data.size() - kDigest);
  if (!body.starts_with(kMagic) || body.substr(kMagic.size(), kDigest) != Bytes(key)) return {};
  if (Bytes(Sha256::Of(body)) != data.substr(body.size())) return {};
  CachedSeccomp entry;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(body[at])); };
  if (byte(head - 1) > 3) return {};
  entry.flag_log = (byte(head - 1) & 1) != 0;
  entry.flag_spec_allow = (byte(head - 1) & 2) != 0;
  for (std::size_t at = head; at < body.size(); at += kInstruction) {
    entry.program.push_back({static_cast<std::uint16_t>(byte(at) | byte(at + 1) << 8),
                             static_cast<std::uint8_t>(byte(at + 2)), static_cast<std::uint8_t>(byte(at + 3)),
                             byte(at + 4) | byte(at + 5) << 8 | byte(at + 6) << 16 | byte(at + 7) << 24});
  }
  if (entry.program.size() > BPF_MAXINSNS) return {};
  return entry;
}

std::optional<CachedSeccomp> LoadCachedSeccomp(const std::string& directory, const Digest& key) {
  constexpr std::size_t kMost = std::size_t{64} << 10;
  const auto data = sys::ReadFileIfThere(PathOf(directory, key), kMost);
  if (!data || !*data) return {};
  return DecodeCachedSeccomp(key, **data);
}

Result<> StoreCachedSeccomp(const std::string& directory, const Digest& key, const CachedSeccomp& entry) {
  TRY(sys::ReplaceFile(PathOf(directory, key), EncodeCachedSeccomp(key, entry), 0600));
  RemoveOldest(directory);
  return {};
}

}  // namespace nucleus::policy
