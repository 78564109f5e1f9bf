// Layers that are EROFS images: mounted once, without a place in any tree, and held by the launcher's parent.
#include "layers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "calls.h"
#include "counter.h"
#include "own.h"

#define IMAGE "erofs:"
#define HELD "layer:"
#define STEP "root-overlay"

struct layer_name {
  char text[64];
};

// The index names the layer for as long as anyone holds it: its inode number cannot come back before.
static struct layer_name name_of(const struct stat *index) {
  struct layer_name name;
  snprintf(name.text, sizeof name.text, HELD "%llx:%llx", (unsigned long long)index->st_dev,
           (unsigned long long)index->st_ino);
  return name;
}

bool layers_owns(const char *name) { return !strncmp(name, HELD, strlen(HELD)); }

static int refused(int fs, const char *directory, const char *what, struct failure *failure) {
  int error = errno;
  char log[200] = "";
  ssize_t got = read(fs, log, sizeof log - 1);
  while (got > 0 && (log[got - 1] == '\n')) got--;
  if (got > 0) log[got] = 0;
  return fail(failure, STEP, directory, error, "%s: %s%s%s", what, strerror(error),
              got > 2 ? "; the kernel says: " : "", got > 2 ? log + 2 : "");
}

// Sources are named by descriptor: fsconfig takes at most 255 bytes of text.
static int set_file(int fs, const char *key, int file) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return call_fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0);
}

static int image_mount(int directory, int index, const char *path, struct failure *failure) {
  OWN_FD tar = openat(directory, "layer.tar", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (tar < 0)
    return fail(failure, STEP, path, errno, "the layer's tar cannot be opened: %s", strerror(errno));
  OWN_FD fs = call_fsopen("erofs");
  if (fs < 0) return fail(failure, STEP, path, errno, "the kernel has no EROFS file system");
  if (set_file(fs, "source", index) || set_file(fs, "device", tar))
    return refused(fs, path, "the layer's files are refused", failure);
  if (call_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    return refused(fs, path, "the layer cannot be mounted", failure);
  int tree = call_fsmount(fs, MOUNT_ATTR_RDONLY);
  return tree < 0 ? refused(fs, path, "the layer cannot be mounted", failure) : tree;
}

// The name that the image in a directory would be held by.
static bool name_at(const char *directory, struct layer_name *name) {
  char path[PATH_MAX];
  struct stat status;
  if ((size_t)snprintf(path, sizeof path, "%s/index", directory) >= sizeof path) return false;
  if (lstat(path, &status) || !S_ISREG(status.st_mode)) return false;
  *name = name_of(&status);
  return true;
}

static int image_open(struct request *request, const char *path, struct failure *failure) {
  struct stat status;
  struct layer_name name;
  int held = name_at(path, &name) ? held_get(request, name.text) : -1;
  if (held >= 0) return held;
  OWN_FD directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  OWN_FD index = directory < 0 ? -1 : openat(directory, "index", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (index < 0 || fstat(index, &status))
    return fail(failure, STEP, path, errno, "the layer cannot be opened: %s", strerror(errno));
  int tree = image_mount(directory, index, path, failure);
  // Not being held costs the next root a mount and nothing else.
  if (tree >= 0) held_hold(request, name_of(&status).text, tree);
  return tree;
}

static bool is_image(const char *lower) { return !strncmp(lower, IMAGE, strlen(IMAGE)); }

void layers_order(struct order *order, const struct operation *overlay) {
  struct layer_name name;
  for (uint32_t i = 3; i < overlay->count; i++)
    if (is_image(overlay->args[i]) && name_at(overlay->args[i] + strlen(IMAGE), &name)) order_add(order, name.text);
}

int layers_open(struct request *request, const struct operation *overlay, struct layers *layers,
                struct failure *failure) {
  *layers = (struct layers){0};
  bool any = false;
  for (uint32_t i = 3; overlay && i < overlay->count; i++) any |= is_image(overlay->args[i]);
  if (!any) return 0;
  layers->trees = calloc(overlay->count, sizeof *layers->trees);
  if (!layers->trees) return fail(failure, STEP, "", ENOMEM, "out of memory");
  for (uint32_t i = 3; i < overlay->count; i++) {
    const char *lower = overlay->args[i];
    bool image = is_image(lower);
    int tree = image ? image_open(request, lower + strlen(IMAGE), failure) : -1;
    if (image && tree < 0) return layers_close(layers), -1;
    layers->trees[layers->count++] = tree;
  }
  return 0;
}

void layers_close(struct layers *layers) {
  for (uint32_t i = 0; i < layers->count; i++) own_close(&layers->trees[i]);
  free(layers->trees);
  *layers = (struct layers){0};
}

void layers_forget(struct request *request, const char *directory) {
  struct layer_name name;
  if (name_at(directory, &name)) held_drop(request, name.text);
}
