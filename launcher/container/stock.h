// Namespaces made ahead: those parts of a container's birth that take the kernel long and depend on nothing in its plan.
// The parent keeps one of each kind that has been asked for before; a child of it makes the next ones between requests.
#ifndef SLOOP_STOCK_H
#define SLOOP_STOCK_H
#include <stdbool.h>
#include <stdint.h>

// mounts: a copy of the nursery, a mount namespace that holds nothing but /dev, /proc, /sys and the cgroups.
enum stock_kind { STOCK_MOUNTS, STOCK_IPC, STOCK_NETWORK, STOCK_KINDS };

// The parent's side.
struct stock_keeper {
  int counter[2];  // the parent's end and the children's
  int nursery;     // descriptor of the nursery, -1 where there can be none
  int proc;        // the launcher's /proc
  int kept[STOCK_KINDS];
  bool wanted[STOCK_KINDS];
  int64_t due;     // when what is wanted is made; 0: nothing is to be made
};

// -1 with errno.
int stock_open(struct stock_keeper *keeper);
// Acts on every letter that waits; never blocks.
void stock_serve(struct stock_keeper *keeper, int64_t now);
// Makes what is wanted, in a child, once it is due; milliseconds until then, or -1.
int stock_renew(struct stock_keeper *keeper, int64_t now);
// In a child: the parent's descriptors are not its own. Returns the children's end of the counter, or -1 when asking would
// be in vain, because everything that the parent makes ahead has just been taken.
int stock_leave(struct stock_keeper *keeper);

// The children's side: asks for some kinds, without waiting. A line for stock_receive, or -1.
int stock_ask(int counter, const bool wanted[STOCK_KINDS]);
// Stores the descriptors that the parent gives, -1 where it has none. Closes the line.
void stock_receive(int line, int given[STOCK_KINDS]);
#endif
