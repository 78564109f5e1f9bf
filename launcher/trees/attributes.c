// Owner, mode, extended attributes and times of one file, set by descriptor and in the order in which they survive.
#include "attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "calls.h"
#include "own.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#endif
enum { XATTR_BYTES_MAX = 64 << 10, XATTR_LIST_MAX = 64 << 10 };

// The way to an entry for calls that have no *at form: the last component is never followed by the l… calls.
struct proc_path {
  char text[320];
};
static const char *proc_path(struct proc_path *path, int parent, const char *name) {
  snprintf(path->text, sizeof path->text, "/proc/self/fd/%d/%s", parent, name);
  return path->text;
}

bool xattr_is_overlay(const char *name) {
  return !strncmp(name, "trusted.overlay.", 16) || !strncmp(name, "user.overlay.", 13) ||
         !strcmp(name, "trusted.overlay") || !strcmp(name, "user.overlay");
}

bool directory_is_opaque(int directory) {
  static const char *const keys[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
  char value = 0;
  for (int i = 0; i < 2; i++)
    if (fgetxattr(directory, keys[i], &value, 1) == 1 && value == 'y') return true;
  return false;
}

ssize_t xattr_get(int parent, const char *name, const char *key, void *value, size_t size) {
  struct proc_path path;
  return lgetxattr(proc_path(&path, parent, name), key, value, size);
}

int xattr_set(int parent, const char *name, const char *key, const void *value, size_t size) {
  struct {
    uint64_t value;
    uint32_t size, flags;
  } args = {(uint64_t)(uintptr_t)value, (uint32_t)size, 0};
  if (!syscall(SYS_setxattrat, parent, name, AT_SYMLINK_NOFOLLOW, key, &args, sizeof args)) return 0;
  if (errno != ENOSYS) return -1;
  struct proc_path path;
  return lsetxattr(proc_path(&path, parent, name), key, value, size, 0);
}

static int set_mode(const struct attributes_target *target, uint32_t mode) {
  if (S_ISLNK(target->type)) return 0;
  if (target->fd >= 0) return fchmod(target->fd, mode);
  if (!syscall(SYS_fchmodat2, target->parent, target->name, mode, AT_SYMLINK_NOFOLLOW)) return 0;
  if (errno != ENOSYS) return -1;
  OWN_FD fd = openat(target->parent, target->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat stat;
  if (fd < 0 || fstat(fd, &stat)) return -1;
  if ((stat.st_mode & S_IFMT) != target->type) return errno = ESTALE, -1;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return chmod(path, mode);
}

static int set_xattr(const struct attributes_target *target, const struct tar_xattr *xattr) {
  int result = target->fd >= 0 ? fsetxattr(target->fd, xattr->name, xattr->value, xattr->length, 0)
                               : xattr_set(target->parent, target->name, xattr->name, xattr->value, xattr->length);
  if (!result || errno == ENOTSUP) return 0;  // a file system without them is no reason to fail, as in Docker
  bool special = !S_ISREG(target->type) && !S_ISDIR(target->type);
  return special && errno == EPERM && !strncmp(xattr->name, "user.", 5) ? 0 : -1;
}

static int failed(const struct attributes_target *target, struct failure *failure, const char *what) {
  return fail(failure, target->step, target->path, errno, "its %s cannot be set: %s", what, strerror(errno));
}

int attributes_set(const struct attributes_target *target, const struct attributes *attributes,
                   struct failure *failure) {
  int fd = target->fd;
  if (attributes->owner) {
    int result = fd >= 0
                     ? fchown(fd, attributes->uid, attributes->gid)
                     : fchownat(target->parent, target->name, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW);
    if (result) return failed(target, failure, "owner");
  }
  if (set_mode(target, attributes->mode)) return failed(target, failure, "mode");
  for (size_t i = 0; i < attributes->xattr_count; i++) {
    if (!set_xattr(target, &attributes->xattrs[i])) continue;
    return fail(failure, target->step, target->path, errno, "its extended attribute \"%.200s\" cannot be set: %s",
                attributes->xattrs[i].name, strerror(errno));
  }
  int result = fd >= 0 ? futimens(fd, attributes->times)
                       : utimensat(target->parent, target->name, attributes->times, AT_SYMLINK_NOFOLLOW);
  return result ? failed(target, failure, "times") : 0;
}

static ssize_t list_names(int fd, const char *path, char *names, size_t size) {
  return fd >= 0 ? flistxattr(fd, names, size) : llistxattr(path, names, size);
}

static ssize_t get_value(int fd, const char *path, const char *key, void *value, size_t size) {
  return fd >= 0 ? fgetxattr(fd, key, value, size) : lgetxattr(path, key, value, size);
}

int xattrs_read(int parent, const char *name, int fd, struct xattr_list *xattrs) {
  struct proc_path path;
  memset(xattrs, 0, sizeof *xattrs);
  proc_path(&path, parent, name);
  char probe[256];
  ssize_t length = list_names(fd, path.text, probe, sizeof probe);
  if (length == 0 || (length < 0 && (errno == ENOTSUP || errno == ENOENT))) return 0;
  OWN_MEMORY char *names = malloc(XATTR_LIST_MAX);
  if (!names) return -1;
  length = list_names(fd, path.text, names, XATTR_LIST_MAX);
  if (length < 0) return -1;
  size_t count = 0, used = 0, room = (size_t)length + XATTR_BYTES_MAX;
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) count++;
  xattrs->list = calloc(count + 1, sizeof *xattrs->list);
  // Values follow the names; a value's room is asked for when it is known, so keys are kept as offsets until the end.
  OWN_MEMORY size_t *places = calloc(count + 1, 2 * sizeof *places);
  xattrs->bytes = malloc(room);
  if (!xattrs->list || !places || !xattrs->bytes) return xattrs_free(xattrs), errno = ENOMEM, -1;
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
    const char *key = names + at;
    size_t key_length = strlen(key) + 1;
    if (xattr_is_overlay(key)) continue;
    if (room - used < key_length + XATTR_BYTES_MAX) {
      char *bytes = realloc(xattrs->bytes, room = room * 2 + key_length + XATTR_BYTES_MAX);
      if (!bytes) return xattrs_free(xattrs), errno = ENOMEM, -1;
      xattrs->bytes = bytes;
    }
    ssize_t got = get_value(fd, path.text, key, xattrs->bytes + used + key_length, XATTR_BYTES_MAX);
    if (got < 0) continue;  // gone meanwhile, or not ours to read
    memcpy(xattrs->bytes + used, key, key_length);
    places[2 * xattrs->count] = used;
    places[2 * xattrs->count + 1] = used + key_length;
    xattrs->list[xattrs->count++].length = (size_t)got;
    used += key_length + (size_t)got;
  }
  for (size_t i = 0; i < xattrs->count; i++) {
    xattrs->list[i].name = xattrs->bytes + places[2 * i];
    xattrs->list[i].value = xattrs->bytes + places[2 * i + 1];
  }
  return 0;
}

void xattrs_free(struct xattr_list *xattrs) {
  free(xattrs->bytes);
  free(xattrs->list);
  memset(xattrs, 0, sizeof *xattrs);
}
