// The terminal: results on standard output, progress and diagnostics on standard error, and a question now and then.
// Colour only on a terminal, and never with NO_COLOR. Threads: each call writes whole lines; the progress view
// serialises its own.
#pragma once

#include <string>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus::cli {

class Console {
 public:
  Console();

  // A write that fails is remembered, and told by Finish(): a full disk must not look like success.
  void Out(std::string_view text);
  void Err(std::string_view text);
  // From here on what is printed is kept as well, or instead.
  void Record(bool instead);
  struct Recording {
    std::string out, err;
  };
  Recording StopRecording();
  // 0, or the errno of the first write to standard output that failed.
  [[nodiscard]] int output_errno() const { return output_errno_; }

  [[nodiscard]] bool out_is_terminal() const { return out_is_terminal_; }
  [[nodiscard]] bool err_is_terminal() const { return err_is_terminal_; }
  [[nodiscard]] bool colour_out() const { return out_is_terminal_ && colour_; }
  [[nodiscard]] bool colour_err() const { return err_is_terminal_ && colour_; }
  // Whether somebody can be asked: standard input and standard error are terminals.
  [[nodiscard]] bool can_ask() const { return in_is_terminal_ && err_is_terminal_; }
  // Columns of the terminal at standard error; 80 where it does not say.
  [[nodiscard]] std::size_t width() const;

  // Asks on standard error; true for y or yes. End of input and an interrupt are a no.
  bool Ask(std::string_view question);

  // "nucleus: apply: mount /x: ...", and the hint in a line of its own.
  void Fail(std::string_view command, const Error& error);
  void Warn(std::string_view text);

 private:
  bool in_is_terminal_;
  bool out_is_terminal_;
  bool err_is_terminal_;
  bool colour_;
  int output_errno_ = 0;
  bool recording_ = false;
  bool printing_ = true;
  Recording recorded_;
};

}  // namespace nucleus::cli
