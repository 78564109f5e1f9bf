// The built-in tiny init.
#ifndef SLOOP_INIT_H
#define SLOOP_INIT_H
#include <stdbool.h>
#include <sys/types.h>

// Forks. Returns in the child, which goes on to execute the command (in a process group of its own, in the
// terminal's foreground if there is one); the parent stays as init: it forwards signals, reaps, and exits as the
// command did. Returns -1 with errno when no process can be made.
int init_stay(void);
#endif
