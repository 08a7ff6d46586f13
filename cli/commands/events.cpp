#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "actuators/process/log.hpp"
#include "actuators/sys/fd.hpp"
#include "actuators/sys/file.hpp"
#include "cli/containers.hpp"
#include "cli/event_text.hpp"
#include "cli/session.hpp"
#include "cli/since.hpp"
#include "cli/table.hpp"

namespace nucleus::cli {

namespace {

constexpr int kLookEveryMs = 1'000;

// What is read of a container's events, on over a rotation.
class Reader {
 public:
  explicit Reader(Container container)
      : container_(std::move(container)), path_(container_.directory + "/" + std::string(process::kEventsFile)) {}

  // What was there before it began: the file that was rotated away.
  Result<> ReadRotated(std::vector<Event>& events) {
    const auto text = TRY(sys::ReadFileIfThere(path_ + ".1"));
    if (text) Take(*text, events);
    return {};
  }
  // What has come since the last time.
  Result<> ReadOn(std::vector<Event>& events) {
    if (file_) TRY(ReadOpen(events));
    struct stat named{}, open{};
    if (::stat(path_.c_str(), &named) != 0) return {};
    if (file_ && ::fstat(file_.get(), &open) == 0 && open.st_ino == named.st_ino && open.st_dev == named.st_dev)
      return {};
    auto opened = sys::Open(path_, O_RDONLY);
    if (!opened && opened.error().sys_errno == ENOENT) return {};
    file_ = TRY(std::move(opened));
    partial_.clear();
    return ReadOpen(events);
  }

 private:
  Result<> ReadOpen(std::vector<Event>& events) {
    const std::string text = TRY(sys::ReadAll(file_.get(), path_));
    Take(text, events);
    return {};
  }
  void Take(std::string_view text, std::vector<Event>& events) {
    partial_ += text;
    std::string_view rest = partial_;
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      Event event;
      if (ParseEvent(rest.substr(0, end), container_.Name(), event)) events.push_back(std::move(event));
      rest.remove_prefix(end + 1);
    }
    partial_ = std::string(rest);
  }

  Container container_;
  std::string path_;
  sys::Fd file_;
  std::string partial_;
};

class Readers {
 public:
  Readers(Directories directories, std::vector<std::string> names)
      : directories_(std::move(directories)), names_(std::move(names)) {}

  // Wakes whoever polls it when something is to be read.
  [[nodiscard]] const sys::Fd& watch() const { return watch_; }
  void Watch() {
    watch_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    blind_ = !watch_;
  }
  // Also of containers that have come since; in the order of time.
  Result<std::vector<Event>> Read() {
    if (watch_) {
      std::array<char, 4096> woken{};
      while (::read(watch_.get(), woken.data(), woken.size()) > 0) {
      }
    }
    TRY(Find());
    std::vector<Event> events = std::exchange(old_, {});
    for (auto& [directory, reader] : readers_) TRY(reader.ReadOn(events));
    std::erase_if(readers_, [](const auto& reader) { return ::access(reader.first.c_str(), F_OK) != 0; });
    std::ranges::stable_sort(events, {}, &Event::time_ms);
    return events;
  }
  // Whether something may come unnoticed: where its directory would be made is not there yet, or cannot be watched;
  // or where the user of this has no instance of inotify left.
  [[nodiscard]] bool blind() const { return blind_; }
  // Of those that were named none is there any more.
  [[nodiscard]] bool done() const { return !names_.empty() && readers_.empty(); }

 private:
  Result<> Find() {
    std::vector<Container> containers;
    if (names_.empty()) {
      TRY(WatchParents());
      containers = TRY(ListContainers(directories_));
    } else if (readers_.empty()) {
      for (const std::string& name : names_) containers.push_back(TRY(FindContainer(directories_, name)));
    }
    for (Container& container : containers) {
      const std::string directory = container.directory;
      if (readers_.contains(directory)) continue;
      auto& reader = readers_.emplace(directory, Reader(std::move(container))).first->second;
      TRY(reader.ReadRotated(old_));
    }
    // Again each time: a directory may have been removed and made anew since.
    for (const auto& [directory, reader] : readers_)
      AddWatch(directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF);
    return {};
  }
  // New ones are made in them. Before they are listed: nothing comes in between.
  Result<> WatchParents() {
    if (!watch_) return {};
    blind_ = false;
    AddWatch(directories_.runtime, IN_CREATE);
    AddWatch(ProjectsDir(directories_), IN_CREATE);
    for (const auto& project : TRY(ProjectDirs(directories_))) AddWatch(project, IN_CREATE);
    return {};
  }
  // The same one again is no other.
  void AddWatch(const std::string& directory, std::uint32_t what) {
    if (!watch_) return;
    if (::inotify_add_watch(watch_.get(), directory.c_str(), what | IN_MASK_ADD | IN_ONLYDIR) < 0) blind_ = true;
  }

  Directories directories_;
  std::vector<std::string> names_;
  sys::Fd watch_;
  bool blind_ = false;
  std::map<std::string, Reader> readers_;  // by directory
  std::vector<Event> old_;
};

}  // namespace

Result<int> RunEvents(Context& context) {
  std::int64_t since = 0;
  if (context.arguments.Has("since")) {
    auto parsed = ParseSince(context.arguments.Value("since"), UnixNowMs());
    if (!parsed) return UsageFault(context, "option '--since': " + parsed.error().Message());
    since = *parsed;
  }
  const bool lines = OutputFormOf(context.arguments) == OutputForm::kJsonLines;
  const bool follow = context.arguments.Has("follow");
  Readers readers(TRY(DirectoriesOf(context.arguments)), context.arguments.operands());
  if (follow) readers.Watch();
  while (true) {
    for (const Event& event : TRY(readers.Read())) {
      if (event.time_ms >= since) context.console.Out(lines ? EventJson(event) : EventText(event));
    }
    if (!follow || readers.done() || context.console.output_errno() != 0) return exit_code::kDone;
    pollfd wait{.fd = readers.watch().get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, readers.blind() ? kLookEveryMs : -1) < 0 && errno != EINTR) return FailSys("poll", "events");
  }
}

}  // namespace nucleus::cli
