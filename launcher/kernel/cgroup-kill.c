// cgroup-kill: everything in the cgroups dies, then they are removed.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "calls.h"
#include "own.h"
#include "tree.h"
#include "verbs.h"

enum { CGROUP_V1_MAGIC = 0x27e0eb, CGROUP_V2_MAGIC = 0x63677270, PATIENCE_MS = 5000, PROCS_BYTES = 64 << 10 };

struct sweep {
  bool kill;
  size_t seen;  // processes found
};

static int write_text(int directory, const char *file, const char *text) {
  OWN_FD fd = openat(directory, file, O_WRONLY | O_CLOEXEC);
  return fd >= 0 && write(fd, text, strlen(text)) > 0 ? 0 : -1;
}

// The text of cgroup.procs, as far as it goes in one piece; what is beyond is met in the next round.
static char *read_processes(int directory) {
  OWN_FD fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  char *text = malloc(PROCS_BYTES + 2);
  ssize_t used = fd < 0 || !text ? -1 : read_full(fd, text + 1, PROCS_BYTES);
  if (used < 0) return free(text), NULL;
  text[0] = '\n';
  text[used + 1] = 0;
  return text;
}

static bool lists(const char *text, int pid) {
  char line[16];
  snprintf(line, sizeof line, "\n%d\n", pid);
  return strstr(text, line);
}

// A pid may have been given to another process since it was read: it is killed by descriptor, after a second look.
static int kill_listed(int directory, const char *text, struct failure *failure) {
  for (const char *line = text; (line = strchr(line, '\n')) && line[1]; line++) {
    int pid = atoi(line + 1);
    if (pid == getpid() || pid == getppid())
      return fail(failure, "cgroup-kill", "", EPERM, "the launcher itself is in this cgroup");
    if (pid <= 0) continue;
    OWN_FD process = (int)syscall(SYS_pidfd_open, pid, 0);
    OWN_MEMORY char *again = process < 0 ? NULL : read_processes(directory);
    if (again && lists(again, pid)) call_pidfd_send_signal(process, SIGKILL);
  }
  return 0;
}

static int sweep_one(struct sweep *sweep, int directory, struct failure *failure) {
  OWN_MEMORY char *text = read_processes(directory);
  if (!text) return 0;
  for (const char *line = text; (line = strchr(line, '\n')) && line[1]; line++) sweep->seen++;
  if (!sweep->kill || !text[1]) return 0;
  return write_text(directory, "cgroup.kill", "1") ? kill_listed(directory, text, failure) : 0;
}

static int sweep_enter(void *context, const struct tree_place *place, int directory, struct failure *failure) {
  return sweep_one(context, directory, failure);
}

static int skip_leaf(void *context, const struct tree_place *place, struct failure *failure) { return 0; }

static int remove_leave(void *context, const struct tree_place *place, struct failure *failure) {
  unlinkat(place->parent, place->name, AT_REMOVEDIR);
  return 0;
}

// A frozen process dies only once it is thawed; frozen ones cannot fork meanwhile.
static int sweep_tree(struct sweep *sweep, int directory, struct failure *failure) {
  static const struct tree_visitor visitor = {.leaf = skip_leaf, .enter = sweep_enter};
  bool frozen = sweep->kill && !write_text(directory, "freezer.state", "FROZEN");
  int result = sweep_one(sweep, directory, failure);
  if (!result) result = tree_walk(directory, "cgroup-kill", &visitor, sweep, failure);
  if (frozen) write_text(directory, "freezer.state", "THAWED");
  return result;
}

// The descriptor of a cgroup that may be killed: never the root of a hierarchy. -2 when it does not exist.
static int open_cgroup(const char *path, struct failure *failure) {
  struct statfs file_system;
  struct stat own, above;
  OWN_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return -2;
  if (fd < 0 || fstatfs(fd, &file_system))
    return fail(failure, "cgroup-kill", path, errno, "it cannot be opened: %s", strerror(errno));
  bool cgroup = file_system.f_type == CGROUP_V1_MAGIC || file_system.f_type == CGROUP_V2_MAGIC;
  if (!cgroup || fstat(fd, &own) || fstatat(fd, "..", &above, 0) || own.st_dev != above.st_dev)
    return fail(failure, "cgroup-kill", path, EINVAL, "it is not a cgroup beneath a hierarchy's root");
  return give_fd(&fd);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void rest(int round) {
  struct timespec pause = {.tv_nsec = (round < 10 ? round + 1 : 10) * 500000L};
  nanosleep(&pause, NULL);
}

struct victims {
  const char **paths;
  int *directories;
  size_t count;
};

static int kill_all(const struct victims *victims, int64_t deadline, struct failure *failure) {
  for (int round = 0;; round++) {
    struct sweep sweep = {.kill = round > 0};
    for (size_t i = 0; i < victims->count; i++)
      if (victims->directories[i] >= 0 && sweep_tree(&sweep, victims->directories[i], failure)) return -1;
    if (!sweep.seen) return 0;
    if (now_ms() > deadline)
      return fail(failure, "cgroup-kill", victims->paths[0], EBUSY, "processes in it do not end");
    if (round > 0) rest(round);
  }
}

// A cgroup is busy for a moment after its last process has ended.
static int remove_cgroup(const char *path, int directory, int64_t deadline, struct failure *failure) {
  static const struct tree_visitor visitor = {.leaf = skip_leaf, .leave = remove_leave};
  for (int round = 0; rmdir(path) && errno != ENOENT; round++) {
    if (errno != EBUSY && errno != ENOTEMPTY)
      return fail(failure, "cgroup-kill", path, errno, "it cannot be removed: %s", strerror(errno));
    if (now_ms() > deadline) return fail(failure, "cgroup-kill", path, EBUSY, "it stays busy");
    if (tree_walk(directory, "cgroup-kill", &visitor, NULL, failure)) return -1;
    if (round) rest(round);
  }
  return 0;
}

static int open_all(const struct plan *plan, struct victims *victims, struct failure *failure) {
  for (uint32_t i = 1; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    if (strcmp(operation->name, "path"))
      return fail(failure, operation->name, "", EINVAL, "cgroup-kill has no operation \"%s\"", operation->name);
    for (uint32_t n = 0; n < operation->count; n++) {
      int directory = open_cgroup(operation->args[n], failure);
      if (directory == -1) return -1;
      victims->paths[victims->count] = operation->args[n];
      victims->directories[victims->count++] = directory;
    }
  }
  return 0;
}

int verb_cgroup_kill(struct request *request, struct failure *failure) {
  size_t room = 1;
  for (uint32_t i = 1; i < request->plan->count; i++) room += request->plan->operations[i].count;
  OWN_MEMORY const char **paths = calloc(room, sizeof *paths);
  OWN_MEMORY int *directories = calloc(room, sizeof *directories);
  struct victims victims = {paths, directories, 0};
  if (!paths || !directories) return fail(failure, "cgroup-kill", "", ENOMEM, "out of memory");
  int64_t deadline = now_ms() + PATIENCE_MS;
  int result = open_all(request->plan, &victims, failure);
  if (!result) result = kill_all(&victims, deadline, failure);
  for (size_t i = 0; i < victims.count && !result; i++)
    if (directories[i] >= 0) result = remove_cgroup(paths[i], directories[i], deadline, failure);
  for (size_t i = 0; i < victims.count; i++)
    if (directories[i] >= 0) close(directories[i]);
  if (!result) report(request->connection, "ok", NULL);
  return result;
}
