// Namespaces made ahead: those parts of a container's birth that take the kernel long and depend on nothing in its plan.
// The parent keeps one of each kind that has been asked for before; a child of it makes the next ones between requests.
#ifndef SLOOP_STOCK_H
#define SLOOP_STOCK_H
#include <stdbool.h>
#include <stdint.h>

// mounts: a copy of the nursery, a mount namespace that holds nothing but /dev, /proc, /sys and the cgroups.
enum stock_kind { STOCK_MOUNTS, STOCK_IPC, STOCK_NETWORK, STOCK_KINDS };

struct stock_keeper {
  int counter;  // the children's end of the counter (counter.h)
  int nursery;  // descriptor of the nursery, -1 where there can be none
  int proc;     // the launcher's /proc
  int kept[STOCK_KINDS];
  bool wanted[STOCK_KINDS];
  int64_t due;  // when what is wanted is made; 0: nothing is to be made
};

// -1 with errno.
int stock_open(struct stock_keeper *keeper, int counter);
// Gives what there is of the kinds that are asked for, -1 where there is none; what was asked for will be made ahead.
void stock_give(struct stock_keeper *keeper, const bool asked[STOCK_KINDS], int given[STOCK_KINDS], int64_t now);
// Takes the descriptor over; false when there is one of that kind.
bool stock_store(struct stock_keeper *keeper, enum stock_kind kind, int descriptor);
// Makes what is wanted, in a child, once it is due; milliseconds until then, or -1.
int stock_renew(struct stock_keeper *keeper, int64_t now);
// Whether everything that is made ahead has just been taken: asking would be in vain.
bool stock_spent(const struct stock_keeper *keeper);
#endif
