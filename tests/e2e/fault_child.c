/* Runs a command and makes one system call of the container that it starts fail, before the workload is executed.
 *
 *     fault_child list FILE CMD...                      writes "PROCESS CALL NUMBER ARGUMENTS" of each of its calls
 *     fault_child fail PROCESS CALL NUMBER ERRNO CMD... makes that one fail, without doing anything
 *     fault_child run CMD...                            neither: for the controllers below alone
 *
 * NUMBER is the how manieth of that call in that process.
 *
 * PROCESS 0 is what the command clones first as a process of its own, 1 what that one clones, -1 the command's first thread, and -3, -4, ...
 * its others as they came. strace(1) counts what any process does by itself, the command's and the container's alike; here each of the
 * container's is met, and the same one in each run.
 *
 * Where NUCLEUS_TEST_CONTROLLERS names a directory, the command is on a machine whose cgroup2 has the memory controller, as far as the files
 * go, where this one has not: production starts nothing without. What it opens as a controller's file is one of that directory; the limit
 * itself holds nobody. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the registers of this machine are not known here"
#endif

enum { kMost = 64, kCalls = 512 };

struct Task {
  pid_t pid;
  int process; /* -1: the command's own; -2: not yet known; -3 and less: a thread of the command's */
  long calls[kCalls];
  int inside;  /* between a call's entry and its exit */
  int failing;
  unsigned long long path; /* of a call that was given another: what it had */
};

static struct Task tasks[kMost];
static int task_count, process_count, thread_count;
static FILE* list;
static int process_to_fail = -2, error_to_give;
static long call_to_fail, number_to_fail;
static int failed;
static const char* controllers;
static int nothing_to_fail;

static struct Task* Find(pid_t pid) {
  for (int i = 0; i < task_count; ++i)
    if (tasks[i].pid == pid) return &tasks[i];
  return NULL;
}

static struct Task* Add(pid_t pid, int process) {
  struct Task* task = Find(pid);
  if (task == NULL) {
    if (task_count == kMost) exit(99);
    task = &tasks[task_count++];
  }
  *task = (struct Task){.pid = pid, .process = process};
  return task;
}

static int IsThread(pid_t pid) {
  char path[64], line[256];
  int group = pid;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE* file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "Tgid: %d", &group) == 1) break;
  if (file != NULL) fclose(file);
  return group != pid;
}

static void Tell(pid_t pid, const struct Task* task, const struct user_regs_struct* registers) {
  char text[200] = "";
  const unsigned long places[] = {registers->rdi, registers->rsi};
  for (int i = 0; i < 2; ++i) { /* what looks like a path */
    char got[96] = "";
    struct iovec here = {got, sizeof got - 1}, there = {(void*)places[i], sizeof got - 1};
    if (places[i] < 4096 || process_vm_readv(pid, &here, 1, &there, 1, 0) <= 0) continue;
    got[strcspn(got, "\n")] = '\0';
    size_t printable = 0;
    while (got[printable] >= ' ' && got[printable] <= '~') ++printable;
    if (printable > 0 && got[printable] == '\0') snprintf(text + strlen(text), sizeof text - strlen(text), " %s", got);
  }
  fprintf(list, "%d %lld %ld %llx%s\n", task->process, (long long)registers->orig_rax, task->calls[registers->orig_rax % kCalls], (unsigned long long)registers->rdi, text);
}

/* Another path in the place of a controller's file: below the stack, where nobody keeps anything. */
static void Replace(struct Task* task, struct user_regs_struct* registers) {
  char path[512] = "", instead[1024];
  struct iovec here = {path, sizeof path - 1}, there = {(void*)registers->rsi, sizeof path - 1};
  if (registers->orig_rax != SYS_openat) return;
  if (process_vm_readv(task->pid, &here, 1, &there, 1, 0) <= 0) return;
  const char* name = strrchr(path, '/');
  if (name == NULL || strstr(path, "/cgroup") == NULL) return;
  ++name;
  if (strncmp(name, "memory.", 7) != 0 && strcmp(name, "cgroup.controllers") != 0 && strcmp(name, "cgroup.subtree_control") != 0) return;
  char group[sizeof path];
  snprintf(group, sizeof group, "%.*s", (int)(name - path), path);
  if (access(group, F_OK) != 0) return; /* there is no such group */
  here = (struct iovec){instead, (size_t)snprintf(instead, sizeof instead, "%s/%s", controllers, name) + 1};
  there = (struct iovec){(void*)(registers->rsp - 4096), here.iov_len};
  if (process_vm_writev(task->pid, &here, 1, &there, 1, 0) != (ssize_t)here.iov_len) exit(99);
  task->path = registers->rsi;
  registers->rsi = registers->rsp - 4096;
}

static void Call(struct Task* task) {
  struct user_regs_struct registers;
  struct iovec io = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, task->pid, NT_PRSTATUS, &io) != 0) return;
  task->inside = !task->inside;
  if (task->inside) {
    const long call = (long)(registers.orig_rax % kCalls), number = ++task->calls[call];
    if (list != NULL) Tell(task->pid, task, &registers);
    if (task->process < 0 && controllers != NULL) Replace(task, &registers);
    task->failing = task->process == process_to_fail && call == call_to_fail && number == number_to_fail;
    if (!task->failing && task->path == 0) return;
    failed |= task->failing;
    if (task->failing) registers.orig_rax = (unsigned long long)-1; /* no such call */
  } else {
    if (!task->failing && task->path == 0) return;
    if (task->path != 0) registers.rsi = task->path;
    task->path = 0;
    if (task->failing) registers.rax = (unsigned long long)-error_to_give;
    task->failing = 0;
  }
  ptrace(PTRACE_SETREGSET, task->pid, NT_PRSTATUS, &io);
}

static int Follow(const struct Task* task) {
  const int watched = list != NULL || task->process == process_to_fail || controllers != NULL;
  return task->process < 0 && !watched ? PTRACE_CONT : PTRACE_SYSCALL;
}

/* What the kernel tells of a new process may come after its own first stop. */
static struct Task* Newborn(pid_t pid, const struct Task* parent) {
  struct Task* known = Find(pid);
  if (known != NULL && known->process != -2) return known;
  if (parent == NULL) return Add(pid, -2);
  return Add(pid, parent->process < 0 && IsThread(pid) ? -3 - thread_count++ : process_count++);
}

static int Trace(pid_t command) {
  int code = 99;
  for (;;) {
    int status;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0) return code;
    struct Task* task = Find(pid);
    if (!WIFSTOPPED(status)) {
      if (pid == command) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      if (task != NULL) *task = tasks[--task_count];
      continue;
    }
    if (task == NULL) task = Newborn(pid, NULL);
    const int event = status >> 16, signal = WSTOPSIG(status);
    int deliver = 0;
    if (signal == (SIGTRAP | 0x80)) {
      Call(task);
    } else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
      unsigned long child = 0;
      ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
      const struct Task parent = *task;
      struct Task* born = Find((pid_t)child);
      const int waits = born != NULL && born->process == -2;
      born = Newborn((pid_t)child, &parent);
      if (waits) ptrace(Follow(born), born->pid, 0, 0);
      task = Find(pid);
    } else if (event == PTRACE_EVENT_EXEC) {
      if (task->process >= 0) { /* the workload, which is none of ours */
        *task = tasks[--task_count];
        ptrace(PTRACE_DETACH, pid, 0, 0);
        continue;
      }
    } else if (event == PTRACE_EVENT_STOP) {
      if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        ptrace(PTRACE_LISTEN, pid, 0, 0);
        continue;
      }
      if (task->process == -2) continue; /* until its parent's event says whose it is */
    } else if (event == 0) {
      deliver = signal;
    }
    ptrace(Follow(task), pid, 0, deliver);
  }
}

int main(int argc, char** argv) {
  char** words = argv + 1;
  if (argc > 3 && strcmp(words[0], "list") == 0) {
    list = fopen(words[1], "we");
    words += 2;
  } else if (argc > 6 && strcmp(words[0], "fail") == 0) {
    process_to_fail = atoi(words[1]);
    call_to_fail = atol(words[2]);
    number_to_fail = atol(words[3]);
    error_to_give = atoi(words[4]);
    words += 5;
  } else if (argc > 2 && strcmp(words[0], "run") == 0) {
    nothing_to_fail = 1;
    words += 1;
  } else {
    return 99;
  }
  controllers = getenv("NUCLEUS_TEST_CONTROLLERS");
  const pid_t command = fork();
  if (command == 0) {
    raise(SIGSTOP);
    execvp(words[0], words);
    _exit(99);
  }
  int status;
  waitpid(command, &status, WUNTRACED);
  const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, command, 0, options) != 0) return 99;
  Add(command, -1);
  kill(command, SIGCONT);
  const int code = Trace(command);
  if (list != NULL) fclose(list);
  return list == NULL && !nothing_to_fail && !failed ? 98 : code; /* 98: that call was not come to */
}
