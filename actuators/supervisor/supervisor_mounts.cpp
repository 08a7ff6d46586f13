// Whether the mounts of the workload stay as they were asked for: `diff` has no time to look at each.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "actuators/process/posture.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/mountinfo.hpp"

namespace nucleus::process {

namespace {

// "mount /tmp" -> "/tmp"
std::string Place(std::string_view name) {
  return std::string(name.substr(std::min(name.find(' ') + 1, name.size())));
}

std::string LoosenedOf(const std::vector<sys::MountEntry>& mounts, const Launch& launch) {
  constexpr std::size_t kMostNamed = 4;
  std::string words;
  std::size_t count = 0;
  for (const Check& check : CompareMounts(mounts, launch)) {
    if (check.verdict != Verdict::kDiffers || ++count > kMostNamed) continue;
    words += (words.empty() ? "" : "; ") + Place(check.name) + ": " + check.found + ", asked: " + check.asked;
  }
  return count > kMostNamed ? words + "; " + std::to_string(count - kMostNamed) + " more" : words;
}

}  // namespace

// poll(2) of it says POLLERR after a change, be it of flags, but of the propagation alone; proc_pid_mounts(5). Who may
// change them by itself is not watched. Open it keeps the mounts: it is closed when the workload has ended.
void Supervisor::WatchMounts() {
  status_.loosened.clear();
  if (attached_ || status_.mounts.empty()) return;
  mounts_.reset(::open((sys::ProcOf(workload_->pid) + "/mountinfo").c_str(), O_RDONLY | O_CLOEXEC));
}

void Supervisor::LookAtMounts() {
  ::lseek(mounts_.get(), 0, SEEK_SET);
  const auto text = sys::ReadAll(mounts_.get(), "mountinfo");
  const auto mounts = text ? sys::ParseMountinfo(*text) : std::unexpected(text.error());
  std::string loosened = mounts ? LoosenedOf(*mounts, launch_) : mounts.error().Message();
  ::malloc_trim(0);
  if (loosened == status_.loosened) return;
  status_.loosened = std::move(loosened);
  WriteStatus();
}

}  // namespace nucleus::process
