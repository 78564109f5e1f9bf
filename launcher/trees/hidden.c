// What directories of a layer hide that replaced others: the names which the layers below have at the same place.
#include "hidden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "mount.h"
#include "own.h"
#include "resolve.h"

static bool is_within(const char *path, const char *directory) {
  size_t length = strlen(directory);
  return !strncmp(path, directory, length) && path[length] == '/';
}

int hidden_applies(struct hidden *hidden, const char *path, bool opaque, struct failure *failure) {
  if (!hidden->below) return 0;
  if (hidden->within && is_within(path, hidden->within)) return 1;
  free(hidden->within);
  hidden->within = NULL;
  if (!opaque) return 0;
  hidden->within = strdup(path);
  return hidden->within ? 1 : fail(failure, "pack", path, ENOMEM, "out of memory");
}

static int view_open(struct hidden *hidden, struct failure *failure) {
  if (hidden->view > 0) return 0;
  if (layers_open(hidden->request, hidden->below, &hidden->layers, failure)) return -1;
  hidden->view = mount_view(hidden->below, &hidden->layers, failure);
  return hidden->view < 0 ? -1 : 0;
}

int hidden_names(struct hidden *hidden, const char *path, struct tree_names *names, struct failure *failure) {
  *names = (struct tree_names){0};
  if (view_open(hidden, failure)) return -1;
  OWN_FD directory = resolve_with(hidden->view, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS);
  if (directory < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return 0;
  if (directory < 0 || tree_names_read(directory, true, names))
    return fail(failure, "pack", path, errno, "what it hides cannot be read: %s", strerror(errno));
  return 0;
}

void hidden_close(struct hidden *hidden) {
  if (hidden->view > 0) close(hidden->view);
  layers_close(&hidden->layers);
  free(hidden->within);
  *hidden = (struct hidden){0};
}
