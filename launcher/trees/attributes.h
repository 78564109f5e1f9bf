// Owner, mode, extended attributes and times of one file, set by descriptor and in the order in which they survive.
#ifndef SLOOP_ATTRIBUTES_H
#define SLOOP_ATTRIBUTES_H
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "report.h"
#include "tar.h"

struct attributes {
  bool owner;  // set uid and gid (else they stay)
  uint32_t uid, gid, mode;
  struct timespec times[2];  // access, modification
  const struct tar_xattr *xattrs;
  size_t xattr_count;
};

// What is named: an entry of an open directory, never followed, and, if it is open itself, its descriptor (else -1).
struct attributes_target {
  int parent;
  const char *name;
  int fd;
  mode_t type;              // S_IFREG …
  const char *step, *path;  // for the failure
};

int attributes_set(const struct attributes_target *target, const struct attributes *attributes,
                   struct failure *failure);

// Reading: all attributes of an entry that may matter elsewhere; overlayfs's own are left out.
struct xattr_list {
  char *bytes;
  struct tar_xattr *list;
  size_t count;
};
// fd: a readable descriptor of the entry, or -1. -1 with errno.
int xattrs_read(int parent, const char *name, int fd, struct xattr_list *xattrs);
void xattrs_free(struct xattr_list *xattrs);
// Whether overlayfs gives the attribute a meaning of its own.
bool xattr_is_overlay(const char *name);
// Whether an open directory hides what older layers have at its place.
bool directory_is_opaque(int directory);
// One attribute of an entry that is not followed: its length, or -1 with errno.
ssize_t xattr_get(int parent, const char *name, const char *key, void *value, size_t size);
int xattr_set(int parent, const char *name, const char *key, const void *value, size_t size);
#endif
