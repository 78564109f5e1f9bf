// scan: what lies in a root, entry by entry, as binary records; nothing is opened but directories.
//
// A record, little endian: lengths of path and link (16 bits each), mode, uid, gid, names (32 bits each), length of the
// attributes (32), size, seconds of mtime and ctime, inode, device (64 each), nanoseconds of both, major, minor (32 each);
// then path, link and attributes. An attribute: lengths of key (16) and value (32), key, value. Before the records of each
// operation stands one with mode 0: size = number of the operation, inode = errno, link = what was made of its path. Paths of
// operations are hexadecimal, because names may be any bytes.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "attributes.h"
#include "calls.h"
#include "own.h"
#include "resolve.h"
#include "stream.h"
#include "tree.h"
#include "verbs.h"

enum { RECORD_BYTES = 80, LINKS_MAX = 40, SKIPS_MAX = 4096 };

struct scan {
  int root;
  bool xattrs;
  const char *const *skips;  // sorted paths that are left out with all beneath them
  uint32_t skip_count;
  const char *prefix;  // of the tree that is walked, in the root
  char *path;
  size_t path_room;
  uint64_t entries;
  struct stream_out out;
};

static void put16(uint8_t *at, uint64_t value) {
  for (int i = 0; i < 2; i++) at[i] = (uint8_t)(value >> 8 * i);
}
static void put32(uint8_t *at, uint64_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}
static void put64(uint8_t *at, uint64_t value) {
  for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static int gone(struct failure *failure) {
  return fail(failure, "scan", "", errno, "the client stopped reading: %s", strerror(errno));
}

static int put_attributes(struct scan *scan, const struct xattr_list *xattrs) {
  for (size_t i = 0; i < xattrs->count; i++) {
    const struct tar_xattr *xattr = &xattrs->list[i];
    uint8_t head[6];
    size_t key = strlen(xattr->name);
    put16(head, key);
    put32(head + 2, xattr->length);
    if (stream_write(&scan->out, head, sizeof head) || stream_write(&scan->out, xattr->name, key) ||
        stream_write(&scan->out, xattr->value, xattr->length))
      return -1;
  }
  return 0;
}

static int put_record(struct scan *scan, const struct stat *stat, const char *path, const char *link,
                      const struct xattr_list *xattrs) {
  uint8_t record[RECORD_BYTES];
  size_t path_length = strlen(path), link_length = strlen(link), attributes = 0;
  if (path_length > UINT16_MAX || link_length > UINT16_MAX) return errno = ENAMETOOLONG, -1;
  for (size_t i = 0; xattrs && i < xattrs->count; i++)
    attributes += 6 + strlen(xattrs->list[i].name) + xattrs->list[i].length;
  put16(record, path_length);
  put16(record + 2, link_length);
  put32(record + 4, stat->st_mode);
  put32(record + 8, stat->st_uid);
  put32(record + 12, stat->st_gid);
  put32(record + 16, stat->st_nlink);
  put32(record + 20, attributes);
  put64(record + 24, (uint64_t)stat->st_size);
  put64(record + 32, (uint64_t)stat->st_mtim.tv_sec);
  put64(record + 40, (uint64_t)stat->st_ctim.tv_sec);
  put64(record + 48, stat->st_ino);
  put64(record + 56, stat->st_dev);
  put32(record + 64, (uint64_t)stat->st_mtim.tv_nsec);
  put32(record + 68, (uint64_t)stat->st_ctim.tv_nsec);
  put32(record + 72, major(stat->st_rdev));
  put32(record + 76, minor(stat->st_rdev));
  if (stream_write(&scan->out, record, sizeof record) || stream_write(&scan->out, path, path_length) ||
      stream_write(&scan->out, link, link_length))
    return -1;
  return xattrs ? put_attributes(scan, xattrs) : 0;
}

// fd: open for reading if it is a directory, else -1.
static int tell(struct scan *scan, int parent, const char *name, int fd, const struct stat *stat, const char *path,
                struct failure *failure) {
  char link[PATH_MAX] = "";
  struct xattr_list xattrs = {0};
  if (S_ISLNK(stat->st_mode)) {
    ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
    if (length < 0 && errno == ENOENT) return 0;
    if (length < 0) return fail(failure, "scan", path, errno, "the link cannot be read: %s", strerror(errno));
    link[length] = 0;
  }
  if (scan->xattrs && xattrs_read(parent, name, fd, &xattrs))
    return fail(failure, "scan", path, errno, "its extended attributes cannot be read: %s", strerror(errno));
  scan->entries++;
  int result = put_record(scan, stat, path, link, &xattrs);
  int error = errno;
  xattrs_free(&xattrs);
  if (result && error == ENAMETOOLONG) return fail(failure, "scan", path, error, "its path is too long");
  return result ? (errno = error, gone(failure)) : 0;
}

// The path in the root of a place in the walk, NULL without memory.
static const char *path_in_root(struct scan *scan, const char *path) {
  size_t before = strlen(scan->prefix), needed = before + strlen(path) + 2;
  if (!before) return path;
  if (needed > scan->path_room) {
    char *larger = realloc(scan->path, needed * 2);
    if (!larger) return NULL;
    scan->path = larger;
    scan->path_room = needed * 2;
  }
  sprintf(scan->path, "%s/%s", scan->prefix, path);
  return scan->path;
}

static int by_text(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool skipped(const struct scan *scan, const char *path) {
  return scan->skip_count && bsearch(&path, scan->skips, scan->skip_count, sizeof *scan->skips, by_text);
}

static int enter(void *context, const struct tree_place *place, int directory, struct failure *failure) {
  struct scan *scan = context;
  const char *path = path_in_root(scan, place->path);
  if (!path) return fail(failure, "scan", place->path, ENOMEM, "out of memory");
  if (skipped(scan, path)) return 1;
  return tell(scan, place->parent, place->name, directory, &place->stat, path, failure);
}

static int leaf(void *context, const struct tree_place *place, struct failure *failure) {
  int result = enter(context, place, -1, failure);
  return result > 0 ? 0 : result;
}

static int put_group(struct scan *scan, uint64_t number, int error, const char *canonical) {
  struct stat none = {.st_size = (off_t)number, .st_ino = (ino_t)error};
  return put_record(scan, &none, "", canonical, NULL);
}

static const char *without_slashes(const char *path) { return path + strspn(path, "/"); }

// The entry at a path whose parents hold no links, and with `whole` everything beneath it.
static int tell_path(struct scan *scan, uint64_t number, const char *path, bool whole, struct failure *failure) {
  static const struct tree_visitor visitor = {
      .sorted = true, .wants_stat = true, .mounts = TREE_CROSS, .leaf = leaf, .enter = enter};
  struct stat stat;
  const char *name = ".";
  path = without_slashes(path);
  OWN_FD parent = *path ? resolve_parent_with(scan->root, path, &name, RESOLVE_NO_SYMLINKS) : dup(scan->root);
  bool there = parent >= 0 && !fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW);
  if (!there && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
    return fail(failure, "scan", path, errno, "it cannot be looked at: %s", strerror(errno));
  if (put_group(scan, number, there ? 0 : errno, path)) return gone(failure);
  if (!there) return 0;
  OWN_FD fd = S_ISDIR(stat.st_mode) ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (S_ISDIR(stat.st_mode) && fd < 0)
    return fail(failure, "scan", path, errno, "the directory cannot be opened: %s", strerror(errno));
  if (tell(scan, parent, name, fd, &stat, path, failure)) return -1;
  scan->prefix = path;
  return whole && fd >= 0 ? tree_walk(fd, "scan", &visitor, scan, failure) : 0;
}

// A path on its way through the root: what is found, and what is still to be followed.
struct way {
  char found[PATH_MAX], todo[2 * PATH_MAX];
  int links, error;
};

static int append(char *path, const char *name, size_t length) {
  size_t used = strlen(path);
  if (used + length + 2 > PATH_MAX) return ENAMETOOLONG;
  if (used) path[used++] = '/';
  memcpy(path + used, name, length);
  path[used + length] = 0;
  return 0;
}

static int follow_link(struct way *way, int at, const char *name, const char *rest) {
  char target[PATH_MAX], after[2 * PATH_MAX];
  ssize_t length = readlinkat(at, name, target, sizeof target - 1);
  if (length < 0) return errno;
  if (++way->links > LINKS_MAX) return ELOOP;
  target[length] = 0;
  if ((size_t)snprintf(after, sizeof after, "%s/%s", target, rest) >= sizeof after) return ENAMETOOLONG;
  if (*target == '/') way->found[0] = 0;
  strcpy(way->todo, after);
  return 0;
}

// One component further. Errors stay in way->error; what then is missing is only appended.
static int step(struct scan *scan, struct way *way, bool follow) {
  const char *from = without_slashes(way->todo);
  size_t length = strcspn(from, "/");
  const char *rest = without_slashes(from + length);
  char name[NAME_MAX + 1];
  struct stat stat;
  int result = 0;
  if (length > NAME_MAX) return ENAMETOOLONG;
  snprintf(name, sizeof name, "%.*s", (int)length, from);
  if (!strcmp(name, "..")) {
    char *slash = strrchr(way->found, '/');
    *(slash ? slash : way->found) = 0;
  } else if (*name && strcmp(name, ".")) {
    OWN_FD at = way->error ? -1 : resolve_with(scan->root, way->found, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    if (at < 0 && !way->error) way->error = errno;
    if (at >= 0 && fstatat(at, name, &stat, AT_SYMLINK_NOFOLLOW)) way->error = errno;
    else if (at >= 0 && S_ISLNK(stat.st_mode) && (follow || *rest)) return follow_link(way, at, name, rest);
    result = append(way->found, name, length);
  }
  memmove(way->todo, rest, strlen(rest) + 1);
  return result;
}

// Attributes are told of directories only: `entry` tells those of the rest.
static int tell_on_way(struct scan *scan, int at, const struct stat *stat, const char *path, struct failure *failure) {
  bool xattrs = scan->xattrs;
  if (S_ISDIR(stat->st_mode)) {
    OWN_FD fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail(failure, "scan", path, errno, "the directory cannot be opened: %s", strerror(errno));
    return tell(scan, fd, ".", fd, stat, path, failure);
  }
  scan->xattrs = false;
  int result = tell(scan, at, "", -1, stat, path, failure);
  scan->xattrs = xattrs;
  return result;
}

// Where a path leads in the root, and every directory on that way that is there.
static int tell_way(struct scan *scan, uint64_t number, const char *path, bool follow, struct failure *failure) {
  OWN_MEMORY struct way *way = calloc(1, sizeof *way);
  if (!way) return fail(failure, "scan", path, ENOMEM, "out of memory");
  if (strlen(path) >= sizeof way->found) return fail(failure, "scan", path, ENAMETOOLONG, "the path is too long");
  strcpy(way->todo, path);
  while (*without_slashes(way->todo)) {
    int error = step(scan, way, follow);
    if (error) return put_group(scan, number, error, way->found) ? gone(failure) : 0;
  }
  if (put_group(scan, number, way->error, way->found)) return gone(failure);
  char *end = way->found;
  for (bool last = false; !last;) {
    char kept = *end;
    struct stat stat;
    *end = 0;
    OWN_FD at = resolve_with(scan->root, way->found, O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS);
    if (at < 0 || fstat(at, &stat)) return 0;
    if (tell_on_way(scan, at, &stat, way->found, failure)) return -1;
    *end = kept;
    last = !kept;
    if (!last) end += (*end == '/') + strcspn(end + (*end == '/'), "/");
  }
  return 0;
}

// A path of the plan; the caller frees it. NULL when it is malformed.
static char *path_decode(const struct operation *operation) {
  size_t length = 0;
  char *path = operation->count == 1 ? (char *)parse_hex(operation->args[0], &length) : NULL;
  if (path) path[length] = 0;
  if (path && strlen(path) == length) return path;
  free(path);
  return NULL;
}

static bool is_look(const char *name) {
  return !strcmp(name, "beneath") || !strcmp(name, "entry") || !strcmp(name, "follow") || !strcmp(name, "resolve");
}

static int read_options(struct scan *scan, const struct plan *plan, char **skips, struct failure *failure) {
  for (uint32_t i = 1; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    const char *name = operation->name;
    if (!strcmp(name, "skip")) {
      if (scan->skip_count == SKIPS_MAX) return fail(failure, name, "", E2BIG, "too many paths are to be skipped");
      if (!(skips[scan->skip_count] = path_decode(operation)))
        return fail(failure, name, "", EINVAL, "its path is no hexadecimal text");
      scan->skip_count++;
    } else if (!strcmp(name, "option") && operation->count == 2 && !strcmp(operation->args[0], "xattrs")) {
      scan->xattrs = !strcmp(operation->args[1], "yes");
    } else if (strncmp(name, "root-", 5) && !is_look(name)) {
      return fail(failure, name, "", EINVAL, "scan has no operation \"%s\" with %u arguments", name, operation->count);
    }
  }
  qsort(skips, scan->skip_count, sizeof *skips, by_text);
  scan->skips = (const char *const *)skips;
  return 0;
}

static int look(struct scan *scan, uint64_t number, const char *name, const char *path, struct failure *failure) {
  if (!strcmp(name, "beneath")) return tell_path(scan, number, path, true, failure);
  if (!strcmp(name, "entry")) return tell_path(scan, number, path, false, failure);
  return tell_way(scan, number, path, !strcmp(name, "follow"), failure);
}

static int scan_all(struct scan *scan, const struct plan *plan, struct failure *failure) {
  uint64_t number = 0;
  for (uint32_t i = 1; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    if (!is_look(operation->name)) continue;
    OWN_MEMORY char *path = path_decode(operation);
    if (!path) return fail(failure, operation->name, "", EINVAL, "its path is no hexadecimal text");
    if (look(scan, number++, operation->name, path, failure)) return -1;
  }
  return stream_finish(&scan->out) ? gone(failure) : 0;
}

int verb_scan(struct request *request, struct failure *failure) {
  struct scan scan = {.root = -1};
  char entries[24];
  OWN_MEMORY char **skips = calloc(request->plan->count, sizeof *skips);
  if (!skips) return fail(failure, "scan", "", ENOMEM, "out of memory");
  int result = read_options(&scan, request->plan, skips, failure);
  OWN_FD root = result ? -1 : root_open(request, failure);
  scan.root = root;
  if (root < 0) result = -1;
  else if (stream_out_open(&scan.out, request->connection)) result = fail(failure, "scan", "", ENOMEM, "out of memory");
  else result = scan_all(&scan, request->plan, failure);
  stream_out_close(&scan.out);
  free(scan.path);
  for (uint32_t i = 0; i < scan.skip_count; i++) free(skips[i]);
  if (result) return -1;
  snprintf(entries, sizeof entries, "%llu", (unsigned long long)scan.entries);
  report(request->connection, "ok", "entries", entries, NULL);
  return 0;
}
