#include "cli/completion.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "cli/definitions.hpp"

namespace nucleus::cli {
namespace {

// What a shell prints for a script; the shell has to be on the machine.
std::string Shell(const std::string& shell, const std::string& script) {
  std::array<char, 32> path{"/tmp/nucleus-completion-XXXXXX"};
  const int fd = mkstemp(path.data());
  if (fd < 0) return "no temporary file";
  close(fd);
  std::ofstream(path.data()) << script;
  FILE* pipe = popen((shell + " " + path.data() + " 2>&1").c_str(), "r");
  std::string out;
  if (pipe != nullptr) {
    std::array<char, 4096> buffer{};
    while (fgets(buffer.data(), buffer.size(), pipe) != nullptr) out += buffer.data();
    pclose(pipe);
  }
  unlink(path.data());
  return out;
}

std::string BashCompletes(const std::string& words, int index) {
  return Shell("bash", *CompletionScript("bash") + "COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(index) +
                           "; _nucleus; echo \"${COMPREPLY[@]}\"\n");
}

TEST(Completion, KnowsThreeShells) {
  EXPECT_TRUE(CompletionScript("zsh"));
  EXPECT_TRUE(CompletionScript("fish"));
  EXPECT_FALSE(CompletionScript("tcsh"));
}

TEST(Completion, NamesEveryCommandAndOption) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = *CompletionScript(shell);
    for (const Command& command : Commands()) {
      if (command.hidden) continue;
      EXPECT_NE(script.find(command.name.substr(0, command.name.find(' '))), std::string::npos);
      for (const Option* option : command.options) {
        EXPECT_NE(script.find(option->name), std::string::npos) << shell << " " << option->name;
      }
    }
  }
}

TEST(Completion, WorksInBash) {
  EXPECT_EQ(BashCompletes("nucleus dri", 1), "drift\n");
  EXPECT_EQ(BashCompletes("nucleus compose u", 2), "up\n");
  EXPECT_EQ(BashCompletes("nucleus apply --paral", 2), "--parallelism\n");
  EXPECT_EQ(BashCompletes("nucleus diff --output js", 3), "json jsonl\n");
  EXPECT_EQ(BashCompletes("nucleus compose down --delete", 3), "--delete-data\n");
  EXPECT_EQ(BashCompletes("nucleus completion z", 2), "zsh\n");
}

TEST(Completion, IsReadByZsh) {
  if (std::system("command -v zsh >/dev/null") != 0) GTEST_SKIP() << "zsh is not installed";
  EXPECT_EQ(Shell("zsh -n", *CompletionScript("zsh")), "");
}

TEST(Completion, IsReadByFish) {
  if (std::system("command -v fish >/dev/null") != 0) GTEST_SKIP() << "fish is not installed";
  EXPECT_EQ(Shell("fish -n", *CompletionScript("fish")), "");
}

}  // namespace
}  // namespace nucleus::cli
