// Removal of a tree by descriptor; nothing outside it is ever touched, also when it changes meanwhile.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "calls.h"
#include "own.h"
#include "tree.h"

static int remove_entry(const struct tree_place *place, int flags, const char *step, struct failure *failure) {
  if (!unlinkat(place->parent, place->name, flags) || errno == ENOENT) return 0;
  return fail(failure, step, place->path, errno, "it cannot be removed: %s", strerror(errno));
}

static int leaf(void *context, const struct tree_place *place, struct failure *failure) {
  return remove_entry(place, 0, context, failure);
}

static int leave(void *context, const struct tree_place *place, struct failure *failure) {
  return remove_entry(place, AT_REMOVEDIR, context, failure);
}

int tree_empty(int directory, const char *step, struct failure *failure) {
  static const struct tree_visitor remover = {.mounts = TREE_REFUSE, .leaf = leaf, .leave = leave};
  return tree_walk(directory, step, &remover, (void *)step, failure);
}

int tree_remove(int parent, const char *name, const char *step, struct failure *failure) {
  if (!unlinkat(parent, name, 0) || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM)
    return fail(failure, step, name, errno, "it cannot be removed: %s", strerror(errno));
  OWN_FD directory = call_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                                  RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_XDEV);
  if (directory < 0 && errno == ENOENT) return 0;
  if (directory < 0 && errno == EXDEV) return fail(failure, step, name, EXDEV, "something is mounted there");
  if (directory < 0) return fail(failure, step, name, errno, "it cannot be removed: %s", strerror(errno));
  if (tree_empty(directory, step, failure)) return -1;
  if (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT) return 0;
  return fail(failure, step, name, errno, "it cannot be removed: %s", strerror(errno));
}
