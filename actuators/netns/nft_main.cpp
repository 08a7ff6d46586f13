// nucleus-nft PARENT text|json: libnftables for nucleus, which is linked statically and can load no library. Commands
// are its standard input, the answer is standard output, and how it ended is the exit code: nft_library.hpp.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string_view>

#include "actuators/netns/nft_library.hpp"
#include "actuators/sys/file.hpp"

namespace {

constexpr int kUsage = 64;
constexpr int kFailed = 125;

}  // namespace

int main(int argc, char** argv) {
  // Who was killed changes nothing any more.
  if (argc != 3 || ::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return kUsage;
  if (std::to_string(::getppid()) != argv[1]) return kUsage;
  // A ruleset that somebody hostile has made is not listed for ever; setrlimit(2).
  constexpr rlimit kSeconds{60, 60};
  ::setrlimit(RLIMIT_CPU, &kSeconds);
#ifndef NUCLEUS_SANITIZED  // which wants addresses by the terabyte
  constexpr rlimit kBytes{1U << 30, 1U << 30};
  ::setrlimit(RLIMIT_AS, &kBytes);
#endif
  const auto commands = nucleus::sys::ReadAll(STDIN_FILENO, "commands");
  auto answer = commands ? nucleus::netns::AskNft(*commands, std::string_view(argv[2]) == "json")
                         : nucleus::Fail(commands.error());
  const std::string text = answer ? answer->text : answer.error().Message();
  if (!nucleus::sys::WriteAll(STDOUT_FILENO, text, "answer") || !answer) return kFailed;
  return nucleus::netns::kNftExit + static_cast<int>(answer->outcome);
}
