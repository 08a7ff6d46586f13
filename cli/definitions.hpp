// What the command line is, as data: every command, option and operand once. The parser, the help texts, the man page,
// docs/commands.md and the shell completions are all made from these tables.
// Constants only: nothing here runs before main.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nucleus::cli {

// What a value is checked to be before any command runs; a wrong one is a usage error.
enum class ValueType : std::uint8_t {
  kNone,
  kText,
  kFile,
  kDirectory,
  kUnsigned,
  kDuration,
  kChoice,
  kChoices,
  kAddress,
  kDigest,
};

struct Option {
  std::string_view name;  // without the dashes
  char letter = 0;
  ValueType type = ValueType::kNone;  // kNone: a flag
  std::string_view value = {};        // how the value is called in help: "FILE"
  std::string_view summary = {};
  std::string_view choices = {};   // kChoice, kChoices (a list with commas): "text|json"
  std::string_view fallback = {};  // what holds where it is not given; for help, and Arguments::Value
  bool repeatable = false;
};

enum class OperandType : std::uint8_t { kProject, kPlanOrProject, kPlan, kService, kCommand, kShell, kWord, kProgram };

struct Operand {
  std::string_view name;  // "NAME"
  OperandType type = OperandType::kWord;
  bool required = false;
  std::string_view summary = {};
  bool rest = false;  // the last one: all words that are left
};

// The order is that of help.
enum class CommandId : std::uint8_t {
  kValidate,
  kDiff,
  kApply,
  kDestroy,
  kDrift,
  kShow,
  kGraph,
  kHistory,
  kRollback,
  kSchema,
  kComposeValidate,
  kComposeUp,
  kComposePs,
  kComposeDown,
  kRun,
  kCreate,
  kExec,
  kAttach,
  kStop,
  kKill,
  kWait,
  kPause,
  kUnpause,
  kCp,
  kPs,
  kState,
  kStats,
  kEvents,
  kLogs,
  kRm,
  kCheckpoint,
  kRestore,
  kVerify,
  kInspect,
  kRootfsSeal,
  kRootfsVerify,
  kSeccompGenerate,
  kSeccompDiff,
  kSeccompExplain,
  kVersion,
  kCompletion,
  kHelp,
  kManual,
  kRevive,
  kEnded,
  kComplete,
};

struct Command {
  CommandId id;
  std::string_view name;  // "apply", "compose up"
  std::string_view summary = {};
  std::string_view description;  // paragraphs, parted by an empty line
  std::span<const Option* const> options;
  std::span<const Operand> operands;
  bool hidden = false;
};

struct ExitCode {
  int code;
  std::string_view meaning;
};

std::span<const Command> Commands();
std::span<const Option* const> CommonOptions();  // of every command
std::span<const ExitCode> ExitCodes();

// The command called exactly that.
const Command* FindCommand(std::string_view name);
// An option of a command or of all, by name without dashes.
const Option* FindOption(const Command& command, std::string_view name);

namespace exit_code {
inline constexpr int kDone = 0;
inline constexpr int kError = 1;
inline constexpr int kChanges = 2;
inline constexpr int kGate = 3;
inline constexpr int kStale = 4;
inline constexpr int kLocked = 5;
inline constexpr int kUnhealthy = 6;
inline constexpr int kUsage = 64;
inline constexpr int kNotStarted = 125;  // of run and exec, where it was not the program that could not be executed
inline constexpr int kInterrupted = 130;
}  // namespace exit_code

}  // namespace nucleus::cli
