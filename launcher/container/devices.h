// Nodes, links, directories and the console of a container's root.
#ifndef SLOOP_DEVICES_H
#define SLOOP_DEVICES_H
#include "plan.h"
#include "report.h"

// The directory that the last node was made in: the next one is mostly made there too. It is found anew after anything
// else was done to the root, which may have been mounted over it.
struct place {
  int directory;  // -1: none
  char path[64];
};
void place_forget(struct place *place);

int device_make(int root, struct place *place, const struct operation *operation, struct failure *failure);
int symlink_make(int root, struct place *place, const struct operation *operation, struct failure *failure);
int directory_make(int root, struct place *place, const struct operation *operation, struct failure *failure);

// A pseudo terminal of the devpts at the root's /dev/pts.
struct console {
  int master, slave;  // -1 = not made
};
int console_open(int root, uint16_t rows, uint16_t cols, struct console *console, struct failure *failure);
// Binds the slave onto /dev/console.
int console_bind(int root, const struct console *console, struct failure *failure);
// An O_PATH descriptor of the launcher's /dev/null, checked to be that very device. -1 with the failure filled.
int null_open(const char *step, struct failure *failure);
#endif
