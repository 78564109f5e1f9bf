// The root phase: everything that is mounted and made in a container's root before it becomes the root.
#include "rootfs.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup-view.h"
#include "rlimits.h"
#include "own.h"
#include "resolve.h"
#include "step-mounts.h"

typedef int perform_function(struct rootfs *rootfs, const struct operation *operation, struct failure *failure);

static int settle(struct rootfs *rootfs, struct failure *failure) {
  if (rootfs->settled) return 0;
  rootfs->settled = true;
  return rootfs->settle(rootfs->context, failure);
}

// The container's own directory of a cgroup hierarchy, with the attributes that a new mount of it would have; -1 when it
// must be mounted anew.
static int own_cgroup(const struct rootfs *rootfs, const struct operation *operation, unsigned attributes) {
  const uint64_t all = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME |
                       MOUNT_ATTR_NODIRATIME;
  struct mount_attr exact = {.attr_set = attributes, .attr_clr = all};
  if (!(rootfs->own & CLONE_NEWCGROUP) || strcmp(operation->args[0], "cgroup")) return -1;
  OWN_FD view = cgroup_view_open(rootfs->plan, operation->args[4]);
  return view < 0 || call_mount_setattr(view, "", AT_EMPTY_PATH, &exact) ? -1 : give_fd(&view);
}

static int perform_mount(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  const char *type = operation->args[0], *source = operation->args[1], *path = operation->args[2];
  struct mount_flags flags;
  if (mount_flags_parse(operation->args[3], &flags, "mount", path, failure)) return -1;
  // A cgroup file system shows what the cgroup namespace of the mounting process is rooted at.
  if (!strncmp(type, "cgroup", 6) && settle(rootfs, failure)) return -1;
  unsigned attributes = (unsigned)flags.top.attr_set;
  OWN_FD tree = own_cgroup(rootfs, operation, attributes);
  if (tree < 0) tree = mount_create(type, source, operation->args[4], attributes, "mount", path, failure);
  if (tree < 0) return -1;
  if (!strcmp(type, "proc") && !rootfs->sysctls_set && !(attributes & MOUNT_ATTR_RDONLY)) {
    if (sysctls_apply(rootfs->plan, rootfs->own, tree, failure)) return -1;
    rootfs->sysctls_set = true;
  }
  OWN_FD target = target_open(rootfs->root, path, TARGET_DIRECTORY, tree, "mount", failure);
  if (target < 0) return -1;
  if (mount_attach(tree, target))
    return fail(failure, "mount", path, errno, "the %s cannot be attached: %s", type, strerror(errno));
  if (flags.top.propagation == 0) return 0;
  flags.top.attr_set = flags.top.attr_clr = 0;
  return mount_flags_apply(tree, &flags, "mount", path, failure);
}

static int perform_bind(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  return root_bind(rootfs->root, operation, rootfs->sources->trees[rootfs->binds++], failure);
}

static int perform_view(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  const char *path = operation->args[0];
  struct mount_flags flags;
  if (mount_flags_parse(operation->args[1], &flags, "view", path, failure)) return -1;
  int tree = rootfs->sources->view_trees[rootfs->views++];
  OWN_FD target = target_open(rootfs->root, path, TARGET_DIRECTORY, tree, "view", failure);
  if (target < 0 || mount_flags_apply(tree, &flags, "view", path, failure)) return -1;
  if (mount_attach(tree, target))
    return fail(failure, "view", path, errno, "the image cannot be attached: %s", strerror(errno));
  return 0;
}

static int perform_tree(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  return tree_mount(rootfs->root, operation, rootfs->sources->view_trees[rootfs->views++], failure);
}

static int perform_secret(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  return secret_mount(rootfs->root, operation, failure);
}

static int perform_device(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  return device_make(rootfs->root, &rootfs->place, operation, failure);
}

static int perform_symlink(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  return symlink_make(rootfs->root, &rootfs->place, operation, failure);
}

static int perform_directory(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  return directory_make(rootfs->root, &rootfs->place, operation, failure);
}

// The path to be masked or protected; -1 and *missing when there is nothing.
static int existing_open(struct rootfs *rootfs, const struct operation *operation, bool *missing,
                         struct failure *failure) {
  const char *path = operation->args[0];
  int target = resolve_with(rootfs->root, path, O_PATH, 0, target_rules(path));
  *missing = target < 0 && (errno == ENOENT || errno == ENOTDIR);
  if (target >= 0 || *missing) return target;
  return fail(failure, operation->name, path, errno, "the path cannot be opened in the container's root: %s",
              strerror(errno));
}

static int empty_create(struct failure *failure) {
  return mount_create("tmpfs", "tmpfs", "ro,nr_inodes=1,mode=555",
                      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, "mask", "", failure);
}

// One empty file system serves every mask: the first is attached itself, the others are its copies. A mount that is never
// attached would wait for an RCU grace period when it is closed.
static int empty_directory(struct rootfs *rootfs, struct failure *failure) {
  if (rootfs->empty >= 0) return call_open_tree(rootfs->empty, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  rootfs->empty = empty_create(failure);
  return rootfs->empty < 0 ? -1 : fcntl(rootfs->empty, F_DUPFD_CLOEXEC, 0);
}

static int null_device(struct failure *failure) {
  OWN_FD null = null_open("mask", failure);
  return null < 0 ? -1 : call_open_tree(null, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
}

static int perform_mask(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  const char *path = operation->args[0];
  bool missing;
  struct stat status;
  OWN_FD target = existing_open(rootfs, operation, &missing, failure);
  if (target < 0) return missing ? 0 : -1;
  if (fstat(target, &status)) return fail(failure, "mask", path, errno, "the path cannot be read");
  *failure = (struct failure){0};
  OWN_FD tree = S_ISDIR(status.st_mode) ? empty_directory(rootfs, failure) : null_device(failure);
  if (tree < 0) return failure->step[0] ? -1 : fail(failure, "mask", path, errno, "the mask cannot be made: %s",
                                                    strerror(errno));
  if (mount_attach(tree, target))
    return fail(failure, "mask", path, errno, "the path cannot be masked: %s", strerror(errno));
  return 0;
}

static int perform_readonly(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  const char *path = operation->args[0];
  struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
  bool missing;
  OWN_FD target = existing_open(rootfs, operation, &missing, failure);
  if (target < 0) return missing ? 0 : -1;
  OWN_FD tree = call_open_tree(target, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE);
  if (tree < 0 || call_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &readonly) || mount_attach(tree, target))
    return fail(failure, "readonly", path, errno, "the path cannot be made read-only: %s", strerror(errno));
  return 0;
}

static int console_ready(struct rootfs *rootfs, struct failure *failure) {
  if (rootfs->console.slave >= 0) return 0;
  return console_open(rootfs->root, rootfs->ends->rows, rootfs->ends->cols, &rootfs->console, failure);
}

static int perform_console(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  if (!rootfs->ends->tty) return fail(failure, "console", "", EINVAL, "a console needs the stdio to be a tty");
  return console_ready(rootfs, failure) ? -1 : console_bind(rootfs->root, &rootfs->console, failure);
}

static const struct {
  const char *name;
  perform_function *perform;
  bool only_makes;  // mounts nothing
} operations[] = {
    {"mount", perform_mount, false},        {"bind", perform_bind, false},
    {"device", perform_device, true},       {"symlink", perform_symlink, true},
    {"directory", perform_directory, true}, {"mask", perform_mask, false},
    {"readonly", perform_readonly, false},  {"console", perform_console, false},
    {"view", perform_view, false},          {"tree", perform_tree, false},
    {"secret", perform_secret, false},
};

static int perform(struct rootfs *rootfs, const struct operation *operation, struct failure *failure) {
  for (size_t n = 0; n < sizeof operations / sizeof *operations; n++) {
    if (strcmp(operations[n].name, operation->name)) continue;
    if (!operations[n].only_makes) place_forget(&rootfs->place);
    return operations[n].perform(rootfs, operation, failure);
  }
  return 0;
}

int rootfs_perform(struct rootfs *rootfs, struct failure *failure) {
  for (uint32_t i = 0; i < rootfs->plan->count; i++)
    if (perform(rootfs, &rootfs->plan->operations[i], failure)) return -1;
  place_forget(&rootfs->place);
  if (rootfs->ends->tty && console_ready(rootfs, failure)) return -1;
  return settle(rootfs, failure);
}

static int propagate(const struct plan *plan, int root, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "root-propagation", 0);
  if (!operation) return 0;
  struct mount_flags flags;
  const char *kind = operation->args[0];
  if (mount_flags_parse(kind, &flags, operation->name, kind, failure)) return -1;
  if (!flags.top.propagation) return fail(failure, operation->name, kind, EINVAL, "there is no such propagation");
  return mount_flags_apply(root, &flags, operation->name, "/", failure);
}

int rootfs_enter(struct rootfs *rootfs, struct failure *failure) {
  struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
  if (fchdir(rootfs->root) || call_pivot_root(".", ".") || call_umount(".", UMOUNT_DETACH) || chdir("/"))
    return fail(failure, "root", "/", errno, "the container's root cannot be entered: %s", strerror(errno));
  if (plan_find(rootfs->plan, "root-readonly", 0) && call_mount_setattr(rootfs->root, "", AT_EMPTY_PATH, &readonly))
    return fail(failure, "root-readonly", "/", errno, "the root cannot be made read-only: %s", strerror(errno));
  return propagate(rootfs->plan, rootfs->root, failure);
}
