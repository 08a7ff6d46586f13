#include "context/left_out_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "actuators/sys/file.hpp"

namespace nucleus::context {

namespace {

// magic, key, folders, and the digest of all before it. Little endian; strings and lists have their size before them.
constexpr std::string_view kMagic = "nucleus-context 1\n";
constexpr std::size_t kDigest = 32;

std::string_view Bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

void Put(std::string& out, std::uint64_t value, std::size_t size = 8) {
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
}
void Put(std::string& out, std::string_view text) {
  Put(out, text.size(), 4);
  out += text;
}
void Put(std::string& out, const std::vector<std::string>& names) {
  Put(out, names.size(), 4);
  for (const auto& name : names) Put(out, std::string_view(name));
}

bool IsName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\0", 2)) == name.npos;
}

bool IsPath(std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (!IsName(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
    if (path.empty()) return false;
  }
  return true;
}

class Decoder {
 public:
  explicit Decoder(std::string_view data) : rest_(data) {}

  std::uint64_t Number(std::size_t size = 8) {
    std::uint64_t value = 0;
    const std::string_view bytes = Take(size);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    return value;
  }
  std::string_view Text() { return Take(Number(4)); }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (std::uint64_t left = Number(4); left > 0 && good_; --left) {
      const std::string_view name = Text();
      good_ = good_ && IsName(name);
      names.emplace_back(name);
    }
    return names;
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view Take(std::size_t size) {
    good_ = good_ && size <= rest_.size();
    if (!good_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

bool IsOursAlone(const struct stat& st) {
  return st.st_uid == ::geteuid() && (st.st_mode & 077U) == 0;
}

// None: it is not there, or not ours alone.
sys::Fd OpenOwn(const std::string& directory) {
  sys::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st{};
  if (fd && (::fstat(fd.get(), &st) != 0 || !IsOursAlone(st))) fd.reset();
  return fd;
}

std::string NameOf(const Digest& key) {
  return key.Hex() + ".left-out";
}

// What a store that was killed has left counts as a file, and goes with the others.
void KeepLatest(const sys::Fd& directory) {
  struct Item {
    timespec modified{};
    std::string name;
  };
  std::vector<Item> items;
  const std::unique_ptr<DIR, int (*)(DIR*)> names(::fdopendir(::fcntl(directory.get(), F_DUPFD_CLOEXEC, 3)),
                                                  ::closedir);
  if (!names) return;
  ::rewinddir(names.get());
  while (const dirent* entry = ::readdir(names.get())) {
    struct stat st{};
    if (::fstatat(directory.get(), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
      items.push_back({st.st_mtim, entry->d_name});
  }
  if (items.size() <= kMostKeptFiles) return;
  std::ranges::sort(items, [](const Item& a, const Item& b) {
    return std::pair(a.modified.tv_sec, a.modified.tv_nsec) < std::pair(b.modified.tv_sec, b.modified.tv_nsec);
  });
  items.resize(items.size() - kMostKeptFiles);
  for (const Item& item : items) ::unlinkat(directory.get(), item.name.c_str(), 0);
}

}  // namespace

std::string EncodeFolders(const Digest& key, const FolderTree& tree) {
  std::string out(kMagic);
  out += Bytes(key);
  Put(out, tree.size(), 4);
  for (const auto& [path, folder] : tree) {
    Put(out, std::string_view(path));
    for (const auto number : {folder.stamp.device, folder.stamp.inode, folder.stamp.changed, folder.stamp.modified})
      Put(out, number);
    Put(out, folder.settled ? 1 : 0, 1);
    Put(out, folder.left_out);
    Put(out, folder.folders);
  }
  out += Bytes(Sha256::Of(out));
  return out;
}

std::optional<FolderTree> DecodeFolders(const Digest& key, std::string_view data) {
  if (data.size() < kMagic.size() + 2 * kDigest || data.size() > kMostKeptBytes) return {};
  const std::string_view body = data.substr(0, data.size() - kDigest);
  if (!body.starts_with(kMagic) || body.substr(kMagic.size(), kDigest) != Bytes(key)) return {};
  if (Bytes(Sha256::Of(body)) != data.substr(body.size())) return {};
  Decoder decoder(body.substr(kMagic.size() + kDigest));
  FolderTree tree;
  for (std::uint64_t left = decoder.Number(4); left > 0 && decoder.good(); --left) {
    const std::string_view path = decoder.Text();
    Folder folder;
    for (auto* number : {&folder.stamp.device, &folder.stamp.inode, &folder.stamp.changed, &folder.stamp.modified})
      *number = decoder.Number();
    folder.settled = decoder.Number(1) == 1;
    folder.left_out = decoder.Names();
    folder.folders = decoder.Names();
    if (!decoder.good() || !IsPath(path)) return {};
    tree.emplace_hint(tree.end(), path, std::move(folder));
  }
  if (!decoder.good() || !decoder.at_end() || !tree.contains("")) return {};
  return tree;
}

std::optional<FolderTree> LoadFolders(const std::string& directory, const Digest& key) {
  const sys::Fd own = OpenOwn(directory);
  if (!own) return {};
  const std::string name = NameOf(key);
  const sys::Fd file(::openat(own.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!file || ::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode) || !IsOursAlone(st)) return {};
  const auto data = sys::ReadAll(file.get(), name, kMostKeptBytes);
  return data ? DecodeFolders(key, *data) : std::nullopt;
}

Result<> StoreFolders(const std::string& directory, const Digest& key, const FolderTree& tree) {
  const std::string data = EncodeFolders(key, tree);
  const std::string path = directory + "/" + NameOf(key);
  if (data.size() > kMostKeptBytes) {
    ::unlink(path.c_str());
    return Fail(ErrorCode::kInvalid, "keep", path, "too large");
  }
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return FailSys("mkdir", directory);
  const sys::Fd own = OpenOwn(directory);
  if (!own) return Fail(ErrorCode::kPermission, "keep", directory, "it is not the caller's alone");
  TRY(sys::ReplaceFile(path, data, 0600));
  KeepLatest(own);
  return {};
}

}  // namespace nucleus::context
