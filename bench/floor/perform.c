// The work itself, straight on and the fastest way known without preparing anything: the cgroups are made while the child
// mounts, the parent lives in a small mount namespace and holds the container's namespaces beyond its end.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "calls.h"
#include "floor.h"

enum { GO = 3, WAIT_BY_PIDFD = 3 };

double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

// In the child a step that fails ends everything.
#define MUST(call) \
  do { \
    if ((call) < 0) { \
      fprintf(stderr, "the floor fails in line %d: %m\n", __LINE__); \
      _exit(1); \
    } \
  } while (0)

static int file_system(const char *type, const char *source, const char *const *keys, const char *const *values,
                       unsigned attributes) {
  int fs = call_fsopen(type);
  if (source) call_fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0);
  for (int i = 0; i < OPTIONS_MAX && keys && keys[i]; i++)
    MUST(call_fsconfig(fs, values[i] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, keys[i], values[i], 0));
  MUST(call_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
  int tree = call_fsmount(fs, attributes);
  MUST(tree);
  return tree;
}

static void attach(int tree, int root, const char *path) {
  if (!call_move_mount(tree, "", root, path, MOVE_MOUNT_F_EMPTY_PATH)) return;
  // A directory of /dev, which is new and empty.
  MUST(mkdirat(root, path, 0755));
  MUST(call_move_mount(tree, "", root, path, MOVE_MOUNT_F_EMPTY_PATH));
}

static int overlay(const struct work *work) {
  int fs = call_fsopen("overlay");
  for (size_t i = 0; i < work->lower_count; i++)
    MUST(call_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", work->lower[i], 0));
  MUST(call_fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", work->upper, 0));
  MUST(call_fsconfig(fs, FSCONFIG_SET_STRING, "workdir", work->workdir, 0));
  for (size_t i = 0; i < work->option_count; i++)
    MUST(call_fsconfig(fs, FSCONFIG_SET_FLAG, work->layer_options[i], NULL, 0));
  MUST(call_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
  int tree = call_fsmount(fs, 0);
  MUST(tree);
  return tree;
}

static void sysctls(const struct work *work, int proc) {
  for (size_t i = 0; i < work->sysctl_count; i++) {
    int fd = openat(proc, work->sysctls[i].file, O_WRONLY | O_CLOEXEC);
    MUST(write(fd, work->sysctls[i].value, strlen(work->sysctls[i].value)));
    close(fd);
  }
}

// One empty file system for all masks.
static void mask(const struct step *step, int root, int *empty) {
  static const char *const keys[OPTIONS_MAX] = {"nr_inodes", "mode"}, *const values[OPTIONS_MAX] = {"1", "555"};
  const unsigned attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (!step->directory) return attach(call_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE), root, step->path);
  int tree = *empty < 0 ? file_system("tmpfs", NULL, keys, values, attributes)
                        : call_open_tree(*empty, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  *empty = tree;
  attach(tree, root, step->path);
}

static void readonly(const struct step *step, int root) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  int tree = call_open_tree(root, step->path, OPEN_TREE_CLONE | AT_RECURSIVE);
  if (tree < 0) return;
  MUST(call_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes));
  attach(tree, root, step->path);
}

static void mount_one(const struct work *work, const struct step *step, int root) {
  int tree = file_system(step->type, step->source, step->keys, step->values, step->attributes);
  if (!strcmp(step->type, "proc")) sysctls(work, tree);
  attach(tree, root, step->path);
}

static void place_wait(bool *placed) {
  char go;
  if (*placed) return;
  MUST(read(GO, &go, 1) == 1 ? 0 : -1);
  MUST(unshare(CLONE_NEWCGROUP));
  *placed = true;
}

static void steps(const struct work *work, int root, bool *placed) {
  int empty = -1;
  for (size_t i = 0; i < work->step_count; i++) {
    const struct step *step = &work->steps[i];
    if (step->needs_place) place_wait(placed);
    switch (step->kind) {
      case STEP_MOUNT: mount_one(work, step, root); break;
      case STEP_DIRECTORY: MUST(mkdirat(root, step->path, step->mode)); break;
      case STEP_DEVICE: MUST(mknodat(root, step->path, S_IFCHR | step->mode, step->device)); break;
      case STEP_SYMLINK: MUST(symlinkat(step->source, root, step->path)); break;
      case STEP_MASK: mask(step, root, &empty); break;
      case STEP_READONLY: readonly(step, root); break;
    }
  }
}

static void confine(const struct work *work) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2];
  struct sock_fprog filter = {.len = work->filter.length, .filter = work->filter.code};
  MUST((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter));
  for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
    if (!(work->capabilities >> capability & 1)) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  syscall(SYS_capget, &header, sets);
  for (int i = 0; i < 2; i++) {
    sets[i].permitted &= (uint32_t)(work->capabilities >> (32 * i));
    sets[i].effective = sets[i].permitted;
    sets[i].inheritable = 0;
  }
  MUST((int)syscall(SYS_capset, &header, sets));
}

static void loopback_up(void) {
  struct ifreq link = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
  int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  MUST(ioctl(any, SIOCSIFFLAGS, &link));
  close(any);
}

static void child(const struct work *work, int network, const int streams[3]) {
  const char *const argv[] = {work->program, NULL}, *const environment[] = {"PATH=/bin", NULL};
  bool placed = false;
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (work->new_network) loopback_up();
  else MUST(setns(network, CLONE_NEWNET));
  int root = overlay(work);
  MUST(call_move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
  steps(work, root, &placed);
  place_wait(&placed);
  MUST(fchdir(root));
  MUST(call_pivot_root(".", "."));
  MUST(call_umount(".", UMOUNT_DETACH));
  MUST(chdir("/"));
  MUST(sethostname(work->hostname, strlen(work->hostname)));
  for (int i = 0; i < 3; i++) dup2(streams[i], i);
  call_close_range(3, ~0U, 0);
  setsid();
  confine(work);
  execve(work->program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
}

static int text_write(const char *file, const char *value) {
  int fd = open(file, O_WRONLY | O_CLOEXEC);
  ssize_t put = fd < 0 ? -1 : write(fd, value, strlen(value));
  close(fd);
  return put < 0 ? -1 : 0;
}

// A new v1 cpuset takes nobody before it has processors and memory.
static void cpuset_fill(const char *directory) {
  static const char *const names[] = {"cpuset.cpus", "cpuset.mems"};
  char path[512], value[256];
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/../%s", directory, names[i]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, value, sizeof value - 1);
    close(fd);
    if (length <= 0) return;
    value[length] = 0;
    snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    text_write(path, value);
  }
}

static bool cgroups(const struct work *work, pid_t pid) {
  char path[512], number[16];
  bool all = true;
  snprintf(number, sizeof number, "%d", pid);
  for (size_t i = 0; i < work->cgroup_count; i++) {
    mkdir(work->cgroups[i], 0755);
    if (strstr(work->cgroups[i], "/cpuset/")) cpuset_fill(work->cgroups[i]);
  }
  for (size_t i = 0; i < work->limit_count; i++) text_write(work->limits[i].file, work->limits[i].value);
  for (size_t i = 0; i < work->cgroup_count; i++) {
    snprintf(path, sizeof path, "%s/cgroup.procs", work->cgroups[i]);
    all = !text_write(path, number) && all;
  }
  return all;
}

static int held[3] = {-1, -1, -1};

static void hold(int pidfd) {
  for (int i = 0; i < 3; i++) held[i] = ioctl(pidfd, _IO(0xff, 2 + i), 0);
}

double work_perform(const struct work *work, int network) {
  int pidfd = -1, out[2], err[2], go[2];
  siginfo_t died = {0};
  double since = now_us();
  if (pipe2(go, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) return -1;
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  struct clone_args args = {.exit_signal = SIGCHLD, .pidfd = (uintptr_t)&pidfd};
  args.flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  if (work->new_network) args.flags |= CLONE_NEWNET;
  pid_t pid = call_clone3(&args);
  if (!pid) {
    const int streams[] = {in, out[1], err[1]};
    if (go[0] != GO) dup2(go[0], GO);
    child(work, network, streams);
    _exit(127);
  }
  if (pid < 0) return -1;
  if (!cgroups(work, pid)) fprintf(stderr, "the floor cannot place its process\n");
  if (write(go[1], "", 1) != 1) return -1;
  hold(pidfd);
  waitid((idtype_t)WAIT_BY_PIDFD, (id_t)pidfd, &died, WEXITED);
  double took = now_us() - since;
  const int used[] = {in, out[0], out[1], err[0], err[1], go[0], go[1], pidfd};
  for (size_t i = 0; i < sizeof used / sizeof *used; i++) close(used[i]);
  if (died.si_code != CLD_EXITED || died.si_status) fprintf(stderr, "the floor's child ended with %d\n", died.si_status);
  return died.si_code == CLD_EXITED && !died.si_status ? took : -1;
}

void work_clear(struct work *work) {
  for (int i = 0; i < 3; i++) {
    if (held[i] >= 0) close(held[i]);
    held[i] = -1;
  }
  for (size_t i = 0; i < work->cgroup_count; i++)
    for (int tries = 0; rmdir(work->cgroups[i]) && tries < 100; tries++) usleep(1000);
  for (size_t i = 0; i < work->sysctl_count; i++) free((void *)(uintptr_t)work->sysctls[i].file);
  free(work->filter.code);
  free(work->bytes);
}
