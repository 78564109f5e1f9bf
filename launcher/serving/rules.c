// Which operations a verb knows, and how many arguments each has: checked before anything is done.
#include "rules.h"

#include <errno.h>
#include <string.h>

#define PROCESS_RULES \
  {"user", 1, 1}, {"group-add", 1, 1}, {"no-new-privileges", 0, 0}, {"capabilities", 5, 5}, {"seccomp", 2, 2}, \
      {"umask", 1, 1}, {"cwd", 2, 2}, {"env", 1, 1}, {"argv", 1, UINT32_MAX}, {"rlimit", 3, 3}, \
      {"oom-score-adj", 1, 1}, {"cgroup", 1, 1}, {"stdio", 1, 5}, {"attach-expect", 1, 1}

const struct rule exec_rules[] = {{"exec", 1, 1}, PROCESS_RULES, {NULL, 0, 0}};

const struct rule launch_rules[] = {
    {"mount", 5, 5}, {"bind", 4, 5}, {"view", 4, 503}, {"tree", 7, 506}, {"secret", 5, 5},
    {"device", 7, 7}, {"symlink", 2, 2}, {"directory", 4, 4}, {"mask", 1, 1},
    {"readonly", 1, 1}, {"namespace", 2, 2}, {"cgroup-write", 3, 3}, PROCESS_RULES, {"launch", 1, 1},
    {"monitor-socket", 1, 1}, {"exit-record", 2, 2}, {"log", 1, 4}, {"reserve-port", 3, 3}, {"name-relay", 2, 3},
    {"cgroup-device-program", 2, 2}, {"oom-counter", 2, 2}, {"uid-map", 3, 3}, {"gid-map", 3, 3},
    {"kill-on-end", 1, 1}, {"root-path", 1, 1}, {"root-overlay", 4, 503}, {"root-readonly", 0, 0},
    {"root-propagation", 1, 1}, {"console", 0, 0}, {"hostname", 1, 1}, {"domainname", 1, 1}, {"sysctl", 2, 2},
    {"init", 0, 0}, {NULL, 0, 0},
};

int rules_check(const struct plan *plan, const struct rule *rules, struct failure *failure) {
  for (uint32_t i = 0; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    const struct rule *rule = rules;
    while (rule->name && (*rule->name != *operation->name || strcmp(rule->name, operation->name))) rule++;
    if (!rule->name)
      return fail(failure, "plan", operation->name, ENOSYS, "%s knows no operation \"%.64s\"", plan->operations->name,
                  operation->name);
    if (operation->count < rule->least || operation->count > rule->most)
      return fail(failure, "plan", operation->name, EINVAL, "the operation \"%s\" has a wrong number of arguments (%u)",
                  operation->name, operation->count);
  }
  return 0;
}
