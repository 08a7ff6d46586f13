#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "actuators/sys/fd.hpp"
#include "cli/log_text.hpp"
#include "cli/services.hpp"
#include "cli/session.hpp"
#include "cli/since.hpp"
#include "cli/table.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

namespace {

constexpr std::size_t kChunk = 64 << 10;

// No file is none.
Result<sys::Fd> OpenIfThere(const std::string& path) {
  sys::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno != ENOENT) return FailSys("open", path);
  return fd;
}

struct Tail {
  off_t offset = 0;         // where the last lines begin
  std::uint64_t lines = 0;  // how many there are from there
};

// The last `wanted` lines of a file, read from its end; all of it where it has fewer.
Result<Tail> FindTail(int fd, const std::string& path, std::uint64_t wanted) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return FailSys("stat", path);
  const off_t end = status.st_size;
  if (wanted == 0) return Tail{end, 0};
  std::string chunk(kChunk, '\0');
  std::uint64_t newlines = 0;
  for (off_t at = end; at > 0;) {
    const auto size = static_cast<std::size_t>(std::min<off_t>(at, kChunk));
    at -= static_cast<off_t>(size);
    if (::pread(fd, chunk.data(), size, at) != static_cast<ssize_t>(size)) return FailSys("read", path);
    for (std::size_t i = size; i-- > 0;) {
      const off_t position = at + static_cast<off_t>(i);
      // A newline at the very end closes the last line, it does not begin another.
      if (chunk[i] != '\n' || position == end - 1) continue;
      if (++newlines == wanted) return Tail{position + 1, wanted};
    }
  }
  return Tail{0, end == 0 ? 0 : newlines + 1};
}

// Prints from `offset` to the end of the file; gives where that was.
Result<off_t> Print(Context& context, LogText& log, int fd, const std::string& path, off_t offset) {
  std::string chunk(kChunk, '\0');
  for (;;) {
    const ssize_t size = ::pread(fd, chunk.data(), chunk.size(), offset);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return FailSys("read", path);
    if (size == 0) return offset;
    context.console.Out(log.Add(std::string_view(chunk).substr(0, static_cast<std::size_t>(size))));
    if (context.console.output_errno() != 0) return offset;
    offset += size;
  }
}

bool SameFile(const sys::Fd& open, const struct stat& named) {
  struct stat status{};
  return open && ::fstat(open.get(), &status) == 0 && status.st_ino == named.st_ino && status.st_dev == named.st_dev;
}

// Goes on with what is added, also over a rotation: the file is opened anew once another one has its name. inotify(7).
Result<int> Follow(Context& context, LogText& log, const std::string& directory, sys::Fd file, off_t offset) {
  const std::string path = directory + "/" + std::string(kLogFile);
  constexpr int kLookEveryMs = 500;  // where the user of this has no instance of inotify left, or no watch
  constexpr std::uint32_t kChanges = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF;
  const sys::Fd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const bool told = events && ::inotify_add_watch(events.get(), directory.c_str(), kChanges) >= 0;
  while (context.console.output_errno() == 0) {
    if (file) offset = TRY(Print(context, log, file.get(), path, offset));
    struct stat named{};
    if (::stat(path.c_str(), &named) == 0 && !SameFile(file, named)) {
      context.console.Out(log.Flush());
      file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      offset = 0;
      if (file) continue;
    }
    if (::access(directory.c_str(), F_OK) != 0) return exit_code::kDone;  // the service was removed
    pollfd wait{events.get(), POLLIN, 0};
    if (::poll(&wait, 1, told ? -1 : kLookEveryMs) < 0 && errno != EINTR) return FailSys("poll", path);
    std::array<char, 4096> buffer{};
    while (::read(events.get(), buffer.data(), buffer.size()) > 0) {
    }
  }
  return exit_code::kDone;
}

}  // namespace

Result<int> RunLogs(Context& context) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  const auto rows = TRY(ListServices(store, directories, ""));
  const ServiceRow row = TRY(FindService(rows, context.arguments.Operand(0)));
  const std::string directory = directories.ServiceDir(row.project, row.address);
  const std::string path = directory + "/" + std::string(kLogFile);
  const std::string rotated_path = path + ".1";

  std::int64_t since = 0;
  if (context.arguments.Has("since")) {
    auto parsed = ParseSince(context.arguments.Value("since"), UnixNowMs());
    if (!parsed) return UsageFault(context, "option '--since': " + parsed.error().Message());
    since = *parsed;
  }
  const bool follow = context.arguments.Has("follow");
  sys::Fd file = TRY(OpenIfThere(path));
  const sys::Fd rotated = TRY(OpenIfThere(rotated_path));
  if (!file && !rotated && !follow) return Fail(ErrorCode::kNotFound, "", row.Name(), "has written nothing yet");

  Tail tail{0, 0};
  Tail rotated_tail{0, 0};
  if (context.arguments.Has("tail")) {
    const std::uint64_t wanted = context.arguments.Unsigned("tail");
    if (file) tail = TRY(FindTail(file.get(), path, wanted));
    if (rotated) rotated_tail = TRY(FindTail(rotated.get(), rotated_path, wanted - tail.lines));
  }
  LogText log({.timestamps = context.arguments.Has("timestamps"),
               .clean = context.console.out_is_terminal(),
               .since_ms = since});
  if (rotated) (void)TRY(Print(context, log, rotated.get(), rotated_path, rotated_tail.offset));
  off_t offset = tail.offset;
  if (file) offset = TRY(Print(context, log, file.get(), path, offset));
  if (follow) return Follow(context, log, directory, std::move(file), offset);
  context.console.Out(log.Flush());
  return exit_code::kDone;
}

}  // namespace nucleus::cli
