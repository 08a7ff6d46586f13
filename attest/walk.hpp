// Walking through a tree that may be hostile, on several threads.
//
// The tree is named by a descriptor of its root (O_PATH suffices), which stays the caller's. Nothing outside it is ever
// reached, however names change meanwhile: each open is an openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and
// RESOLVE_NO_XDEV, so links are not followed and what is mounted inside is not entered. A FIFO blocks nobody
// (O_NONBLOCK). The number of open directories is bounded, whatever depth and width; paths may be longer than PATH_MAX,
// up to kMostPathBytes. Paths are bytes, relative, without "." and "..", and the root is "". Threads: a Visitor is
// called by several at once.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::attest {

// What is nested deeper is refused: four times PATH_MAX, since opening it costs time by its length.
inline constexpr std::size_t kMostPathBytes = 16384;

enum class Kind : std::uint8_t { kRegular, kDirectory, kLink, kSpecial };  // kSpecial: FIFO, socket, device

// "a directory"
std::string_view KindWords(Kind kind);

struct Status {  // statx(2)
  Kind kind = Kind::kSpecial;
  std::uint32_t mode = 0;  // 07777
  std::uint32_t uid = 0, gid = 0;
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;  // of 512 bytes
  timespec modified{}, changed{};
  std::uint64_t device = 0, inode = 0;
  bool is_mount_root = false;
  std::uint32_t format = 0;                          // S_IFIFO, S_IFCHR, ...
  std::uint32_t device_major = 0, device_minor = 0;  // that a device's node leads to
};
// Without following links. name: "" for the descriptor itself. False: errno.
bool GetStatus(int directory, const char* name, Status& status);

// What a special file is: "p" a FIFO, "s" a socket, "c1:3" and "b8:0" devices.
std::string SpecialText(const Status& status);

// Counters that another thread may show while a walk goes on.
struct Progress {
  std::atomic<std::uint64_t> files = 0;
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<std::uint64_t> all_files = 0;  // 0: not known
  std::atomic<const char*> doing = nullptr;  // "copying the context"

  // For what takes more than one walk.
  void Begin(const char* next) {
    files = bytes = all_files = 0;
    doing = next;
  }
};

struct WalkOptions {
  unsigned threads = 0;                     // 0: as many as there are processors
  const std::atomic<bool>* stop = nullptr;  // set: the walk ends with kInterrupted
  Progress* progress = nullptr;
};

// One a thread.
struct Scratch {
  std::string buffer = std::string(256 << 10, '\0');
  Sha256 hash;
};

// A name in a directory. Its views hold during the call.
struct Name {
  int directory;          // what it is in
  std::string_view path;  // from the root
  const char* name;       // the last component
  Kind kind;              // as it was when the directory was read: it may be another by now
  const Status* status;   // nullptr for kRegular, whose status is had by OpenRegular
  Scratch& scratch;
};

class Visitor {
 public:
  virtual ~Visitor() = default;
  // A directory was opened for reading. What is returned is given back with each of its names. above: what was returned
  // for the directory that it is in; nullptr where that is no longer open.
  virtual Result<std::shared_ptr<void>> Enter(const std::string& path, const Status& status, void* above) = 0;
  // Each name but "." and "..". True: it is a directory and to be entered; sooner or later, by any thread.
  virtual Result<bool> Visit(const Name& name, void* kept) = 0;
  // All names of a directory were visited; those in directories below perhaps not yet.
  virtual Result<> Leave(const std::string& path, const Status& status, void* kept) = 0;
  // A directory that was to be entered cannot be: EXDEV, something is mounted there; ENOENT, ENOTDIR, ELOOP, it is none
  // any more.
  virtual Result<> Unreachable(const std::string& path, int err) = 0;
};

// Ends with the first error of a visitor, or of its own. from: the directories to begin with.
Result<> Walk(int root, Visitor& visitor, const WalkOptions& options, const std::vector<std::string>& from = {""});

// Opens beneath root as described above; "" is the root itself. None: errno.
sys::Fd OpenBeneath(int root, const std::string& path, int flags);
// Opens a name for reading if it is a regular file. None: err is EXDEV (something is mounted over it), ENOENT, ELOOP
// (it is something else by now), or what prevents it.
sys::Fd OpenRegular(const Name& name, Status& status, int& err);
// Whether err of these says that names change while they are looked at.
bool SaysChanged(int err);

// SHA-256 of an open file, as long as status says. None: it changed while it was read.
Result<std::optional<Digest>> HashRegular(int fd, const Status& status, const Name& name, const WalkOptions& options);
Result<std::string> ReadLink(const Name& name);

}  // namespace nucleus::attest
