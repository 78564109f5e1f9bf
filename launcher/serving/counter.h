// The counter between the launcher's parent and its children: what the parent holds or has made ahead is asked for here,
// and what it shall hold is handed in. A child inherits none of it: it may wait for its plan for hours, and would keep
// alive what the parent has long let go.
#ifndef SLOOP_COUNTER_H
#define SLOOP_COUNTER_H
#include <stdint.h>

#include "stock.h"
#include "verbs.h"

enum { ORDER_NAMES_MAX = 28, ORDER_BYTES_MAX = 2048 };

// What a child asks for at once: kinds of the stock, and held things by name.
struct order {
  bool kinds[STOCK_KINDS];
  char names[ORDER_BYTES_MAX];  // one after the other, each with its NUL
  size_t bytes, count;
  int line;  // the answer comes here; -1 when it has come
  int stock[STOCK_KINDS], held[ORDER_NAMES_MAX];  // what came, -1 where there is none
};

// A pair of ends: the parent's and the children's. -1 with errno.
int counter_open(int ends[2]);
// The parent acts on every letter that waits; never blocks.
void counter_serve(int end, struct stock_keeper *stock, int64_t now);
// A child that made a namespace ahead hands it in.
int counter_store(int end, enum stock_kind kind, int descriptor);

// A line made ahead for the next question; without it one is made then. Ends with the request.
void counter_expect(struct request *request);

void order_begin(struct order *order);
// A name beyond what one letter holds is not taken up: held_get asks for it by itself.
void order_add(struct order *order, const char *name);
// Sends it, without waiting for the answer.
void order_send(struct order *order, struct request *request);
// Waits for the answer, if one is due: as long as it takes when names were asked for, else not long.
void order_receive(struct order *order);
// Closes what came and was not taken.
void order_end(struct order *order);
#endif
