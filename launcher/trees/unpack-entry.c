// One entry of an archive becomes a file: created beneath the root by descriptor, filled, then given its attributes.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "attributes.h"
#include "own.h"
#include "resolve.h"
#include "tree.h"
#include "unpack.h"

struct file_sink {
  int fd;
  const char *path;
};

static int write_piece(void *context, uint64_t offset, const uint8_t *bytes, size_t count, struct failure *failure) {
  const struct file_sink *sink = context;
  while (count) {
    ssize_t put = pwrite(sink->fd, bytes, count, (off_t)offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(failure, "unpack", sink->path, errno, "it cannot be written: %s", strerror(errno));
    bytes += put;
    offset += (uint64_t)put;
    count -= (size_t)put;
  }
  return 0;
}

static int fill_file(struct unpack *unpack, const struct tar_entry *entry, int fd, const char *clean,
                     struct failure *failure) {
  struct file_sink sink = {fd, clean};
  unpack->bytes += unpack->reader.body_left;
  if (tar_body(&unpack->reader, write_piece, &sink, failure)) return -1;
  if (!unpack->reader.sparse || !ftruncate(fd, (off_t)entry->size)) return 0;
  return fail(failure, "unpack", clean, errno, "it cannot be given its size: %s", strerror(errno));
}

// linkat never follows the last component; the link's own parents are resolved in the root.
static int make_hard_link(struct unpack *unpack, const struct tar_entry *entry, int parent, const char *name) {
  char target[PATH_MAX], full[2 * PATH_MAX];
  struct failure ignored;
  if (unpack_clean(entry->link, target, &ignored) || !*target) return errno = EXDEV, -1;
  snprintf(full, sizeof full, "%s/%s", unpack->at, target);
  const char *last;
  OWN_FD directory = resolve_parent(unpack->root, full, &last);
  if (directory < 0) return -1;
  struct stat there, here;
  if (fstatat(directory, last, &there, AT_SYMLINK_NOFOLLOW)) return -1;
  if (!linkat(directory, last, parent, name, 0)) return 0;
  if (errno == EEXIST && !fstatat(parent, name, &here, AT_SYMLINK_NOFOLLOW) && here.st_ino == there.st_ino &&
      here.st_dev == there.st_dev)
    return 0;
  return -1;
}

// Returns a descriptor for files and directories, 0 for the rest; -1 with errno.
static int make(struct unpack *unpack, const struct tar_entry *entry, int parent, const char *name) {
  dev_t device = makedev(entry->major, entry->minor);
  switch (entry->kind) {
    case TAR_FILE: return openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    case TAR_DIRECTORY:
      if (mkdirat(parent, name, 0700)) return -1;
      return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    case TAR_HARD_LINK: return make_hard_link(unpack, entry, parent, name);
    case TAR_SYMLINK: return symlinkat(entry->link, parent, name);
    case TAR_CHAR_DEVICE: return mknodat(parent, name, S_IFCHR | 0600, device);
    case TAR_BLOCK_DEVICE: return mknodat(parent, name, S_IFBLK | 0600, device);
    default: return mknodat(parent, name, S_IFIFO | 0600, 0);
  }
}

enum way { WAY_FAILED = -1, WAY_CLEAR, WAY_WAS_WHITEOUT };

// Something has the entry's name already. Directories merge (their descriptor comes back in *fd); all else is replaced.
static enum way clear_way(struct unpack *unpack, const struct tar_entry *entry, int parent, const char *name,
                          const char *clean, int *fd, struct failure *failure) {
  struct stat stat;
  bool directory = entry->kind == TAR_DIRECTORY;
  if (fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW))
    return errno == ENOENT ? WAY_CLEAR
                           : fail(failure, "unpack", clean, errno, "it cannot be replaced: %s", strerror(errno));
  if (directory && S_ISDIR(stat.st_mode)) {
    *fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *fd >= 0 ? WAY_CLEAR : fail(failure, "unpack", clean, errno, "it cannot be opened: %s", strerror(errno));
  }
  if (!unpack->overwrite_directories && S_ISDIR(stat.st_mode))
    return fail(failure, "unpack", clean, EISDIR, "cannot overwrite directory \"%.300s\" with non-directory", clean);
  if (!unpack->overwrite_directories && directory)
    return fail(failure, "unpack", clean, ENOTDIR, "cannot overwrite non-directory \"%.300s\" with directory", clean);
  OWN_FD kept = fcntl(parent, F_DUPFD_CLOEXEC, 0);
  unpack_forget_parent(unpack);  // the directory or symlink that goes away may have led to it
  if (kept < 0) return fail(failure, "unpack", clean, errno, "%s", strerror(errno));
  if (tree_remove(kept, name, "unpack", failure)) return WAY_FAILED;
  return stat_is_whiteout(&stat) && unpack->whiteouts == WHITEOUTS_OVERLAY ? WAY_WAS_WHITEOUT : WAY_CLEAR;
}

static mode_t file_type(char kind) {
  switch (kind) {
    case TAR_DIRECTORY: return S_IFDIR;
    case TAR_SYMLINK: return S_IFLNK;
    case TAR_CHAR_DEVICE: return S_IFCHR;
    case TAR_BLOCK_DEVICE: return S_IFBLK;
    case TAR_FIFO: return S_IFIFO;
    default: return S_IFREG;
  }
}

static int set_attributes(struct unpack *unpack, const struct tar_entry *entry, const struct attributes_target *target,
                          const char *clean, struct failure *failure) {
  struct attributes attributes = {.owner = unpack->keep_owners || unpack->one_owner,
                                  .uid = unpack->one_owner ? unpack->uid : entry->uid,
                                  .gid = unpack->one_owner ? unpack->gid : entry->gid,
                                  .mode = entry->mode,
                                  .times = {entry->atime, entry->mtime},
                                  .xattrs = entry->xattrs,
                                  .xattr_count = entry->xattr_count};
  struct stat stat;
  if (entry->kind != TAR_HARD_LINK && attributes_set(target, &attributes, failure)) return -1;
  bool directory = entry->kind == TAR_DIRECTORY, apply = unpack->whiteouts == WHITEOUTS_APPLY;
  if (!directory && !apply) return 0;
  int result =
      target->fd >= 0 ? fstat(target->fd, &stat) : fstatat(target->parent, target->name, &stat, AT_SYMLINK_NOFOLLOW);
  if (result) return fail(failure, "unpack", clean, errno, "%s", strerror(errno));
  if (apply && unpack_touch(unpack, &stat, failure)) return -1;
  return directory ? unpack_remember(unpack, clean, &stat, attributes.times, failure) : 0;
}

// What an archive must never bring along.
static int refuse(const struct unpack *unpack, const struct tar_entry *entry, const char *clean,
                  struct failure *failure) {
  for (size_t i = 0; i < entry->xattr_count; i++)
    if (xattr_is_overlay(entry->xattrs[i].name))
      return fail(failure, "unpack", clean, EPERM, "it carries the attribute \"%.100s\", which only the engine may set",
                  entry->xattrs[i].name);
  if (entry->kind == TAR_CHAR_DEVICE && !entry->major && !entry->minor && unpack->whiteouts != WHITEOUTS_NONE)
    return fail(failure, "unpack", clean, EPERM, "the character device 0:0 would be taken for a whiteout");
  if (!*clean && entry->kind != TAR_DIRECTORY)
    return fail(failure, "unpack", entry->name, EINVAL, "only a directory can have the name \"%.100s\"", entry->name);
  return 0;
}

static int unpack_top(struct unpack *unpack, const struct tar_entry *entry, struct failure *failure) {
  OWN_FD fd = resolve_open(unpack->root, unpack->at, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return fail(failure, "unpack", unpack->at, errno, "the destination cannot be opened: %s", strerror(errno));
  struct attributes_target target = {
      .parent = fd, .name = ".", .fd = fd, .type = S_IFDIR, .step = "unpack", .path = unpack->at};
  return set_attributes(unpack, entry, &target, "", failure);
}

static int create_failed(const struct tar_entry *entry, const char *clean, struct failure *failure) {
  if (entry->kind != TAR_HARD_LINK)
    return fail(failure, "unpack", clean, errno, "it cannot be created: %s", strerror(errno));
  const char *why = errno == EXDEV ? "that is outside of the destination" : strerror(errno);
  return fail(failure, "unpack", clean, errno, "it cannot be linked to \"%.200s\": %s", entry->link, why);
}

int unpack_entry(struct unpack *unpack, const struct tar_entry *entry, const char *clean, struct failure *failure) {
  const char *name;
  if (refuse(unpack, entry, clean, failure)) return -1;
  if (!*clean) return unpack_top(unpack, entry, failure);
  int parent = unpack_parent(unpack, clean, &name, failure);
  if (parent < 0) return -1;
  bool opens = entry->kind == TAR_FILE || entry->kind == TAR_DIRECTORY, was_whiteout = false;
  OWN_FD fd = -1;
  for (int tries = 0;; tries++) {
    int made = make(unpack, entry, parent, name);
    if (opens) fd = made;
    if (made >= 0) break;
    if (errno != EEXIST || tries == 4) return create_failed(entry, clean, failure);
    enum way way = clear_way(unpack, entry, parent, name, clean, &fd, failure);
    if (way == WAY_FAILED) return -1;
    if (fd >= 0) break;
    was_whiteout |= way == WAY_WAS_WHITEOUT;
    parent = unpack_parent(unpack, clean, &name, failure);
    if (parent < 0) return -1;
  }
  struct attributes_target target = {
      .parent = parent, .name = name, .fd = fd, .type = file_type(entry->kind), .step = "unpack", .path = clean};
  if (entry->kind == TAR_FILE && fill_file(unpack, entry, fd, clean, failure)) return -1;
  if (set_attributes(unpack, entry, &target, clean, failure)) return -1;
  bool directory = entry->kind == TAR_DIRECTORY;
  return directory && was_whiteout ? unpack_set_opaque(parent, name, clean, failure) : 0;
}
