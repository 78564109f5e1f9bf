// Host name, sysctls, resource limits and the OOM score.
#ifndef SLOOP_LIMITS_H
#define SLOOP_LIMITS_H
#include "plan.h"
#include "report.h"

// hostname, domainname, sysctl: in the container's namespaces. own = CLONE_NEW* of those that are not the host's:
// what would change the host is refused.
int system_apply(const struct plan *plan, uint64_t own, struct failure *failure);
// rlimit: in the process itself, while it still has its capabilities.
int rlimits_apply(const struct plan *plan, struct failure *failure);
// oom-score-adj: by the parent, through the host's /proc.
int oom_score_apply(const struct plan *plan, pid_t pid, struct failure *failure);
#endif
