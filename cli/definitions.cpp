#include "cli/definitions.hpp"

#include <array>

#include "cli/command_texts.hpp"
#include "cli/operands.hpp"
#include "cli/run_options.hpp"

namespace nucleus::cli {

namespace {

using enum ValueType;

// ---- options ----

constexpr Option kHelp{.name = "help", .letter = 'h', .summary = "Show what a command does and takes, and exit."};
constexpr Option kVerbose{.name = "verbose", .letter = 'v', .summary = "Say more on standard error."};
constexpr Option kStateDir{.name = "state-dir",
                           .type = kDirectory,
                           .value = "DIR",
                           .summary =
                               "Where the durable state is; also NUCLEUS_STATE_DIR. For root /var/lib/nucleus, for "
                               "others the XDG state directory."};
constexpr Option kRuntimeDir{.name = "runtime-dir",
                             .type = kDirectory,
                             .value = "DIR",
                             .summary =
                                 "Where run-time state is, on tmpfs; also NUCLEUS_RUNTIME_DIR. For root "
                                 "/run/nucleus, for others below XDG_RUNTIME_DIR; without it below /run/user/UID, or "
                                 "else /tmp/nucleus-UID, mode 0700. Where projects are in one of these already, it is "
                                 "that one."};
constexpr std::array kCommon{&kHelp, &kVerbose, &kStateDir, &kRuntimeDir};

constexpr Option kFiles{.name = "file",
                        .letter = 'f',
                        .type = kFile,
                        .value = "FILE",
                        .summary =
                            "The desired state. `-` is standard input; of a directory its *.toml in name order. "
                            "Several are merged by address; a clash is an error.",
                        .repeatable = true};
constexpr Option kOut{.name = "out", .type = kFile, .value = "PLAN", .summary = "Save the plan to this file."};
constexpr Option kExpect{
    .name = "expect",
    .type = kDigest,
    .value = "sha256:DIGEST",
    .summary = "Refuse (exit 4) unless the plan has this digest; its first twelve digits suffice."};
constexpr Option kDetailed{.name = "detailed-exitcode",
                           .summary = "Exit with 2 where there are, or were, changes or drift."};
constexpr Option kFailOn{.name = "fail-on",
                         .type = kChoices,
                         .value = "LIST",
                         .summary = "Refuse (exit 3), before anything is touched, a plan that has one of these.",
                         .choices = "destroy|replace|restart|drift",
                         .repeatable = true};
constexpr Option kTarget{
    .name = "target",
    .type = kAddress,
    .value = "ADDRESS",
    .summary =
        "Only this resource, and what it depends on (of one that goes: what depends on it); several with commas or "
        "repeated.",
    .repeatable = true};
constexpr Option kExclude{
    .name = "exclude",
    .type = kAddress,
    .value = "ADDRESS",
    .summary =
        "Not this resource, nor what depends on it (of one that goes: what it depends on); several with commas or "
        "repeated.",
    .repeatable = true};
constexpr Option kParallelism{.name = "parallelism",
                              .type = kUnsigned,
                              .value = "N",
                              .summary = "How many steps may run at once.",
                              .fallback = "4"};
constexpr Option kLockTimeout{.name = "lock-timeout",
                              .type = kDuration,
                              .value = "DURATION",
                              .summary =
                                  "How long to wait for another nucleus at work on the same project, or on what is the "
                                  "whole machine's (exit 5).",
                              .fallback = "30s"};
constexpr Option kTimeout{
    .name = "timeout",
    .type = kDuration,
    .value = "DURATION",
    .summary = "How long to wait for each service to start, be healthy or complete; 0s: for ever.",
    .fallback = "5m"};
constexpr Option kRerun{.name = "rerun",
                        .type = kAddress,
                        .value = "ADDRESS",
                        .summary = "Run this job again although its inputs are the same.",
                        .repeatable = true};
constexpr Option kReplace{.name = "replace",
                          .type = kAddress,
                          .value = "ADDRESS",
                          .summary = "Replace this service although nothing of it has changed.",
                          .repeatable = true};
constexpr Option kOnFailure{.name = "on-failure",
                            .type = kChoice,
                            .value = "ACTION",
                            .summary =
                                "What to do where a step fails: leave what was reached, or take the topology back "
                                "to the revision before.",
                            .choices = "keep|rollback",
                            .fallback = "keep"};
constexpr Option kStay{
    .name = "watch", .letter = 'w', .summary = "Stay, and converge again when a file changes or the machine drifts."};
constexpr Option kRecheck{.name = "recheck",
                          .type = kDuration,
                          .value = "DURATION",
                          .summary =
                              "With --watch: how long after the last look to look again, for what the kernel tells "
                              "nobody of; 0s: never.",
                          .fallback = "5m"};
constexpr Option kTimings{.name = "timings", .summary = "Say at the end where the time went, by kind of step."};
constexpr Option kYes{.name = "yes", .letter = 'y', .summary = "Do not ask, also on a terminal."};
constexpr Option kDeleteData{.name = "delete-data",
                             .summary = "Remove persistent volumes with what is in them. Without it they stay."};
constexpr Option kSummary{.name = "summary", .summary = "Print the summary line only, and what would be destroyed."};
constexpr Option kOutput{.name = "output",
                         .letter = 'o',
                         .type = kChoice,
                         .value = "FORMAT",
                         .summary = "Form of the result; json is one document, jsonl one event a line.",
                         .choices = "text|json|jsonl",
                         .fallback = "text"};
constexpr Option kOutputJson{.name = "output",
                             .letter = 'o',
                             .type = kChoice,
                             .value = "FORMAT",
                             .summary = "Form of the result.",
                             .choices = "text|json",
                             .fallback = "text"};
constexpr Option kGraphOutput{.name = "output",
                              .letter = 'o',
                              .type = kChoice,
                              .value = "FORMAT",
                              .summary = "Form of the graph.",
                              .choices = "dot|mermaid|json",
                              .fallback = "dot"};
constexpr Option kGraphAll{.name = "all",
                           .letter = 'a',
                           .summary = "The steps from nothing, as on an empty machine; without it those still to do."};
constexpr Option kPsAll{.name = "all", .letter = 'a', .summary = "Also what has ended."};
constexpr Option kVerifyAll{.name = "all", .letter = 'a', .summary = "Every line, also what is as asked."};
constexpr Option kFollow{.name = "follow", .letter = 'f', .summary = "Stay, and print what is added."};
constexpr Option kTail{
    .name = "tail", .letter = 'n', .type = kUnsigned, .value = "N", .summary = "Only the last N lines."};

constexpr Option kTimestamps{.name = "timestamps", .letter = 't', .summary = "Say when each line was written."};

constexpr Option kInteractive{.name = "interactive", .letter = 'i', .summary = "Standard input is the command's too."};
constexpr Option kTty{
    .name = "tty", .letter = 't', .summary = "A terminal of the container's own, joined with the caller's."};
constexpr Option kExecUser{.name = "user",
                           .letter = 'u',
                           .type = kText,
                           .value = "USER[:GROUP]",
                           .summary = "Another user, by number or by the container's own passwd file."};
constexpr Option kExecEnv{.name = "env",
                          .letter = 'e',
                          .type = kText,
                          .value = "NAME[=VALUE]",
                          .summary =
                              "An environment variable more, or in the place of the container's; of a NAME "
                              "alone the caller's, where it has one.",
                          .repeatable = true};
constexpr Option kExecWorkdir{.name = "workdir",
                              .letter = 'w',
                              .type = kText,
                              .value = "DIR",
                              .summary = "Working directory in the container; without one, that of its workload."};
constexpr Option kStopTimeout{
    .name = "timeout",
    .letter = 't',
    .type = kDuration,
    .value = "DURATION",
    .summary = "How long it may take after the stop signal until all of it is killed; without one, its stop_timeout."};
constexpr Option kSignal{.name = "signal",
                         .letter = 's',
                         .type = kText,
                         .value = "SIGNAL",
                         .summary = "By name or number.",
                         .fallback = "KILL"};
constexpr Option kWatch{.name = "watch", .letter = 'w', .summary = "Stay, and show them anew every second."};
constexpr Option kEventsFollow{.name = "follow", .letter = 'f', .summary = "Stay, and print what comes."};
constexpr Option kSince{.name = "since",
                        .type = kText,
                        .value = "TIME",
                        .summary = "Only what is newer: a time such as 2026-11-24T04:15:03Z, or how long ago, 10m."};
constexpr Option kOutputLines{.name = "output",
                              .letter = 'o',
                              .type = kChoice,
                              .value = "FORMAT",
                              .summary = "Form of the result; jsonl is one object a line.",
                              .choices = "text|jsonl",
                              .fallback = "text"};

constexpr std::array kValidateOptions{&kFiles, &kOutputJson};
constexpr std::array kDiffOptions{&kFiles,   &kOut,   &kExpect,  &kDetailed, &kFailOn, &kTarget,
                                  &kExclude, &kRerun, &kReplace, &kOutput,   &kSummary};
constexpr std::array kApplyOptions{&kFiles,     &kYes,         &kOut,         &kExpect,  &kDetailed,
                                   &kFailOn,    &kTarget,      &kExclude,     &kRerun,   &kReplace,
                                   &kOnFailure, &kParallelism, &kLockTimeout, &kTimeout, &kDeleteData,
                                   &kTimings,   &kOutput,      &kSummary,     &kStay,    &kRecheck};
constexpr std::array kDestroyOptions{&kFiles,   &kYes,     &kDeleteData, &kExpect,      &kDetailed,
                                     &kFailOn,  &kTarget,  &kExclude,    &kParallelism, &kLockTimeout,
                                     &kTimeout, &kTimings, &kOutput,     &kSummary};
constexpr std::array kDriftOptions{&kFiles, &kDetailed, &kFailOn, &kTarget, &kExclude, &kOutput, &kSummary};
constexpr std::array kShowOptions{&kOutputJson};
constexpr std::array kGraphOptions{&kFiles, &kGraphAll, &kTarget, &kExclude, &kGraphOutput};
constexpr std::array kHistoryOptions{&kOutputJson};
constexpr std::array kRollbackOptions{&kYes,         &kExpect,  &kDetailed,   &kFailOn, &kParallelism,
                                      &kLockTimeout, &kTimeout, &kDeleteData, &kOutput, &kSummary};
constexpr std::array kComposeUpOptions{&kFiles,       &kYes,         &kDetailed, &kFailOn, &kOnFailure,
                                       &kParallelism, &kLockTimeout, &kTimeout,  &kOutput, &kSummary};
constexpr std::array kReviveOptions{&kLockTimeout};
constexpr std::array kComposePsOptions{&kFiles, &kPsAll, &kOutputJson};
constexpr std::array kComposeDownOptions{&kFiles,       &kYes,     &kDeleteData, &kDetailed, &kParallelism,
                                         &kLockTimeout, &kTimeout, &kOutput,     &kSummary};
constexpr std::array kPsOptions{&kPsAll, &kOutputJson};
constexpr std::array kInspectOptions{&kOutputJson};
constexpr std::array kVerifyOptions{&kVerifyAll, &kOutputJson};
constexpr std::array kLogsOptions{&kFollow, &kTail, &kSince, &kTimestamps};
constexpr std::array kExecOptions{&kInteractive, &kTty, &kExecUser, &kExecEnv, &kExecWorkdir};
constexpr std::array kAttachOptions{&kExecUser, &kExecEnv, &kExecWorkdir};
constexpr std::array kStopOptions{&kStopTimeout, &kOutputJson};
constexpr std::array kKillOptions{&kSignal, &kOutputJson};
constexpr std::array kActOptions{&kOutputJson};
constexpr std::array kStatsOptions{&kWatch, &kOutput};
constexpr std::array kEventsOptions{&kEventsFollow, &kSince, &kOutputLines};
constexpr Option kPlain{.name = "plain",
                        .summary = "Only the regular files and their content, one `SHA256<TAB>path` a line."};
constexpr std::array kRootfsSealOptions{&kPlain};
constexpr std::array kRootfsVerifyOptions{&kOutputJson};
constexpr Option kProfileOut{.name = "output",
                             .letter = 'o',
                             .type = kFile,
                             .value = "PROFILE",
                             .summary = "Where the profile is written; without it, and by -, standard output."};
constexpr Option kArgs{.name = "args",
                       .summary =
                           "Conditions on what was seen of the arguments of socket, clone, ioctl and prctl; "
                           "clone3, whose flags nobody can look at, is not there (ENOSYS)."};
constexpr Option kDetailedDiff{.name = "detailed-exitcode", .summary = "Exit with 2 where the profiles differ."};
constexpr Option kDefault{.name = "default",
                          .summary = "Of no trace: nucleus' own policy, which containers have without a profile."};
constexpr std::array kGenerateOptions{&kProfileOut, &kArgs, &kDefault};
constexpr std::array kSeccompDiffOptions{&kDetailedDiff, &kOutputJson};
constexpr std::array kExplainOptions{&kOutputJson};
constexpr Option kForce{.name = "force", .letter = 'f', .summary = "Also one that runs: it is stopped first."};
constexpr std::array kRmOptions{&kForce};
constexpr Option kCheckpointOut{.name = "output",
                                .letter = 'o',
                                .type = kDirectory,
                                .value = "DIR",
                                .summary = "Where the checkpoint is written; made, or there and empty."};
constexpr Option kLeaveRunning{.name = "leave-running", .summary = "Let it go on afterwards; else it is stopped."};
constexpr Option kAllowSecrets{.name = "allow-secrets",
                               .summary =
                                   "Also of a container with secrets: its memory, which may hold them, is "
                                   "written to files."};
constexpr Option kRestoreIn{
    .name = "input", .letter = 'i', .type = kDirectory, .value = "DIR", .summary = "What `checkpoint` has written."};
constexpr Option kRestoreName{.name = "name", .type = kText, .value = "NAME", .summary = "Another name than it had."};
constexpr std::array kCheckpointOptions{&kCheckpointOut, &kLeaveRunning, &kAllowSecrets};
constexpr std::array kRestoreOptions{&kRestoreIn, &kRestoreName};
constexpr std::array kVersionOptions{&kOutputJson};

// ---- commands ----

constexpr std::array kCommands{
    Command{CommandId::kValidate,
            "validate",
            "Check files, and what they name on this machine",
            "Parses and checks the desired state and prints the order in which services would start. Every problem is "
            "found in one go, each as file:line:column: message. Of the machine it looks at the files that are named "
            "and at the subnets that are taken; nothing is changed, and no privilege is needed.",
            kValidateOptions,
            {}},
    Command{
        CommandId::kDiff,
        "diff",
        "Show what apply would do, and what has drifted",
        "Compares the files with what was applied and with what the kernel says now. Lines that begin with - or -/+ "
        "destroy and come first; ! is drift, ? is what may not be read. Changes nothing, takes no lock, and needs no "
        "root where it may read the state. Exits with 1 where something could not be read, and where who runs would be "
        "stopped for a start that cannot be: then --out writes no plan.",
        kDiffOptions,
        {}},
    Command{CommandId::kApply, "apply", "Make the machine as the files say", kApplyText, kApplyOptions, kPlanOperand},
    Command{CommandId::kDestroy, "destroy", "Remove what was applied, in reverse order",
            "Stops and removes all resources of a topology. Persistent volumes stay unless --delete-data is given; a "
            "resource marked `protect` refuses.",
            kDestroyOptions, kProjectOperand},
    Command{CommandId::kDrift, "drift", "Compare what was applied with what the kernel says now",
            "Without NAME and files: every project on the machine. Changes in files play no part.", kDriftOptions,
            kProjectOperand},
    Command{CommandId::kShow, "show", "Show a saved plan, or the applied state of a project", "", kShowOptions,
            kShowOperand},
    Command{CommandId::kGraph,
            "graph",
            "Print the steps of the plan as a graph",
            "An edge leads from a step to one that waits for it.",
            kGraphOptions,
            {}},
    Command{CommandId::kHistory, "history", "List the revisions of a project", "", kHistoryOptions, kHistoryOperand},
    Command{CommandId::kRollback, "rollback", "Apply an earlier revision of a project again",
            "The topology as it was asked for in that revision is planned and applied, as a new revision.",
            kRollbackOptions, kRollbackOperands},
    Command{CommandId::kSchema, "schema", "Print the JSON Schema (draft 4) of the file, for editors", "", {}, {}},
    Command{CommandId::kComposeValidate, "compose validate", "The same as validate", "", kValidateOptions, {}},
    Command{CommandId::kComposeUp, "compose up", "The same as apply", "", kComposeUpOptions, {}},
    Command{CommandId::kComposePs, "compose ps", "Show the services of a topology", "", kComposePsOptions, {}},
    Command{CommandId::kComposeDown, "compose down", "The same as destroy", "", kComposeDownOptions, {}},
    Command{CommandId::kRun, "run", "Run a command in a sandbox", kRunText, {}, kCommandOperand},
    Command{CommandId::kCreate, "create", "The same as run", "", {}, kCommandOperand},
    Command{CommandId::kExec, "exec", "Run another command in a container that runs",
            "In all its namespaces and its control group, as its user, with its environment, limits, capabilities, "
            "seccomp program and Landlock rules; never with more than it has itself. Standard output and error are the "
            "command's, and so is the exit code (128+N where signal N ended it; 125 where nucleus failed, 126 where "
            "the command cannot be executed, 127 where it is not found). Signals are passed on. The caller's terminal "
            "it does "
            "not get: without -t it has a pipe in its place. It ends with the container, and with this command.",
            kExecOptions, kExecOperands},
    Command{CommandId::kAttach, "attach", "Open a shell in a container that runs",
            "The same as exec with standard input, and with a terminal where there is one; without CMD it is sh.",
            kAttachOptions, kAttachOperands},
    Command{
        CommandId::kStop, "stop", "Stop services and containers",
        "Sends the stop signal, and kills what is left when the time is over; at once where PID 1 would not hear of "
        "it, which ignores it or has nothing to say of it. Returns when it has ended; what has ended already is no "
        "error. It is not started again by its restart policy, but by the next apply, to which "
        "it is drift.",
        kStopOptions, kNamesOperand},
    Command{CommandId::kKill, "kill", "Send a signal to the workload of services and containers",
            "What follows from its end is its restart policy's to say. PID 1 of a container that neither handles a "
            "signal, holds it back nor waits for it does not get it, but for KILL and STOP: pid_namespaces(7).",
            kKillOptions, kNamesOperand},
    Command{CommandId::kWait, "wait", "Wait until services and containers have ended, and print their exit codes",
            "For good: while one is started again by its restart policy it has not. A line for each, in the order they "
            "were named; `?` where it is not known any more.",
            kActOptions, kNamesOperand},
    Command{CommandId::kPause, "pause", "Let all processes of services and containers stand still",
            "By the freezer of the control group. It is not probed meanwhile; to the next apply it is drift.",
            kActOptions, kNamesOperand},
    Command{CommandId::kUnpause, "unpause", "Let paused services and containers go on", "", kActOptions, kNamesOperand},
    Command{CommandId::kCp,
            "cp",
            "Copy files into a container that runs, or out of it",
            "Files, directories and symbolic links, with permissions and times. Paths in the container are looked up "
            "inside its root: no link of it leads out. What is copied in belongs to its user, what is copied out to "
            "the caller. A file takes the place of one of that name as a whole; a device, a FIFO, a socket or a link "
            "that is "
            "named is not replaced.",
            {},
            kCpOperands},
    Command{CommandId::kPs, "ps", "List services and containers", "", kPsOptions, {}},
    Command{CommandId::kState, "state", "Show the state of a container in the form of OCI",
            "The JSON of the OCI runtime specification; without NAME, what runs, as ps lists it.", kActOptions,
            kNameOperand},
    Command{CommandId::kStats, "stats", "Show what services and containers use",
            "Processor time, memory, swap, processes, input and output, network, and how long they had to wait for "
            "each (pressure). What the machine has no controller for is `-`, and said. Without --watch the share of "
            "processors is that since the start.",
            kStatsOptions, kAnyNamesOperand},
    Command{CommandId::kEvents, "events", "Show what became of services",
            "Starts, ends with code and reason, restarts, health, want of memory, pauses, stops and what egress rules "
            "have denied, oldest first, as their supervisors wrote them down; the last 256 KiB of each, and the same "
            "again.",
            kEventsOptions, kAnyNamesOperand},
    Command{CommandId::kInspect, "inspect", "Show everything about a service, container, network or volume",
            "What it is by the kernel's names (links, addresses, control group), who is on a network and what is "
            "published from there, the rules of what may be sent and how many packets they have denied, and what is "
            "seen of each part now.",
            kInspectOptions, kInspectOperand},
    Command{CommandId::kLogs, "logs", "Show what a service has written",
            "Standard output and standard error of the workload, oldest first.", kLogsOptions, kLogsOperand},
    Command{CommandId::kRm, "rm", "Remove containers that have ended",
            "Takes away what is left of a container that was started in the background: its listing, log, network and "
            "control group; and of one in the foreground whose `run` was killed. Services are removed by way of their "
            "topology's file, or with `destroy`.",
            kRmOptions, kRmOperand},
    Command{CommandId::kCheckpoint, "checkpoint", "Write down a container that runs, with all its processes",
            "By CRIU, as root. The container is one in the background that was started with --allow-checkpoint. The "
            "directory has its memory: mode 0700, with a list of digests that is signed with a key of this machine. "
            "Its volumes are not in it. Connections are closed, those that listen stay.",
            kCheckpointOptions, kCheckpointOperand},
    Command{CommandId::kRestore,
            "restore",
            "Have a container go on from where it was written down",
            "In the background, on the machine that wrote it down. What was changed in the directory since is refused, "
            "and so is a name that is taken: `rm` it first. Prints the id.",
            kRestoreOptions,
            {}},
    Command{CommandId::kVerify, "verify", "Compare how containers are confined with what was asked for them",
            "Without NAME: everything that runs. Each line is something that was asked when it was started, and what "
            "/proc and the kernel say of it now: identity, capabilities, no_new_privs, seccomp, namespaces, mounts, "
            "limits, control group, open files. Lines that differ are shown, and those that may not be read, as ?; "
            "where there are any it exits with 1, as where what was named does not run. With --all or --verbose every "
            "line. Changes nothing; an `apply` puts right what it sees of it as drift, `apply --replace` all of it.",
            kVerifyOptions, kVerifyOperand},
    Command{CommandId::kRootfsSeal, "rootfs seal", "Write down what a root file system holds",
            "Writes .nucleus-rootfs-sha256 at its root: content, type, mode, owner and link target of everything in it "
            "but that file. Links are not followed. FIFOs, sockets and devices are written down by type and number; "
            "with what is mounted inside it is refused. The digest that is printed is the file's own.",
            kRootfsSealOptions, kRootfsOperand},
    Command{CommandId::kRootfsVerify, "rootfs verify", "Check that a root file system is as it was sealed",
            "Names the first path, in order, that is changed, missing or extra, and exits with 1.",
            kRootfsVerifyOptions, kRootfsOperand},
    Command{CommandId::kSeccompGenerate, "seccomp generate", "Make a seccomp profile of recorded calls",
            "Merges traces, files with one JSON object a line such as {\"syscall\":0,\"name\":\"read\",\"count\":3}, "
            "into the smallest profile that allows what they have. A call without a name that nucleus knows is left "
            "out, with a warning.",
            kGenerateOptions, kTracesOperand},
    Command{CommandId::kSeccompDiff, "seccomp diff", "Show what two seccomp profiles treat differently",
            "Both as they would be on this machine, for a container without capabilities.", kSeccompDiffOptions,
            kProfilesOperand},
    Command{CommandId::kSeccompExplain, "seccomp explain", "Show what a seccomp profile allows and refuses",
            "As it would be on this machine, for a container without capabilities.", kExplainOptions, kProfileOperand},
    Command{CommandId::kVersion, "version", "Show the version", "", kVersionOptions, {}},
    Command{CommandId::kCompletion,
            "completion",
            "Print the completion script of a shell",
            "For bash: `nucleus completion bash > /etc/bash_completion.d/nucleus`.",
            {},
            kShellOperand},
    Command{CommandId::kHelp, "help", "Show what a command does and takes", "", {}, kHelpOperand},
    Command{CommandId::kManual, "manual", "Print the manual page", "", {}, kManualOperand, true},
    Command{CommandId::kRevive, "__revive", "Make containers once more", "", kReviveOptions, kProjectOperand, true},
    Command{CommandId::kEnded, "__ended", "Remove containers that go once they have ended", "", {}, kRmOperand, true},
    Command{CommandId::kComplete, "__complete", "Names for completion scripts", "", {}, kCompleteOperand, true},
};

constexpr std::array kExitCodes{
    ExitCode{0, "done, or nothing to do"},
    ExitCode{1, "an error"},
    ExitCode{2, "with --detailed-exitcode: there are, or were, changes"},
    ExitCode{3, "a --fail-on gate refused before anything was touched"},
    ExitCode{4, "the saved plan is stale, or the plan is not the one expected"},
    ExitCode{5, "a lock was not had: that of the project, or one of the machine's, and then parts may be done"},
    ExitCode{6, "applied, but unhealthy or timed out"},
    ExitCode{64, "wrong usage"},
    ExitCode{130, "interrupted; of `run`, `checkpoint` and `restore` 128 and the number of the signal"},
};

const Option* OptionNamed(std::span<const Option* const> options, std::string_view name) {
  for (const Option* option : options) {
    if (option->name == name) return option;
  }
  return nullptr;
}

}  // namespace

std::span<const Command> Commands() {
  // The options of two of them come from another table.
  static const auto commands = [] {
    auto all = kCommands;
    for (Command& command : all) {
      if (command.id == CommandId::kRun || command.id == CommandId::kCreate) command.options = RunOptions();
    }
    return all;
  }();
  return commands;
}
std::span<const Option* const> CommonOptions() {
  return kCommon;
}
std::span<const ExitCode> ExitCodes() {
  return kExitCodes;
}

const Command* FindCommand(std::string_view name) {
  for (const Command& command : Commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

const Option* FindOption(const Command& command, std::string_view name) {
  const Option* own = OptionNamed(command.options, name);
  return own != nullptr ? own : OptionNamed(kCommon, name);
}

}  // namespace nucleus::cli
