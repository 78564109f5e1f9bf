// Capabilities, set exactly.
#ifndef SLOOP_CAPS_H
#define SLOOP_CAPS_H
#include <stdbool.h>

#include "plan.h"
#include "report.h"

struct caps {
  bool given;
  uint64_t bounding, effective, permitted, inheritable, ambient;
};

int caps_read(const struct plan *plan, struct caps *caps, struct failure *failure);
// Before the user changes: drops what is outside of the bounding set.
int caps_bound(const struct caps *caps, struct failure *failure);
// After the user has changed (with the permitted set kept): sets the rest.
int caps_apply(const struct caps *caps, uid_t uid, struct failure *failure);
#endif
