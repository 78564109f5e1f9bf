// Targets in a container's root: what may be mounted upon, found or created beneath the root only.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "own.h"
#include "resolve.h"
#include "root.h"

enum { PROC_MAGIC = 0x9fa0, LINKS_MAX = 8 };

// Whether path, its "." and double slashes left aside, is or lies beneath one of the three. ".." is taken as reaching
// them: a path with it gets the strict rule.
uint64_t target_rules(const char *path) {
  static const char *const guarded[] = {"dev", "proc", "sys"};
  const char *at = path + strspn(path, "/");
  while (at[0] == '.' && (at[1] == '/' || !at[1])) at += 1 + strspn(at + 1, "/");
  for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++) {
    size_t length = strlen(guarded[i]);
    if (!strncmp(at, guarded[i], length) && (at[length] == '/' || !at[length])) return RESOLVE_NO_SYMLINKS;
  }
  return strstr(path, "..") ? RESOLVE_NO_SYMLINKS : 0;
}

// An empty file; a dangling link (an image's /etc/resolv.conf often is one) gets what it leads to, inside the root.
static int create_file(int root, const char *path, uint64_t rules, int links) {
  char parent[PATH_MAX], target[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t length = slash ? (size_t)(slash - path) : 0;
  if (length >= sizeof parent) return errno = ENAMETOOLONG, -1;
  memcpy(parent, path, length);
  parent[length] = 0;
  OWN_FD directory = resolve_make_directories_with(root, length ? parent : "/", 0755, rules);
  if (directory < 0) return -1;
  OWN_FD file = openat(directory, slash ? slash + 1 : path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0755);
  if (file < 0 && errno != EEXIST) return -1;
  int made = resolve_with(root, path, O_PATH, 0, rules);
  if (made >= 0 || errno != ENOENT || !links) return made;
  if (resolve_link_target(directory, slash ? slash + 1 : path, path, target, sizeof target)) return errno = ENOENT, -1;
  own_close(&(int){create_file(root, target, rules, links - 1)});
  return resolve_with(root, path, O_PATH, 0, rules);
}

int target_make_file(int root, const char *path) {
  uint64_t rules = target_rules(path);
  int there = resolve_with(root, path, O_PATH, 0, rules);
  return there >= 0 || errno != ENOENT ? there : create_file(root, path, rules, LINKS_MAX);
}

static int target_refused(const char *path, uint64_t rules, const char *step, struct failure *failure) {
  int error = errno;
  if (error == ELOOP && rules)
    return fail(failure, step, path, error,
                "a part of this path is a symbolic link in the image, which is refused here");
  if (error == ELOOP) return fail(failure, step, path, error, "the path leads through a magic link or too many links");
  return fail(failure, step, path, error, "the target cannot be opened or created in the container's root: %s",
              strerror(error));
}

static bool on_proc(int fd) {
  struct statfs status;
  return !fstatfs(fd, &status) && status.f_type == PROC_MAGIC;
}

// What may be replaced in /proc: files that only show resource figures (lxcfs does so).
static bool replaceable(const char *path) {
  static const char *const names[] = {"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
                                      "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev",
                                      "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(path, names[i])) return true;
  return false;
}

// Whether the path, resolved without links, is the place itself: no "." or "..", no double or final slashes.
static bool literal(const char *path) {
  for (const char *at = path; *at; at += strcspn(at, "/"))
    if (*at++ != '/' || !*at || *at == '/' || (at[0] == '.' && strchr("./", at[1]))) return false;
  return *path;
}

bool target_is_literal(const char *path) { return target_rules(path) & RESOLVE_NO_SYMLINKS && literal(path); }

// A fake /proc redirects what is later written there (CVE-2019-16884, CVE-2025-52881): only a procfs goes onto /proc.
static int check_proc(int target, const char *real, int tree, const char *path, const char *step,
                      struct failure *failure) {
  if (!strcmp(real, "/proc") && (tree < 0 || on_proc(tree))) return 0;
  if (strcmp(real, "/proc") && !on_proc(target)) return 0;
  if (replaceable(real)) return 0;
  return fail(failure, step, path, EPERM, "nothing but a proc file system may be mounted over %s", real);
}

// Where the target lies: as the kernel tells, unless the path can mean one place only.
static const char *place_of(int target, const char *path, char real[PATH_MAX]) {
  char link[64];
  if (target_is_literal(path)) return path;
  snprintf(link, sizeof link, "/proc/self/fd/%d", target);
  ssize_t length = readlink(link, real, PATH_MAX - 1);
  real[length < 0 ? 0 : length] = 0;
  return length < 0 ? NULL : real;
}

int target_open(int root, const char *path, enum target_kind kind, int tree, const char *step,
                struct failure *failure) {
  uint64_t rules = target_rules(path);
  OWN_FD target = resolve_with(root, path, O_PATH, 0, rules);
  if (target < 0 && errno == ENOENT && kind == TARGET_DIRECTORY)
    target = resolve_make_directories_with(root, path, 0755, rules);
  else if (target < 0 && errno == ENOENT && kind == TARGET_FILE)
    target = create_file(root, path, rules, LINKS_MAX);
  if (target < 0) return target_refused(path, rules, step, failure);
  struct stat status, top;
  if (fstat(target, &status) || fstat(root, &top)) return target_refused(path, rules, step, failure);
  if (status.st_dev == top.st_dev && status.st_ino == top.st_ino)
    return fail(failure, step, path, EINVAL, "nothing can be mounted over the container's root itself");
  if (kind != TARGET_EXISTING && S_ISDIR(status.st_mode) != (kind == TARGET_DIRECTORY))
    return fail(failure, step, path, kind == TARGET_DIRECTORY ? ENOTDIR : EISDIR,
                "the target is %sa directory, the source is%s",
                kind == TARGET_DIRECTORY ? "not " : "", kind == TARGET_DIRECTORY ? "" : " not");
  char buffer[PATH_MAX];
  const char *real = place_of(target, path, buffer);
  if (!real) return fail(failure, step, path, errno, "the target's place cannot be read");
  if (check_proc(target, real, tree, path, step, failure)) return -1;
  return give_fd(&target);
}
