// Remembers files with several names, so that their second name becomes a hard link to the first.
#include "links.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct link_seen *find(const struct links *links, dev_t device, ino_t inode) {
  size_t at = (size_t)(((uint64_t)inode ^ (uint64_t)device << 40) * 0x9e3779b97f4a7c15u >> 20);
  for (;; at++) {
    struct link_seen *seen = &links->table[at & (links->room - 1)];
    if (!seen->name || (seen->inode == inode && seen->device == device)) return seen;
  }
}

static int grow(struct links *links) {
  struct links larger = {.room = links->room ? links->room * 2 : 256, .count = links->count};
  larger.table = calloc(larger.room, sizeof *larger.table);
  if (!larger.table) return -1;
  for (size_t i = 0; i < links->room; i++)
    if (links->table[i].name) *find(&larger, links->table[i].device, links->table[i].inode) = links->table[i];
  free(links->table);
  *links = larger;
  return 0;
}

const char *links_seen(struct links *links, const struct stat *stat, const char *name, int *failed) {
  *failed = 0;
  if (links->count * 2 >= links->room && grow(links)) return *failed = 1, NULL;
  struct link_seen *seen = find(links, stat->st_dev, stat->st_ino);
  if (seen->name) return seen->name;
  *seen = (struct link_seen){stat->st_dev, stat->st_ino, strdup(name)};
  *failed = !seen->name;
  links->count++;
  return NULL;
}

void links_free(struct links *links) {
  for (size_t i = 0; i < links->room; i++) free(links->table[i].name);
  free(links->table);
}
