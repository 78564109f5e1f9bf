// Host paths mean what they mean in the host's mount namespace, which is larger than the launcher's own.
#include "host-mounts.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

int host_mounts_enter(struct request *request, struct failure *failure) {
  if (!setns(request->host_mounts, CLONE_NEWNS)) return 0;
  return fail(failure, "path", "", errno, "the host's mount namespace cannot be entered: %s", strerror(errno));
}
