#include "cli/checkpoint_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "actuators/process/checkpoint.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "cli/machine_key.hpp"
#include "cli/signals.hpp"
#include "spec/core/text.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMetadata = "checkpoint.json";
constexpr const char* kMac = "checkpoint.mac";
constexpr std::string_view kInventory = "inventory.img";  // of every dump
constexpr std::size_t kMostMetadata = 16 << 20;
constexpr std::size_t kPiece = 1 << 20;

Error Changed(const std::string& path, std::string_view why) {
  return Error::Of(ErrorCode::kCorrupt, "restore", path, why);
}

Result<std::string> MacOf(const Directories& directories, std::string_view metadata) {
  const auto key = MachineKey(directories);
  if (!key) return Fail(ErrorCode::kPermission, "read", directories.KeyFile(), "it is not root's alone");
  // Another key than that of digests: what one of them says is no word of the other.
  const Digest own = Sha256::Keyed(*key, "nucleus checkpoint");
  return Sha256::Keyed({reinterpret_cast<const char*>(own.bytes.data()), own.bytes.size()}, metadata).Hex();
}

Result<sys::Fd> OpenIn(const sys::Fd& directory, const std::string& path, const std::string& name, int flags) {
  sys::Fd file(::openat(directory.get(), name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file) return FailSys("open", path + "/" + name);
  struct stat st{};
  if (::fstat(file.get(), &st) != 0) return FailSys("stat", path + "/" + name);
  if (!S_ISREG(st.st_mode)) return Fail(Changed(path + "/" + name, "not a regular file"));
  return file;
}

// to: where it is copied on the way; none: it is not.
Result<Digest> DigestOfFile(const sys::Fd& file, const std::string& path, const sys::Fd* to) {
  Sha256 hash;
  std::vector<char> piece(kPiece);
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailSys("read", path);
    if (got == 0) return hash.Finish();
    if (Interrupted() || sys::PendingEnd(true) != 0) return Fail(ErrorCode::kInterrupted, "read", path, "interrupted");
    const std::string_view data(piece.data(), static_cast<std::size_t>(got));
    hash.Add(data);
    if (to != nullptr) TRY(sys::WriteAll(to->get(), data, path));
  }
}

Result<> WriteDurably(const sys::Fd& directory, const std::string& path, const char* name, std::string_view data) {
  const sys::Fd file = TRY(OpenIn(directory, path, name, O_WRONLY | O_CREAT | O_EXCL));
  TRY(sys::WriteAll(file.get(), data, path + "/" + name));
  if (::fsync(file.get()) != 0) return FailSys("fsync", path + "/" + name);
  return {};
}

Result<std::vector<std::string>> NamesIn(const sys::Fd& directory, const std::string& path) {
  const int again = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(again < 0 ? nullptr : ::fdopendir(again));
  if (!open) return FailSys("open", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

std::string ToText(const Checkpoint& checkpoint) {
  Json json{{"format_version", 1},
            {"id", checkpoint.id},
            {"topology", spec::ToJson(checkpoint.topology)},
            {"output", checkpoint.order.output},
            {"error", checkpoint.order.error},
            {"mounts", Json::array()},
            {"files", Json::object()}};
  for (const auto& mount : checkpoint.order.mounts) json["mounts"].push_back({mount.destination, mount.key});
  for (const auto& [name, digest] : checkpoint.files) json["files"][name] = digest.Hex();
  return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

// It was signed: what is not as it should be is another version's.
Result<Checkpoint> FromText(const std::string& text, const std::string& path) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("format_version", 0) != 1)
    return Fail(ErrorCode::kUnsupported, "restore", path, "it is of another version of nucleus");
  Checkpoint checkpoint;
  checkpoint.id = json.value("id", "");
  checkpoint.topology = TRY(spec::FromJson(json.value("topology", "")));
  checkpoint.order.output = json.value("output", "");
  checkpoint.order.error = json.value("error", "");
  for (const auto& mount : json.value("mounts", Json::array()))
    checkpoint.order.mounts.push_back({mount.at(0).get<std::string>(), mount.at(1).get<std::string>()});
  const Json files = json.value("files", Json::object());
  for (const auto& [name, hex] : files.items())
    checkpoint.files.emplace(name, TRY(Digest::Parse(hex.get<std::string>())));
  if (checkpoint.topology.services.size() != 1) return Fail(Changed(path, "it is not of one container"));
  return checkpoint;
}

Result<sys::Fd> OpenPrivate(const std::string& path) {
  sys::Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return FailSys("open", path);
  struct stat st{};
  if (::fstat(directory.get(), &st) != 0) return FailSys("stat", path);
  if (st.st_uid == 0 && (st.st_mode & 077U) == 0) return directory;
  return Fail(Error::Of(ErrorCode::kPermission, "use", path, "it is not root's alone").Hint("chown root, chmod 0700"));
}

}  // namespace

Result<CheckpointDirectory> MakeCheckpointDirectory(const std::string& path) {
  const bool made = ::mkdir(path.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return FailSys("make", path);
  sys::Fd directory = TRY(OpenPrivate(path));
  const std::string log(process::kDumpLog);
  const auto names = TRY(NamesIn(directory, path));
  if (!names.empty() && names != std::vector{log}) return Fail(ErrorCode::kExists, "use", path, "it is not empty");
  if (!names.empty() && ::unlinkat(directory.get(), log.c_str(), 0) != 0) return FailSys("remove", path + "/" + log);
  return CheckpointDirectory{std::move(directory), made};
}

void DiscardCheckpoint(const CheckpointDirectory& directory, const std::string& path, bool with_log) {
  const auto names = NamesIn(directory.fd, path);
  if (!names) return;
  for (const auto& name : *names)
    if (with_log || name != process::kDumpLog) ::unlinkat(directory.fd.get(), name.c_str(), 0);
  if (directory.made) ::rmdir(path.c_str());
}

Result<> Seal(const Directories& directories, const sys::Fd& directory, const std::string& path,
              Checkpoint checkpoint) {
  const auto names = TRY(NamesIn(directory, path));
  if (std::ranges::count(names, kInventory) == 0)
    return Fail(ErrorCode::kCorrupt, "seal", path, "criu has written no " + std::string(kInventory) + " there");
  for (const auto& name : names) {
    const sys::Fd file = TRY(OpenIn(directory, path, name, O_RDONLY));
    checkpoint.files[name] = TRY(DigestOfFile(file, path + "/" + name, nullptr));
    if (::fsync(file.get()) != 0) return FailSys("fsync", path + "/" + name);
  }
  const std::string text = ToText(checkpoint);
  TRY(WriteDurably(directory, path, kMetadata, text));
  const std::string mac = TRY(MacOf(directories, text));
  TRY(WriteDurably(directory, path, kMac, mac + "\n"));
  if (::fsync(directory.get()) != 0) return FailSys("fsync", path);
  return {};
}

Result<sys::Fd> OpenCheckpointDirectory(const std::string& path) {
  return OpenPrivate(path);
}

Result<Checkpoint> ReadCheckpoint(const Directories& directories, const sys::Fd& directory, const std::string& path) {
  const auto read = [&](const char* name) -> Result<std::string> {
    const sys::Fd file = TRY(OpenIn(directory, path, name, O_RDONLY));
    return sys::ReadAll(file.get(), path + "/" + name, kMostMetadata);
  };
  const std::string text = TRY(read(kMetadata));
  const std::string mac = TRY(read(kMac));
  if (mac != TRY(MacOf(directories, text)) + "\n") {
    return Fail(Changed(path + "/" + kMetadata, "it was not written by this machine, or was changed since")
                    .Hint("a checkpoint is restored where it was made"));
  }
  return FromText(text, path + "/" + kMetadata);
}

Result<> CopyImages(const Checkpoint& checkpoint, const sys::Fd& directory, const std::string& path,
                    const std::string& to) {
  for (const auto& [name, digest] : checkpoint.files) {
    if (name.find('/') != std::string::npos) return Fail(Changed(path + "/" + Printable(name), "not a name of a file"));
    const sys::Fd source = TRY(OpenIn(directory, path, name, O_RDONLY));
    const sys::Fd copy = TRY(sys::Open(to + "/" + name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (TRY(DigestOfFile(source, path + "/" + name, &copy)) != digest)
      return Fail(Changed(path + "/" + name, "it was changed since"));
  }
  return {};
}

}  // namespace nucleus::cli
