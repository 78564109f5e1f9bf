// Host name, sysctls, resource limits and the OOM score.
#include "rlimits.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "calls.h"
#include "mount.h"
#include "own.h"

int names_apply(const struct plan *plan, uint64_t own, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "hostname", 0);
  if (!(own & CLONE_NEWUTS) && (operation || plan_find(plan, "domainname", 0)))
    return fail(failure, "hostname", "", EPERM,
                "a container in the host's UTS namespace cannot have a name of its own");
  if (operation && sethostname(operation->args[0], strlen(operation->args[0])))
    return fail(failure, "hostname", operation->args[0], errno, "the host name cannot be set: %s", strerror(errno));
  operation = plan_find(plan, "domainname", 0);
  if (operation && setdomainname(operation->args[0], strlen(operation->args[0])))
    return fail(failure, "domainname", operation->args[0], errno, "the domain name cannot be set: %s", strerror(errno));
  return 0;
}

// net.ipv4.ip_forward or net/ipv4/ip_forward (whose parts may hold dots: net/ipv4/conf/eth0.1/forwarding).
static bool sysctl_path(const char *key, char *path, size_t size) {
  if ((size_t)snprintf(path, size, "sys/%s", key) >= size || !*key || *key == '/' || strstr(key, "..")) return false;
  bool dots = !strchr(key, '/');
  for (char *c = path + 4; dots && *c; c++)
    if (*c == '.') *c = '/';
  return true;
}

// The namespace whose copy of a sysctl this is; 0 when the whole machine shares it.
static uint64_t sysctl_namespace(const char *path) {
  static const struct {
    const char *prefix;
    uint64_t flag;
  } known[] = {
      {"sys/net/", CLONE_NEWNET},
      {"sys/kernel/shm", CLONE_NEWIPC},
      {"sys/kernel/msg", CLONE_NEWIPC},
      {"sys/kernel/sem", CLONE_NEWIPC},
      {"sys/fs/mqueue/", CLONE_NEWIPC},
      {"sys/kernel/hostname", CLONE_NEWUTS},
      {"sys/kernel/domainname", CLONE_NEWUTS},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strncmp(path, known[i].prefix, strlen(known[i].prefix))) return known[i].flag;
  return 0;
}

static int sysctl_write(int proc, const struct operation *operation, uint64_t own, struct failure *failure) {
  const char *key = operation->args[0], *value = operation->args[1];
  char path[256];
  if (!sysctl_path(key, path, sizeof path))
    return fail(failure, "sysctl", key, EINVAL, "this is not the name of a sysctl");
  if (!(sysctl_namespace(path) & own))
    return fail(failure, "sysctl", key, EPERM,
                "the container has no namespace of its own for this sysctl: it would change the host");
  OWN_FD fd = call_openat2(proc, path, O_WRONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
  if (fd < 0) return fail(failure, "sysctl", key, errno, "the sysctl cannot be opened: %s", strerror(errno));
  size_t length = strlen(value);
  if (write(fd, value, length) == (ssize_t)length) return 0;
  return fail(failure, "sysctl", key, errno, "the kernel refuses the value \"%s\": %s", value, strerror(errno));
}

int sysctls_apply(const struct plan *plan, uint64_t own, int given, struct failure *failure) {
  const struct operation *operation;
  if (!plan_find(plan, "sysctl", 0)) return 0;
  OWN_FD made = given < 0 ? mount_create("proc", "proc", "", 0, "sysctl", "", failure) : -1;
  int proc = given < 0 ? made : given;
  if (proc < 0) return -1;
  for (uint32_t n = 0; (operation = plan_find(plan, "sysctl", n)); n++)
    if (sysctl_write(proc, operation, own, failure)) return -1;
  return 0;
}

static int rlimit_index(const char *name) {
  static const struct {
    const char *name;
    int resource;
  } known[] = {{"as", RLIMIT_AS},           {"core", RLIMIT_CORE},     {"cpu", RLIMIT_CPU},
               {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},   {"locks", RLIMIT_LOCKS},
               {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
               {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},   {"rss", RLIMIT_RSS},
               {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME}, {"sigpending", RLIMIT_SIGPENDING},
               {"stack", RLIMIT_STACK}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].name, name)) return known[i].resource;
  return -1;
}

static bool limit_parse(const char *text, rlim_t *limit) {
  uint64_t value;
  if (!strcmp(text, "unlimited") || !strcmp(text, "-1")) return *limit = RLIM_INFINITY, true;
  if (!parse_u64(text, 10, UINT64_MAX, &value)) return false;
  *limit = value;
  return true;
}

static int rlimit_apply(const struct operation *operation, struct failure *failure) {
  const char *name = operation->args[0];
  int resource = rlimit_index(name);
  struct rlimit wanted, now;
  if (resource < 0) return fail(failure, "rlimit", name, EINVAL, "there is no such resource limit");
  if (!limit_parse(operation->args[1], &wanted.rlim_cur) || !limit_parse(operation->args[2], &wanted.rlim_max))
    return fail(failure, "rlimit", name, EINVAL, "a limit is neither a number nor unlimited");
  if (wanted.rlim_cur > wanted.rlim_max)
    return fail(failure, "rlimit", name, EINVAL, "the soft limit is above the hard limit");
  if (!setrlimit(resource, &wanted)) return 0;
  int error = errno;
  if (error != EPERM || getrlimit(resource, &now))
    return fail(failure, "rlimit", name, error, "the kernel refuses the limit: %s", strerror(error));
  char held[32];
  if (now.rlim_max == RLIM_INFINITY) snprintf(held, sizeof held, "unlimited");
  else snprintf(held, sizeof held, "%llu", (unsigned long long)now.rlim_max);
  return fail(failure, "rlimit", name, error,
              "raising the hard limit to %s needs CAP_SYS_RESOURCE, which this machine does not grant; the most it allows is %s",
              operation->args[2], held);
}

int rlimits_apply(const struct plan *plan, struct failure *failure) {
  const struct operation *operation;
  for (uint32_t n = 0; (operation = plan_find(plan, "rlimit", n)); n++)
    if (rlimit_apply(operation, failure)) return -1;
  return 0;
}

int oom_score_apply(const struct plan *plan, pid_t pid, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "oom-score-adj", 0);
  int64_t score;
  char path[64];
  if (!operation) return 0;
  const char *text = operation->args[0];
  if (!parse_i64(text, -1000, 1000, &score))
    return fail(failure, operation->name, text, ERANGE, "an OOM score adjustment lies between -1000 and 1000");
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
  OWN_FD fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text)) return 0;
  if (errno == EACCES || errno == EPERM)
    return fail(failure, operation->name, text, errno,
                "lowering the score below the launcher's own needs CAP_SYS_RESOURCE, which this machine does not grant");
  return fail(failure, operation->name, text, errno, "the score cannot be set: %s", strerror(errno));
}
