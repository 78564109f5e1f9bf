// The counter between the launcher's parent and its children (counter.h): one socket pair, so that letters are read in
// the order in which they were sent.
#include "counter.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "hold.h"
#include "letter.h"
#include "own.h"

// On a busy machine the parent may be late: then what it has made ahead would come too dear.
static const struct timespec patience = {.tv_nsec = 300000};

// store: of the stock. Asking and listing bring the line on which the answer goes back.
enum letter_word { WORD_HOLD = 'h', WORD_DROP = 'd', WORD_STORE = 's', WORD_ASK = 'a', WORD_LIST = 'l' };

struct letter {
  char word;
  bool kinds[STOCK_KINDS];
  char names[ORDER_BYTES_MAX];
};

struct answer {
  bool kinds[STOCK_KINDS], held[ORDER_NAMES_MAX];
};

enum { TAKEN = -2 };
enum { LETTER_HEAD = offsetof(struct letter, names) };
_Static_assert(STOCK_KINDS + ORDER_NAMES_MAX < LETTER_DESCRIPTORS_MAX, "an answer's descriptors go into one letter");

int counter_open(int ends[2]) { return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends); }

int counter_store(int end, enum stock_kind kind, int descriptor) {
  struct letter letter = {.word = WORD_STORE};
  letter.kinds[kind] = true;
  return letter_send(end, &letter, LETTER_HEAD, descriptor);
}

static size_t add_held(const struct letter *letter, size_t bytes, struct answer *answer, int *descriptors) {
  size_t count = 0;
  const char *name = letter->names;
  for (int n = 0; n < ORDER_NAMES_MAX && name < letter->names + bytes; n++, name += strlen(name) + 1) {
    int held = held_find(name);
    answer->held[n] = held >= 0;
    if (held >= 0) descriptors[count++] = held;
  }
  return count;
}

// Whoever is given a namespace of the stock is the only one that gets it.
static void answer_asked(struct stock_keeper *stock, const struct letter *letter, size_t bytes, int line, int64_t now) {
  struct answer answer = {0};
  int given[STOCK_KINDS], descriptors[LETTER_DESCRIPTORS_MAX];
  size_t count = 0;
  stock_give(stock, letter->kinds, given, now);
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    answer.kinds[kind] = given[kind] >= 0;
    if (given[kind] >= 0) descriptors[count++] = given[kind];
  }
  count += add_held(letter, bytes, &answer, descriptors + count);
  // Whoever has gone on without an answer leaves the namespaces to the next.
  bool taken = !letter_send_many(line, &answer, sizeof answer, descriptors, count);
  for (int kind = 0; kind < STOCK_KINDS; kind++)
    if (given[kind] >= 0 && taken) close(given[kind]);
    else if (given[kind] >= 0) stock_store(stock, (enum stock_kind)kind, given[kind]);
}

// True when the descriptor that came with the letter is kept.
static bool act(struct stock_keeper *stock, const struct letter *letter, size_t bytes, int descriptor, int64_t now) {
  bool named = bytes && *letter->names;
  if (letter->word == WORD_DROP && named) held_forget(letter->names);
  if (descriptor < 0) return false;
  if (letter->word == WORD_HOLD && named) return held_keep(letter->names, descriptor);
  if (letter->word == WORD_ASK) answer_asked(stock, letter, bytes, descriptor, now);
  if (letter->word == WORD_LIST) {
    OWN_FD names = held_names();
    letter_send(descriptor, "", 1, names);
  }
  for (int kind = 0; letter->word == WORD_STORE && kind < STOCK_KINDS; kind++)
    if (letter->kinds[kind]) return stock_store(stock, (enum stock_kind)kind, descriptor);
  return false;
}

void counter_serve(int end, struct stock_keeper *stock, int64_t now) {
  struct letter letter;
  for (;;) {
    int descriptor = -1;
    ssize_t got = letter_receive(end, &letter, sizeof letter, MSG_DONTWAIT, &descriptor);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    size_t bytes = got < LETTER_HEAD ? 0 : (size_t)got - LETTER_HEAD;
    bool whole = got >= LETTER_HEAD && (!bytes || !letter.names[bytes - 1]);
    if (!whole || !act(stock, &letter, bytes, descriptor, now)) own_close(&descriptor);
  }
}

// Sends a letter that is answered; the line on which the answer comes, or -1.
static int question(struct request *request, const struct letter *letter, size_t bytes) {
  if (request->line[0] < 0) counter_expect(request);
  OWN_FD mine = give_fd(&request->line[0]), theirs = give_fd(&request->line[1]);
  if (mine < 0 || letter_send(request->counter, letter, LETTER_HEAD + bytes, theirs)) return -1;
  return give_fd(&mine);
}

void counter_expect(struct request *request) {
  if (request->counter < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, request->line))
    request->line[0] = request->line[1] = -1;
}

void order_begin(struct order *order) {
  *order = (struct order){.line = -1};
  for (int kind = 0; kind < STOCK_KINDS; kind++) order->stock[kind] = -1;
  for (int n = 0; n < ORDER_NAMES_MAX; n++) order->held[n] = -1;
}

void order_add(struct order *order, const char *name) {
  size_t length = strlen(name) + 1;
  if (length == 1 || order->count == ORDER_NAMES_MAX || length > sizeof order->names - order->bytes) return;
  memcpy(order->names + order->bytes, name, length);
  order->bytes += length;
  order->count++;
}

void order_send(struct order *order, struct request *request) {
  struct letter letter = {.word = WORD_ASK};
  bool any = order->count;
  for (int kind = 0; kind < STOCK_KINDS; kind++) any |= letter.kinds[kind] = order->kinds[kind];
  memcpy(letter.names, order->names, order->bytes);
  order->line = any ? question(request, &letter, order->bytes) : -1;
}

void order_receive(struct order *order) {
  struct answer answer;
  int came[LETTER_DESCRIPTORS_MAX];
  size_t count = 0, next = 0;
  ssize_t got = -1;
  struct pollfd waited = {.fd = order->line, .events = POLLIN};
  if (order->line < 0) return;
  if (order->count || ppoll(&waited, 1, &patience, NULL) > 0)
    do got = letter_receive_many(order->line, &answer, sizeof answer, 0, came, LETTER_DESCRIPTORS_MAX, &count);
    while (got < 0 && errno == EINTR);
  close(order->line);
  order->line = -1;
  if (got != sizeof answer) return;
  for (int kind = 0; kind < STOCK_KINDS; kind++)
    if (answer.kinds[kind] && next < count) order->stock[kind] = came[next++];
  for (int n = 0; n < ORDER_NAMES_MAX; n++)
    if (answer.held[n] && next < count) order->held[n] = came[next++];
}

void order_end(struct order *order) {
  own_close(&order->line);
  for (int kind = 0; kind < STOCK_KINDS; kind++) own_close(&order->stock[kind]);
  for (int n = 0; n < ORDER_NAMES_MAX; n++) own_close(&order->held[n]);
  order_begin(order);
}

// What the order brought of that name, or -1. `asked` tells whether it is the answer: each thing is given once.
static int order_take(struct order *order, const char *name, bool *asked) {
  const char *at = order->names;
  order_receive(order);
  for (size_t n = 0; n < order->count; n++, at += strlen(at) + 1) {
    if (order->held[n] == TAKEN || strcmp(at, name)) continue;
    int held = order->held[n];
    *asked = true;
    order->held[n] = TAKEN;
    return held;
  }
  return -1;
}

int held_get(struct request *request, const char *name) {
  bool asked = false;
  int held = request->order ? order_take(request->order, name, &asked) : -1;
  if (held >= 0) return held;
  struct order alone;
  order_begin(&alone);
  order_add(&alone, name);
  if (!asked) order_send(&alone, request);
  return order_take(&alone, name, &asked);
}

static int send_named(struct request *request, enum letter_word word, const char *name, int descriptor) {
  struct letter letter = {.word = (char)word};
  size_t length = strlen(name) + 1;
  if (length == 1 || length > HELD_NAME_MAX) return errno = ENAMETOOLONG, -1;
  memcpy(letter.names, name, length);
  return letter_send(request->counter, &letter, LETTER_HEAD + length, descriptor);
}

int held_hold(struct request *request, const char *name, int descriptor) {
  if (request->full) return errno = ENOSPC, -1;
  return send_named(request, WORD_HOLD, name, descriptor);
}

int held_drop(struct request *request, const char *name) { return send_named(request, WORD_DROP, name, -1); }

char *held_list(struct request *request, size_t *bytes) {
  const struct letter letter = {.word = WORD_LIST};
  struct stat status;
  char said;
  int names = -1;
  OWN_FD line = question(request, &letter, 0);
  if (line < 0 || letter_receive(line, &said, 1, 0, &names) != 1 || names < 0) return errno = EIO, NULL;
  OWN_FD file = names;
  char *list = fstat(file, &status) ? NULL : malloc((size_t)status.st_size + 1);
  if (!list) return NULL;
  ssize_t got = pread(file, list, (size_t)status.st_size, 0);
  *bytes = got < 0 ? 0 : (size_t)got;
  return list;
}
