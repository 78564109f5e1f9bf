// What a container sees of its v1 cgroups: its own directories, each mounted as the root of its hierarchy. A copy of the
// launcher's mount shows the same as a new mount made in the cgroup namespace, and takes a tenth of the time.
#ifndef SLOOP_CGROUP_VIEW_H
#define SLOOP_CGROUP_VIEW_H
#include <stdbool.h>

#include "plan.h"

// Notes where the v1 hierarchies of this mount namespace are mounted; for the launcher's parent, once.
void cgroup_view_learn(void);
// Whether the path lies in one of them.
bool cgroup_view_covers(const char *path);
// A detached copy of the plan's directory in the hierarchy that these mount options name; -1 when it is not known. The
// process must see the launcher's cgroup mounts.
int cgroup_view_open(const struct plan *plan, const char *options);
#endif
