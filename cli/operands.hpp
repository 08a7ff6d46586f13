// What stands behind the options of each command: a part of the tables of definitions.cpp, and included by that alone.
#pragma once

#include <array>

#include "cli/definitions.hpp"

namespace nucleus::cli {

inline constexpr std::array kPlanOperand{
    Operand{"PLAN", OperandType::kPlan, false, "A plan saved with --out, instead of files."}};
inline constexpr std::array kProjectOperand{
    Operand{"NAME", OperandType::kProject, false, "The project's name, instead of files."}};
inline constexpr std::array kShowOperand{
    Operand{"PLAN|NAME", OperandType::kPlanOrProject, true, "A saved plan, or a project's name."}};
inline constexpr std::array kHistoryOperand{Operand{"NAME", OperandType::kProject, true, "The project's name."}};
inline constexpr std::array kRollbackOperands{
    Operand{"NAME", OperandType::kProject, true, "The project's name."},
    Operand{"REVISION", OperandType::kWord, true, "A number that `history` shows."}};
inline constexpr std::array kLogsOperand{Operand{
    "SERVICE", OperandType::kService, true, "A service as SERVICE or TOPOLOGY/SERVICE, or the beginning of an id."}};
inline constexpr std::array kRmOperand{
    Operand{"NAME", OperandType::kService, true, "Containers by name or by the beginning of an id.", true}};
inline constexpr std::array kVerifyOperand{
    Operand{"NAME", OperandType::kService, false,
            "A topology, a service as SERVICE or TOPOLOGY/SERVICE, a container, or the beginning of an id.", true}};
inline constexpr std::array kInspectOperand{
    Operand{"NAME", OperandType::kService, true,
            "A service as SERVICE or TOPOLOGY/SERVICE, a container, or the beginning of an id; network.NAME or "
            "volume.NAME, with TOPOLOGY/ before it where several have it. The kind may also be a word of its own: "
            "network NAME.",
            true}};
inline constexpr std::array kCommandOperand{Operand{
    "CMD", OperandType::kProgram, true, "The program, looked up in PATH inside, and its arguments; behind --.", true}};
inline constexpr std::string_view kNameText =
    "A service as SERVICE or TOPOLOGY/SERVICE, a container, or the beginning of an id.";
inline constexpr std::array kNameOperand{Operand{"NAME", OperandType::kService, false, kNameText}};
inline constexpr std::array kCheckpointOperand{Operand{"NAME", OperandType::kService, true, kNameText}};
inline constexpr std::array kNamesOperand{Operand{"NAME", OperandType::kService, true, kNameText, true}};
inline constexpr std::array kAnyNamesOperand{Operand{"NAME", OperandType::kService, false, kNameText, true}};
inline constexpr std::array kExecOperands{
    Operand{"NAME", OperandType::kService, true, kNameText},
    Operand{"CMD", OperandType::kProgram, true, "The program, looked up in PATH inside, and its arguments; behind --.",
            true}};
inline constexpr std::array kAttachOperands{
    Operand{"NAME", OperandType::kService, true, kNameText},
    Operand{"CMD", OperandType::kProgram, false, "Instead of a shell, as for exec; behind --.", true}};
inline constexpr std::array kCpOperands{
    Operand{"FROM", OperandType::kWord, true, "A path, or NAME:PATH in a container."},
    Operand{"TO", OperandType::kWord, true,
            "The same; one of both is in a container. A directory: it is put into it."}};
inline constexpr std::array kRootfsOperand{Operand{"DIR", OperandType::kWord, true, "The root file system."}};
inline constexpr std::array kTracesOperand{
    Operand{"TRACE", OperandType::kWord, false, "Files of recorded calls; -: standard input.", true}};
inline constexpr std::string_view kProfileText = "A profile; default: nucleus' own policy; -: standard input.";
inline constexpr std::array kProfilesOperand{Operand{"FIRST", OperandType::kWord, true, kProfileText},
                                             Operand{"SECOND", OperandType::kWord, true, "Another."}};
inline constexpr std::array kProfileOperand{Operand{"PROFILE", OperandType::kWord, true, kProfileText}};
inline constexpr std::array kShellOperand{Operand{"SHELL", OperandType::kShell, true, "bash, zsh or fish."}};
inline constexpr std::array kHelpOperand{
    Operand{"COMMAND", OperandType::kCommand, false, "A command; none: the list of them."},
    Operand{"SUBCOMMAND", OperandType::kWord, false, "Of compose or rootfs."}};
inline constexpr std::array kManualOperand{
    Operand{"FORMAT", OperandType::kWord, false, "man, markdown or file-format."}};
inline constexpr std::array kCompleteOperand{
    Operand{"WHAT", OperandType::kWord, true, "projects, services or revisions."}};

}  // namespace nucleus::cli
