#include "cli/machine_key.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/sys/file.hpp"

namespace nucleus::cli {

namespace {

constexpr std::size_t kKeyBytes = 32;

// Not there: nothing is wrong with it.
MachineKeyRead ReadKeyFile(const std::string& path) {
  MachineKeyRead read;
  const auto file = sys::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) {
    if (file.error().sys_errno != ENOENT) read.why = file.error().Message();
    return read;
  }
  struct stat st{};
  const bool own = ::fstat(file->get(), &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == ::geteuid();
  const std::string anew =
      ": remove it, and another is made, and services with secrets are restarted by the next apply";
  auto key = sys::ReadAll(file->get(), path, kKeyBytes);
  if (!own) {
    read.why = path + " is no file of whoever runs this" + anew;
  } else if ((st.st_mode & 077U) != 0) {
    read.why = path + " may be read or written by others than its owner: `chmod 600 " + path + "`";
  } else if (!key || key->size() != kKeyBytes) {
    read.why = path + " is damaged" + anew;
  } else {
    read.key = std::move(*key);
  }
  return read;
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

MachineKeyRead ReadMachineKey(const Directories& directories) {
  auto read = ReadKeyFile(directories.KeyFile());
  if (read.key || !read.why.empty()) return read;
  if (const auto made = MakeKey(directories); !made) {
    read.why = made.error().Message();
    return read;
  }
  return ReadKeyFile(directories.KeyFile());
}

}  // namespace nucleus::cli
