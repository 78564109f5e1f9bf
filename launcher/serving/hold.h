// The parent's side of held network namespaces and layers, and what a monitor forgets at its birth.
#ifndef SLOOP_HOLD_H
#define SLOOP_HOLD_H

// Acts on every letter that waits in the mailbox; never blocks.
void held_drain(int mailbox);
// Closes this process's copies of all that is held, so that it keeps none of them alive.
void held_close_all(void);
#endif
