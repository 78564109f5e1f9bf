// copy: a directory in a root is copied into an empty host directory (what an image has where a volume is mounted).
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "calls.h"
#include "host-mounts.h"
#include "links.h"
#include "own.h"
#include "resolve.h"
#include "tree.h"

enum { COPY_BYTES = 1 << 20 };

struct copy {
  int destination, parent;  // parent: of the current entry, in the destination
  char parent_path[PATH_MAX];
  struct links links;
  uint64_t entries;
};

static int failed(struct failure *failure, const char *path, const char *what) {
  return fail(failure, "copy", path, errno, "it cannot be %s: %s", what, strerror(errno));
}

static int destination_parent(struct copy *copy, const char *path, struct failure *failure) {
  const char *slash = strrchr(path, '/');
  size_t length = slash ? (size_t)(slash - path) : 0;
  if (length >= PATH_MAX) return errno = ENAMETOOLONG, failed(failure, path, "created");
  if (copy->parent >= 0 && !strncmp(copy->parent_path, path, length) && !copy->parent_path[length]) return copy->parent;
  own_close(&copy->parent);
  memcpy(copy->parent_path, path, length);
  copy->parent_path[length] = 0;
  copy->parent = call_openat2(copy->destination, length ? copy->parent_path : ".", O_PATH | O_DIRECTORY, 0,
                              RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  return copy->parent >= 0 ? copy->parent : failed(failure, path, "created");
}

static int copy_plain(int from, int to, off_t at, off_t end) {
  OWN_MEMORY char *buffer = malloc(COPY_BYTES);
  while (buffer && at < end) {
    size_t part = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
    ssize_t got = pread(from, buffer, part, at);
    if (got == 0) return 0;
    if (got < 0 || pwrite(to, buffer, (size_t)got, at) != got) return -1;
    at += got;
  }
  return buffer ? 0 : -1;
}

static int copy_range(int from, int to, off_t at, off_t end) {
  loff_t in = at, out = at;
  while (in < end) {
    ssize_t got = copy_file_range(from, &in, to, &out, (size_t)(end - in), 0);
    if (got == 0) return copy_plain(from, to, in, end);  // some file systems claim to have nothing
    if (got < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM))
      return copy_plain(from, to, in, end);
    if (got < 0) return -1;
  }
  return 0;
}

// Data is copied and holes stay holes.
static int copy_content(int from, int to, off_t size) {
  for (off_t at = 0; at < size;) {
    off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0) data = at;
    off_t hole = lseek(from, data, SEEK_HOLE);
    if (hole < 0) hole = size;
    if (copy_range(from, to, data, hole)) return -1;
    at = hole;
  }
  return ftruncate(to, size);
}

// from, to: open descriptors, or -1 for what is not opened.
static int copy_attributes(int parent, const struct tree_place *place, const char *name, int from, int to,
                           struct failure *failure) {
  struct xattr_list xattrs;
  const struct stat *stat = &place->stat;
  if (xattrs_read(place->parent, place->name, from, &xattrs)) return failed(failure, place->path, "read");
  struct attributes attributes = {.owner = true,
                                  .uid = stat->st_uid,
                                  .gid = stat->st_gid,
                                  .mode = stat->st_mode & 07777,
                                  .times = {stat->st_atim, stat->st_mtim},
                                  .xattrs = xattrs.list,
                                  .xattr_count = xattrs.count};
  struct attributes_target target = {
      .parent = parent, .name = name, .fd = to, .type = stat->st_mode & S_IFMT, .step = "copy", .path = place->path};
  int result = attributes_set(&target, &attributes, failure);
  xattrs_free(&xattrs);
  return result;
}

static int copy_file(int parent, const struct tree_place *place, struct failure *failure) {
  struct tree_place now = *place;
  OWN_FD from = tree_open_file(place->parent, place->name, &now.stat);
  if (from < 0) return failed(failure, place->path, "opened");
  OWN_FD to = openat(parent, place->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (to < 0) return failed(failure, place->path, "created");
  if (copy_content(from, to, now.stat.st_size)) return failed(failure, place->path, "copied");
  return copy_attributes(parent, &now, place->name, from, to, failure);
}

static int copy_special(int parent, const struct tree_place *place, struct failure *failure) {
  char target[PATH_MAX];
  if (S_ISLNK(place->stat.st_mode)) {
    ssize_t length = readlinkat(place->parent, place->name, target, sizeof target - 1);
    if (length < 0) return failed(failure, place->path, "read");
    target[length] = 0;
    if (symlinkat(target, parent, place->name)) return failed(failure, place->path, "created");
  } else if (mknodat(parent, place->name, place->stat.st_mode & S_IFMT, place->stat.st_rdev)) {
    return failed(failure, place->path, "created");
  }
  return copy_attributes(parent, place, place->name, -1, -1, failure);
}

static int leaf(void *context, const struct tree_place *place, struct failure *failure) {
  struct copy *copy = context;
  int without_memory = 0;
  if (S_ISSOCK(place->stat.st_mode)) return 0;
  int parent = destination_parent(copy, place->path, failure);
  if (parent < 0) return -1;
  const char *first =
      place->stat.st_nlink > 1 ? links_seen(&copy->links, &place->stat, place->path, &without_memory) : NULL;
  if (without_memory) return fail(failure, "copy", place->path, ENOMEM, "out of memory");
  copy->entries++;
  if (first)
    return linkat(copy->destination, first, parent, place->name, 0) ? failed(failure, place->path, "linked") : 0;
  return S_ISREG(place->stat.st_mode) ? copy_file(parent, place, failure) : copy_special(parent, place, failure);
}

static int enter(void *context, const struct tree_place *place, int directory, struct failure *failure) {
  struct copy *copy = context;
  int parent = destination_parent(copy, place->path, failure);
  if (parent < 0) return -1;
  if (mkdirat(parent, place->name, 0700)) return failed(failure, place->path, "created");
  copy->entries++;
  return copy_attributes(parent, place, place->name, directory, -1, failure);
}

static int leave(void *context, const struct tree_place *place, struct failure *failure) {
  int parent = destination_parent(context, place->path, failure);
  const struct timespec times[] = {place->stat.st_atim, place->stat.st_mtim};
  if (parent < 0) return -1;
  return utimensat(parent, place->name, times, AT_SYMLINK_NOFOLLOW) ? failed(failure, place->path, "given its times")
                                                                    : 0;
}

static int open_destination(const char *path, struct failure *failure) {
  OWN_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct tree_names names;
  if (fd < 0 || tree_names_read(fd, false, &names))
    return fail(failure, "destination", path, errno, "it cannot be opened: %s", strerror(errno));
  bool empty = names.count == 0 || (names.count == 1 && !strcmp(names.bytes + names.offsets[0], "lost+found"));
  tree_names_free(&names);
  return empty ? give_fd(&fd) : fail(failure, "destination", path, ENOTEMPTY, "it is not empty");
}

static int copy_tree(struct copy *copy, int source, const char *path, struct failure *failure) {
  static const struct tree_visitor visitor = {
      .wants_stat = true, .mounts = TREE_SKIP, .leaf = leaf, .enter = enter, .leave = leave};
  struct tree_place top = {.parent = source, .name = ".", .path = path};
  if (fstat(source, &top.stat)) return failed(failure, path, "read");
  if (tree_walk(source, "copy", &visitor, copy, failure)) return -1;
  return copy_attributes(copy->destination, &top, ".", source, copy->destination, failure);
}

int verb_copy(struct request *request, struct failure *failure) {
  const struct operation *path = plan_find(request->plan, "path", 0), *to = plan_find(request->plan, "destination", 0);
  struct copy copy = {.destination = -1, .parent = -1};
  char entries[24];
  if (!path || path->count != 1 || !to || to->count != 1)
    return fail(failure, "copy", "", EINVAL, "copy needs a path and a destination");
  OWN_FD root = root_open(request, failure);
  if (root < 0) return -1;
  OWN_FD source = resolve_open(root, path->args[0], O_RDONLY | O_DIRECTORY, 0);
  if (source < 0 && errno != ENOENT) return failed(failure, path->args[0], "opened");
  umask(0);
  int result = source < 0 ? 0 : host_mounts_enter(request, failure);
  if (!result && source >= 0) result = copy.destination = open_destination(to->args[0], failure);
  if (result >= 0 && source >= 0) result = copy_tree(&copy, source, path->args[0], failure);
  own_close(&copy.parent);
  own_close(&copy.destination);
  links_free(&copy.links);
  if (result < 0) return -1;
  snprintf(entries, sizeof entries, "%" PRIu64, copy.entries);
  report(request->connection, "ok", "entries", entries, NULL);
  return 0;
}
