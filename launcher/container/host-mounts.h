// Host paths mean what they mean in the host's mount namespace, which is larger than the launcher's own.
#ifndef SLOOP_HOST_MOUNTS_H
#define SLOOP_HOST_MOUNTS_H
#include "verbs.h"

// Moves this process there for good. Descriptors stay valid. -1 with the failure filled.
int host_mounts_enter(struct request *request, struct failure *failure);
#endif
