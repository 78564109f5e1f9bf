// The namespaces a container gets: new ones, held ones, others' ones.
#include "namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "calls.h"
#include "own.h"

// In the order of joining: the user namespace first, since it decides what may be joined; mounts last.
static const struct {
  const char *kind;
  uint64_t flag;
} kinds[NAMESPACE_KINDS] = {
    {"user", CLONE_NEWUSER}, {"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS},   {"network", CLONE_NEWNET},
    {"pid", CLONE_NEWPID},   {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}, {"mount", CLONE_NEWNS},
};

uint64_t namespace_flag(int index) { return kinds[index].flag; }

int namespace_index(const char *kind) {
  for (int i = 0; i < NAMESPACE_KINDS; i++)
    if (!strcmp(kinds[i].kind, kind)) return i;
  return -1;
}

// ioctl(NS_GET_NSTYPE) fails on whatever is no namespace.
static int namespace_type(int fd) { return (int)syscall(SYS_ioctl, fd, 0xb703); }

static bool is_held(const char *text) { return !strncmp(text, "held:", 5); }

int namespace_open(struct request *request, const char *text, struct failure *failure) {
  if (is_held(text)) {
    int fd = held_get(request, text + 5);
    if (fd >= 0) return fd;
    return fail(failure, "namespace", text, ENOENT, "the launcher holds no network namespace of that name");
  }
  OWN_FD fd = !strcmp(text, "host") ? fcntl(request->host_network, F_DUPFD_CLOEXEC, 0)
                                    : open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail(failure, "namespace", text, errno, "the namespace cannot be opened: %s", strerror(errno));
  if (namespace_type(fd) < 0) return fail(failure, "namespace", text, EINVAL, "the path is not a namespace");
  return give_fd(&fd);
}

static int read_one(struct request *request, const struct operation *operation, struct namespaces *namespaces,
                    struct failure *failure) {
  int index = namespace_index(operation->args[0]);
  if (index < 0) return fail(failure, "namespace", operation->args[0], EINVAL, "there is no such kind of namespace");
  if (namespaces->joined[index] >= 0 || namespaces->fresh & kinds[index].flag)
    return fail(failure, "namespace", operation->args[0], EINVAL, "the plan names this kind of namespace twice");
  if (!strcmp(operation->args[1], "new")) {
    namespaces->fresh |= kinds[index].flag;
    return 0;
  }
  int fd = namespace_open(request, operation->args[1], failure);
  if (fd < 0) return -1;
  namespaces->joined[index] = fd;
  if (namespace_type(fd) == (int)kinds[index].flag) return 0;
  return fail(failure, "namespace", operation->args[1], EINVAL, "this is not a %s namespace", kinds[index].kind);
}

static int read_all(struct request *request, struct namespaces *namespaces, bool held, struct failure *failure) {
  const struct operation *operation;
  for (uint32_t n = 0; (operation = plan_find(request->plan, "namespace", n)); n++)
    if (is_held(operation->args[1]) == held && read_one(request, operation, namespaces, failure)) return -1;
  return 0;
}

int namespaces_read(struct request *request, struct namespaces *namespaces, struct failure *failure) {
  namespaces->fresh = 0;
  for (int i = 0; i < NAMESPACE_KINDS; i++) namespaces->joined[i] = -1;
  return read_all(request, namespaces, false, failure);
}

int namespaces_read_held(struct request *request, struct namespaces *namespaces, struct failure *failure) {
  return read_all(request, namespaces, true, failure);
}

uint64_t namespaces_own(const struct namespaces *namespaces) {
  uint64_t own = namespaces->fresh;
  for (int i = 0; i < NAMESPACE_KINDS; i++)
    if (namespaces->joined[i] >= 0) own |= kinds[i].flag;
  return own;
}

void namespaces_close(struct namespaces *namespaces) {
  for (int i = 0; i < NAMESPACE_KINDS; i++) own_close(&(int){give_fd(&namespaces->joined[i])});
}

int namespaces_join(const struct namespaces *namespaces, struct failure *failure) {
  for (int i = 0; i < NAMESPACE_KINDS; i++) {
    if (namespaces->joined[i] < 0 || kinds[i].flag == CLONE_NEWPID) continue;
    if (setns(namespaces->joined[i], (int)kinds[i].flag))
      return fail(failure, "namespace", kinds[i].kind, errno, "the namespace cannot be joined: %s", strerror(errno));
  }
  return 0;
}

int loopback_up(struct failure *failure) {
  struct ifreq link = {.ifr_name = "lo"};
  OWN_FD any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  link.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  if (any >= 0 && !ioctl(any, SIOCSIFFLAGS, &link)) return 0;
  return fail(failure, "namespace", "network", errno, "the loopback interface cannot be brought up: %s",
              strerror(errno));
}

static int write_map(const struct plan *plan, const char *name, const char *path, struct failure *failure) {
  char text[4096];
  size_t used = 0;
  const struct operation *operation;
  for (uint32_t n = 0; (operation = plan_find(plan, name, n)); n++) {
    uint64_t inside, outside, count;
    if (!parse_u64(operation->args[0], 10, UINT32_MAX - 1, &inside) ||
        !parse_u64(operation->args[1], 10, UINT32_MAX - 1, &outside) ||
        !parse_u64(operation->args[2], 10, UINT32_MAX, &count))
      return fail(failure, name, operation->args[0], EINVAL, "a mapping needs three numbers");
    int wrote = snprintf(text + used, sizeof text - used, "%u %u %u\n", (unsigned)inside, (unsigned)outside,
                         (unsigned)count);
    if (wrote < 0 || (used += (size_t)wrote) >= sizeof text)
      return fail(failure, name, path, E2BIG, "the plan has too many mappings");
  }
  OWN_FD fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, used) != (ssize_t)used)
    return fail(failure, name, path, errno, "the kernel refuses the mapping: %s", strerror(errno));
  return 0;
}

int namespaces_map_users(const struct plan *plan, int pid, struct failure *failure) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
  if (write_map(plan, "uid-map", path, failure)) return -1;
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  return write_map(plan, "gid-map", path, failure);
}
