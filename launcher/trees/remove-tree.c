// remove-tree: host directories go away, by descriptor and never across a mount.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "host-mounts.h"
#include "layers.h"
#include "own.h"
#include "tree.h"
#include "verbs.h"

static int remove_path(const char *path, struct failure *failure) {
  char parent[PATH_MAX];
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  if (*path != '/' || length >= sizeof parent)
    return fail(failure, "remove-tree", path, EINVAL, "the path must be absolute");
  memcpy(parent, path, length);
  parent[length] = 0;
  char *slash = strrchr(parent, '/'), *name = slash + 1;
  if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
    return fail(failure, "remove-tree", path, EINVAL, "the path must name something");
  *slash = 0;
  OWN_FD directory = open(*parent ? parent : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 && errno == ENOENT) return 0;
  if (directory < 0)
    return fail(failure, "remove-tree", path, errno, "its directory cannot be opened: %s", strerror(errno));
  return tree_remove(directory, name, "remove-tree", failure);
}

int verb_remove_tree(struct request *request, struct failure *failure) {
  if (host_mounts_enter(request, failure)) return -1;
  for (uint32_t i = 1; i < request->plan->count; i++) {
    const struct operation *operation = &request->plan->operations[i];
    if (strcmp(operation->name, "path") || !operation->count)
      return fail(failure, operation->name, "", EINVAL, "remove-tree has no operation \"%s\"", operation->name);
    for (uint32_t n = 0; n < operation->count; n++) {
      layers_forget(request, operation->args[n]);
      if (remove_path(operation->args[n], failure)) return -1;
    }
  }
  report(request->connection, "ok", NULL);
  return 0;
}
