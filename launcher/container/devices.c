// Nodes, links, directories and the console of a container's root.
#include "devices.h"

#include <errno.h>
#include <limits.h>
#include <linux/tty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "calls.h"
#include "mount.h"
#include "own.h"
#include "resolve.h"
#include "root.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
enum { DEVPTS_MAGIC = 0x1cd1 };

static int wrong(const struct operation *operation, const char *path, struct failure *failure) {
  return fail(failure, operation->name, path, EINVAL, "an argument of the operation does not parse");
}

void place_forget(struct place *place) {
  own_close(&place->directory);
  place->directory = -1;
}

static int parent_find(int root, const char *path, const char **name) {
  char parent[PATH_MAX];
  uint64_t rules = target_rules(path);
  int directory = resolve_parent_with(root, path, name, rules);
  if (directory >= 0 || errno != ENOENT) return directory;
  size_t length = (size_t)(strrchr(path, '/') - path);
  if (length >= sizeof parent) return errno = ENAMETOOLONG, -1;
  memcpy(parent, path, length);
  parent[length] = 0;
  own_close(&(int){resolve_make_directories_with(root, parent, 0755, rules)});
  return resolve_parent_with(root, path, name, rules);
}

// The parent directory of path in the root, made when missing. It stays the place's. Only paths that mean one place are
// remembered: beneath /dev, /proc and /sys no link is followed.
static int parent_open(int root, struct place *place, const char *path, const char **name) {
  const char *slash = strrchr(path, '/');
  size_t length = slash ? (size_t)(slash - path) : 0;
  bool plain = target_is_literal(path) && length < sizeof place->path;
  if (plain && place->directory >= 0 && !strncmp(place->path, path, length) && !place->path[length]) {
    *name = slash + 1;
    return place->directory;
  }
  place_forget(place);
  place->directory = parent_find(root, path, name);
  if (plain) snprintf(place->path, sizeof place->path, "%.*s", (int)length, path);
  else strcpy(place->path, "?");
  return place->directory;
}

static int parent_refused(const struct operation *operation, const char *path, struct failure *failure) {
  if (errno == ELOOP)
    return fail(failure, operation->name, path, ELOOP,
                "a part of this path is a symbolic link in the image, which is refused here");
  return fail(failure, operation->name, path, errno, "its directory cannot be opened in the container's root: %s",
              strerror(errno));
}

// Where the kernel may not make a node for us (user namespaces), the host's own node is bound.
static int device_bind(int root, const char *path, mode_t type, dev_t number, struct failure *failure) {
  char name[64], text[512], node[PATH_MAX];
  snprintf(name, sizeof name, "/sys/dev/%s/%u:%u/uevent", type == S_IFCHR ? "char" : "block", major(number),
           minor(number));
  OWN_FD event = open(name, O_RDONLY | O_CLOEXEC);
  ssize_t length = event < 0 ? -1 : read(event, text, sizeof text - 1);
  if (length < 0) return fail(failure, "device", path, errno, "the host has no such device");
  text[length] = 0;
  char *found = strstr(text, "DEVNAME=");
  if (!found) return fail(failure, "device", path, ENOENT, "the host has no node for the device");
  found[strcspn(found, "\n")] = 0;
  snprintf(node, sizeof node, "/dev/%s", found + 8);
  struct stat status;
  OWN_FD tree = call_open_tree(AT_FDCWD, node, OPEN_TREE_CLONE);
  if (tree < 0 || fstatat(tree, "", &status, AT_EMPTY_PATH) || (status.st_mode & S_IFMT) != type ||
      status.st_rdev != number)
    return fail(failure, "device", path, ENODEV, "the host's %s is not that device", node);
  OWN_FD target = target_open(root, path, TARGET_FILE, tree, "device", failure);
  if (target < 0) return -1;
  if (mount_attach(tree, target))
    return fail(failure, "device", path, errno, "the host's node cannot be bound: %s", strerror(errno));
  return 0;
}

int device_make(int root, struct place *place, const struct operation *operation, struct failure *failure) {
  const char *const *args = operation->args, *name;
  const char *path = args[0];
  uint64_t major_number, minor_number, mode, uid, gid;
  mode_t type = !strcmp(args[1], "c") || !strcmp(args[1], "u") ? S_IFCHR : !strcmp(args[1], "b") ? S_IFBLK : 0;
  if (!type || !parse_u64(args[2], 10, 4095, &major_number) || !parse_u64(args[3], 10, 1048575, &minor_number) ||
      !parse_u64(args[4], 8, 07777, &mode) || !parse_u64(args[5], 10, INT32_MAX, &uid) ||
      !parse_u64(args[6], 10, INT32_MAX, &gid))
    return wrong(operation, path, failure);
  dev_t number = makedev((unsigned)major_number, (unsigned)minor_number);
  int parent = parent_open(root, place, path, &name);
  if (parent < 0) return parent_refused(operation, path, failure);
  if (mknodat(parent, name, type | (mode_t)mode, number)) {
    struct stat status;
    if (errno == EPERM) return device_bind(root, path, type, number, failure);
    if (errno != EEXIST)
      return fail(failure, "device", path, errno, "the device node cannot be made: %s", strerror(errno));
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW))
      return fail(failure, "device", path, errno, "the node cannot be read");
    if ((status.st_mode & S_IFMT) != type || status.st_rdev != number)
      return fail(failure, "device", path, EEXIST, "something else is there already");
    // It may be the host's own node, where /dev is the host's: left as it is.
    return 0;
  }
  if ((uid || gid) && fchownat(parent, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW))
    return fail(failure, "device", path, errno, "its owner cannot be set: %s", strerror(errno));
  return 0;
}

int symlink_make(int root, struct place *place, const struct operation *operation, struct failure *failure) {
  const char *text = operation->args[0], *path = operation->args[1], *name;
  int parent = parent_open(root, place, path, &name);
  if (parent < 0) return parent_refused(operation, path, failure);
  if (!symlinkat(text, parent, name)) return 0;
  char existing[PATH_MAX];
  int error = errno;
  ssize_t length = error == EEXIST ? readlinkat(parent, name, existing, sizeof existing) : -1;
  if (length >= 0 && (size_t)length == strlen(text) && !memcmp(existing, text, (size_t)length)) return 0;
  return fail(failure, "symlink", path, error, "the link cannot be made: %s", strerror(error));
}

int directory_make(int root, struct place *place, const struct operation *operation, struct failure *failure) {
  const char *path = operation->args[0], *name;
  uint64_t mode, uid, gid;
  if (!parse_u64(operation->args[1], 8, 07777, &mode) || !parse_u64(operation->args[2], 10, INT32_MAX, &uid) ||
      !parse_u64(operation->args[3], 10, INT32_MAX, &gid))
    return wrong(operation, path, failure);
  bool literal = target_is_literal(path);
  OWN_FD there = literal ? -1 : resolve_with(root, path, O_PATH | O_DIRECTORY, 0, target_rules(path));
  if (there >= 0) return 0;
  if (!literal && errno != ENOENT) return parent_refused(operation, path, failure);
  int parent = parent_open(root, place, path, &name);
  if (parent < 0) return parent_refused(operation, path, failure);
  struct stat status;
  if (mkdirat(parent, name, (mode_t)mode)) {
    int error = errno;
    bool read = error == EEXIST && !fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW);
    if (read && S_ISDIR(status.st_mode)) return 0;
    errno = ELOOP;
    if (read && literal && S_ISLNK(status.st_mode)) return parent_refused(operation, path, failure);
    return fail(failure, "directory", path, error, "the directory cannot be made: %s", strerror(error));
  }
  if (fchownat(parent, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW))
    return fail(failure, "directory", path, errno, "the directory's owner cannot be set: %s", strerror(errno));
  return 0;
}

int null_open(const char *step, struct failure *failure) {
  struct stat status;
  OWN_FD null = open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
  if (null < 0 || fstat(null, &status))
    return fail(failure, step, "/dev/null", errno, "the host's /dev/null cannot be opened");
  if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)) return give_fd(&null);
  return fail(failure, step, "/dev/null", ENODEV, "the host's /dev/null is not the null device");
}

int console_open(int root, uint16_t rows, uint16_t cols, struct console *console, struct failure *failure) {
  struct statfs kind;
  struct stat status;
  const char *path = "/dev/pts/ptmx";
  OWN_FD place = resolve_with(root, path, O_PATH, 0, RESOLVE_NO_SYMLINKS);
  if (place < 0)
    return fail(failure, "console", path, errno, "a terminal needs a devpts at /dev/pts: %s", strerror(errno));
  if (fstatfs(place, &kind) || kind.f_type != DEVPTS_MAGIC || fstat(place, &status) || !S_ISCHR(status.st_mode) ||
      status.st_rdev != makedev(5, 2))
    return fail(failure, "console", path, ENODEV, "this is not the master of a devpts");
  OWN_FD master = resolve_with(root, path, O_RDWR | O_NOCTTY, 0, RESOLVE_NO_SYMLINKS);
  if (master < 0 || fstatfs(master, &kind) || kind.f_type != DEVPTS_MAGIC)
    return fail(failure, "console", path, ENODEV, "the terminal's master cannot be opened");
  int unlock = 0;
  OWN_FD slave = ioctl(master, TIOCSPTLCK, &unlock) ? -1 : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return fail(failure, "console", path, errno, "the terminal cannot be opened: %s", strerror(errno));
  struct winsize size = {.ws_row = rows, .ws_col = cols};
  if (rows && cols && ioctl(master, TIOCSWINSZ, &size))
    return fail(failure, "console", path, errno, "the terminal's size cannot be set");
  console->master = give_fd(&master);
  console->slave = give_fd(&slave);
  return 0;
}

int console_bind(int root, const struct console *console, struct failure *failure) {
  // The descriptor of the slave itself is cloned: no path that the image could exchange (CVE-2025-52565).
  OWN_FD tree = call_open_tree(console->slave, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  if (tree < 0)
    return fail(failure, "console", "/dev/console", errno, "the terminal cannot be bound: %s", strerror(errno));
  OWN_FD target = target_open(root, "/dev/console", TARGET_FILE, tree, "console", failure);
  if (target < 0) return -1;
  if (mount_attach(tree, target))
    return fail(failure, "console", "/dev/console", errno, "the terminal cannot be bound: %s", strerror(errno));
  return 0;
}
