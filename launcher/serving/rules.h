// Which operations a verb knows, and how many arguments each has: checked before anything is done.
#ifndef SLOOP_RULES_H
#define SLOOP_RULES_H
#include "plan.h"
#include "report.h"

struct rule {
  const char *name;
  uint32_t least, most;
};

// Checks every operation of the plan against the rules, which end with a NULL name. -1 with the failure filled.
int rules_check(const struct plan *plan, const struct rule *rules, struct failure *failure);

extern const struct rule launch_rules[];  // the verb launch
extern const struct rule exec_rules[];    // the verb exec of a monitor
#endif
