// The small mount namespace that the launcher and its children live in.
#include "seat.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "calls.h"
#include "mount.h"
#include "own.h"

// Detached, private copy of the mount at path.
static int copy_mount(const char *path, unsigned recursive) {
  struct mount_attr attributes = {.propagation = MS_PRIVATE};
  OWN_FD tree = call_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | recursive);
  if (tree < 0 || call_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes)) return -1;
  return give_fd(&tree);
}

static int carry_mount(int seat, const char *path, unsigned recursive) {
  OWN_FD target = openat(seat, path + 1, O_PATH | O_CLOEXEC | O_NOFOLLOW);
  OWN_FD tree = target < 0 ? -1 : copy_mount(path, recursive);
  if (tree < 0) return -1;
  return call_move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

// Whether both paths show the same directory: then no mount lies between that the seat lacks.
static bool same_directory(const char *path, int seat) {
  struct stat real, carried;
  return !stat(path, &real) && !fstatat(seat, path + 1, &carried, 0) && real.st_dev == carried.st_dev &&
         real.st_ino == carried.st_ino;
}

// Carries each mount that is met on the way from the root to path; the last one recursively, if that is asked.
static int carry_path(int seat, const char *path, unsigned recursive) {
  char real[PATH_MAX];
  if (!realpath(path, real)) return -1;
  for (char *slash = real; slash && real[1];) {
    slash = strchr(slash + 1, '/');
    if (slash) *slash = 0;
    if (!same_directory(real, seat) && carry_mount(seat, real, slash ? 0 : recursive)) return -1;
    if (slash) *slash = '/';
  }
  return 0;
}

static int carry_all(int seat, const char *run_root, const char *data_root) {
  if (carry_mount(seat, "/proc", 0) || carry_mount(seat, "/sys", 0)) return -1;
  if (carry_path(seat, "/dev", 0) || (carry_path(seat, "/tmp", 0) && errno != ENOENT)) return -1;
  if (carry_path(seat, "/sys/fs/cgroup", AT_RECURSIVE) && errno != ENOENT) return -1;
  // Run roots on a disk keep their containers' sockets there.
  if (carry_path(seat, "/dev/shm", 0) && errno != ENOENT) return -1;
  return carry_path(seat, run_root, 0) || carry_path(seat, data_root, AT_RECURSIVE) ? -1 : 0;
}

int seat_take(const char *socket_path, const char *data_root) {
  struct mount_attr attributes = {.propagation = MS_PRIVATE};
  char directory[PATH_MAX];
  if (strlen(socket_path) >= sizeof directory) return errno = ENAMETOOLONG, -1;
  strcpy(directory, socket_path);
  if (unshare(CLONE_NEWNS) || call_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attributes)) return -1;
  if (!data_root) return chdir("/");
  // Stacked on the root: this process's own root stays beneath until the exchange, so paths still mean the host's.
  OWN_FD seat = copy_mount("/", 0);
  if (seat < 0 || call_move_mount(seat, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH)) return -1;
  if (carry_all(seat, dirname(directory), data_root) || fchdir(seat)) return -1;
  if (!call_pivot_root(".", ".")) return call_umount(".", UMOUNT_DETACH) ? -1 : chdir("/");
  // On an initial ramdisk the root cannot be exchanged: the seat then simply lies on top of it.
  return chroot(".") ? -1 : chdir("/");
}

// A small file system in memory as the root of the namespace that this process is in, with nothing of the old one but
// the mounts that a root is made with.
static int nursery_furnish(void) {
  static const char *const carried[] = {"/dev", "/proc", "/sys"};
  struct failure failure;
  OWN_FD root = mount_create("tmpfs", "sloop", "mode=755,nr_inodes=16", 0, "nursery", "", &failure);
  if (root < 0 || call_move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH)) return -1;
  for (int i = 0; i < 3; i++)
    if (mkdirat(root, carried[i] + 1, 0755) || carry_mount(root, carried[i], 0)) return -1;
  if (carry_path(root, "/sys/fs/cgroup", AT_RECURSIVE) && errno != ENOENT) return -1;
  struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
  if (call_mount_setattr(root, "", AT_EMPTY_PATH, &readonly) || fchdir(root) || call_pivot_root(".", ".")) return -1;
  return call_umount(".", UMOUNT_DETACH);
}

int seat_nursery(void) {
  OWN_FD proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  OWN_FD home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  // Older kernels make an overlay at a path only, and take its layers from the namespace that it is made in.
  if (home < 0 || !overlay_is_detached() || unshare(CLONE_NEWNS)) return -1;
  OWN_FD nursery = nursery_furnish() ? -1 : openat(proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
  // Root and working directory become the seat's own, which is where they were.
  if (setns(home, CLONE_NEWNS)) _exit(70);
  return give_fd(&nursery);
}
