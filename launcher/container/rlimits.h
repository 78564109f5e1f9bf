// Host name, sysctls, resource limits and the OOM score.
#ifndef SLOOP_LIMITS_H
#define SLOOP_LIMITS_H
#include "plan.h"
#include "report.h"

// hostname, domainname: in the container's namespaces. own = CLONE_NEW* of those that are not the host's: what would
// change the host is refused.
int names_apply(const struct plan *plan, uint64_t own, struct failure *failure);
// sysctl, likewise, through a procfs that is mounted nowhere yet: nothing can lie over it (CVE-2025-52881). proc is such
// a one that may be written through, or -1: then one is made for it, if it is needed.
int sysctls_apply(const struct plan *plan, uint64_t own, int proc, struct failure *failure);
// rlimit: in the process itself, while it still has its capabilities.
int rlimits_apply(const struct plan *plan, struct failure *failure);
// oom-score-adj: by the parent, through the host's /proc.
int oom_score_apply(const struct plan *plan, pid_t pid, struct failure *failure);
#endif
