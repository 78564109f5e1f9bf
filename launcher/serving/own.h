// Scope-owned resources: a descriptor or allocation that is released when its variable leaves scope.
#ifndef SLOOP_OWN_H
#define SLOOP_OWN_H
#include <stdlib.h>
#include <unistd.h>

static inline void own_close(int *fd) {
  if (*fd >= 0) close(*fd);
}
static inline void own_free(void *pointer) { free(*(void **)pointer); }

#define OWN_FD __attribute__((cleanup(own_close))) int
#define OWN_MEMORY __attribute__((cleanup(own_free)))

// Hands an owned descriptor on to someone else.
static inline int give_fd(int *fd) {
  int given = *fd;
  *fd = -1;
  return given;
}
#endif
