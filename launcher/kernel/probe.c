// probe: what this kernel and this process may do. Answers are yes or no, a version, a path or a hex mask:
//   kernel, capabilities (bounding set, hex), effective-capabilities, cap-sys-resource
//   cgroup-mode (none v1 hybrid v2), cgroup-v1-CONTROLLER (mount point), cgroup-v2 (mount point),
//   cgroup-v2-controllers, cgroup-kill, clone-into-cgroup overlay, overlay-volatile, overlay-userxattr,
//   overlay-lowerdir-append, overlay-metacopy, erofs, erofs-file, idmapped-mounts, idmapped-overlay-layers,
//   mount-setattr nf-tables, veth, bridge, macvlan, ipvlan, vlan, vxlan, dummy seccomp, seccomp-notify,
//   user-namespaces, cgroup-namespaces, time-namespaces, pidfd, landlock, apparmor, selinux
#include "probe.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "calls.h"
#include "own.h"
#include "verbs.h"

enum { PROBE_BYTES = 16 << 10 };

void probe_add(struct probe *probe, const char *key, const char *format, ...) {
  size_t length = strlen(key) + 1, room = PROBE_BYTES - probe->used;
  char value[512];
  va_list args;
  va_start(args, format);
  int written = vsnprintf(value, sizeof value, format, args);
  va_end(args);
  if (written < 0 || written >= (int)sizeof value || length + (size_t)written + 1 > room) return;
  memcpy(probe->bytes + probe->used, key, length);
  memcpy(probe->bytes + probe->used + length, value, (size_t)written + 1);
  probe->used += length + (size_t)written + 1;
}

void probe_answer(struct probe *probe, const char *key, bool yes) { probe_add(probe, key, "%s", yes ? "yes" : "no"); }

bool probe_at_least(const struct probe *probe, int major, int minor) {
  return probe->major > major || (probe->major == major && probe->minor >= minor);
}

static void probe_kernel(struct probe *probe) {
  struct utsname name;
  uname(&name);
  probe->major = atoi(name.release);
  const char *point = strchr(name.release, '.');
  probe->minor = point ? atoi(point + 1) : 0;
  probe_add(probe, "kernel", "%s", name.release);
}

static void probe_capabilities(struct probe *probe) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2] = {{0}};
  unsigned long long bounding = 0, effective;
  for (unsigned i = 0; i < 64; i++)
    if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1) bounding |= 1ull << i;
  syscall(SYS_capget, &header, sets);
  effective = sets[0].effective | (unsigned long long)sets[1].effective << 32;
  probe_add(probe, "capabilities", "%llx", bounding);
  probe_add(probe, "effective-capabilities", "%llx", effective);
  probe_answer(probe, "cap-sys-resource", effective >> CAP_SYS_RESOURCE & 1);
}

// Whether a child process can make such a namespace.
static bool can_unshare(int kind) {
  int status = 1;
  pid_t child = fork();
  if (child == 0) _exit(unshare(kind) ? 1 : 0);
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static bool seccomp_knows(uint32_t action) { return !syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action); }

static void probe_processes(struct probe *probe) {
  OWN_FD pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  long landlock = syscall(444, NULL, 0, 1);  // landlock_create_ruleset: the version of its interface
  probe_answer(probe, "seccomp", seccomp_knows(SECCOMP_RET_ERRNO));
  probe_answer(probe, "seccomp-notify", seccomp_knows(SECCOMP_RET_USER_NOTIF));
  probe_answer(probe, "user-namespaces", can_unshare(CLONE_NEWUSER));
  probe_answer(probe, "cgroup-namespaces", can_unshare(CLONE_NEWCGROUP));
  probe_answer(probe, "time-namespaces", can_unshare(CLONE_NEWTIME));
  probe_answer(probe, "pidfd", pidfd >= 0);
  probe_add(probe, "landlock", "%ld", landlock < 0 ? 0 : landlock);
}

static void probe_security_modules(struct probe *probe) {
  char enabled = 'N';
  OWN_FD fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
  probe_answer(probe, "apparmor", fd >= 0 && read(fd, &enabled, 1) == 1 && enabled == 'Y');
  probe_answer(probe, "selinux", !access("/sys/fs/selinux/enforce", F_OK));
}

int verb_probe(struct request *request, struct failure *failure) {
  OWN_MEMORY char *bytes = malloc(PROBE_BYTES);
  if (!bytes) return fail(failure, "probe", "", ENOMEM, "out of memory");
  struct probe probe = {.bytes = bytes, .used = 3};
  memcpy(bytes, "ok", 3);
  signal(SIGCHLD, SIG_DFL);
  probe_kernel(&probe);
  probe_capabilities(&probe);
  probe_cgroups(&probe);
  probe_mounts(&probe);
  probe_processes(&probe);
  probe_networks(&probe);
  probe_security_modules(&probe);
  frame_write(request->connection, FRAME_REPORT, bytes, probe.used);
  return 0;
}
