// The table of held network namespaces and layers. It is the launcher's parent's alone: children ask at the counter.
#ifndef SLOOP_HOLD_H
#define SLOOP_HOLD_H
#include <stdbool.h>

enum { HELD_NAME_MAX = 128 };  // with its NUL

// The descriptor, which stays the table's, or -1.
int held_find(const char *name);
// Takes the descriptor over; false when the name is held already or there is no room.
bool held_keep(const char *name, int descriptor);
void held_forget(const char *name);
// A file with the names of all but layers, one after the other, each with its NUL; -1 with errno.
int held_names(void);
bool held_full(void);
#endif
