// What steps of builds mount: a path of a tree of layers, and files whose bytes are nowhere but in memory.
#ifndef SLOOP_STEP_MOUNTS_H
#define SLOOP_STEP_MOUNTS_H
#include "layers.h"
#include "plan.h"
#include "report.h"

// The overlay that a "tree" operation describes, as a "root-overlay" operation has it.
struct operation tree_overlay(const struct operation *tree);
// The same, detached; layers are those of the tree that are images.
int tree_create(const struct operation *tree, const struct layers *layers, struct failure *failure);
// Attaches the operation's subpath, resolved in its tree, to its target.
int tree_mount(int root, const struct operation *operation, int tree, struct failure *failure);
// Attaches a file with the operation's bytes, read-only, on a file system of its own. The plan forgets the bytes.
int secret_mount(int root, const struct operation *secret, struct failure *failure);
#endif
