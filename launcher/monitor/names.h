// The container's way to the name server: what it asks at 127.0.0.11 goes to the daemon, and answers come back
// (PROTOCOL.md, "Names"). Everything is bounded; nothing is asked of the heap for a usual question.
#ifndef SLOOP_NAMES_H
#define SLOOP_NAMES_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "monitor.h"

enum {
  NAMES_PORT = 61053,             // src/network/dns/redirect.ts has it too
  NAMES_HEADER = 8,
  NAMES_QUESTIONS_MAX = 512,      // in flight
  NAMES_BYTES = 1280,             // of a question that is kept in place; longer ones come by TCP and get memory
  NAMES_LONG_BYTES_MAX = 1 << 20, // of all longer ones together
  NAMES_BATCH = 32,               // frames or answers of one call
  NAMES_CLIENTS_MAX = 64,         // TCP
  NAMES_ASKED_MAX = 16,           // in flight for one TCP client
  NAMES_NOBODY = 0xffff,
  NAMES_PLACE = 6,                // address and port before what is passed on
};
enum names_kind { NAMES_HELLO = 1, NAMES_QUESTION = 2, NAMES_ANSWER = 3, NAMES_PASSED = 4 };

// A question on its way. Its frame stays until the answer has come: a new daemon is asked again.
struct question {
  uint16_t older, newer;  // by age; newer is also the next of the free ones
  uint16_t generation;    // tells an answer to an earlier user of this place
  bool busy;
  uint16_t client;        // index of the TCP client, or NAMES_NOBODY
  uint32_t serial;        // of that client
  struct sockaddr_in from;
  int64_t born;
  uint32_t length;        // of the frame
  uint8_t *longer;        // a frame that does not fit in place
  uint8_t frame[NAMES_HEADER + NAMES_BYTES];
};

struct questions {
  struct question *all;  // mapped with the first question
  uint16_t oldest, newest, unsent, unused;
  uint16_t touched;      // places from here on were never used
  uint32_t unsent_offset;
  size_t longer_bytes;
};

// names-queue.c
bool questions_map(struct questions *questions);
void questions_unmap(struct questions *questions);
// A place for a question; NULL when none is free.
struct question *question_take(struct questions *questions);
void question_return(struct questions *questions, struct question *question);
// Writes the header and puts the question at the end of the queue. `bytes` are in the frame already.
void question_append(struct questions *questions, struct question *question, enum names_kind kind, size_t bytes,
                     int64_t now);
// The question of a ticket, or NULL.
struct question *question_find(struct questions *questions, uint32_t ticket);
void question_release(struct questions *questions, struct question *question);
// The one to give up for a newer one: the oldest that is not half sent. NULL when there is none.
struct question *question_oldest(struct questions *questions);
// All are to be sent again.
void questions_rewind(struct questions *questions);
size_t questions_gather(struct questions *questions, struct iovec *parts, size_t most);
void questions_sent(struct questions *questions, size_t bytes);

struct names_client {
  int fd;  // -1: nobody
  uint32_t serial;
  uint16_t asked;
  bool ended;  // nothing more is read
  bool full;   // waits until it can be written to
  int64_t active;
  uint8_t *in, *out;
  size_t in_got, in_room, out_start, out_end;
};

struct names {
  int poll, udp, tcp, link;
  int beyond;  // by which name servers are asked that only the container reaches
  bool link_full;
  int64_t retry_at;
  int64_t accept_after;  // no TCP client is taken until then; 0 = at any time
  char path[108];
  size_t hello_length, hello_sent;
  uint8_t hello[NAMES_HEADER + 128];
  struct questions questions;
  uint8_t *inbox;  // from the daemon, mapped
  size_t inbox_end;
  uint32_t serial;
  uint32_t client_count;
  struct names_client clients[NAMES_CLIENTS_MAX];
};

// names.c: opens the sockets in the namespace that the launch plan joins, if it has a name-relay.
int names_prepare(struct monitor *monitor, struct failure *failure);
// The same for a container that runs: `name-relay PATH CONTAINER-ID [PORT]`. A second time it only takes the new path.
int names_open(struct monitor *monitor, int namespace, const struct operation *relay, struct failure *failure);
void names_close(struct monitor *monitor);
// Fills the descriptors that are to stay open (4) at the beginning of a monitor's life.
void names_kept(const struct monitor *monitor, int kept[4]);
void names_ready(struct monitor *monitor, int64_t now);
// What waits for a moment in time; 0 = nothing.
int64_t names_deadline(const struct names *names);
void names_step(struct monitor *monitor, int64_t now);
// Forgets a question, answered or not.
void names_forget(struct names *names, struct question *question);
// A place for a question; the oldest gives way when there is none.
struct question *names_place(struct names *names);
// What epoll tells of: the sockets, and from NAMES_CLIENT on the TCP clients.
enum names_what { NAMES_UDP, NAMES_TCP, NAMES_LINK, NAMES_BEYOND, NAMES_CLIENT };
void names_poll(struct names *names, int fd, uint32_t what, uint32_t events, bool known);

// names-link.c: the connection to the daemon.
void link_send(struct names *names, int64_t now);
void link_ready(struct names *names, int64_t now);
void link_close(struct names *names, int64_t now);
void inbox_unmap(struct names *names);

// names-tcp.c
void names_accept(struct names *names, int64_t now);
void client_ready(struct names *names, uint32_t index, uint32_t events, int64_t now);
void client_answer(struct names *names, uint32_t index, const uint8_t *bytes, size_t length, int64_t now);
void client_close(struct names *names, uint32_t index);
// Reads on when questions of its own were answered.
void client_resume(struct names *names, uint32_t index, int64_t now);
int64_t clients_deadline(const struct names *names);
void clients_step(struct names *names, int64_t now);
#endif
