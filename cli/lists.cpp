#include "cli/lists.hpp"

#include <sys/stat.h>

#include <array>
#include <span>
#include <string_view>

#include "actuators/security/security_names.hpp"
#include "actuators/sys/landlock.hpp"
#include "context/filter.hpp"
#include "policy/capability_policy.hpp"
#include "policy/landlock_policy.hpp"
#include "spec/validate.hpp"

namespace nucleus::cli {

namespace {

// By their bits; landlock(7).
constexpr std::array<std::string_view, 16> kLandlockRights{
    "EXECUTE",  "WRITE_FILE", "READ_FILE", "READ_DIR",   "REMOVE_DIR", "REMOVE_FILE", "MAKE_CHAR", "MAKE_DIR",
    "MAKE_REG", "MAKE_SOCK",  "MAKE_FIFO", "MAKE_BLOCK", "MAKE_SYM",   "REFER",       "TRUNCATE",  "IOCTL_DEV"};

std::string MarkdownRow(std::initializer_list<std::string_view> cells) {
  std::string row = "|";
  for (const auto cell : cells) row.append(" ").append(cell).append(" |");
  return row + "\n";
}

std::string TableHead(std::initializer_list<std::string_view> heads) {
  std::string line = "|";
  for (std::size_t i = 0; i < heads.size(); ++i) line += "---|";
  return "\n" + MarkdownRow(heads) + line + "\n";
}

std::string Quoted(std::string_view text) {
  return "`" + std::string(text) + "`";
}

std::string ContextTable() {
  std::string text = "\n### What a context leaves out\n\nIn either case of letters.\n" + TableHead({"pattern", "what"});
  const auto list = context::ContextList();
  for (std::size_t i = 0; i < list.size();) {
    const auto why = list[i].why;
    std::string patterns;
    for (; i < list.size() && list[i].why == why; ++i)
      patterns += (patterns.empty() ? "" : " ") + Quoted(list[i].pattern);
    text += MarkdownRow({patterns, why});
  }
  return text;
}

std::string DestinationsList() {
  std::string text =
      "\n### Places in the container where nothing is mounted\n\n`/` itself, which `rootfs` is for; and, with all "
      "below but `/dev/shm`:";
  for (const auto path : spec::ReservedDestinations()) text += " " + Quoted(path);
  return text + "\n";
}

std::string CapabilitiesTable() {
  std::string text = "\n### Capabilities that production refuses\n" + TableHead({"capability", "why"});
  for (const auto& dangerous : policy::DangerousCapabilities())
    text += MarkdownRow({security::CapabilityNames(std::uint64_t{1} << dangerous.number).front(), dangerous.reason});
  return text;
}

std::string LandlockTable() {
  std::string text = "\n### Words of Landlock\n" + TableHead({"word", "rights, LANDLOCK_ACCESS_FS_…", "of a file"});
  for (const auto& word : policy::LandlockAccessWords()) {
    std::string rights;
    for (std::size_t bit = 0; bit < kLandlockRights.size(); ++bit)
      if ((word.bits >> bit & 1) != 0) rights.append(rights.empty() ? "" : " ").append(kLandlockRights[bit]);
    const bool file = (word.bits & sys::LandlockRightsOf(S_IFREG)) != 0;
    const bool device = (word.bits & sys::LandlockRightsOf(S_IFCHR)) != 0;
    text += MarkdownRow({Quoted(word.text), rights, file ? "yes" : device ? "of a device" : "no"});
  }
  return text;
}

std::string VariablesList() {
  std::string text = "\n### Variables that lead the loader\n\nRefused without `allow_loader_variables`:";
  for (const auto name : spec::LoaderVariables()) text += " " + Quoted(name);
  return text + "\n";
}

}  // namespace

std::string ListsMarkdown() {
  return "## The lists\n\nMade from the code (`nucleus manual lists`); a test compares the two.\n" + ContextTable() +
         DestinationsList() + CapabilitiesTable() + LandlockTable() + VariablesList();
}

}  // namespace nucleus::cli
