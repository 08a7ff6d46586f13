/* Preloaded into nucleus: a machine whose cgroup2 has the memory controller, as far as the files go, where this one has not. Production
 * starts nothing without; the limit itself holds nobody here. What is opened as a controller's file is one of the directory
 * NUCLEUS_TEST_CONTROLLERS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static const char* Instead(const char* path, char* buffer, size_t size) {
  const char* directory = getenv("NUCLEUS_TEST_CONTROLLERS");
  const char* name = strrchr(path, '/');
  if (directory == NULL || name == NULL || strstr(path, "/cgroup") == NULL) return path;
  ++name;
  if (strncmp(name, "memory.", 7) != 0 && strcmp(name, "cgroup.controllers") != 0 && strcmp(name, "cgroup.subtree_control") != 0) return path;
  snprintf(buffer, size, "%s/%s", directory, name);
  return buffer;
}

#define REPLACE(name)                                                                    \
  int name(int at, const char* path, int flags, ...) {                                   \
    static int (*real)(int, const char*, int, ...);                                      \
    if (real == NULL) real = (int (*)(int, const char*, int, ...))dlsym(RTLD_NEXT, #name); \
    char buffer[4096];                                                                   \
    va_list list;                                                                        \
    va_start(list, flags);                                                               \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;       \
    va_end(list);                                                                        \
    return real(at, Instead(path, buffer, sizeof buffer), flags, mode);                  \
  }
REPLACE(openat)
REPLACE(openat64)

#define REPLACE_OPEN(name, by)                                                     \
  int name(const char* path, int flags, ...) {                                     \
    va_list list;                                                                  \
    va_start(list, flags);                                                         \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0; \
    va_end(list);                                                                  \
    return by(AT_FDCWD, path, flags, mode);                                        \
  }
REPLACE_OPEN(open, openat)
REPLACE_OPEN(open64, openat64)
