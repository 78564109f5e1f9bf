// Clients of the monitor's socket: accepted, checked, read frame by frame without ever waiting for one.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor.h"

enum { ACCEPT_PAUSE_MS = 100, REPORT_BYTES_MAX = 2048, GROWTH = 64 << 10 };

struct connection *connection_add(struct monitor *monitor, int fd) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (!connection) return NULL;
  connection->fd = fd;
  connection->next = monitor->connections;
  monitor->connections = connection;
  monitor->connection_count++;
  return connection;
}

static bool is_trusted(int fd) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length)) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

void connection_accept(struct monitor *monitor) {
  for (int i = 0; i < 16; i++) {
    int fd = accept4(monitor->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      // Out of descriptors or memory: the client waits in the queue, the container's output must not.
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) monitor->accept_after = now_ms() + ACCEPT_PAUSE_MS;
      return;
    }
    if (!is_trusted(fd)) {
      close(fd);
    } else if (monitor->connection_count >= CONNECTIONS_MAX) {
      report(fd, "failed", "connect", "", "0", "the container's monitor has too many connections", NULL);
      close(fd);
    } else if (!connection_add(monitor, fd)) {
      close(fd);
    }
  }
}

static void forget_payload(struct monitor *monitor, struct connection *connection) {
  free(connection->payload);
  monitor->pending_bytes -= connection->room;
  connection->payload = NULL;
  connection->room = connection->got = connection->length = connection->header_got = 0;
}

void connection_drop(struct monitor *monitor, struct connection *connection) {
  if (connection->fd < 0) return;
  if (connection->role == ROLE_ATTACH) attach_forget(connection);
  if (connection->owner && connection->task) connection->task->attaches_expected = 0;
  forget_payload(monitor, connection);
  close(connection->fd);
  connection->fd = -1;
}

void connection_sweep(struct monitor *monitor) {
  struct connection **link = &monitor->connections;
  while (*link) {
    struct connection *connection = *link;
    if (connection->fd >= 0) {
      link = &connection->next;
      continue;
    }
    *link = connection->next;
    free(connection);
    monitor->connection_count--;
  }
}

void connection_send(struct monitor *monitor, struct connection *connection, const char *payload, size_t length) {
  char frame[FRAME_HEADER + REPORT_BYTES_MAX];
  const uint8_t header[FRAME_HEADER] = {FRAME_VERSION, FRAME_REPORT, 0, 0, (uint8_t)length, (uint8_t)(length >> 8)};
  if (connection->fd < 0) return;
  memcpy(frame, header, sizeof header);
  memcpy(frame + sizeof header, payload, length);
  ssize_t put = send(connection->fd, frame, FRAME_HEADER + length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put != (ssize_t)(FRAME_HEADER + length)) connection_drop(monitor, connection);
}

void connection_report(struct monitor *monitor, struct connection *connection, const char *kind, ...) {
  char payload[REPORT_BYTES_MAX];
  va_list fields;
  va_start(fields, kind);
  size_t length = report_encode(payload, sizeof payload, kind, fields);
  va_end(fields);
  connection_send(monitor, connection, payload, length);
}

void connection_fail(struct monitor *monitor, struct connection *connection, const struct failure *failure) {
  char error[16];
  snprintf(error, sizeof error, "%d", failure->error);
  connection_report(monitor, connection, "failed", failure->step, failure->path, error, failure->message, NULL);
}

static void refuse(struct monitor *monitor, struct connection *connection, const char *why) {
  connection_report(monitor, connection, "failed", "frame", "", "0", why, NULL);
  connection_drop(monitor, connection);
}

static size_t frame_length(const uint8_t *header) {
  return header[4] | (size_t)header[5] << 8 | (size_t)header[6] << 16 | (size_t)header[7] << 24;
}

// The payload's memory grows with what has really come.
static bool make_room(struct monitor *monitor, struct connection *connection) {
  if (connection->got < connection->room || connection->room == connection->length) return true;
  size_t room = connection->room ? connection->room * 2 : GROWTH;
  if (room > connection->length) room = connection->length;
  if (monitor->pending_bytes + room - connection->room > PENDING_BYTES_MAX) return false;
  char *larger = realloc(connection->payload, room);
  if (!larger) return false;
  monitor->pending_bytes += room - connection->room;
  connection->payload = larger;
  connection->room = room;
  return true;
}

static void take_header(struct monitor *monitor, struct connection *connection) {
  const uint8_t *header = connection->header;
  if (header[0] != FRAME_VERSION || header[1] != FRAME_PLAN || header[2] || header[3])
    return refuse(monitor, connection, "the frame is not a plan of version 1");
  connection->length = frame_length(header);
  if (!connection->length || connection->length > PLAN_BYTES_MAX)
    refuse(monitor, connection, "the plan is empty or too long");
}

static void read_request(struct monitor *monitor, struct connection *connection) {
  bool in_header = connection->header_got < FRAME_HEADER;
  if (!in_header && !make_room(monitor, connection)) return refuse(monitor, connection, "out of memory");
  void *to = in_header ? (void *)(connection->header + connection->header_got) : connection->payload + connection->got;
  size_t want = in_header ? FRAME_HEADER - connection->header_got : connection->room - connection->got;
  ssize_t got = recv(connection->fd, to, want, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return connection_drop(monitor, connection);
  if (in_header) {
    connection->header_got += (size_t)got;
    if (connection->header_got == FRAME_HEADER) take_header(monitor, connection);
    if (connection->fd >= 0 && connection->header_got == FRAME_HEADER) read_request(monitor, connection);
    return;
  }
  connection->got += (size_t)got;
  if (connection->got < connection->length) return;
  char *payload = connection->payload;
  size_t length = connection->length;
  connection->payload = NULL;
  forget_payload(monitor, connection);
  request_perform(monitor, connection, payload, length);
}

// A watching client has nothing more to say; its end is a hang-up, a half-close is none.
static void ignore_input(struct monitor *monitor, struct connection *connection) {
  char bytes[4096];
  ssize_t got = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got == 0) connection->input_ended = true;
  if (got < 0 && errno != EAGAIN && errno != EINTR) connection_drop(monitor, connection);
}

// Closing a socket with unread bytes would make the client lose what it has not read yet.
void connection_linger(struct monitor *monitor, struct connection *connection) {
  attach_forget(connection);
  shutdown(connection->fd, SHUT_WR);
  connection->role = ROLE_LINGER;
  connection->task = NULL;
  connection->linger_deadline = now_ms() + LINGER_MS;
  if (connection->input_ended) connection_drop(monitor, connection);
}

short connection_events(const struct connection *connection) {
  const struct task *task = connection->task;
  short events = 0;
  if (connection->role == ROLE_REQUEST || !connection->input_ended) events = POLLIN;
  if (connection->role == ROLE_ATTACH) {
    if (connection->wants[0] && task->input.bytes) events = 0;
    if (connection->cursor) events |= POLLOUT;
  }
  return events;
}

void connection_ready(struct monitor *monitor, struct connection *connection, short events) {
  bool gone = events & (POLLHUP | POLLERR);
  switch (connection->role) {
    case ROLE_REQUEST:
      // A client may send its request and hang up at once; the end of file comes after the request.
      read_request(monitor, connection);
      return;
    case ROLE_WATCH:
      if (gone)
        connection_drop(monitor, connection);
      else
        ignore_input(monitor, connection);
      return;
    case ROLE_ATTACH:
      if (gone) {
        input_finish(monitor, connection);
        connection_drop(monitor, connection);
        return;
      }
      if (events & POLLOUT) attach_pump(monitor, connection);
      if (connection->fd >= 0 && events & POLLIN) input_accept(monitor, connection);
      return;
    case ROLE_LINGER:
      if (!gone) ignore_input(monitor, connection);
      if (gone || connection->input_ended) connection_drop(monitor, connection);
      return;
  }
}
