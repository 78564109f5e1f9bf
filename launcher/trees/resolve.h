// Paths inside a root are resolved once, by descriptor, with openat2. Nothing else may follow a container's path.
#ifndef SLOOP_RESOLVE_H
#define SLOOP_RESOLVE_H
#include <stdint.h>
#include <sys/types.h>

#include "report.h"
#include "verbs.h"

// An O_PATH descriptor of the tree that the plan's root operation (and binds, for a stopped container) describe.
// Mounts, if any, are made in a private mount namespace of this process. -1 with the failure filled.
int root_open(struct request *request, struct failure *failure);

// openat2 with RESOLVE_IN_ROOT (symlinks stay inside the root) plus O_CLOEXEC. -1 with errno.
int resolve_open(int root, const char *path, int flags, mode_t mode);
// As above, but the last component is never followed.
int resolve_open_nofollow(int root, const char *path, int flags, mode_t mode);
// Opens the parent directory of path in the root (following symlinks inside it) and gives the last component's
// name (points into path; "" for the root itself). -1 with errno.
int resolve_parent(int root, const char *path, const char **name);
// Creates missing directories of path inside the root and opens the last one (O_PATH). -1 with errno.
int resolve_make_directories(int root, const char *path, mode_t mode);
// Where the link at the end of path (name in that directory) leads: a path of the root again. -1 with errno.
int resolve_link_target(int directory, const char *name, const char *path, char *target, size_t size);

// The same with further RESOLVE_ flags, such as RESOLVE_NO_SYMLINKS.
int resolve_with(int root, const char *path, int flags, mode_t mode, uint64_t resolve);
int resolve_parent_with(int root, const char *path, const char **name, uint64_t resolve);
int resolve_make_directories_with(int root, const char *path, mode_t mode, uint64_t resolve);
#endif
