// A container's root: how it is made, and how things are placed in it.
#ifndef SLOOP_ROOT_H
#define SLOOP_ROOT_H
#include "mount.h"
#include "verbs.h"

// Opens the sources of the plan's binds (and root-path) in the host's mount namespace, as detached copies, and the
// layers of its root-overlay that are images:
// trees[n] is the n-th bind's, the root-path's is returned through *root (-1 if there is none).
// The caller closes them. -1 with the failure filled.
struct sources {
  int root;
  int *trees;
  uint32_t count;
  struct layers layers;
  struct layers *views;  // of the plan's view and tree operations, in order
  int *view_trees;       // the same as mounts, once they are made
  uint32_t view_count;
};
// The names of the images among an operation's layers go into the order, if it is one that has layers.
void overlay_order(struct order *order, const struct operation *operation);
int sources_open(struct request *request, struct sources *sources, struct failure *failure);
// Its two halves: binds, then layers.
int sources_open_binds(struct request *request, struct sources *sources, struct failure *failure);
int sources_open_layers(struct request *request, struct sources *sources, struct failure *failure);
void sources_close(struct sources *sources);

// Makes the plan's views and trees, detached, from the layers that sources_open found; to be called where those can be
// reached. What is made already stays.
int views_create(const struct plan *plan, struct sources *sources, struct failure *failure);
// Makes the root, detached, and returns a descriptor of it. Takes sources->root.
int root_create(struct request *request, struct sources *sources, struct failure *failure);
// Puts it on top of this process's own root, in a mount namespace that is already private to it.
int root_attach(int root, struct failure *failure);
// Attaches one bind to its target.
int root_bind(int root, const struct operation *bind, int tree, struct failure *failure);

// Opens the target of a mount in the root; creates it as a directory or an empty file when it is missing.
// Refuses targets through magic links, symbolic links on the way to /dev, /proc and /sys, and targets on a procfs
// other than those few that may be replaced. tree is what is to be mounted there, or -1.
enum target_kind { TARGET_EXISTING, TARGET_DIRECTORY, TARGET_FILE };
int target_open(int root, const char *path, enum target_kind kind, int tree, const char *step, struct failure *failure);
// Makes an empty file at path, or at what a dangling link there leads to, if there is none; with its missing parents. An
// O_PATH descriptor of it, or -1 with errno.
int target_make_file(int root, const char *path);
// RESOLVE_NO_SYMLINKS for paths beneath /dev, /proc and /sys, which an image must not redirect; else 0.
uint64_t target_rules(const char *path);
// Whether such a path, for which no link is followed, is written as the place that it leads to.
bool target_is_literal(const char *path);
#endif
