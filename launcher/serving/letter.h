// Letters between the launcher's own processes: a few bytes on a socketpair, with descriptors or without.
#ifndef SLOOP_LETTER_H
#define SLOOP_LETTER_H
#include <stddef.h>
#include <sys/types.h>

enum { LETTER_DESCRIPTORS_MAX = 32 };

// Sends the bytes, and the descriptor unless it is -1. -1 with errno.
int letter_send(int line, const void *bytes, size_t length, int descriptor);
int letter_send_many(int line, const void *bytes, size_t length, const int *descriptors, size_t count);
// Receives at most `length` bytes; `flags` as recvmsg has them. Stores the descriptor that came (close-on-exec), or -1.
// The bytes' count, 0 at the end, -1 with errno.
ssize_t letter_receive(int line, void *bytes, size_t length, int flags, int *descriptor);
// Likewise, with at most `room` descriptors, whose number it stores; what is more is closed.
ssize_t letter_receive_many(int line, void *bytes, size_t length, int flags, int *descriptors, size_t room,
                            size_t *count);
#endif
