// Namespaces made ahead (stock.h).
#include "stock.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "calls.h"
#include "letter.h"
#include "namespaces.h"
#include "own.h"
#include "seat.h"

// A request's own work comes first; what follows upon it mostly comes within this time.
enum { QUIET_MS = 4, RETRY_MS = 10000 };
// On a busy machine the parent may be late: then what it has would come too dear.
static const struct timespec patience = {.tv_nsec = 300000};

enum letter_word { WORD_ASK = 'a', WORD_STORE = 's' };

static const struct {
  const char *path;  // beneath /proc
  int flag;
} kinds[STOCK_KINDS] = {
    {"self/ns/mnt", CLONE_NEWNS}, {"self/ns/ipc", CLONE_NEWIPC}, {"self/ns/net", CLONE_NEWNET}};

struct letter {
  char word;
  bool kinds[STOCK_KINDS];
};

int stock_open(struct stock_keeper *keeper) {
  *keeper = (struct stock_keeper){.counter = {-1, -1}, .nursery = -1, .proc = -1, .kept = {-1, -1, -1}};
  keeper->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (keeper->proc < 0 || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, keeper->counter)) return -1;
  keeper->nursery = seat_nursery();
  return 0;
}

// Makes the kinds that are missing and sends them home. A namespace ends with its last descriptor.
static int make(const struct stock_keeper *keeper) {
  struct letter letter = {.word = WORD_STORE};
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    if (!keeper->wanted[kind] || keeper->kept[kind] >= 0) continue;
    if (kind == STOCK_MOUNTS && (keeper->nursery < 0 || setns(keeper->nursery, CLONE_NEWNS))) continue;
    struct failure failure;
    if (unshare(kinds[kind].flag) || (kind == STOCK_NETWORK && loopback_up(&failure))) continue;
    OWN_FD made = openat(keeper->proc, kinds[kind].path, O_RDONLY | O_CLOEXEC);
    memset(letter.kinds, 0, sizeof letter.kinds);
    letter.kinds[kind] = true;
    if (made >= 0) letter_send(keeper->counter[1], &letter, sizeof letter, made);
  }
  return 0;
}

static void store(struct stock_keeper *keeper, const struct letter *letter, int descriptor) {
  for (int kind = 0; kind < STOCK_KINDS; kind++)
    if (letter->kinds[kind] && keeper->kept[kind] < 0) {
      keeper->kept[kind] = descriptor;
      return;
    }
  own_close(&descriptor);
}

// Whoever is given a namespace is the only one that gets it.
static void answer(struct stock_keeper *keeper, const struct letter *asked, int line, int64_t now) {
  struct letter letter = {.word = WORD_STORE};
  int given[STOCK_KINDS];
  size_t count = 0;
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    if (!asked->kinds[kind]) continue;
    keeper->wanted[kind] = true;
    if (keeper->kept[kind] < 0) continue;
    letter.kinds[kind] = true;
    given[count++] = keeper->kept[kind];
    keeper->kept[kind] = -1;
  }
  // Whoever has gone on without an answer leaves the namespaces to the next.
  bool taken = !letter_send_many(line, &letter, sizeof letter, given, count);
  for (int kind = 0, i = 0; kind < STOCK_KINDS; kind++) {
    if (!letter.kinds[kind]) continue;
    if (taken) close(given[i]);
    else keeper->kept[kind] = given[i];
    i++;
  }
  close(line);
  keeper->due = now + QUIET_MS;
}

void stock_serve(struct stock_keeper *keeper, int64_t now) {
  struct letter letter;
  for (;;) {
    int descriptor = -1;
    ssize_t got = letter_receive(keeper->counter[0], &letter, sizeof letter, MSG_DONTWAIT, &descriptor);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    bool whole = got == sizeof letter && descriptor >= 0;
    if (whole && letter.word == WORD_STORE) store(keeper, &letter, descriptor);
    else if (whole && letter.word == WORD_ASK) answer(keeper, &letter, descriptor, now);
    else own_close(&descriptor);
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

int stock_leave(struct stock_keeper *keeper) {
  bool any = false, asked = false;
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    any |= keeper->kept[kind] >= 0;
    asked |= keeper->wanted[kind];
    own_close(&keeper->kept[kind]);
  }
  own_close(&keeper->nursery);
  own_close(&keeper->proc);
  own_close(&keeper->counter[0]);
  // Many launches at once would only wake the parent.
  if (asked && !any) own_close(&keeper->counter[1]);
  return asked && !any ? -1 : keeper->counter[1];
}

int stock_ask(int counter, const bool wanted[STOCK_KINDS]) {
  struct letter letter = {.word = WORD_ASK};
  int ends[2];
  if (counter < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return -1;
  memcpy(letter.kinds, wanted, sizeof letter.kinds);
  int sent = letter_send(counter, &letter, sizeof letter, ends[1]);
  close(ends[1]);
  if (!sent) return ends[0];
  close(ends[0]);
  return -1;
}

void stock_receive(int line, int given[STOCK_KINDS]) {
  struct letter letter;
  int came[STOCK_KINDS];
  size_t count = 0, next = 0;
  ssize_t got = -1;
  for (int kind = 0; kind < STOCK_KINDS; kind++) given[kind] = -1;
  if (line < 0) return;
  struct pollfd waited = {.fd = line, .events = POLLIN};
  if (ppoll(&waited, 1, &patience, NULL) > 0)
    got = letter_receive_many(line, &letter, sizeof letter, MSG_DONTWAIT, came, STOCK_KINDS, &count);
  close(line);
  for (int kind = 0; got == sizeof letter && kind < STOCK_KINDS; kind++)
    if (letter.kinds[kind] && next < count) given[kind] = came[next++];
}
