// The process phase that launch and exec share: from a fresh child inside the container to execve.
#ifndef SLOOP_PROCESS_H
#define SLOOP_PROCESS_H
#include "devices.h"
#include "task.h"

struct birth {
  const struct plan *plan;
  const struct stdio_ends *ends;
  struct console console;  // of a tty
  int line;                // to the parent (birth.h)
};

// Puts the birth's line on descriptor 3 and its console's slave, if any, on 4, and closes all else above stdio.
int process_seal(struct birth *birth, struct failure *failure);
// Closes every descriptor but stdio and these.
void process_keep_only(int *kept, size_t count);
// Becomes the process that the plan asks for. The root and the namespaces are the container's already. Returns
// only on failure.
int process_become(struct birth *birth, struct failure *failure);
// Signal mask and dispositions as after boot.
void process_reset_signals(void);
// The same for a child of a process that was reset before: only what the launcher and its monitors ignore is left to undo.
void process_heed_signals(void);
#endif
