// The launcher's claim on its socket: of all launchers of one run root, exactly one serves.
#ifndef SLOOP_CLAIM_H
#define SLOOP_CLAIM_H
#include <stdbool.h>
#include <sys/types.h>

struct claim {
  const char *path;
  dev_t device;  // of the socket's file, as this process sees it
  ino_t inode;
};

// Listens at a socket's path. The descriptor; -1 with a message printed, also when another launcher serves there.
int claim_socket(const char *path);
// Takes note of the socket's file, after which `claim_lost` says whether the path still leads to it.
void claim_note(struct claim *claim, const char *path);
bool claim_lost(const struct claim *claim);
// Prints what could not be done, with errno; -1.
int complain(const char *step, const char *path);
#endif
