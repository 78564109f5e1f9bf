// Namespaces made ahead (stock.h).
#include "stock.h"

#include <sched.h>

#include "calls.h"
#include "counter.h"
#include "namespaces.h"
#include "own.h"
#include "seat.h"

// A request's own work comes first; what follows upon it mostly comes within this time.
enum { QUIET_MS = 8, RETRY_MS = 10000 };

static const struct {
  const char *path;  // beneath /proc
  int flag;
} kinds[STOCK_KINDS] = {
    {"self/ns/mnt", CLONE_NEWNS}, {"self/ns/ipc", CLONE_NEWIPC}, {"self/ns/net", CLONE_NEWNET}};

int stock_open(struct stock_keeper *keeper, int counter) {
  *keeper = (struct stock_keeper){.counter = counter, .nursery = -1, .proc = -1, .kept = {-1, -1, -1}};
  keeper->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (keeper->proc < 0) return -1;
  keeper->nursery = seat_nursery();
  return 0;
}

// Makes the kinds that are missing and sends them home. A namespace ends with its last descriptor.
static int make(const struct stock_keeper *keeper) {
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    if (!keeper->wanted[kind] || keeper->kept[kind] >= 0) continue;
    if (kind == STOCK_MOUNTS && (keeper->nursery < 0 || setns(keeper->nursery, CLONE_NEWNS))) continue;
    struct failure failure;
    if (unshare(kinds[kind].flag) || (kind == STOCK_NETWORK && loopback_up(&failure))) continue;
    OWN_FD made = openat(keeper->proc, kinds[kind].path, O_RDONLY | O_CLOEXEC);
    if (made >= 0) counter_store(keeper->counter, (enum stock_kind)kind, made);
  }
  return 0;
}

bool stock_store(struct stock_keeper *keeper, enum stock_kind kind, int descriptor) {
  if (keeper->kept[kind] >= 0) return false;
  keeper->kept[kind] = descriptor;
  return true;
}

void stock_give(struct stock_keeper *keeper, const bool asked[STOCK_KINDS], int given[STOCK_KINDS], int64_t now) {
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    given[kind] = -1;
    if (!asked[kind]) continue;
    keeper->wanted[kind] = true;
    keeper->due = now + QUIET_MS;
    given[kind] = keeper->kept[kind];
    keeper->kept[kind] = -1;
  }
}

static bool is_short(const struct stock_keeper *keeper) {
  for (int kind = 0; kind < STOCK_KINDS; kind++)
    if (keeper->wanted[kind] && keeper->kept[kind] < 0 && (kind != STOCK_MOUNTS || keeper->nursery >= 0)) return true;
  return false;
}

int stock_renew(struct stock_keeper *keeper, int64_t now) {
  if (!is_short(keeper)) keeper->due = 0;
  if (!keeper->due) return -1;
  if (now >= keeper->due) {
    if (fork() == 0) _exit(make(keeper));
    // It is there by then, unless the kernel has none to give.
    keeper->due = now + RETRY_MS;
  }
  return (int)(keeper->due - now);
}

bool stock_spent(const struct stock_keeper *keeper) {
  bool any = false, asked = false;
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    any |= keeper->kept[kind] >= 0;
    asked |= keeper->wanted[kind];
  }
  return asked && !any;
}
