// What steps of builds mount: a path of a tree of layers, and files whose bytes are nowhere but in memory.
#include "step-mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "own.h"
#include "resolve.h"
#include "root.h"

struct operation tree_overlay(const struct operation *tree) {
  return (struct operation){.name = tree->name, .count = tree->count - 3, .args = tree->args + 3};
}

// A copy of what is mounted at a place of a detached tree. Kernels before 6.15 copy from attached mounts only: then the
// tree is attached for a moment where this process alone, which is in a mount namespace of its own, could see it.
static int copy_detached(int tree, int place) {
  int copy = call_open_tree(place, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  if (copy >= 0 || errno != EINVAL) return copy;
  OWN_FD stand = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (stand < 0 || mount_attach(tree, stand)) return -1;
  copy = call_open_tree(place, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  int error = errno;
  call_umount("/sys", UMOUNT_DETACH);
  errno = error;
  return copy;
}

static int subpath_open(int tree, const struct operation *operation, struct failure *failure) {
  const char *subpath = operation->args[2];
  subpath += strspn(subpath, "/");
  if (!*subpath) return fcntl(tree, F_DUPFD_CLOEXEC, 0);
  OWN_FD place = resolve_open(tree, subpath, O_PATH, 0);
  OWN_FD copy = place < 0 ? -1 : copy_detached(tree, place);
  if (copy >= 0) return give_fd(&copy);
  return fail(failure, "tree", operation->args[2], errno, "the source of the mount cannot be opened: %s", strerror(errno));
}

static int attach(int root, int tree, const char *path, const struct mount_flags *flags, const char *step,
                  struct failure *failure) {
  struct stat status;
  if (fstatat(tree, "", &status, AT_EMPTY_PATH)) return fail(failure, step, path, errno, "the source is gone");
  enum target_kind kind = S_ISDIR(status.st_mode) ? TARGET_DIRECTORY : TARGET_FILE;
  OWN_FD target = target_open(root, path, kind, tree, step, failure);
  if (target < 0 || mount_flags_apply(tree, flags, step, path, failure)) return -1;
  if (mount_attach(tree, target))
    return fail(failure, step, path, errno, "the mount cannot be attached: %s", strerror(errno));
  return 0;
}

int tree_create(const struct operation *operation, const struct layers *layers, struct failure *failure) {
  struct operation overlay = tree_overlay(operation);
  return *overlay.args[0] ? mount_overlay(&overlay, layers, failure) : mount_view(&overlay, layers, failure);
}

int tree_mount(int root, const struct operation *operation, int tree, struct failure *failure) {
  struct mount_flags flags;
  const char *path = operation->args[0];
  if (mount_flags_parse(operation->args[1], &flags, "tree", path, failure)) return -1;
  OWN_FD part = subpath_open(tree, operation, failure);
  return part < 0 ? -1 : attach(root, part, path, &flags, "tree", failure);
}

// A file system in memory that holds one small file and is never written to the swap, where the kernel can promise that.
static int memory_create(size_t length, bool executable, const char *path, struct failure *failure) {
  unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (executable ? 0 : MOUNT_ATTR_NOEXEC);
  char options[96];
  snprintf(options, sizeof options, "mode=700,nr_inodes=3,size=%zu,noswap", length + 4096);
  int tree = mount_create("tmpfs", "tmpfs", options, attributes, "secret", path, failure);
  if (tree >= 0) return tree;
  *strrchr(options, ',') = 0;
  *failure = (struct failure){0};
  return mount_create("tmpfs", "tmpfs", options, attributes, "secret", path, failure);
}

static int file_write(int tree, const uint8_t *bytes, size_t length, mode_t mode, uid_t uid, gid_t gid) {
  OWN_FD file = openat(tree, "file", O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0 || write_full(file, bytes, length)) return -1;
  return fchown(file, uid, gid) || fchmod(file, mode) ? -1 : 0;
}

int secret_mount(int root, const struct operation *operation, struct failure *failure) {
  const char *path = operation->args[0], *hex = operation->args[4];
  uint64_t mode, uid, gid;
  size_t length;
  struct mount_flags flags;
  if (!parse_u64(operation->args[1], 8, 0777, &mode) || !parse_u64(operation->args[2], 10, INT32_MAX, &uid) ||
      !parse_u64(operation->args[3], 10, INT32_MAX, &gid) ||
      mount_flags_parse("ro,nosuid,nodev", &flags, "secret", path, failure))
    return fail(failure, "secret", path, EINVAL, "its mode or owner is not a number in its range");
  OWN_MEMORY uint8_t *bytes = parse_hex(hex, &length);
  if (!bytes) return fail(failure, "secret", path, EINVAL, "its bytes are not hex");
  memset((char *)hex, 0, strlen(hex));
  OWN_FD tree = memory_create(length, mode & 0111, path, failure);
  int error = tree < 0 ? -1 : file_write(tree, bytes, length, (mode_t)mode, (uid_t)uid, (gid_t)gid);
  explicit_bzero(bytes, length);
  if (tree < 0) return -1;
  OWN_FD file = error ? -1 : openat(tree, "file", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  OWN_FD copy = file < 0 ? -1 : copy_detached(tree, file);
  if (copy < 0) return fail(failure, "secret", path, errno, "its file cannot be made: %s", strerror(errno));
  return attach(root, copy, path, &flags, "secret", failure);
}
