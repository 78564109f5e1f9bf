// cgroups of any version: created, limited and entered through their files.
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "calls.h"
#include "cgroup-view.h"
#include "own.h"

enum { CGROUP1_MAGIC = 0x27e0eb, CGROUP2_MAGIC = 0x63677270 };

static bool file_copy(const char *from, const char *to, const char *name) {
  char path[PATH_MAX], value[4096];
  snprintf(path, sizeof path, "%s/%s", to, name);
  OWN_FD target = open(path, O_RDWR | O_CLOEXEC);
  if (target < 0 || read(target, value, sizeof value) > 1) return false;
  snprintf(path, sizeof path, "%s/%s", from, name);
  OWN_FD source = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = source < 0 ? -1 : read(source, value, sizeof value);
  return length > 0 && write(target, value, (size_t)length) == length;
}

static bool is_empty(const char *directory, const char *name) {
  char path[PATH_MAX], value[8];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  OWN_FD file = open(path, O_RDONLY | O_CLOEXEC);
  return file >= 0 && read(file, value, sizeof value) <= 1;
}

// A new v1 cpuset is empty, and nothing can be placed into it: it gets what its parent has. The parent may be new itself,
// made by another launch at this moment and not filled yet.
static void fill_cpuset(const char *path) {
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (!slash || !strstr(path, "cpuset")) return;
  snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
  if (is_empty(parent, "cpuset.cpus") || is_empty(parent, "cpuset.mems")) fill_cpuset(parent);
  file_copy(parent, path, "cpuset.cpus");
  file_copy(parent, path, "cpuset.mems");
}

static int made_add(struct cgroups *cgroups, const char *path) {
  char **made = realloc(cgroups->made, (cgroups->count + 1) * sizeof *made);
  if (!made) return -1;
  cgroups->made = made;
  made[cgroups->count] = strdup(path);
  return made[cgroups->count] ? (cgroups->count++, 0) : -1;
}

static bool on_cgroup(const char *path) {
  struct statfs status;
  if (cgroup_view_covers(path)) return true;
  return !statfs(path, &status) && (status.f_type == CGROUP1_MAGIC || status.f_type == CGROUP2_MAGIC);
}

// Creates path and, first, what is missing above it; nothing outside of a cgroup file system.
static int make_directory(struct cgroups *cgroups, char *path) {
  char *slash = strrchr(path, '/');
  if (!slash || slash == path) return errno = EINVAL, -1;
  if (!mkdir(path, 0755)) {
    if (!on_cgroup(path)) return rmdir(path), errno = EINVAL, -1;
    fill_cpuset(path);
    return made_add(cgroups, path);
  }
  if (errno == EEXIST) return on_cgroup(path) ? 0 : (errno = EINVAL, -1);
  if (errno != ENOENT) return -1;
  *slash = 0;
  int result = make_directory(cgroups, path);
  *slash = '/';
  return result ? result : make_directory(cgroups, path);
}

static int perform_cgroup(struct cgroups *cgroups, const char *directory, struct failure *failure) {
  OWN_MEMORY char *path = strdup(directory);
  if (!path) return fail(failure, "cgroup", directory, ENOMEM, "out of memory");
  if (*path != '/' || strstr(path, "/..") || strlen(path) >= PATH_MAX - 64)
    return fail(failure, "cgroup", directory, EINVAL, "a cgroup needs an absolute path without \"..\"");
  if (!make_directory(cgroups, path)) return 0;
  return fail(failure, "cgroup", directory, errno, "the cgroup cannot be created: %s", strerror(errno));
}

// The file that was written last: rules for devices are many lines for one file.
struct written {
  const char *file;
  int fd;
};

static int file_open(struct written *last, const char *file) {
  if (last->fd >= 0 && !strcmp(last->file, file)) return last->fd;
  own_close(&last->fd);
  *last = (struct written){file, open(file, O_WRONLY | O_CLOEXEC)};
  return last->fd;
}

static int perform_write(const struct operation *operation, struct written *last, struct failure *failure) {
  const char *file = operation->args[0], *value = operation->args[1];
  bool may = !strcmp(operation->args[2], "may");
  if (!may && strcmp(operation->args[2], "must"))
    return fail(failure, "cgroup-write", file, EINVAL, "the third argument is neither must nor may");
  int fd = file_open(last, file);
  struct statfs status;
  if (fd >= 0 && !cgroup_view_covers(file) && (fstatfs(fd, &status) || (status.f_type != CGROUP1_MAGIC && status.f_type != CGROUP2_MAGIC)))
    return fail(failure, "cgroup-write", file, EINVAL, "this is not a cgroup's file");
  size_t length = strlen(value);
  if (fd >= 0 && write(fd, value, length) == (ssize_t)length) return 0;
  if (may && (errno == ENOENT || errno == EINVAL || errno == EOPNOTSUPP)) return 0;
  return fail(failure, "cgroup-write", file, errno, "the kernel refuses \"%s\": %s", value, strerror(errno));
}

// Why the verifier refuses a program: the end of its log, copied. A log that is too small is a refusal of its own, so
// none is asked for at first.
static void verifier_log(union bpf_attr load, char *reason, size_t size) {
  enum { LOG_BYTES = 1 << 18 };
  *reason = 0;
  OWN_MEMORY char *log = calloc(1, LOG_BYTES);
  if (!log) return;
  load.log_buf = (uintptr_t)log;
  load.log_size = LOG_BYTES;
  load.log_level = 1;
  int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  own_close(&program);
  size_t length = strnlen(log, LOG_BYTES - 1);
  while (length && log[length - 1] == '\n') log[--length] = 0;
  snprintf(reason, size, "%s", length >= size ? log + length - size + 1 : log);
}

static int program_load(const struct operation *operation, struct failure *failure) {
  size_t length = 0;
  char reason[300];
  OWN_MEMORY uint8_t *code = parse_hex(operation->args[1], &length);
  if (!code || !length || length % sizeof(struct bpf_insn))
    return fail(failure, operation->name, operation->args[0], EINVAL,
                "the device program is not whole instructions in hex");
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
  load.insns = (uintptr_t)code;
  load.insn_cnt = (uint32_t)(length / sizeof(struct bpf_insn));
  load.license = (uintptr_t) "GPL";
  int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  if (program >= 0) return program;
  int error = errno;
  verifier_log(load, reason, sizeof reason);
  return fail(failure, operation->name, operation->args[0], error, "the kernel refuses the device program: %s%s%s",
              strerror(error), *reason ? ": " : "", reason);
}

static int perform_device_program(const struct operation *operation, struct failure *failure) {
  const char *path = operation->args[0];
  OWN_FD program = program_load(operation, failure);
  if (program < 0) return -1;
  OWN_FD directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  union bpf_attr attach = {.attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_MULTI};
  attach.target_fd = (uint32_t)directory;
  attach.attach_bpf_fd = (uint32_t)program;
  if (directory < 0 || syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach))
    return fail(failure, operation->name, path, errno, "the device program cannot be attached: %s", strerror(errno));
  return 0;
}

int cgroups_make(const struct plan *plan, struct cgroups *cgroups, struct failure *failure) {
  struct written last = {NULL, -1};
  int result = 0;
  for (uint32_t i = 0; i < plan->count && !result; i++) {
    const struct operation *operation = &plan->operations[i];
    if (!strcmp(operation->name, "cgroup")) result = perform_cgroup(cgroups, operation->args[0], failure);
    if (!strcmp(operation->name, "cgroup-write")) result = perform_write(operation, &last, failure);
    if (!strcmp(operation->name, "cgroup-device-program")) result = perform_device_program(operation, failure);
  }
  own_close(&last.fd);
  return result ? -1 : 0;
}

// The v2 cgroup a process is in, as a path beneath the mount that directory lies in.
static bool cgroup_of(pid_t pid, const char *directory, char *path, size_t size) {
  char name[64], text[PATH_MAX];
  snprintf(name, sizeof name, "/proc/%d/cgroup", pid);
  OWN_FD fd = open(name, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (length <= 0) return false;
  text[length] = 0;
  char *line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
  if (!line) return false;
  line = strchr(line, '/');
  if (!line) return false;
  line[strcspn(line, "\n")] = 0;
  const char *mount = "/sys/fs/cgroup/unified";
  if (strncmp(directory, mount, strlen(mount))) mount = "/sys/fs/cgroup";
  return (size_t)snprintf(path, size, "%s%s", mount, line) < size;
}

static int place(const char *directory, pid_t pid) {
  char path[PATH_MAX], number[16];
  if ((size_t)snprintf(path, sizeof path, "%s/cgroup.procs", directory) >= sizeof path) return errno = ENAMETOOLONG, -1;
  OWN_FD fd = open(path, O_WRONLY | O_CLOEXEC);
  int length = snprintf(number, sizeof number, "%d", pid);
  return fd >= 0 && write(fd, number, (size_t)length) == length ? 0 : -1;
}

int cgroups_place(const struct plan *plan, pid_t pid, pid_t init, struct failure *failure) {
  const struct operation *operation;
  char own[PATH_MAX];
  for (uint32_t n = 0; (operation = plan_find(plan, "cgroup", n)); n++) {
    const char *directory = operation->args[0];
    if (!place(directory, pid)) continue;
    int error = errno;
    // A v2 cgroup whose child cgroups have controllers takes no processes itself: init has moved further down.
    if (init && error == EBUSY && cgroup_of(init, directory, own, sizeof own) && !place(own, pid)) continue;
    return fail(failure, "cgroup", directory, error, "the process cannot be placed into the cgroup: %s",
                strerror(error));
  }
  return 0;
}

int cgroups_only_v2(const struct plan *plan) {
  const struct operation *only = plan_find(plan, "cgroup", 0);
  struct statfs status;
  if (!only || plan_find(plan, "cgroup", 1)) return -1;
  if (statfs(only->args[0], &status) || status.f_type != CGROUP2_MAGIC) return -1;
  return open(only->args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void cgroups_keep(struct cgroups *cgroups) {
  while (cgroups->count) free(cgroups->made[--cgroups->count]);
  free(cgroups->made);
  cgroups->made = NULL;
}

void cgroups_undo(struct cgroups *cgroups) {
  for (uint32_t i = cgroups->count; i-- > 0;) {
    // A process that has just been reaped may still be counted for a moment.
    for (int tries = 0; rmdir(cgroups->made[i]) && errno == EBUSY && tries < 100; tries++)
      nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
  cgroups_keep(cgroups);
}
