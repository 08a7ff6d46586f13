// rootfs seal, rootfs verify.
#include <fcntl.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "actuators/sys/file.hpp"
#include "attest/seal.hpp"
#include "attest/verify.hpp"
#include "cli/commands/commands.hpp"
#include "cli/signals.hpp"

namespace nucleus::cli {

namespace {

// Says on a terminal, from one second on, how far a walk has come; takes the line away at its end.
class WalkProgress {
 public:
  WalkProgress(Console& console, std::string doing) : console_(console), doing_(std::move(doing)) {
    if (!console.err_is_terminal()) return;
    try {
      ticker_ = std::jthread([this] { Tick(); });
    } catch (const std::system_error&) {
      // It goes without saying.
    }
  }
  ~WalkProgress() {
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
    }
    wake_.notify_one();
  }
  WalkProgress(const WalkProgress&) = delete;
  WalkProgress& operator=(const WalkProgress&) = delete;

  attest::Progress* counters() { return &counters_; }

 private:
  void Tick() {
    using namespace std::chrono_literals;
    std::unique_lock lock(mutex_);
    bool shown = false;
    for (auto pause = 1000ms; !wake_.wait_for(lock, pause, [this] { return finished_; }); pause = 100ms) {
      const std::uint64_t all = counters_.all_files.load();
      const std::string of = all > 0 ? " of " + std::to_string(all) : "";
      console_.Err("\r\x1b[K" + doing_ + ": " + std::to_string(counters_.files.load()) + of + " files, " +
                   std::to_string(counters_.bytes.load() >> 20) + "M");
      shown = true;
    }
    if (shown) console_.Err("\r\x1b[K");
  }

  Console& console_;
  const std::string doing_;
  attest::Progress counters_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool finished_ = false;
  std::jthread ticker_;  // the last member: the first to go
};

std::string VerdictJson(const std::string& root, const attest::Verdict& verdict) {
  using Json = nlohmann::ordered_json;
  Json json{{"format_version", 1},
            {"type", "rootfs_verification"},
            {"rootfs", root},
            {"verified", !verdict.difference},
            {"manifest_format", verdict.format == attest::Format::kExtended ? "extended" : "plain"},
            {"manifest", "sha256:" + verdict.manifest.Hex()},
            {"files", verdict.files},
            {"bytes", verdict.bytes},
            {"difference", nullptr}};
  if (verdict.difference) {
    json["difference"] = {{"kind", attest::DifferenceWord(verdict.difference->kind)},
                          {"path", verdict.difference->path.empty() ? "." : verdict.difference->path},
                          {"detail", verdict.difference->detail}};
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string Counted(std::uint64_t files, std::uint64_t bytes) {
  return std::to_string(files) + (files == 1 ? " file, " : " files, ") + std::to_string(bytes) + " bytes";
}

}  // namespace

Result<int> RunRootfsSeal(Context& context) {
  const std::string root = context.arguments.Operand(0);
  const auto format = context.arguments.Has("plain") ? attest::Format::kPlain : attest::Format::kExtended;
  const sys::Fd directory = TRY(sys::Open(root, O_PATH | O_DIRECTORY));
  CatchSignals();
  const auto sealed = [&] {
    WalkProgress progress(context.console, "sealing");
    return attest::Seal(directory.get(), root, format, {.stop = &Interrupted(), .progress = progress.counters()});
  }();
  if (!sealed) return Fail(sealed.error());
  context.console.Out(root + ": sealed, " + Counted(sealed->files, sealed->bytes) +
                      ", manifest sha256:" + sealed->manifest.Hex() + "\n");
  return exit_code::kDone;
}

Result<int> RunRootfsVerify(Context& context) {
  const std::string root = context.arguments.Operand(0);
  const sys::Fd directory = TRY(sys::Open(root, O_PATH | O_DIRECTORY));
  CatchSignals();
  const auto verdict = [&] {
    WalkProgress progress(context.console, "verifying");
    return attest::Verify(directory.get(), root, {.stop = &Interrupted(), .progress = progress.counters()});
  }();
  if (!verdict) return Fail(verdict.error());
  if (context.arguments.Value("output") == "json") {
    context.console.Out(VerdictJson(root, *verdict));
    return verdict->difference ? exit_code::kError : exit_code::kDone;
  }
  if (verdict->difference) return Fail(attest::AsError(*verdict->difference, root));
  context.console.Out(root + ": as sealed, " + Counted(verdict->files, verdict->bytes) +
                      ", manifest sha256:" + verdict->manifest.Hex() + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
