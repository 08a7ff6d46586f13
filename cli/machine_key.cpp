#include "cli/machine_key.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/sys/file.hpp"

namespace nucleus::cli {

namespace {

constexpr std::size_t kKeyBytes = 32;

// None: it is not there, or is none that only its owner can have written and read.
std::optional<std::string> ReadKey(const std::string& path) {
  const auto file = sys::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat st{};
  if (!file || ::fstat(file->get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
  if (st.st_uid != ::geteuid() || (st.st_mode & 077U) != 0) return {};
  auto key = sys::ReadAll(file->get(), path, kKeyBytes);
  return key && key->size() == kKeyBytes ? std::optional(std::move(*key)) : std::nullopt;
}

// Written beside and linked, so that of two who make one at once both have the same, and whole.
Result<> MakeKey(const Directories& directories) {
  TRY(sys::MakeDirectories(directories.state, 0755));
  std::string key(kKeyBytes, '\0');
  if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) return FailSys("getrandom", "key");
  const std::string path = directories.KeyFile();
  const std::string beside = path + "." + std::to_string(::getpid());
  TRY(sys::ReplaceFile(beside, key, 0600, true));
  const bool made = ::link(beside.c_str(), path.c_str()) == 0 || errno == EEXIST;
  const int err = errno;
  ::unlink(beside.c_str());
  if (!made) return FailSys("link", path, err);
  return {};
}

}  // namespace

std::optional<std::string> MachineKey(const Directories& directories) {
  if (auto key = ReadKey(directories.KeyFile())) return key;
  if (!MakeKey(directories)) return {};
  return ReadKey(directories.KeyFile());
}

}  // namespace nucleus::cli
