// Whiteouts of an image layer: turned into overlayfs's own, or applied as deletions of what older layers made.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "calls.h"
#include "own.h"
#include "tree.h"
#include "unpack.h"

bool stat_is_whiteout(const struct stat *stat) { return S_ISCHR(stat->st_mode) && stat->st_rdev == 0; }

int unpack_set_opaque(int parent, const char *name, const char *path, struct failure *failure) {
  if (!xattr_set(parent, name, "trusted.overlay.opaque", "y", 1)) return 0;
  return fail(failure, "unpack", path, errno, "it cannot be made opaque: %s", strerror(errno));
}

static uint64_t identity(const struct stat *stat) {
  uint64_t hash = (uint64_t)stat->st_ino ^ (uint64_t)stat->st_dev * 0x9e3779b97f4a7c15u;
  return hash ? hash : 1;
}

static bool insert(uint64_t *set, size_t room, uint64_t key) {
  size_t at = (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (room - 1);
  while (set[at] && set[at] != key) at = (at + 1) & (room - 1);
  bool fresh = !set[at];
  set[at] = key;
  return fresh;
}

int unpack_touch(struct unpack *unpack, const struct stat *stat, struct failure *failure) {
  if (unpack->touched_count * 2 >= unpack->touched_room) {
    size_t room = unpack->touched_room ? unpack->touched_room * 2 : 1024;
    uint64_t *set = calloc(room, sizeof *set);
    if (!set) return fail(failure, "unpack", "", ENOMEM, "out of memory");
    for (size_t i = 0; i < unpack->touched_room; i++)
      if (unpack->touched[i]) insert(set, room, unpack->touched[i]);
    free(unpack->touched);
    unpack->touched = set;
    unpack->touched_room = room;
  }
  unpack->touched_count += insert(unpack->touched, unpack->touched_room, identity(stat));
  return 0;
}

static bool touched(const struct unpack *unpack, const struct stat *stat) {
  if (!unpack->touched_room) return false;
  uint64_t key = identity(stat);
  size_t at = (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (unpack->touched_room - 1);
  for (; unpack->touched[at]; at = (at + 1) & (unpack->touched_room - 1))
    if (unpack->touched[at] == key) return true;
  return false;
}

static int remove_old(const struct unpack *unpack, const struct tree_place *place, int flags, struct failure *failure) {
  if (touched(unpack, &place->stat)) return 0;
  if (!unlinkat(place->parent, place->name, flags) || errno == ENOENT) return 0;
  if (flags && (errno == ENOTEMPTY || errno == EEXIST)) return 0;  // it holds something of this layer
  return fail(failure, "unpack", place->path, errno, "it cannot be deleted: %s", strerror(errno));
}

static int old_leaf(void *context, const struct tree_place *place, struct failure *failure) {
  return remove_old(context, place, 0, failure);
}

static int old_leave(void *context, const struct tree_place *place, struct failure *failure) {
  return remove_old(context, place, AT_REMOVEDIR, failure);
}

// Deletes what older layers left in a directory and keeps what this one has made.
static int empty_of_old(struct unpack *unpack, int directory, struct failure *failure) {
  static const struct tree_visitor remover = {
      .wants_stat = true, .mounts = TREE_REFUSE, .leaf = old_leaf, .leave = old_leave};
  unpack_forget_parent(unpack);
  return tree_walk(directory, "unpack", &remover, unpack, failure);
}

static int apply_whiteout(struct unpack *unpack, int parent, const char *hidden, struct failure *failure) {
  struct tree_place place = {.parent = parent, .name = hidden, .path = hidden};
  if (fstatat(parent, hidden, &place.stat, AT_SYMLINK_NOFOLLOW))
    return errno == ENOENT ? 0 : fail(failure, "unpack", hidden, errno, "it cannot be deleted: %s", strerror(errno));
  if (!S_ISDIR(place.stat.st_mode)) return remove_old(unpack, &place, 0, failure);
  OWN_FD directory =
      call_openat2(parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
  OWN_FD kept = fcntl(parent, F_DUPFD_CLOEXEC, 0);
  if (directory < 0 || kept < 0)
    return fail(failure, "unpack", hidden, errno, "it cannot be deleted: %s", strerror(errno));
  if (empty_of_old(unpack, directory, failure)) return -1;
  place.parent = kept;
  return remove_old(unpack, &place, AT_REMOVEDIR, failure);
}

// The name becomes a whiteout, unless this layer has made it: then only what is beneath it in older layers is hidden.
static int overlay_whiteout(int parent, const char *hidden, struct failure *failure) {
  struct stat stat;
  if (!mknodat(parent, hidden, S_IFCHR, 0)) return 0;
  if (errno == EEXIST && !fstatat(parent, hidden, &stat, AT_SYMLINK_NOFOLLOW))
    return S_ISDIR(stat.st_mode) ? unpack_set_opaque(parent, hidden, hidden, failure) : 0;
  return fail(failure, "unpack", hidden, errno, "its whiteout cannot be made: %s", strerror(errno));
}

static int hide_directory(struct unpack *unpack, int parent, const char *clean, struct failure *failure) {
  if (unpack->whiteouts == WHITEOUTS_OVERLAY) return unpack_set_opaque(parent, ".", clean, failure);
  OWN_FD directory = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return fail(failure, "unpack", clean, errno, "its directory cannot be emptied: %s", strerror(errno));
  return empty_of_old(unpack, directory, failure);
}

int unpack_whiteout(struct unpack *unpack, const char *clean, struct failure *failure) {
  if (unpack->whiteouts == WHITEOUTS_NONE) return 0;
  const char *last = strrchr(clean, '/');
  last = last ? last + 1 : clean;
  for (const char *part = clean; part < last; part = strchr(part, '/') + 1) {
    if (!strncmp(part, ".wh..wh.", 8)) return 1;  // aufs's own directories
    if (!strncmp(part, ".wh.", 4))
      return fail(failure, "unpack", clean, 0, "a whiteout cannot be a directory: \"%.300s\"", clean);
  }
  if (strncmp(last, ".wh.", 4)) return 0;
  bool opaque = !strcmp(last, ".wh..wh..opq");
  const char *hidden = last + 4, *name;
  if (!opaque && !strncmp(hidden, ".wh.", 4)) return 1;
  if (!opaque && (!*hidden || !strcmp(hidden, ".") || !strcmp(hidden, "..")))
    return fail(failure, "unpack", clean, 0, "the whiteout \"%.300s\" names nothing that can be hidden", clean);
  int parent = unpack_parent(unpack, clean, &name, failure);
  if (parent < 0) return -1;
  int result = opaque                                   ? hide_directory(unpack, parent, clean, failure)
               : unpack->whiteouts == WHITEOUTS_OVERLAY ? overlay_whiteout(parent, hidden, failure)
                                                        : apply_whiteout(unpack, parent, hidden, failure);
  return result ? -1 : 1;
}
