// Layers that are EROFS images: mounted once, without a place in any tree, and held by the launcher's parent.
#ifndef SLOOP_LAYERS_H
#define SLOOP_LAYERS_H
#include "verbs.h"

// The lower directories of a root-overlay or a view that are images ("erofs:DIRECTORY"): trees[n] is a detached mount
// of the n-th lower, -1 where that is a plain directory.
struct layers {
  int *trees;
  uint32_t count;
};

// Mounts what no one holds yet, and asks the parent to hold it. The caller closes them. -1 with the failure filled.
int layers_open(struct request *request, const struct operation *overlay, struct layers *layers,
                struct failure *failure);
void layers_close(struct layers *layers);
// The parent lets go of the image in this directory, if it holds it: its files are about to be removed.
void layers_forget(struct request *request, const char *directory);
// The names under which the images of an overlay's lowers are held go into the order; unreadable ones do not.
void layers_order(struct order *order, const struct operation *overlay);
// Whether a held name is an image's.
bool layers_owns(const char *name);
#endif
