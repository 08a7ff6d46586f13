/* Stands in for nucleus-supervisor: has strace(1) attached to itself, then becomes the real one, so that the process that nucleus has
 * started is the traced one. Which service, the real program and strace's words are in a file of the world, DIRECTORY/supervisor-fault:
 * a line each. For another service it becomes the real one at once. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMostWords = 64, kReadyFd = 3, kGroupFd = 4 };

/* The lines of a file, in place; 0 where there is none. */
static int Lines(const char* path, char* buffer, size_t size, char** lines) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, buffer, size - 1);
  close(fd);
  if (got <= 0) return 0;
  buffer[got] = '\0';
  int count = 0;
  for (char* line = strtok(buffer, "\n"); line != NULL && count < kMostWords - 1; line = strtok(NULL, "\n")) lines[count++] = line;
  lines[count] = NULL;
  return count;
}

static int IsTraced(void) {
  char text[4096];
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got < 0) return 0;
  text[got] = '\0';
  const char* tracer = strstr(text, "TracerPid:\t");
  return tracer != NULL && atoi(tracer + strlen("TracerPid:\t")) != 0;
}

/* strace, as nobody's child and in nobody's way: out of the supervisors' cgroup, and without the end of the pipe that says we are ready. */
static void Trace(char** words, const char* cgroup) {
  pid_t self = getpid();
  pid_t between = fork();
  if (between == 0) {
    if (fork() != 0) _exit(0);
    close(kReadyFd);
    close(kGroupFd);
    int procs = open(cgroup, O_WRONLY | O_CLOEXEC);
    if (procs >= 0 && write(procs, "0", 1) != 1) _exit(1);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", self);
    char* argv[kMostWords + 4];
    int count = 0;
    while (words[count] != NULL) {
      argv[count] = words[count];
      ++count;
    }
    argv[count++] = "-p";
    argv[count++] = pid;
    argv[count] = NULL;
    execv("/usr/bin/strace", argv);
    _exit(1);
  }
  waitpid(between, NULL, 0);
  for (int i = 0; i < 2000 && !IsTraced(); ++i) usleep(1000);
}

/* What the real one does with its third word, so that strace need not follow: into the group, in a child that init adopts. */
static void Detach(int group) {
  if (fork() != 0) _exit(0);
  if (group < 0) return;
  int procs = openat(group, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  if (procs < 0 || write(procs, "0", 1) != 1) _exit(1);
  close(procs);
  close(group);
}

int main(int argc, char** argv) {
  static char buffer[16384];
  char* words[kMostWords];
  char path[4096];
  if (argc < 2) return 125;
  /* DIRECTORY/runtime/projects/PROJECT/SERVICE */
  snprintf(path, sizeof path, "%s/../../../../supervisor-fault", argv[1]);
  const int count = Lines(path, buffer, sizeof buffer, words);
  if (count < 4) return 125;
  const char* service = strrchr(argv[1], '/') + 1;
  /* service, real program, cgroup.procs of the root, then strace's words */
  if (strcmp(words[0], service) == 0) {
    Detach(argc > 3 ? atoi(argv[3]) : -1);
    argv[3] = NULL;
    Trace(words + 3, words[2]);
  }
  execv(words[1], argv);
  return 127;
}
