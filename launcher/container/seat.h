// The small mount namespace that the launcher and its children live in.
#ifndef SLOOP_SEAT_H
#define SLOOP_SEAT_H

// Moves this process into a private mount namespace that holds only what the launcher needs: the root's own file
// system, /proc, /sys with the cgroups, /dev, /tmp, and the mounts that lead to the socket and the data root.
// A container's birth copies these few mounts, not the host's thousand. -1 with errno.
int seat_take(const char *socket_path, const char *data_root);
// The nursery: an even smaller mount namespace, with an empty root and /dev, /proc, /sys and the cgroups, in which containers' roots
// are put together. Its descriptor, or -1 where it cannot be had; this process stays in its own.
int seat_nursery(void);
#endif
