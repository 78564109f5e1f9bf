// Who the process runs as, looked up in the root's own /etc/passwd and /etc/group.
#ifndef SLOOP_USER_H
#define SLOOP_USER_H
#include "plan.h"
#include "report.h"

enum { USER_GROUPS_MAX = 1024 };

struct user {
  uid_t uid;
  gid_t gid;
  char home[256];
  gid_t groups[USER_GROUPS_MAX];  // exactly what setgroups gets; the first is gid
  uint32_t count;
};

// Reads the plan's user and group-add. -1 with the failure filled: unknown names, numbers out of range.
int user_find(const struct plan *plan, int root, struct user *user, struct failure *failure);
#endif
