// The system call filter that TypeScript compiled.
#ifndef SLOOP_SECCOMP_H
#define SLOOP_SECCOMP_H
#include "plan.h"
#include "report.h"

// Installs the plan's filters, if any. -1 with the failure filled.
int seccomp_install(const struct plan *plan, struct failure *failure);
#endif
