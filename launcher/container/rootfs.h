// The root phase: everything that is mounted and made in a container's root before it becomes the root.
#ifndef SLOOP_ROOTFS_H
#define SLOOP_ROOTFS_H
#include "devices.h"
#include "root.h"
#include "task.h"

struct rootfs {
  int root;
  const struct plan *plan;
  const struct stdio_ends *ends;
  struct sources *sources;
  struct console console;
  int empty;  // an empty read-only tmpfs, the pattern of masks; -1 = not made yet
  uint32_t binds, views;
  struct place place;  // where the last node was made
  uint64_t own;      // CLONE_NEW* of the namespaces that are not the host's
  bool sysctls_set;  // through the container's own procfs, before it was attached
  // Called once, before the first cgroup mount and at the latest before the root is entered.
  int (*settle)(void *context, struct failure *failure);
  void *context;
  bool settled;
};

// Performs the plan's root operations. -1 with the failure filled.
int rootfs_perform(struct rootfs *rootfs, struct failure *failure);
// Makes the root this process's root, detaches what lay before, applies root-readonly and root-propagation.
int rootfs_enter(struct rootfs *rootfs, struct failure *failure);
#endif
