// pack: a path in a root becomes a tar stream.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "attributes.h"
#include "calls.h"
#include "hidden.h"
#include "links.h"
#include "own.h"
#include "resolve.h"
#include "tar-write.h"
#include "tree.h"
#include "unpack.h"
#include "verbs.h"

struct pack {
  const char *path, *name;  // in the root; of the top entry (NULL = the path's last component)
  bool contents, whiteouts, sorted, clamped;
  int64_t latest;  // clamped: no time is later than this second
  struct tar_writer writer;
  struct links links;
  struct hidden hidden;
  char *buffer;  // the archive's name of the current entry
  size_t buffer_room, prefix;
};

static int gone(struct failure *failure) {
  return fail(failure, "pack", "", errno, "the client stopped reading: %s", strerror(errno));
}

// What is in the file now, cut or filled with zeros to the size that its header told.
static int write_file(struct pack *pack, int fd, uint64_t size, const char *path, struct failure *failure) {
  for (uint64_t left = size; left;) {
    size_t room;
    uint8_t *to = stream_room(&pack->writer.out, &room);
    if (!to) return gone(failure);
    size_t part = left < room ? (size_t)left : room;
    ssize_t got = read(fd, to, part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(failure, "pack", path, errno, "it cannot be read: %s", strerror(errno));
    if (got == 0) memset(to, 0, got = (ssize_t)part);
    stream_put(&pack->writer.out, (size_t)got);
    left -= (uint64_t)got;
  }
  return tar_write_padding(&pack->writer, size) ? gone(failure) : 0;
}

static struct timespec time_of(const struct pack *pack, const struct stat *stat) {
  struct timespec latest = {.tv_sec = (time_t)pack->latest};
  bool later = stat->st_mtim.tv_sec > latest.tv_sec ||
               (stat->st_mtim.tv_sec == latest.tv_sec && stat->st_mtim.tv_nsec > 0);
  return pack->clamped && later ? latest : stat->st_mtim;
}

// A .wh. entry beside or in the directory whose name in the archive comes first.
static int write_marker(struct pack *pack, const struct stat *stat, const char *directory, size_t length,
                        const char *hidden, struct failure *failure) {
  char full[2 * PATH_MAX];
  struct tar_entry entry = {
      .kind = TAR_FILE, .link = "", .mode = 0600, .uid = stat->st_uid, .gid = stat->st_gid, .mtime = time_of(pack, stat)};
  if ((size_t)snprintf(full, sizeof full, "%.*s.wh.%s", (int)length, directory, hidden) >= sizeof full)
    return fail(failure, "pack", directory, ENAMETOOLONG, "its name is too long for an archive");
  entry.name = full;
  return tar_write_entry(&pack->writer, &entry) ? gone(failure) : 0;
}

// 1: written as a whiteout; 0: an entry like any other.
static int whiteout(struct pack *pack, const struct tree_place *place, const char *name, struct failure *failure) {
  if (!pack->whiteouts) return 0;
  const char *last = strrchr(name, '/');
  size_t length = last ? (size_t)(last - name) + 1 : 0;
  if (stat_is_whiteout(&place->stat))
    return write_marker(pack, &place->stat, name, length, place->name, failure) ? -1 : 1;
  if (!strncmp(place->name, ".wh.", 4))
    return fail(failure, "pack", place->path, EINVAL, "its name would mean a deletion in an image layer");
  return 0;
}

static bool fill_entry(const struct pack *pack, struct tar_entry *entry, const struct stat *stat) {
  static const struct {
    mode_t type;
    char kind;
  } kinds[] = {{S_IFREG, TAR_FILE},        {S_IFDIR, TAR_DIRECTORY},    {S_IFLNK, TAR_SYMLINK},
               {S_IFCHR, TAR_CHAR_DEVICE}, {S_IFBLK, TAR_BLOCK_DEVICE}, {S_IFIFO, TAR_FIFO}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if ((stat->st_mode & S_IFMT) == kinds[i].type) entry->kind = kinds[i].kind;
  entry->link = "";
  entry->mode = stat->st_mode & 07777;
  entry->uid = stat->st_uid;
  entry->gid = stat->st_gid;
  entry->mtime = time_of(pack, stat);
  entry->major = major(stat->st_rdev);
  entry->minor = minor(stat->st_rdev);
  return entry->kind != 0;  // sockets have no place in an archive
}

// Header and body of an entry with its own attributes. fd: open for reading if it is a file or a directory.
static int write_entry(struct pack *pack, struct tar_entry *entry, const struct tree_place *place, int fd,
                       struct failure *failure) {
  char target[PATH_MAX];
  struct xattr_list xattrs;
  if (entry->kind == TAR_SYMLINK) {
    ssize_t length = readlinkat(place->parent, place->name, target, sizeof target - 1);
    if (length < 0)
      return errno == ENOENT
                 ? 0
                 : fail(failure, "pack", place->path, errno, "the link cannot be read: %s", strerror(errno));
    target[length] = 0;
    entry->link = target;
  }
  if (xattrs_read(place->parent, place->name, fd, &xattrs))
    return fail(failure, "pack", place->path, errno, "its extended attributes cannot be read: %s", strerror(errno));
  entry->xattrs = xattrs.list;
  entry->xattr_count = xattrs.count;
  int result = tar_write_entry(&pack->writer, entry) ? gone(failure) : 0;
  xattrs_free(&xattrs);
  if (!result && entry->kind == TAR_FILE) result = write_file(pack, fd, entry->size, place->path, failure);
  return result;
}

static int pack_leaf_named(struct pack *pack, const struct tree_place *place, const char *name,
                           struct failure *failure) {
  struct tar_entry entry = {.name = name};
  int special = whiteout(pack, place, name, failure), failed = 0;
  if (special) return special < 0 ? -1 : 0;
  if (!fill_entry(pack, &entry, &place->stat)) return 0;
  if (place->stat.st_nlink > 1) {
    const char *first = links_seen(&pack->links, &place->stat, name, &failed);
    if (failed) return fail(failure, "pack", place->path, ENOMEM, "out of memory");
    if (first) {
      entry.kind = TAR_HARD_LINK;
      entry.link = first;
      return tar_write_entry(&pack->writer, &entry) ? gone(failure) : 0;
    }
  }
  OWN_FD fd = -1;
  if (entry.kind == TAR_FILE) {
    struct stat stat;
    fd = tree_open_file(place->parent, place->name, &stat);
    if (fd < 0 && (errno == ENOENT || errno == EINVAL)) return 0;  // gone or replaced meanwhile
    if (fd < 0) return fail(failure, "pack", place->path, errno, "it cannot be opened: %s", strerror(errno));
    entry.size = (uint64_t)stat.st_size;
  }
  return write_entry(pack, &entry, place, fd, failure);
}

// The archive's name of a place in the walk: the top's name, then the path; directories end with a slash.
static const char *archive_name(struct pack *pack, const char *path, bool directory) {
  size_t length = strlen(path), needed = pack->prefix + length + 3;
  if (needed > pack->buffer_room) {
    char *buffer = realloc(pack->buffer, needed * 2);
    if (!buffer) return NULL;
    pack->buffer = buffer;
    pack->buffer_room = needed * 2;
  }
  size_t at = pack->prefix;
  if (at) pack->buffer[at++] = '/';
  memcpy(pack->buffer + at, path, length);
  at += length;
  if (directory && length) pack->buffer[at++] = '/';
  pack->buffer[at] = 0;
  return pack->buffer;
}

static int pack_leaf(void *context, const struct tree_place *place, struct failure *failure) {
  const char *name = archive_name(context, place->path, false);
  return name ? pack_leaf_named(context, place, name, failure)
              : fail(failure, "pack", place->path, ENOMEM, "out of memory");
}

// A whiteout for each name that the directory hides and has not itself.
static int write_hidden(struct pack *pack, const struct tree_place *place, int fd, const char *directory,
                        struct failure *failure) {
  struct tree_names names;
  struct stat stat;
  if (hidden_names(&pack->hidden, place->path, &names, failure)) return -1;
  int result = 0;
  for (size_t i = 0; i < names.count && !result; i++) {
    const char *name = names.bytes + names.offsets[i];
    if (fstatat(fd, name, &stat, AT_SYMLINK_NOFOLLOW))
      result = write_marker(pack, &place->stat, directory, strlen(directory), name, failure);
  }
  tree_names_free(&names);
  return result;
}

static int pack_directory(struct pack *pack, const struct tree_place *place, int fd, const char *name,
                          struct failure *failure) {
  struct tar_entry entry = {.name = name};
  int special = whiteout(pack, place, name, failure);
  if (special) return special < 0 ? -1 : 1;
  fill_entry(pack, &entry, &place->stat);
  if (write_entry(pack, &entry, place, fd, failure)) return -1;
  bool opaque = pack->whiteouts && directory_is_opaque(fd);
  int compared = hidden_applies(&pack->hidden, place->path, opaque, failure);
  if (compared) return compared < 0 ? -1 : write_hidden(pack, place, fd, name, failure);
  return opaque
             ? write_marker(pack, &place->stat, name, strlen(name), ".wh..opq", failure)
             : 0;
}

static int pack_enter(void *context, const struct tree_place *place, int directory, struct failure *failure) {
  const char *name = archive_name(context, place->path, true);
  return name ? pack_directory(context, place, directory, name, failure)
              : fail(failure, "pack", place->path, ENOMEM, "out of memory");
}

static int pack_tree(struct pack *pack, int directory, struct failure *failure) {
  struct tree_visitor visitor = {
      .sorted = pack->sorted, .wants_stat = true, .mounts = TREE_CROSS, .leaf = pack_leaf, .enter = pack_enter};
  return tree_walk(directory, "pack", &visitor, pack, failure);
}

// The requested path itself: its parents may be symlinks inside the root, it is never followed.
static int pack_path(struct pack *pack, int root, struct failure *failure) {
  char path[PATH_MAX];
  const char *last;
  size_t length = strlen(pack->path);
  while (length > 1 && pack->path[length - 1] == '/') length--;
  if (length >= sizeof path) return fail(failure, "path", pack->path, ENAMETOOLONG, "the path is too long");
  memcpy(path, pack->path, length);
  path[length] = 0;
  OWN_FD parent = resolve_parent(root, path, &last);
  struct tree_place place = {.parent = parent, .name = *last ? last : ".", .path = path};
  if (parent < 0 || fstatat(parent, place.name, &place.stat, AT_SYMLINK_NOFOLLOW))
    return fail(failure, "path", path, errno, "it cannot be opened: %s", strerror(errno));
  const char *name = pack->name ? pack->name : last;
  bool directory = S_ISDIR(place.stat.st_mode);
  if (pack->contents && !directory) return fail(failure, "path", path, ENOTDIR, "it is not a directory");
  if (!directory) return pack_leaf_named(pack, &place, name, failure);
  OWN_FD fd = openat(parent, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail(failure, "path", path, errno, "it cannot be opened: %s", strerror(errno));
  if (pack->contents) return pack_tree(pack, fd, failure);
  OWN_MEMORY char *top = malloc(strlen(name) + 3);
  pack->prefix = strlen(name);
  pack->buffer = malloc(pack->buffer_room = pack->prefix + 256);
  if (!top || !pack->buffer) return fail(failure, "pack", path, ENOMEM, "out of memory");
  strcpy(pack->buffer, name);
  sprintf(top, "%s/", *name ? name : ".");
  int result = pack_directory(pack, &place, fd, top, failure);
  return result ? result : pack_tree(pack, fd, failure);
}

static int read_plan(struct pack *pack, const struct plan *plan, struct failure *failure) {
  pack->path = NULL;
  for (uint32_t i = 1; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    const char *key = operation->count ? operation->args[0] : "",
               *value = operation->count == 2 ? operation->args[1] : "";
    if (!strncmp(operation->name, "root-", 5) || !strcmp(operation->name, "bind")) continue;  // read by root_open
    if (!strcmp(operation->name, "below") && operation->count >= 4 && operation->count <= 503) {
      pack->hidden.below = operation;
      continue;
    }
    bool option = !strcmp(operation->name, "option") && operation->count == 2, yes = !strcmp(value, "yes");
    bool boolean = yes || !strcmp(value, "no");
    uint64_t seconds = 0;
    if (!strcmp(operation->name, "path") && operation->count == 1)
      pack->path = key;
    else if (option && !strcmp(key, "name") && *value)
      pack->name = value;
    else if (option && !strcmp(key, "contents") && boolean)
      pack->contents = yes;
    else if (option && !strcmp(key, "numeric-sort") && boolean)
      pack->sorted = yes;
    else if (option && !strcmp(key, "whiteouts") && (!strcmp(value, "overlay") || !strcmp(value, "none")))
      pack->whiteouts = *value == 'o';
    else if (option && !strcmp(key, "latest") && parse_u64(value, 10, INT64_MAX, &seconds))
      pack->clamped = true, pack->latest = (int64_t)seconds;
    else
      return fail(failure, operation->name, key, EINVAL, "pack has no operation \"%s %s %s\"", operation->name, key,
                  value);
  }
  return pack->path ? 0 : fail(failure, "path", "", EINVAL, "pack needs a path");
}

int verb_pack(struct request *request, struct failure *failure) {
  struct pack pack = {.hidden.request = request};
  char entries[24];
  if (read_plan(&pack, request->plan, failure)) return -1;
  OWN_FD root = root_open(request, failure);
  if (root < 0) return -1;
  if (stream_out_open(&pack.writer.out, request->connection)) return fail(failure, "pack", "", ENOMEM, "out of memory");
  int result = pack_path(&pack, root, failure);
  if (!result && tar_write_end(&pack.writer)) result = gone(failure);
  stream_out_close(&pack.writer.out);
  links_free(&pack.links);
  hidden_close(&pack.hidden);
  free(pack.buffer);
  if (result) return result;
  snprintf(entries, sizeof entries, "%" PRIu64, pack.writer.entries);
  report(request->connection, "ok", "entries", entries, NULL);
  return 0;
}
