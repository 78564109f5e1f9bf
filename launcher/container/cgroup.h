// cgroups of any version: created, limited and entered through their files.
#ifndef SLOOP_CGROUP_H
#define SLOOP_CGROUP_H
#include "plan.h"
#include "report.h"

// The directories that were created for this plan, to be removed again when the launch fails.
struct cgroups {
  char **made;
  uint32_t count;
};

// Performs cgroup, cgroup-write and cgroup-device-program in plan order. -1 with the failure filled; what was
// made is in cgroups all the same.
int cgroups_make(const struct plan *plan, struct cgroups *cgroups, struct failure *failure);
// Places a process into every cgroup of the plan. init is a process whose v2 cgroup will do when the named one has
// children of its own (0 = none).
int cgroups_place(const struct plan *plan, pid_t pid, pid_t init, struct failure *failure);
// A descriptor of the plan's only cgroup, if it is a v2 one, for clone3 (which spares a lock that placing takes).
int cgroups_only_v2(const struct plan *plan);
void cgroups_undo(struct cgroups *cgroups);
void cgroups_keep(struct cgroups *cgroups);
#endif
