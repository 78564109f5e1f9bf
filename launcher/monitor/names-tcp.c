// Questions that come by TCP: several on a connection, each with its length before it, answered in any order.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "names.h"

enum { PREFIX = 2, IDLE_MS = 10000, ANSWER_WAIT_MS = 20000, OUT_BYTES = 256 << 10, DNS_HEADER = 12, ACCEPT_PAUSE_MS = 100 };

void client_close(struct names *names, uint32_t index) {
  struct names_client *client = &names->clients[index];
  if (client->fd < 0) return;
  close(client->fd);
  free(client->in);
  free(client->out);
  *client = (struct names_client){.fd = -1};
  names->client_count--;
}

static uint32_t client_place(struct names *names) {
  uint32_t quiet = 0;
  for (uint32_t i = 0; i < NAMES_CLIENTS_MAX; i++) {
    if (names->clients[i].fd < 0) return i;
    if (names->clients[i].active < names->clients[quiet].active) quiet = i;
  }
  client_close(names, quiet);
  return quiet;
}

void names_accept(struct names *names, int64_t now) {
  for (int i = 0; i < NAMES_BATCH; i++) {
    int fd = accept4(names->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // Out of descriptors or memory: the clients wait in the queue, and the loop must not spin for them.
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
      names->accept_after = now + ACCEPT_PAUSE_MS;
      return names_poll(names, names->tcp, NAMES_TCP, 0, true);
    }
    uint32_t index = client_place(names);
    struct names_client *client = &names->clients[index];
    *client = (struct names_client){.fd = fd, .serial = ++names->serial, .active = now, .in_room = PREFIX + NAMES_BYTES};
    client->in = malloc(client->in_room);
    names->client_count++;
    if (client->in) names_poll(names, fd, NAMES_CLIENT + index, EPOLLIN, false);
    else client_close(names, index);
  }
}

static void watch(struct names *names, uint32_t index) {
  const struct names_client *client = &names->clients[index];
  uint32_t events = client->ended || client->asked >= NAMES_ASKED_MAX || client->full ? 0 : EPOLLIN;
  names_poll(names, client->fd, NAMES_CLIENT + index, client->full ? events | EPOLLOUT : events, true);
}

// Puts one whole question into the queue. False when it cannot be taken.
static bool ask(struct names *names, uint32_t index, const uint8_t *bytes, size_t length, int64_t now) {
  struct question *place = length < DNS_HEADER ? NULL : names_place(names);
  if (!place) return false;
  uint8_t *frame = place->frame;
  if (length > NAMES_BYTES) {
    bool room = names->questions.longer_bytes + NAMES_HEADER + length <= NAMES_LONG_BYTES_MAX;
    frame = place->longer = room ? malloc(NAMES_HEADER + length) : NULL;
  }
  if (!frame) return question_return(&names->questions, place), false;
  memcpy(frame + NAMES_HEADER, bytes, length);
  place->client = (uint16_t)index;
  place->serial = names->clients[index].serial;
  names->clients[index].asked++;
  question_append(&names->questions, place, NAMES_QUESTION, length, now);
  return true;
}

// Takes the whole questions that were read, as far as the client may have that many. False: to be closed.
static bool take_questions(struct names *names, uint32_t index, int64_t now) {
  struct names_client *client = &names->clients[index];
  size_t at = 0, length = 0;
  while (client->in_got - at >= PREFIX && client->asked < NAMES_ASKED_MAX) {
    length = (size_t)client->in[at] << 8 | client->in[at + 1];
    if (client->in_got - at < PREFIX + length) break;
    if (!ask(names, index, client->in + at + PREFIX, length, now)) return false;
    at += PREFIX + length;
    length = 0;
  }
  if (at) memmove(client->in, client->in + at, client->in_got - at);
  client->in_got -= at;
  if (PREFIX + length <= client->in_room) return true;
  uint8_t *larger = realloc(client->in, PREFIX + length);
  if (!larger) return false;
  client->in = larger;
  client->in_room = PREFIX + length;
  return true;
}

static void client_read(struct names *names, uint32_t index, int64_t now) {
  struct names_client *client = &names->clients[index];
  bool taken = true;
  if (client->in_got < client->in_room && !client->ended) {
    ssize_t got = recv(client->fd, client->in + client->in_got, client->in_room - client->in_got, MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN && errno != EINTR) return client_close(names, index);
    if (got == 0) client->ended = true;
    if (got > 0) client->active = now;
    client->in_got += got > 0 ? (size_t)got : 0;
  }
  taken = take_questions(names, index, now);
  // Who half-closes after its questions still gets the answers.
  if (!taken || (client->ended && !client->asked && !client->out)) return client_close(names, index);
  watch(names, index);
}

static void client_write(struct names *names, uint32_t index, int64_t now) {
  struct names_client *client = &names->clients[index];
  ssize_t put = send(client->fd, client->out + client->out_start, client->out_end - client->out_start,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put < 0 && errno != EAGAIN && errno != EINTR) return client_close(names, index);
  client->out_start += put > 0 ? (size_t)put : 0;
  if (put > 0) client->active = now;
  if (client->out_start < client->out_end) return;
  free(client->out);
  client->out = NULL;
  client->out_start = client->out_end = 0;
  client->full = false;
  client_read(names, index, now);
}

void client_ready(struct names *names, uint32_t index, uint32_t events, int64_t now) {
  struct names_client *client = &names->clients[index];
  if (client->fd < 0) return;
  if (events & (EPOLLERR | EPOLLHUP)) return client_close(names, index);
  if (client->full && events & EPOLLOUT) client_write(names, index, now);
  else if (!client->full) client_read(names, index, now);
}

void client_resume(struct names *names, uint32_t index, int64_t now) {
  struct names_client *client = &names->clients[index];
  if (client->fd < 0 || client->full) return;
  if (client->ended || client->asked == NAMES_ASKED_MAX - 1) client_read(names, index, now);
}

// Keeps what the client has not taken yet. False when that is too much.
static bool keep(struct names_client *client, const uint8_t *bytes, size_t length) {
  if (!client->out) client->out = malloc(OUT_BYTES);
  if (!client->out || OUT_BYTES - client->out_end < length) return false;
  memcpy(client->out + client->out_end, bytes, length);
  client->out_end += length;
  client->full = true;
  return true;
}

void client_answer(struct names *names, uint32_t index, const uint8_t *bytes, size_t length, int64_t now) {
  struct names_client *client = &names->clients[index];
  uint8_t prefix[PREFIX] = {(uint8_t)(length >> 8), (uint8_t)length};
  size_t sent = 0;
  client->active = now;
  if (!client->full) {
    struct iovec parts[2] = {{prefix, PREFIX}, {(void *)(uintptr_t)bytes, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t put = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN && errno != EINTR) return client_close(names, index);
    sent = put > 0 ? (size_t)put : 0;
  }
  if (sent == PREFIX + length) return;
  bool kept = sent >= PREFIX || keep(client, prefix + sent, PREFIX - sent);
  sent = sent > PREFIX ? sent - PREFIX : 0;
  if (!kept || !keep(client, bytes + sent, length - sent)) return client_close(names, index);
  watch(names, index);
}

static int64_t deadline_of(const struct names_client *client) {
  return client->active + (client->asked ? ANSWER_WAIT_MS : IDLE_MS);
}

int64_t clients_deadline(const struct names *names) {
  int64_t deadline = names->accept_after;
  for (uint32_t i = 0; names->client_count && i < NAMES_CLIENTS_MAX; i++) {
    const struct names_client *client = &names->clients[i];
    if (client->fd >= 0 && (!deadline || deadline_of(client) < deadline)) deadline = deadline_of(client);
  }
  return deadline;
}

void clients_step(struct names *names, int64_t now) {
  if (names->accept_after && now >= names->accept_after) {
    names->accept_after = 0;
    names_poll(names, names->tcp, NAMES_TCP, EPOLLIN, true);
  }
  for (uint32_t i = 0; names->client_count && i < NAMES_CLIENTS_MAX; i++)
    if (names->clients[i].fd >= 0 && now >= deadline_of(&names->clients[i])) client_close(names, i);
}
