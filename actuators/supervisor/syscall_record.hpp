// What a supervisor has seen of system calls: all of them, for a trace, or those that were denied. Pure.
#pragma once

#include <linux/seccomp.h>

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace nucleus::process {

// Of a workload, over all its restarts.
class CallTrace {
 public:
  void Count(const seccomp_data& call);
  void CountMissing(const seccomp_data& call);  // it was answered with ENOSYS
  // As policy/seccomp_trace.hpp describes it, a line a name:
  //     {"syscall":41,"name":"socket","count":3,"args":{"0":[1,2]}}
  // A call of the machine's other ABIs counts under its name, with "abis":["x86"]; one that was missing has
  // "missing":true.
  [[nodiscard]] std::string Text() const;
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  struct Key {
    std::uint32_t architecture, number;
    auto operator<=>(const Key&) const = default;
  };
  std::uint64_t total_ = 0;
  std::array<std::uint64_t, 512> native_{};  // those that come all the time, by number
  std::map<Key, std::uint64_t> others_;      // bounded by the kernel: 16 bits of number are all that there is room for
  std::map<std::uint32_t, std::set<std::uint32_t>> arguments_;  // of the calls that are told apart by one
  std::set<std::string> missing_;                               // by name
};

struct Denial {
  std::string program;  // its name, printable
  std::string call;
  std::string outcome;  // "EPERM", "killed"
  auto operator<=>(const Denial&) const = default;
};

class DenialRecord {
 public:
  void Count(const Denial& denial);
  // A line each, sorted: "seccomp denied 'mkdir' to sh: ENOSYS, 3 times".
  [[nodiscard]] std::vector<std::string> Lines() const;
  // Of those that were seen for the first time since it was last called.
  std::vector<std::string> TakeNews();
  [[nodiscard]] bool empty() const { return counts_.empty() && beyond_ == 0; }

 private:
  static constexpr std::size_t kMost = 1000;
  std::map<Denial, std::uint64_t> counts_;
  std::uint64_t beyond_ = 0;  // of a program that gives itself ever new names
  std::vector<std::string> news_;
};

}  // namespace nucleus::process
