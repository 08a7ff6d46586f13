#include "cli/help.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "cli/manual.hpp"

namespace nucleus::cli {
namespace {

TEST(Help, NamesEverything) {
  const std::string overview = HelpOverview();
  const std::string manual = ManualPage();
  for (const Command& command : Commands()) {
    if (command.hidden) continue;
    EXPECT_NE(overview.find(command.name), std::string::npos) << command.name;
    const std::string help = HelpOf(command);
    for (const Option* option : command.options) {
      EXPECT_NE(help.find("--" + std::string(option->name)), std::string::npos) << option->name;
    }
  }
  EXPECT_NE(manual.find(".SH EXIT STATUS"), std::string::npos);
}

TEST(Help, LinesAreNotTooWide) {
  for (const Command& command : Commands()) {
    std::istringstream lines(HelpOf(command));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
  }
}

TEST(Help, WrapsAtBlanks) {
  EXPECT_EQ(Wrapped("one two three", 2, 9), "  one two\n  three\n");
  EXPECT_EQ(Wrapped("", 2), "");
}

TEST(Help, KnowsGroups) {
  EXPECT_NE(HelpOfGroup("compose").find("compose up"), std::string::npos);
  EXPECT_EQ(HelpOfGroup("nothing"), "");
}

// The reference in docs/ is what the tables say. When it is not: build/.../nucleus manual markdown > docs/commands.md
TEST(Manual, CommandsDocumentIsCurrent) {
  std::ifstream file(NUCLEUS_SOURCE_DIR "/docs/commands.md");
  ASSERT_TRUE(file) << "docs/commands.md is not there";
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), CommandsMarkdown());
}

}  // namespace
}  // namespace nucleus::cli
