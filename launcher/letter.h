// Letters between the launcher's own processes: a few bytes on a socketpair, with at most one descriptor.
#ifndef SLOOP_LETTER_H
#define SLOOP_LETTER_H
#include <sys/types.h>

// Sends the bytes, and the descriptor unless it is -1. -1 with errno.
int letter_send(int line, const void *bytes, size_t length, int descriptor);
// Receives at most `length` bytes; `flags` as recvmsg has them. Stores the descriptor that came (close-on-exec), or -1.
// The bytes' count, 0 at the end, -1 with errno.
ssize_t letter_receive(int line, void *bytes, size_t length, int flags, int *descriptor);
#endif
