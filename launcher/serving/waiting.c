// A connection that was made ahead (waiting.h).
#include "waiting.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool has_come(int connection, int patience) {
  struct pollfd waited = {.fd = connection, .events = POLLIN};
  int ready;
  do ready = poll(&waited, 1, patience);
  while (ready < 0 && errno == EINTR);
  return ready != 0;
}

bool plan_await(struct request *request) {
  if (has_come(request->connection, 0)) return true;
  // A launch without its launcher would find nothing that is held: the client, who loses an unread plan, asks the next one.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != request->launcher) return false;
  has_come(request->connection, -1);
  prctl(PR_SET_PDEATHSIG, 0);
  // What the parent had when this process was made is long past.
  request->spent = request->full = false;
  return true;
}
