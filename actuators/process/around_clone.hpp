// What is otherwise while a child is made, and then as it was. Private to actuators/process.
#pragma once

#include <cstdint>
#include <string>

namespace nucleus::process {

// A child may be looked at through /proc by whoever shares its ids only while it is dumpable, and a namespace other
// than the machine's has no power over files of /proc that are not its own: until its maps are written it has to be.
class Dumpable {
 public:
  explicit Dumpable(bool wanted);
  Dumpable(const Dumpable&) = delete;
  Dumpable& operator=(const Dumpable&) = delete;
  ~Dumpable();

 private:
  int before_;
};

// Whoever is in a pid namespace may read the command line of all who are, proc_pid_cmdline(5): that of a mini-init as
// long as it lives, and of who enters until it executes. Ours names host paths, and what the operator has asked for: a
// child is born with a name only.
class WordsHidden {
 public:
  WordsHidden();
  WordsHidden(const WordsHidden&) = delete;
  WordsHidden& operator=(const WordsHidden&) = delete;
  ~WordsHidden();

 private:
  char* words_ = nullptr;
  std::string before_;
};

// No handler of ours may run in the child.
class SignalsHeld {
 public:
  SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld();

 private:
  std::uint64_t before_ = 0;
};

}  // namespace nucleus::process
