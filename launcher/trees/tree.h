// Walks a directory tree by descriptor: no symlink is followed, any depth, few descriptors open at a time.
#ifndef SLOOP_TREE_H
#define SLOOP_TREE_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "report.h"

struct tree_names {
  char *bytes;        // for each name its d_type, then the name and NUL
  uint32_t *offsets;  // of the names
  size_t count;
};
// Reads all names but . and .. of an open directory, sorted by bytes if asked. -1 with errno.
int tree_names_read(int directory, bool sorted, struct tree_names *names);
void tree_names_free(struct tree_names *names);

struct tree_place {
  int parent;  // the open directory that holds the entry
  const char *name;
  const char *path;  // from the start of the walk, without a leading slash
  struct stat stat;  // of the entry itself (only the file type unless the visitor wants stat)
};

enum tree_mounts { TREE_CROSS, TREE_SKIP, TREE_REFUSE };

// Every function returns -1 with the failure filled to end the walk.
struct tree_visitor {
  bool sorted, wants_stat;
  enum tree_mounts mounts;
  int (*leaf)(void *context, const struct tree_place *place, struct failure *failure);
  // Before a directory's contents. 1 = do not descend. May be NULL.
  int (*enter)(void *context, const struct tree_place *place, int directory, struct failure *failure);
  // After a directory's contents; the directory is closed. May be NULL.
  int (*leave)(void *context, const struct tree_place *place, struct failure *failure);
};

// Visits everything in the directory, not the directory itself. Entries that vanish meanwhile are left out.
int tree_walk(int directory, const char *step, const struct tree_visitor *visitor, void *context,
              struct failure *failure);
// Opens a regular file for reading and tells its attributes. Nothing else is ever opened, not even in a race: to open a
// device may act on it. -1 with errno (EINVAL: it is not a regular file).
int tree_open_file(int parent, const char *name, struct stat *stat);
// Removes what is in the directory, or an entry of it with all beneath it (missing is fine). Mounts are refused.
int tree_empty(int directory, const char *step, struct failure *failure);
int tree_remove(int parent, const char *name, const char *step, struct failure *failure);
#endif
