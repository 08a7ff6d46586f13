// Once it gets SIGUSR1 its first thread exits, and each of the others when it has started the next.
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static void* next(void* attributes) {
  pthread_t thread;
  while (pthread_create(&thread, attributes, next, attributes) != 0) {
  }
  return NULL;
}

int main(void) {
  static pthread_attr_t attributes;
  sigset_t told;
  int signal = 0;
  sigemptyset(&told);
  sigaddset(&told, SIGUSR1);
  sigprocmask(SIG_BLOCK, &told, NULL);
  sigwait(&told, &signal);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  next(&attributes);
  syscall(SYS_exit, 0);
}
