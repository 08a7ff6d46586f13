// Its first thread exits at once, another goes on.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static void* stay(void* nothing) {
  for (;;) pause();
  return nothing;
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, stay, NULL);
  syscall(SYS_exit, 0);
}
