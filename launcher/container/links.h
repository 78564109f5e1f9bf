// Remembers files with several names, so that their second name becomes a hard link to the first.
#ifndef SLOOP_LINKS_H
#define SLOOP_LINKS_H
#include <stddef.h>
#include <sys/stat.h>

struct link_seen {
  dev_t device;
  ino_t inode;
  char *name;
};
struct links {
  struct link_seen *table;
  size_t count, room;
};

// The name under which the file was first seen, or NULL after remembering it under this one. *failed tells that
// memory ran out.
const char *links_seen(struct links *links, const struct stat *stat, const char *name, int *failed);
void links_free(struct links *links);
#endif
