// The long descriptions among the definitions of commands.
#pragma once

#include <string_view>

namespace nucleus::cli {

inline constexpr std::string_view kRunText =
    "Starts one container and stays in the foreground: standard input, output and error are the command's, and so is "
    "the exit code (128+N where signal N ended it; 125 where nucleus failed, 126 where the command cannot be executed, "
    "127 where it is not found). Nothing else is written to standard output. The caller's terminal it does not get: "
    "without -t it has pipes in its place. Signals are passed on, but for those "
    "that stop a job of a shell (TSTP, TTIN, TTOU), those of faults (SEGV, BUS, ILL, FPE, TRAP, SYS), CHLD, and "
    "RTMIN+1, by which `stop` is told. A command that is PID 1 and has nothing to say of one that would end it is "
    "ended, also where it is typed at its terminal, and so is the run itself where it still copies a context or "
    "verifies a root file system. What a command ignores on purpose stays ignored, TERM too: `stop` ends it. What the "
    "caller of this ignores, as under nohup(1), ends no command without a handler. What was made is gone afterwards, "
    "and a run "
    "that is killed leaves nothing "
    "that runs, unless the kernel kills it for want of memory: a command may go on then that has lifted its parent "
    "death signal. A NOTIFY_SOCKET of the caller is told once it is ready; sd_notify(3).\n\n"
    "With --detach it returns once the command is executed, or ready where that is asked for, prints the id, and "
    "leaves the container to a supervisor, under systemd as the unit nucleus-ID.service with twelve digits of the id; "
    "its output goes to a log. It stays listed, also when it has ended, until `rm`.\n\n"
    "Each option is the key of the desired state with that name, and means the same.";

inline constexpr std::string_view kApplyText =
    "Prints the plan, asks on a terminal before anything is destroyed, replaced or restarted, then does what the "
    "plan says, independent steps at once, and waits for health. Where nothing is to be done nothing is "
    "touched.\n\nWith PLAN it runs exactly that saved plan, or refuses with exit 4 and lists what is different "
    "since.\n\nAn interrupt starts no new step, finishes those that run, but for one that waits for a lock, and exits "
    "with 130; the next apply goes "
    "on from there.\n\nWith --watch it stays, woken by events, and converges again without asking when a file "
    "changes, or what it names, or something drifts. Files that cannot be read are told, and what they said before "
    "goes on being kept. What fails is told once and tried again, at last every minute. What another command "
    "has made of the project (destroy, rollback, apply of another file) is left alone until the files change. SIGHUP "
    "reads "
    "them again; SIGTERM ends the watch, with 0 also in the midst of an apply, and what runs goes on.";

}  // namespace nucleus::cli
