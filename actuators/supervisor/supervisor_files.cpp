// The files by which a supervisor tells and is told.
#include <sys/stat.h>

#include <charconv>

#include "actuators/process/channel.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

// "oom_kill 3" -> 3
std::uint64_t Counter(std::string_view text, std::string_view name) {
  for (auto at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const bool whole = (at == 0 || text[at - 1] == '\n') && text.substr(at + name.size()).starts_with(' ');
    std::uint64_t value = 0;
    const char* start = text.data() + at + name.size() + 1;
    if (whole && std::from_chars(start, text.data() + text.size(), value).ec == std::errc()) return value;
  }
  return 0;
}

}  // namespace

// Where it cannot be written (a full tmpfs) the workload goes on; the next transition tries again.
void Supervisor::WriteStatus() {
  if (!OwnsDirectory()) return;
  [[maybe_unused]] const auto written =
      sys::ReplaceFile(directory_ + "/" + std::string(kStatusFile), Encode(status_), 0640);
}

void Supervisor::Note(const std::string& event) {
  if (events_) events_->AddLine(Stream::kOut, event, UnixNow());
}

void Supervisor::NoteFailure() {
  Note("fail code=" + std::to_string(status_.exit_code) + " message=" + Escaped(status_.error));
}

bool Supervisor::OwnsDirectory() const {
  struct stat held{}, there{};
  return ::fstat(lock_, &held) == 0 && ::stat((directory_ + "/" + std::string(kLockFile)).c_str(), &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

std::uint64_t Supervisor::OomKills() const {
  if (launch_.cgroup.empty()) return 0;
  const auto text = sys::ReadFileIfThere(launch_.cgroup + "/memory.events");
  return text && *text ? Counter(**text, "oom_kill") : 0;
}

}  // namespace nucleus::process
