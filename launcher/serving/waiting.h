// A connection that was made ahead: its process waits for the plan, and gets ready for it in the meantime.
#ifndef SLOOP_WAITING_H
#define SLOOP_WAITING_H
#include <stdbool.h>

#include "verbs.h"

// Waits until something can be read from the connection. False when there is nothing to wait for: the launcher has ended.
// While it waits the process ends with its launcher.
bool plan_await(struct request *request);
// Maps the program's pages at once: a new process has none, and each fault costs more than all of this.
void program_map(void);
#endif
