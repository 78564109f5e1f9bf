// Mounts are made detached, by descriptor, and then moved to a target that is a descriptor too.
#ifndef SLOOP_MOUNT_H
#define SLOOP_MOUNT_H
#include <stdbool.h>

#include "calls.h"
#include "layers.h"
#include "plan.h"
#include "report.h"

// What a comma separated flag list means.
struct mount_flags {
  struct mount_attr top;  // for the mount itself
  struct mount_attr all;  // for it and all beneath it (rro, rnosuid, …)
  bool recursive;         // rec: a bind takes the mounts beneath its source along
  bool propagation_recursive;
};

int mount_flags_parse(const char *text, struct mount_flags *flags, const char *step, const char *path,
                      struct failure *failure);
// Applies the flags to a detached or attached mount. Without a propagation among them, private is set.
int mount_flags_apply(int tree, const struct mount_flags *flags, const char *step, const char *path,
                      struct failure *failure);

// A new file system, detached. path is only for the failure.
int mount_create(const char *type, const char *source, const char *options, unsigned attributes, const char *step,
                 const char *path, struct failure *failure);
// The overlay that a root-overlay operation describes, detached; layers are those of its lowers that are images. On
// kernels before 6.7 this process gets a mount namespace of its own by it.
int mount_overlay(const struct operation *operation, const struct layers *layers, struct failure *failure);
// The read-only overlay of a view operation, detached.
int mount_view(const struct operation *operation, const struct layers *layers, struct failure *failure);
// Whether this kernel makes an overlay detached, and takes single layers (6.7 and later).
bool overlay_is_detached(void);
// Puts a detached mount onto a target.
int mount_attach(int tree, int target);
#endif
