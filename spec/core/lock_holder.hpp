// What is said and asked while a lock is waited for.
//
// What stands in its file is who has it, in words, for the message to whoever waits. Nothing is decided by it but
// words: a lock is held by whom the kernel says.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

namespace nucleus {

// One line about this process: its id, whom it holds the lock for where that is not empty, and its command.
std::string LockHolderLine(std::string_view project = "");

struct LockHolder {
  pid_t pid = 0;     // as its own pid namespace numbers it; 0: nobody has written
  std::string text;  // "process 4711 (nucleus apply -f x.toml)"; "another process" where nobody has
};
// Of such a line, or of whatever else stands there. The text is fit for a terminal.
LockHolder ParseLockHolder(std::string_view line);

// How long whoever wants a lock waits for it.
struct LockPatience {
  std::chrono::milliseconds time{30'000};  // 0: not at all
  bool (*is_interrupted)() = nullptr;  // asked again and again; true: somebody asked for an end, so it waits no more

  [[nodiscard]] bool Interrupted() const { return is_interrupted != nullptr && is_interrupted(); }
};

}  // namespace nucleus
