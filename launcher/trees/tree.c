// Walks a directory tree by descriptor: no symlink is followed, any depth, few descriptors open at a time.
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "own.h"

enum { OPEN_LEVELS = 48, LISTING_BYTES = 64 << 10 };

struct level {
  int fd;  // -1 while it is closed to save descriptors
  size_t path_length;
  size_t next;
  struct tree_names names;
  struct stat stat;
};

struct walk {
  const char *step;
  const struct tree_visitor *visitor;
  void *context;
  struct level *levels;
  size_t depth, room;
  char *path;
  size_t path_room;
  struct failure *failure;
};

struct raw_entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

static int names_add(struct tree_names *names, size_t *used, size_t *room, size_t *count_room,
                     const struct raw_entry *entry) {
  size_t length = strlen(entry->name);
  if (*used + length + 2 > *room) {
    size_t wanted = *room ? *room * 2 : 4096;
    char *bytes = *used + length + 2 > UINT32_MAX ? NULL : realloc(names->bytes, wanted);
    if (!bytes) return errno = ENOMEM, -1;
    names->bytes = bytes;
    *room = wanted;
  }
  if (names->count == *count_room) {
    size_t wanted = *count_room ? *count_room * 2 : 64;
    uint32_t *offsets = realloc(names->offsets, wanted * sizeof *offsets);
    if (!offsets) return errno = ENOMEM, -1;
    names->offsets = offsets;
    *count_room = wanted;
  }
  names->bytes[*used] = (char)entry->type;
  memcpy(names->bytes + *used + 1, entry->name, length + 1);
  names->offsets[names->count++] = (uint32_t)*used + 1;
  *used += length + 2;
  return 0;
}

static int by_bytes(const void *left, const void *right, void *bytes) {
  return strcmp((char *)bytes + *(const uint32_t *)left, (char *)bytes + *(const uint32_t *)right);
}

int tree_names_read(int directory, bool sorted, struct tree_names *names) {
  size_t used = 0, room = 0, count_room = 0;
  memset(names, 0, sizeof *names);
  OWN_MEMORY char *listing = malloc(LISTING_BYTES);
  if (!listing || lseek(directory, 0, SEEK_SET) < 0) return -1;
  for (;;) {
    long got = syscall(SYS_getdents64, directory, listing, LISTING_BYTES);
    if (got == 0 || (got < 0 && errno == ENOENT)) break;  // ENOENT: the directory has been removed
    for (long at = 0; at < got;) {
      const struct raw_entry *entry = (const struct raw_entry *)(listing + at);
      at += entry->length;
      if (!strcmp(entry->name, ".") || !strcmp(entry->name, "..")) continue;
      if (names_add(names, &used, &room, &count_room, entry)) got = -1;
    }
    if (got < 0) {
      int error = errno;
      tree_names_free(names);
      return errno = error, -1;
    }
  }
  if (sorted && names->count) qsort_r(names->offsets, names->count, sizeof *names->offsets, by_bytes, names->bytes);
  return 0;
}

void tree_names_free(struct tree_names *names) {
  free(names->bytes);
  free(names->offsets);
  memset(names, 0, sizeof *names);
}

int tree_open_file(int parent, const char *name, struct stat *stat) {
  char path[32];
  OWN_FD place = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (place < 0 || fstat(place, stat)) return -1;
  if (!S_ISREG(stat->st_mode)) return errno = EINVAL, -1;
  snprintf(path, sizeof path, "/proc/self/fd/%d", place);
  return open(path, O_RDONLY | O_CLOEXEC);
}

// Takes the descriptor over, also when it fails.
static int push(struct walk *walk, int fd, const struct stat *stat, size_t path_length) {
  if (walk->depth == walk->room) {
    size_t room = walk->room ? walk->room * 2 : 32;
    struct level *levels = realloc(walk->levels, room * sizeof *levels);
    if (!levels) {
      close(fd);
      return fail(walk->failure, walk->step, walk->path, ENOMEM, "out of memory");
    }
    walk->levels = levels;
    walk->room = room;
  }
  struct level *level = &walk->levels[walk->depth++];
  *level = (struct level){.fd = fd, .path_length = path_length, .stat = *stat};
  if (tree_names_read(fd, walk->visitor->sorted, &level->names))
    return fail(walk->failure, walk->step, walk->path, errno, "the directory cannot be listed: %s", strerror(errno));
  if (walk->depth > OPEN_LEVELS + 1) {
    struct level *high = &walk->levels[walk->depth - OPEN_LEVELS - 1];
    if (high->fd >= 0) close(high->fd);
    high->fd = -1;
  }
  return 0;
}

// Opens a level again from the directory beneath it and checks that it is the same one.
static int reopen(struct walk *walk, struct level *level, int child) {
  struct stat stat;
  level->fd = openat(child, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (level->fd >= 0 && !fstat(level->fd, &stat) && stat.st_dev == level->stat.st_dev &&
      stat.st_ino == level->stat.st_ino)
    return 0;
  return fail(walk->failure, walk->step, walk->path, ESTALE, "a directory was moved while it was read");
}

static int extend_path(struct walk *walk, size_t base, const char *name) {
  size_t length = strlen(name), needed = base + length + 2;
  if (needed > walk->path_room) {
    size_t room = needed * 2 + 256;
    char *path = realloc(walk->path, room);
    if (!path) return fail(walk->failure, walk->step, name, ENOMEM, "out of memory");
    walk->path = path;
    walk->path_room = room;
  }
  if (base) walk->path[base++] = '/';
  memcpy(walk->path + base, name, length + 1);
  return 0;
}

static int open_directory(struct walk *walk, const struct tree_place *place) {
  bool cross = walk->visitor->mounts == TREE_CROSS;
  return call_openat2(place->parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                      RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | (cross ? 0 : RESOLVE_NO_XDEV));
}

// Goes down into a directory, or visits it as one that is not gone into.
static int descend(struct walk *walk, const struct tree_place *place) {
  const struct tree_visitor *visitor = walk->visitor;
  int fd = open_directory(walk, place), entered = 0;
  if (fd < 0 && errno == ENOENT) return 0;
  if (fd < 0 && errno == EXDEV && visitor->mounts == TREE_SKIP) return 0;
  if (fd < 0 && errno == EXDEV)
    return fail(walk->failure, walk->step, place->path, EXDEV, "something is mounted there");
  if (fd < 0)
    return fail(walk->failure, walk->step, place->path, errno, "the directory cannot be opened: %s", strerror(errno));
  struct stat stat;
  if (fstat(fd, &stat)) entered = fail(walk->failure, walk->step, place->path, errno, "%s", strerror(errno));
  if (!entered && visitor->enter) entered = visitor->enter(walk->context, place, fd, walk->failure);
  if (entered) {
    close(fd);
    return entered < 0 ? -1 : 0;
  }
  return push(walk, fd, &stat, strlen(walk->path));
}

static int visit(struct walk *walk, struct level *level, const char *name) {
  if (extend_path(walk, level->path_length, name)) return -1;
  struct tree_place place = {.parent = level->fd, .name = name, .path = walk->path};
  uint8_t type = (uint8_t)name[-1];
  place.stat.st_mode = DTTOIF(type);
  if ((walk->visitor->wants_stat || type == DT_UNKNOWN) && fstatat(level->fd, name, &place.stat, AT_SYMLINK_NOFOLLOW)) {
    if (errno == ENOENT) return 0;
    return fail(walk->failure, walk->step, walk->path, errno, "its attributes cannot be read: %s", strerror(errno));
  }
  if (S_ISDIR(place.stat.st_mode)) return descend(walk, &place);
  return walk->visitor->leaf(walk->context, &place, walk->failure);
}

// A level is done: back to the one above it.
static int pop(struct walk *walk) {
  struct level *done = &walk->levels[walk->depth - 1];
  int result = 0;
  if (walk->depth > 1) {
    struct level *above = done - 1;
    walk->path[done->path_length] = 0;
    if (above->fd < 0) result = reopen(walk, above, done->fd);
    close(done->fd);
    done->fd = -1;
    if (!result && walk->visitor->leave) {
      const char *name = above->names.bytes + above->names.offsets[above->next - 1];
      struct tree_place place = {.parent = above->fd, .name = name, .path = walk->path, .stat = done->stat};
      result = walk->visitor->leave(walk->context, &place, walk->failure);
    }
  }
  tree_names_free(&done->names);
  if (done->fd >= 0) close(done->fd);
  walk->depth--;
  return result;
}

int tree_walk(int directory, const char *step, const struct tree_visitor *visitor, void *context,
              struct failure *failure) {
  struct walk walk = {.step = step, .visitor = visitor, .context = context, .failure = failure};
  struct stat stat;
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &stat)) {
    int error = errno;
    if (fd >= 0) close(fd);
    return fail(failure, step, "", error, "the directory cannot be opened: %s", strerror(error));
  }
  int result = push(&walk, fd, &stat, 0);
  while (!result && walk.depth) {
    struct level *level = &walk.levels[walk.depth - 1];
    if (level->next == level->names.count) {
      result = pop(&walk);
    } else {
      const char *name = level->names.bytes + level->names.offsets[level->next++];
      result = visit(&walk, level, name);
    }
  }
  for (; walk.depth; walk.depth--) {
    struct level *level = &walk.levels[walk.depth - 1];
    if (level->fd >= 0) close(level->fd);
    tree_names_free(&level->names);
  }
  free(walk.levels);
  free(walk.path);
  return result;
}
