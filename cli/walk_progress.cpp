#include "cli/walk_progress.hpp"

#include <chrono>
#include <system_error>

namespace nucleus::cli {

WalkProgress::WalkProgress(Console& console, std::string doing) : console_(console), doing_(std::move(doing)) {
  if (!console.err_is_terminal()) return;
  try {
    ticker_ = std::jthread([this] { Tick(); });
  } catch (const std::system_error&) {
    // It goes without saying.
  }
}

void WalkProgress::Finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  wake_.notify_one();
  if (ticker_.joinable()) ticker_.join();
}

void WalkProgress::Tick() {
  using namespace std::chrono_literals;
  std::unique_lock lock(mutex_);
  bool shown = false;
  for (auto pause = 1000ms; !wake_.wait_for(lock, pause, [this] { return finished_; }); pause = 100ms) {
    const char* const doing = counters_.doing.load();
    const std::uint64_t all = counters_.all_files.load();
    const std::string of = all > 0 ? " of " + std::to_string(all) : "";
    console_.Err("\r\x1b[K" + (doing == nullptr ? doing_ : doing) + ": " + std::to_string(counters_.files.load()) + of +
                 " files, " + std::to_string(counters_.bytes.load() >> 20) + "M");
    shown = true;
  }
  if (shown) console_.Err("\r\x1b[K");
}

}  // namespace nucleus::cli
