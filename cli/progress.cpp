#include "cli/progress.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <system_error>

#include "cli/signals.hpp"
#include "reconcile/explain.hpp"
#include "reconcile/plan_json.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

using reconcile::Event;

constexpr std::chrono::milliseconds kFrame{100};

std::string Seconds(std::chrono::microseconds took) {
  std::array<char, 32> text{};
  if (took < std::chrono::seconds(1)) {
    std::snprintf(text.data(), text.size(), "%.1fms", static_cast<double>(took.count()) / 1e3);
  } else {
    std::snprintf(text.data(), text.size(), "%.1fs", static_cast<double>(took.count()) / 1e6);
  }
  return text.data();
}

// At most that many columns, cut between code points.
std::string Cut(std::string text, std::size_t columns) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (seen++ == columns) return text.substr(0, i);
  }
  return text;
}

}  // namespace

Progress::Progress(Console& console, const reconcile::Plan& plan, OutputForm form, bool verbose)
    : console_(console),
      plan_(plan),
      form_(form),
      verbose_(verbose),
      live_(console.err_is_terminal() && form != OutputForm::kJsonLines) {
  if (!live_) return;
  try {
    ticker_ = std::thread([this] { Tick(); });
  } catch (const std::system_error&) {
    // Without it the clocks move when a step begins or ends.
  }
}

Progress::~Progress() {
  Finish();
}

void Progress::Finish() {
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    finished_ = true;
    running_.clear();
    if (live_) Redraw("");
  }
  wake_.notify_all();
  if (ticker_.joinable()) ticker_.join();
}

void Progress::Tick() {
  std::unique_lock lock(mutex_);
  while (!finished_) {
    wake_.wait_for(lock, kFrame);
    if (finished_) return;
    TellInterrupted();
    if (!running_.empty()) Redraw("");
  }
}

void Progress::TellInterrupted() {
  if (told_ || !Interrupted() || form_ != OutputForm::kText) return;
  told_ = true;
  const std::string words = "interrupted: waiting for the steps that run; once more ends at once\n";
  live_ ? Redraw(words) : console_.Err(words);
}

void Progress::On(const Event& event) {
  const std::lock_guard lock(mutex_);
  if (event.step >= plan_.steps.size()) return;
  TellInterrupted();
  if (form_ == OutputForm::kJsonLines) {
    console_.Out(reconcile::StepEvent(plan_, event));
    return;
  }
  if (event.type == Event::Type::kStepProgress && event.text.starts_with(kWarningOfProgress)) {
    const std::string line = plan_.steps[event.step].key.address.Text() + ": " + Printable(event.text) + "\n";
    live_ ? Redraw(line) : console_.Err(line);
  } else if (live_) {
    OnLive(event);
  } else {
    OnPlain(event);
  }
}

std::string Progress::EndLine(const Event& event) {
  const reconcile::Step& step = plan_.steps[event.step];
  const std::string count = "[" + std::to_string(ended_) + "/" + std::to_string(plan_.steps.size()) + "] ";
  const std::string what = reconcile::StepWords(step);
  const bool colour = console_.colour_err();
  switch (event.type) {
    case Event::Type::kStepDone:
      return count + what + " " + Seconds(event.took) + "\n";
    case Event::Type::kStepFailed:
      return count + (colour ? "\x1b[31m" : "") + what + " failed after " + Seconds(event.took) +
             (colour ? "\x1b[0m" : "") + "\n";
    case Event::Type::kStepSkipped:
      return count + what + " skipped, because " + event.skipped_because + " failed\n";
    case Event::Type::kStepStarted:
    case Event::Type::kStepProgress:
      return "";
  }
  return "";
}

void Progress::OnLive(const Event& event) {
  std::string scrolled;
  switch (event.type) {
    case Event::Type::kStepStarted:
      running_[event.step] = {Clock::now(), ""};
      break;
    case Event::Type::kStepProgress:
      running_[event.step].text = Printable(event.text);
      break;
    case Event::Type::kStepDone:
    case Event::Type::kStepFailed:
    case Event::Type::kStepSkipped:
      ++ended_;
      running_.erase(event.step);
      scrolled = EndLine(event);
      break;
  }
  Redraw(scrolled);
}

void Progress::OnPlain(const Event& event) {
  switch (event.type) {
    case Event::Type::kStepStarted: {
      // A wait may be long: say that it has begun.
      const reconcile::Step& step = plan_.steps[event.step];
      const bool waits = reconcile::IsWait(step) && !reconcile::OnlySettles(step);
      if (waits || verbose_) console_.Err(reconcile::StepWords(step) + " …\n");
      return;
    }
    case Event::Type::kStepProgress:
      if (verbose_) {
        console_.Err("  " + plan_.steps[event.step].Text() + ": " + Printable(event.text) + "\n");
      }
      return;
    case Event::Type::kStepDone:
    case Event::Type::kStepFailed:
    case Event::Type::kStepSkipped:
      ++ended_;
      console_.Err(EndLine(event));
      return;
  }
}

void Progress::Redraw(const std::string& scrolled) {
  // Up to the first line of the view, and clear from there; ECMA-48 CUU and ED.
  std::string out;
  if (drawn_ != 0) out += "\x1b[" + std::to_string(drawn_) + "A\r\x1b[J";
  out += scrolled;
  drawn_ = 0;
  const std::size_t width = console_.width();
  for (const auto& [index, running] : running_) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - running.since);
    std::array<char, 32> clock{};
    std::snprintf(clock.data(), clock.size(), "%6.1fs ", static_cast<double>(elapsed.count()) / 1e3);
    std::string line = clock.data() + reconcile::StepWords(plan_.steps[index]);
    if (!running.text.empty()) line += ": " + running.text;
    out += Cut(std::move(line), width - 1) + "\n";
    ++drawn_;
  }
  console_.Err(out);
}

}  // namespace nucleus::cli
