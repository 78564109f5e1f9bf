// The sockets at 127.0.0.11 in the container's network namespace, and what comes to them by UDP.
#include "names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "own.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif
enum { RECEIVED_MOST = 8, ROUNDS_MOST = 8, WAIT_MS = 12000, LISTEN_BACKLOG = 64, DNS_HEADER = 12,
       RECEIVE_BYTES = 512 << 10 };

static int bound_socket(int type, uint16_t port) {
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f00000b)};
  const int yes = 1, room = RECEIVE_BYTES;
  OWN_FD fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  // The kernel's usual room is for some 270 questions; a burst comes before this process is woken.
  if (type == SOCK_DGRAM) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (bind(fd, (const struct sockaddr *)&address, sizeof address)) return -1;
  if (type == SOCK_STREAM && listen(fd, LISTEN_BACKLOG)) return -1;
  return give_fd(&fd);
}

// Enters the namespace for as long as it takes to make the sockets. A socket names its own namespace without /proc.
static int open_inside(struct names *names, int namespace, uint16_t port, struct failure *failure) {
  OWN_FD any = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  OWN_FD own = any < 0 ? -1 : ioctl(any, SIOCGSKNS);
  if (own < 0 || setns(namespace, CLONE_NEWNET))
    return fail(failure, "name-relay", NULL, errno, "the container's network namespace cannot be entered: %s",
                strerror(errno));
  names->udp = bound_socket(SOCK_DGRAM, port);
  if (names->udp >= 0) names->tcp = bound_socket(SOCK_STREAM, port);
  if (names->tcp >= 0) names->beyond = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int error = errno;
  if (setns(own, CLONE_NEWNET))
    return fail(failure, "name-relay", NULL, errno, "the host's network namespace cannot be entered again: %s",
                strerror(errno));
  if (names->beyond >= 0) return 0;
  return fail(failure, "name-relay", NULL, error, "127.0.0.11:%u cannot be listened at in the container: %s", port,
              strerror(error));
}

void names_poll(struct names *names, int fd, uint32_t what, uint32_t events, bool known) {
  struct epoll_event event = {.events = events, .data.u32 = what};
  epoll_ctl(names->poll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

static int read_relay(struct names *names, const struct operation *relay, uint16_t *port, struct failure *failure) {
  uint64_t number = NAMES_PORT;
  size_t length = strlen(relay->args[1]), room = sizeof names->hello - NAMES_HEADER;
  if (!*relay->args[0] || strlen(relay->args[0]) >= sizeof names->path)
    return fail(failure, "name-relay", relay->args[0], ENAMETOOLONG, "a socket's path has 1 to %zu bytes",
                sizeof names->path - 1);
  if (!length || length > room)
    return fail(failure, "name-relay", relay->args[1], EINVAL, "a container's ID has 1 to %zu bytes", room);
  if (relay->count == 3 && (!parse_u64(relay->args[2], 10, 65535, &number) || !number))
    return fail(failure, "name-relay", relay->args[2], EINVAL, "%s is not a port", relay->args[2]);
  *port = (uint16_t)number;
  memset(names->path, 0, sizeof names->path);
  strcpy(names->path, relay->args[0]);
  const uint8_t header[NAMES_HEADER] = {(uint8_t)length, 0, NAMES_HELLO};
  memcpy(names->hello, header, sizeof header);
  memcpy(names->hello + NAMES_HEADER, relay->args[1], length);
  names->hello_length = NAMES_HEADER + length;
  return 0;
}

static struct names *names_make(void) {
  struct names *names = calloc(1, sizeof *names);
  if (!names) return NULL;
  names->udp = names->tcp = names->link = names->beyond = -1;
  for (int i = 0; i < NAMES_CLIENTS_MAX; i++) names->clients[i].fd = -1;
  names->poll = epoll_create1(EPOLL_CLOEXEC);
  return names;
}

int names_open(struct monitor *monitor, int namespace, const struct operation *relay, struct failure *failure) {
  uint16_t port = NAMES_PORT;
  bool fresh = !monitor->names;
  if (fresh) monitor->names = names_make();
  struct names *names = monitor->names;
  if (!names) return fail(failure, "name-relay", NULL, ENOMEM, "out of memory");
  if (read_relay(names, relay, &port, failure) || (fresh && open_inside(names, namespace, port, failure))) {
    if (fresh) names_close(monitor);
    return -1;
  }
  if (fresh) {
    names_poll(names, names->udp, NAMES_UDP, EPOLLIN, false);
    names_poll(names, names->tcp, NAMES_TCP, EPOLLIN, false);
    names_poll(names, names->beyond, NAMES_BEYOND, EPOLLIN, false);
  } else {
    link_close(names, 0);
  }
  return 0;
}

int names_prepare(struct monitor *monitor, struct failure *failure) {
  const struct plan *plan = monitor->request->plan;
  const struct operation *relay = plan_find(plan, "name-relay", 0), *operation;
  if (!relay) return 0;
  for (uint32_t n = 0; (operation = plan_find(plan, "namespace", n)); n++) {
    if (strcmp(operation->args[0], "network") || !strcmp(operation->args[1], "new")) continue;
    OWN_FD namespace = namespace_open(monitor->request, operation->args[1], failure);
    return namespace < 0 ? -1 : names_open(monitor, namespace, relay, failure);
  }
  return fail(failure, "name-relay", NULL, EINVAL, "name-relay wants a network namespace that is there already");
}

void names_close(struct monitor *monitor) {
  struct names *names = monitor->names;
  if (!names) return;
  for (uint32_t i = 0; i < NAMES_CLIENTS_MAX; i++) client_close(names, i);
  link_close(names, 0);
  questions_unmap(&names->questions);
  inbox_unmap(names);
  own_close(&names->udp);
  own_close(&names->tcp);
  own_close(&names->beyond);
  own_close(&names->poll);
  free(names);
  monitor->names = NULL;
}

void names_kept(const struct monitor *monitor, int kept[4]) {
  const struct names *names = monitor->names;
  kept[0] = names ? names->poll : -1;
  kept[1] = names ? names->udp : -1;
  kept[2] = names ? names->tcp : -1;
  kept[3] = names ? names->beyond : -1;
}

void names_forget(struct names *names, struct question *question) {
  struct names_client *client = question->client == NAMES_NOBODY ? NULL : &names->clients[question->client];
  if (client && client->fd >= 0 && client->serial == question->serial) client->asked--;
  question_release(&names->questions, question);
}

struct question *names_place(struct names *names) {
  if (!questions_map(&names->questions)) return NULL;
  struct question *place = question_take(&names->questions);
  if (place) return place;
  struct question *oldest = question_oldest(&names->questions);
  if (oldest) names_forget(names, oldest);
  return question_take(&names->questions);
}

// Takes what has come to one of the sockets. False when there may be no more for now.
static bool receive(struct names *names, enum names_kind kind, int64_t now) {
  size_t lead = kind == NAMES_PASSED ? NAMES_PLACE : 0;
  struct question *places[RECEIVED_MOST];
  struct mmsghdr messages[RECEIVED_MOST];
  struct iovec parts[RECEIVED_MOST];
  unsigned count = 0;
  for (struct question *place = names_place(names); place; place = question_take(&names->questions)) {
    places[count] = place;
    parts[count] = (struct iovec){place->frame + NAMES_HEADER + lead, NAMES_BYTES - lead};
    messages[count] = (struct mmsghdr){.msg_hdr = {.msg_name = &place->from, .msg_namelen = sizeof place->from,
                                                   .msg_iov = &parts[count], .msg_iovlen = 1}};
    if (++count == RECEIVED_MOST) break;
  }
  int got = count ? recvmmsg(lead ? names->beyond : names->udp, messages, count, MSG_DONTWAIT, NULL) : 0;
  for (unsigned i = 0; i < count; i++) {
    unsigned bytes = (int)i < got ? messages[i].msg_len : 0;
    uint8_t *payload = places[i]->frame + NAMES_HEADER;
    if (bytes < DNS_HEADER || messages[i].msg_hdr.msg_flags & MSG_TRUNC) {
      question_return(&names->questions, places[i]);
      continue;
    }
    if (lead) memcpy(payload, &places[i]->from.sin_addr, 4), memcpy(payload + 4, &places[i]->from.sin_port, 2);
    question_append(&names->questions, places[i], kind, bytes + lead, now);
  }
  return got == RECEIVED_MOST;
}

void names_ready(struct monitor *monitor, int64_t now) {
  struct names *names = monitor->names;
  struct epoll_event events[16];
  int count = epoll_wait(names->poll, events, sizeof events / sizeof *events, 0);
  for (int i = 0; i < count; i++) {
    uint32_t what = events[i].data.u32;
    if (what == NAMES_UDP || what == NAMES_BEYOND)
      for (int round = 0; round < ROUNDS_MOST; round++)
        if (!receive(names, what == NAMES_UDP ? NAMES_QUESTION : NAMES_PASSED, now)) break;
    if (what == NAMES_TCP)
      names_accept(names, now);
    else if (what >= NAMES_CLIENT)
      client_ready(names, what - NAMES_CLIENT, events[i].events, now);
    else if (what == NAMES_LINK && names->link >= 0 && events[i].events & ~(uint32_t)EPOLLOUT)
      link_ready(names, now);
  }
  link_send(names, now);
}

int64_t names_deadline(const struct names *names) {
  int64_t deadline = clients_deadline(names);
  bool waiting = names->link < 0 && names->questions.all && names->questions.unsent != NAMES_NOBODY;
  return waiting && (!deadline || names->retry_at < deadline) ? names->retry_at : deadline;
}

// While there is no daemon, questions wait for it as long as somebody may still want the answer.
void names_step(struct monitor *monitor, int64_t now) {
  struct names *names = monitor->names;
  struct question *oldest;
  if (!names) return;
  clients_step(names, now);
  if (names->link >= 0 || !names->questions.all) return;
  while ((oldest = question_oldest(&names->questions)) && now - oldest->born >= WAIT_MS) names_forget(names, oldest);
  link_send(names, now);
}
