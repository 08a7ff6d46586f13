#include "cli/commands/run_from_clone.hpp"

#include <unistd.h>

#include <string>
#include <vector>

#include "actuators/sys/file.hpp"

namespace nucleus::cli {

// The words are those of this process.
Result<> RunFromClone(process::Renewal renewal) {
  std::string words = TRY(sys::ReadFile("/proc/self/cmdline"));
  std::vector<char*> argv;
  for (std::size_t i = 0; i < words.size(); i = words.find('\0', i) + 1) argv.push_back(words.data() + i);
  argv.push_back(nullptr);
  return process::RunFromClone(argv.data(), environ, renewal);
}

}  // namespace nucleus::cli
