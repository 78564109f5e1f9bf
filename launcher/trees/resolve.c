// Paths inside a root are resolved once, by descriptor, with openat2. Nothing else may follow a container's path.
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "calls.h"
#include "own.h"

// openat2 answers EAGAIN when a rename or mount anywhere raced with a ".." on the way.
enum { RESOLVE_TRIES = 1000 };
// Dangling links that are followed one after the other when what they lead to is made.
enum { LINKS_MAX = 8 };

int resolve_with(int root, const char *path, int flags, mode_t mode, uint64_t resolve) {
  for (int i = 0; i < RESOLVE_TRIES; i++) {
    int fd = call_openat2(root, *path ? path : ".", (uint64_t)flags, flags & O_CREAT ? mode : 0,
                          RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return fd;
  }
  return -1;
}

int resolve_open(int root, const char *path, int flags, mode_t mode) {
  return resolve_with(root, path, flags, mode, 0);
}

int resolve_open_nofollow(int root, const char *path, int flags, mode_t mode) {
  return resolve_with(root, path, flags | O_NOFOLLOW, mode, 0);
}

// Copies path without trailing slashes; -1 with errno when it is too long.
static int trim(const char *path, char *buffer, size_t size) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  if (length >= size) return errno = ENAMETOOLONG, -1;
  memcpy(buffer, path, length);
  buffer[length] = 0;
  return 0;
}

int resolve_parent_with(int root, const char *path, const char **name, uint64_t resolve) {
  char parent[PATH_MAX];
  if (trim(path, parent, sizeof parent)) return -1;
  char *slash = strrchr(parent, '/');
  size_t start = slash ? (size_t)(slash - parent) + 1 : 0;
  *name = path + start;
  size_t length = strlen(parent + start);
  if (!length || !strcmp(parent + start, ".")) {
    *name = "";
    return resolve_with(root, path, O_PATH | O_DIRECTORY, 0, resolve);
  }
  if (!strcmp(parent + start, "..") || (*name)[length]) return errno = EINVAL, -1;
  if (slash) slash[slash == parent] = 0;
  return resolve_with(root, slash ? parent : ".", O_PATH | O_DIRECTORY, 0, resolve);
}

int resolve_parent(int root, const char *path, const char **name) { return resolve_parent_with(root, path, name, 0); }

int resolve_link_target(int directory, const char *name, const char *path, char *target, size_t size) {
  char text[PATH_MAX];
  ssize_t length = readlinkat(directory, name, text, sizeof text - 1);
  if (length < 0) return -1;
  text[length] = 0;
  const char *slash = strrchr(path, '/');
  int above = text[0] == '/' || !slash ? 0 : (int)(slash - path) + 1;
  if ((size_t)snprintf(target, size, "%.*s%s", above, path, text) >= size) return errno = ENAMETOOLONG, -1;
  return 0;
}

static int make_directories(int root, const char *path, mode_t mode, uint64_t resolve, int links);

// Makes the last component of prefix in the directory at, or what a dangling link there leads to, inside the root.
static int make_component(int root, int at, const char *prefix, const char *name, mode_t mode, uint64_t resolve,
                          int links) {
  char target[PATH_MAX];
  if (!strcmp(name, "..")) return -1;
  if (mkdirat(at, name, mode)) {
    if (errno != EEXIST) return -1;
    int there = resolve_with(root, prefix, O_PATH | O_DIRECTORY, 0, resolve);
    if (there >= 0 || errno != ENOENT) return there;
    if (!links || resolve_link_target(at, name, prefix, target, sizeof target)) return errno = ENOENT, -1;
    own_close(&(int){make_directories(root, target, mode, resolve, links - 1)});
  }
  return resolve_with(root, prefix, O_PATH | O_DIRECTORY, 0, resolve);
}

static int make_directories(int root, const char *path, mode_t mode, uint64_t resolve, int links) {
  char prefix[PATH_MAX];
  const char *name;
  int whole = resolve_with(root, path, O_PATH | O_DIRECTORY, 0, resolve);
  if (whole >= 0 || errno != ENOENT) return whole;
  // Mostly only the last component is missing.
  OWN_FD parent = resolve_parent_with(root, path, &name, resolve);
  if (parent >= 0 && *name && !mkdirat(parent, name, mode))
    return resolve_with(root, path, O_PATH | O_DIRECTORY, 0, resolve);
  if (trim(path, prefix, sizeof prefix)) return -1;
  OWN_FD at = resolve_with(root, "/", O_PATH | O_DIRECTORY, 0, 0);
  for (char *from = prefix; at >= 0 && *from;) {
    from += strspn(from, "/");
    char *end = from + strcspn(from, "/");
    char kept = *end;
    *end = 0;
    int next = resolve_with(root, prefix, O_PATH | O_DIRECTORY, 0, resolve);
    if (next < 0 && errno == ENOENT) next = make_component(root, at, prefix, from, mode, resolve, links);
    if (next < 0) return -1;
    close(at);
    at = next;
    *end = kept;
    from = end;
  }
  return give_fd(&at);
}

int resolve_make_directories_with(int root, const char *path, mode_t mode, uint64_t resolve) {
  return make_directories(root, path, mode, resolve, LINKS_MAX);
}

int resolve_make_directories(int root, const char *path, mode_t mode) {
  return resolve_make_directories_with(root, path, mode, 0);
}
