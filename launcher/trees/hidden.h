// What directories of a layer hide that replaced others: the names which the layers below have at the same place.
#ifndef SLOOP_HIDDEN_H
#define SLOOP_HIDDEN_H
#include "layers.h"
#include "tree.h"
#include "verbs.h"

struct hidden {
  const struct operation *below;  // an overlay as root-overlay has it; NULL = nobody asks
  struct request *request;
  struct layers layers;
  int view;      // the overlay, once it was needed; 0 = not yet
  char *within;  // path of a directory that hides all that is below it; its own directories do so too
};

// Whether the directory at path, opaque or not in itself, is to be compared with what lies below. To be asked for every
// directory in the order of a walk. -1 with the failure filled.
int hidden_applies(struct hidden *hidden, const char *path, bool opaque, struct failure *failure);
// The names below, sorted; none when nothing is there. Free with tree_names_free. -1 with the failure filled.
int hidden_names(struct hidden *hidden, const char *path, struct tree_names *names, struct failure *failure);
void hidden_close(struct hidden *hidden);
#endif
