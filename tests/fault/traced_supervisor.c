/* Stands in for nucleus-supervisor where supervisors are asked for (order.hpp): a child of it for each, which has strace(1) attached to
 * itself, then becomes the real one. Which service, the real program and strace's words are in a file of the world,
 * DIRECTORY/supervisor-fault: a line each. For another service it becomes the real one at once. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMostWords = 64, kOrdersFd = 3, kReadyFd = 3 };  /* the latter in a child */

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

/* The descriptors of the next order, the second -1 where there is none, and the directory; 0: nobody is left who would ask. */
static int Receive(int fds[2], char* text, size_t size) {
  char control[CMSG_SPACE(2 * sizeof(int))];
  struct iovec data = {.iov_base = text, .iov_len = size - 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t got = recvmsg(kOrdersFd, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr* header = got > 1 ? CMSG_FIRSTHDR(&message) : NULL;
  if (header == NULL) return 0;
  text[got] = '\0';
  fds[0] = fds[1] = -1;
  memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
  return 1;
}

/* In the child: into the group, and its pipe where the real one looks for it, with the word that it lives. */
static void TakePlace(const int fds[2]) {
  signal(SIGCHLD, SIG_DFL);
  if (fds[1] >= 0) {
    int procs = openat(fds[1], "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs < 0 || write(procs, "0", 1) != 1) _exit(1);
    close(procs);
  }
  if (write(fds[0], ".", 1) != 1 || dup2(fds[0], kReadyFd) < 0) _exit(1);
}

static void Become(const char* directory) {
  static char buffer[16384];
  char* words[kMostWords];
  char path[8192];
  /* DIRECTORY/runtime/projects/PROJECT/SERVICE */
  snprintf(path, sizeof path, "%s/../../../../supervisor-fault", directory);
  if (Lines(path, buffer, sizeof buffer, words) < 4) _exit(125);
  /* service, real program, cgroup.procs of the root, then strace's words */
  if (strcmp(words[0], strrchr(directory, '/') + 1) == 0) Trace(words + 3, words[2]);
  char* argv[] = {"nucleus-supervisor", (char*)directory, "3", NULL};
  execv(words[1], argv);
  _exit(127);
}

int main(void) {
  static char text[4200]; /* a letter, and the directory */
  int fds[2];
  signal(SIGCHLD, SIG_IGN);
  while (Receive(fds, text, sizeof text)) {
    if (fork() == 0) {
      TakePlace(fds);
      Become(text + 1);
    }
    close(fds[0]);
    if (fds[1] >= 0) close(fds[1]);
  }
  return 0;
}
