// Mounts are made detached, by descriptor, and then moved to a target that is a descriptor too.
#include "mount.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "own.h"

#define ATIME MOUNT_ATTR__ATIME
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
enum { PRIVATE = 1 << 18, SLAVE = 1 << 19, SHARED = 1 << 20, UNBINDABLE = 1 << 17 };

static const struct {
  const char *name;
  uint64_t set, clear;
} attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, ATIME},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
};

static const struct {
  const char *name;
  uint64_t propagation;
} propagations[] = {{"private", PRIVATE}, {"slave", SLAVE}, {"shared", SHARED}, {"unbindable", UNBINDABLE}};

static bool attribute_add(struct mount_attr *to, const char *name) {
  for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
    if (strcmp(attributes[i].name, name)) continue;
    // The last word wins, as in mount(8).
    to->attr_set = (to->attr_set & ~attributes[i].clear) | attributes[i].set;
    to->attr_clr = (to->attr_clr & ~attributes[i].set) | attributes[i].clear;
    return true;
  }
  return false;
}

static bool propagation_add(struct mount_flags *flags, const char *name) {
  for (size_t i = 0; i < sizeof propagations / sizeof *propagations; i++) {
    bool recursive = name[0] == 'r' && !strcmp(propagations[i].name, name + 1);
    if (!recursive && strcmp(propagations[i].name, name)) continue;
    flags->top.propagation = propagations[i].propagation;
    flags->propagation_recursive = recursive;
    return true;
  }
  return false;
}

static bool flag_add(struct mount_flags *flags, const char *name) {
  if (!strcmp(name, "rec") || !strcmp(name, "none") || !*name) {
    flags->recursive |= !strcmp(name, "rec");
    return true;
  }
  if (propagation_add(flags, name) || attribute_add(&flags->top, name)) return true;
  return name[0] == 'r' && attribute_add(&flags->all, name + 1);
}

int mount_flags_parse(const char *text, struct mount_flags *flags, const char *step, const char *path,
                      struct failure *failure) {
  char word[32];
  memset(flags, 0, sizeof *flags);
  while (*text) {
    size_t length = strcspn(text, ",");
    if (length >= sizeof word) return fail(failure, step, path, EINVAL, "a mount flag is too long");
    memcpy(word, text, length);
    word[length] = 0;
    if (!flag_add(flags, word)) return fail(failure, step, path, EINVAL, "there is no mount flag \"%s\"", word);
    text += length + (text[length] == ',');
  }
  return 0;
}

int mount_flags_apply(int tree, const struct mount_flags *flags, const char *step, const char *path,
                      struct failure *failure) {
  struct mount_attr top = flags->top, all = flags->all;
  uint64_t propagation = top.propagation ? top.propagation : PRIVATE;
  bool deep = !top.propagation || flags->propagation_recursive;
  if (deep) all.propagation = propagation;
  top.propagation = deep ? 0 : propagation;
  if ((all.attr_set || all.attr_clr || all.propagation) &&
      call_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &all))
    return fail(failure, step, path, errno, "the flags of the mount and those beneath it cannot be set");
  if ((top.attr_set || top.attr_clr || top.propagation) && call_mount_setattr(tree, "", AT_EMPTY_PATH, &top))
    return fail(failure, step, path, errno, "the mount's flags cannot be set");
  return 0;
}

// The kernel says what it dislikes through the file system context: "e overlay: …".
static int context_failed(int fs, const char *step, const char *path, const char *what, struct failure *failure) {
  int error = errno;
  char log[256] = "";
  ssize_t got = read(fs, log, sizeof log - 1);
  if (got > 0) log[got] = 0;
  while (got > 0 && (log[got - 1] == '\n')) log[--got] = 0;
  return fail(failure, step, path, error, "%s: %s%s%s", what, strerror(error), got > 0 ? "; the kernel says: " : "",
              got > 2 ? log + 2 : "");
}

// key=value or key, comma separated; text is cut up.
static int options_set(int fs, char *text) {
  for (char *word = text; word && *word;) {
    char *next = strchr(word, ',');
    if (next) *next++ = 0;
    char *value = strchr(word, '=');
    if (value) *value++ = 0;
    if (*word && call_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, word, value, 0)) return -1;
    word = next;
  }
  return 0;
}

int mount_create(const char *type, const char *source, const char *options, unsigned attributes_set, const char *step,
                 const char *path, struct failure *failure) {
  OWN_FD fs = call_fsopen(type);
  if (fs < 0) return fail(failure, step, path, errno, "the kernel knows no file system \"%s\"", type);
  OWN_MEMORY char *text = strdup(options);
  if (!text) return fail(failure, step, path, ENOMEM, "out of memory");
  if (*source && call_fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0))
    return context_failed(fs, step, path, "the source is refused", failure);
  if (options_set(fs, text)) return context_failed(fs, step, path, "a mount option is refused", failure);
  if (call_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    return context_failed(fs, step, path, "the file system cannot be made", failure);
  int tree = call_fsmount(fs, attributes_set);
  return tree < 0 ? context_failed(fs, step, path, "the file system cannot be mounted", failure) : tree;
}

int mount_attach(int tree, int target) {
  return call_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

// fsconfig takes at most 255 bytes of text; a longer path is handed over as a descriptor (kernel 6.13 and later).
static int layer_set(int fs, const char *key, const char *path) {
  if (strlen(path) < 256) return call_fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0);
  OWN_FD layer = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return layer < 0 ? -1 : call_fsconfig(fs, FSCONFIG_SET_FD, key, NULL, layer);
}

// A mount that lies on top of this process's root, which only ".." of the root leads to, as a detached one.
static int take_from_root(void) {
  OWN_FD tree = call_open_tree(AT_FDCWD, "/..", OPEN_TREE_CLONE);
  return call_umount("/..", UMOUNT_DETACH) ? -1 : give_fd(&tree);
}

// Kernels before 6.7 take the layers only as one option of at most a page: descriptors make it short. The old call
// mounts at a path, so it is done in a mount namespace of this process alone.
static int overlay_classic(const struct operation *operation, const char *upper, const char *work,
                           struct failure *failure) {
  char options[4000];
  // Before the layers are opened: the overlay takes only layers of its own mount namespace.
  if (unshare(CLONE_NEWNS)) return fail(failure, operation->name, "", errno, "no private mount namespace can be made");
  size_t used = (size_t)snprintf(options, sizeof options, "%s%slowerdir=", operation->args[2],
                                 *operation->args[2] ? "," : "");
  for (uint32_t i = 3; i < operation->count; i++) {
    int layer = open(operation->args[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (layer < 0) return fail(failure, operation->name, operation->args[i], errno, "the layer cannot be opened");
    used += (size_t)snprintf(options + used, sizeof options - used, "%s/proc/self/fd/%d", i > 3 ? ":" : "", layer);
    if (used >= sizeof options) return fail(failure, operation->name, "", E2BIG, "too many layers for this kernel");
  }
  for (int i = 0; i < 2 && *upper; i++) {
    int layer = open(i ? work : upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (layer < 0) return fail(failure, operation->name, i ? work : upper, errno, "the layer cannot be opened");
    used += (size_t)snprintf(options + used, sizeof options - used, ",%s=/proc/self/fd/%d", i ? "workdir" : "upperdir",
                             layer);
    if (used >= sizeof options) return fail(failure, operation->name, "", E2BIG, "too many layers for this kernel");
  }
  if (call_mount("overlay", "/", "overlay", 0, options))
    return fail(failure, operation->name, upper, errno, "the overlay cannot be mounted: %s",
                strerror(errno));
  int tree = take_from_root();
  return tree < 0 ? fail(failure, operation->name, upper, errno, "the overlay cannot be opened") : tree;
}

// The kernel refuses an overlay of one lower layer and nothing else: a read-only copy of its mount shows the same.
static int single_lower(const char *path, struct failure *failure) {
  struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
  OWN_FD tree = call_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
  if (tree < 0 || call_mount_setattr(tree, "", AT_EMPTY_PATH, &readonly))
    return fail(failure, "root-overlay", path, errno, "the layer cannot be opened: %s", strerror(errno));
  return give_fd(&tree);
}

// Older kernels take any option without a word and refuse the whole mount at its end, so the version is asked.
bool overlay_is_detached(void) {
  struct utsname name;
  unsigned major = 0, minor = 0;
  if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2) return true;
  return major > 6 || (major == 6 && minor >= 7);
}

// The n-th lower directory: an image by its mount, any other by its path.
static int lower_set(int fs, const struct operation *operation, uint32_t n, const struct layers *layers) {
  int tree = n < layers->count ? layers->trees[n] : -1;
  if (tree >= 0) return call_fsconfig(fs, FSCONFIG_SET_FD, "lowerdir+", NULL, tree);
  return layer_set(fs, "lowerdir+", operation->args[n + 3]);
}

static int overlay_create(const struct operation *operation, const char *upper, const char *work,
                          const struct layers *layers, struct failure *failure) {
  if (!*upper != !*work)
    return fail(failure, operation->name, upper, EINVAL, "upper and work directory belong together");
  bool images = layers->count > 0;
  if (images && (!overlay_is_detached() || (!*upper && operation->count == 4)))
    return fail(failure, operation->name, operation->args[3], ENOTSUP, "a layer of this kind cannot be used here");
  if (!*upper && operation->count == 4) return single_lower(operation->args[3], failure);
  if (!overlay_is_detached()) return overlay_classic(operation, upper, work, failure);
  OWN_FD fs = call_fsopen("overlay");
  if (fs < 0) return fail(failure, operation->name, upper, errno, "the kernel has no overlay file system");
  OWN_MEMORY char *options = strdup(operation->args[2]);
  if (!options) return fail(failure, operation->name, upper, ENOMEM, "out of memory");
  for (uint32_t i = 3; i < operation->count; i++) {
    if (!lower_set(fs, operation, i - 3, layers)) continue;
    return context_failed(fs, operation->name, operation->args[i], "the layer is refused", failure);
  }
  if (*upper && layer_set(fs, "upperdir", upper))
    return context_failed(fs, operation->name, upper, "the upper directory is refused", failure);
  if (*upper && layer_set(fs, "workdir", work))
    return context_failed(fs, operation->name, work, "the work directory is refused", failure);
  if (call_fsconfig(fs, FSCONFIG_SET_STRING, "source", "overlay", 0) || options_set(fs, options))
    return context_failed(fs, operation->name, operation->args[2], "an option is refused", failure);
  if (call_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    return context_failed(fs, operation->name, upper, "the overlay cannot be made", failure);
  int tree = call_fsmount(fs, 0);
  return tree < 0 ? context_failed(fs, operation->name, upper, "the overlay cannot be mounted", failure) : tree;
}

int mount_overlay(const struct operation *operation, const struct layers *layers, struct failure *failure) {
  return overlay_create(operation, operation->args[0], operation->args[1], layers, failure);
}

int mount_view(const struct operation *operation, const struct layers *layers, struct failure *failure) {
  int tree = overlay_create(operation, "", "", layers, failure);
  struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
  if (tree < 0 || !call_mount_setattr(tree, "", AT_EMPTY_PATH, &readonly)) return tree;
  close(tree);
  return fail(failure, operation->name, operation->args[0], errno, "the image cannot be made read-only");
}
