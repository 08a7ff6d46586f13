#include "cli/console.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "cli/signals.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

bool ColourWanted() {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && std::string_view(terminal) != "dumb";
}

}  // namespace

Console::Console()
    : in_is_terminal_(::isatty(STDIN_FILENO) == 1),
      out_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      err_is_terminal_(::isatty(STDERR_FILENO) == 1),
      colour_(ColourWanted()) {}

void Console::Out(std::string_view text) {
  if (recording_) recorded_.out += text;
  if (!printing_) return;
  const int err = WriteAll(STDOUT_FILENO, text);
  if (output_errno_ == 0) output_errno_ = err;
}

void Console::Err(std::string_view text) {
  if (recording_) recorded_.err += text;
  if (printing_) WriteAll(STDERR_FILENO, text);
}

void Console::Record(bool instead) {
  recording_ = true;
  printing_ = !instead;
}

Console::Recording Console::StopRecording() {
  recording_ = false;
  printing_ = true;
  return std::exchange(recorded_, {});
}

std::size_t Console::width() const {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

bool Console::Ask(std::string_view question) {
  Err(std::string(question) + " [y/N] ");
  std::string answer;
  for (char c = 0;;) {
    // An interrupt that comes between this look and the read would not end the read: so it is waited for in pieces.
    constexpr int kPieceMs = 100;
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    while (!Interrupted() && ::poll(&input, 1, kPieceMs) == 0) {
    }
    if (Interrupted()) {
      Err("\n");
      return false;
    }
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got <= 0) {
      Err("\n");
      return false;
    }
    if (c == '\n') break;
    answer += c;
  }
  return answer == "y" || answer == "Y" || answer == "yes" || answer == "Yes";
}

void Console::Fail(std::string_view command, const Error& error) {
  std::string text = colour_err() ? "\x1b[31mnucleus:\x1b[0m " : "nucleus: ";
  if (!command.empty()) text += std::string(command) + ": ";
  // Whatever it names may come from an image, a workload or another user.
  text += Printable(error.Message(), "\n") + "\n";
  if (!error.hint.empty()) text += "  hint: " + Printable(error.hint, "\n") + "\n";
  Err(text);
}

void Console::Warn(std::string_view text) {
  Err("nucleus: warning: " + Printable(text, "\n") + "\n");
}

}  // namespace nucleus::cli
