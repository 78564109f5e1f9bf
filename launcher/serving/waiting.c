// A connection that was made ahead (waiting.h).
#include "waiting.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "counter.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
enum { STACK_BYTES = 24 << 10, PAGE = 4 << 10 };

static bool has_come(int connection, int patience) {
  struct pollfd waited = {.fd = connection, .events = POLLIN};
  int ready;
  do ready = poll(&waited, 1, patience);
  while (ready < 0 && errno == EINTR);
  return ready != 0;
}

void program_map(void) {
  extern const char __executable_start[], etext[];
  const uintptr_t start = (uintptr_t)__executable_start / PAGE * PAGE;
  // Older kernels do not know it, and map what is used when it is used.
  madvise((void *)start, (uintptr_t)etext - start, MADV_POPULATE_READ);
}

// As much of the stack as a launch uses, and what memory is asked for with.
__attribute__((noinline)) static void warm_up(struct request *request) {
  volatile char stack[STACK_BYTES];
  for (size_t at = 0; at < sizeof stack; at += PAGE / 4) stack[at] = 0;
  free(malloc(1));
  program_map();
  counter_expect(request);
}

bool plan_await(struct request *request) {
  if (has_come(request->connection, 0)) return true;
  // A launch without its launcher would find nothing that is held: the client, who loses an unread plan, asks the next one.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != request->launcher) return false;
  warm_up(request);
  has_come(request->connection, -1);
  prctl(PR_SET_PDEATHSIG, 0);
  // What the parent had when this process was made is long past.
  request->spent = request->full = false;
  return true;
}
