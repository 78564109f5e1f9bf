// Attached clients: each gets every byte, in frames, at its own pace; the slowest one bounds the backlog.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "monitor.h"

enum { OUTPUT_HEADER = 8 };

static bool attached_to(const struct connection *connection, const struct task *task) {
  return connection->fd >= 0 && connection->role == ROLE_ATTACH && connection->task == task;
}

static void trim(struct task *task) {
  while (task->backlog_head && !task->backlog_head->waiters) {
    struct chunk *chunk = task->backlog_head;
    task->backlog_head = chunk->next;
    task->backlog_bytes -= sizeof *chunk + chunk->length;
    free(chunk);
  }
  if (!task->backlog_head) task->backlog_tail = NULL;
}

static void point_at(struct connection *connection, struct chunk *chunk, size_t offset) {
  if (connection->cursor) connection->cursor->waiters--;
  if (chunk) chunk->waiters++;
  connection->cursor = chunk;
  connection->offset = offset;
}

void attach_forget(struct connection *connection) {
  if (!connection->cursor) return;
  point_at(connection, NULL, 0);
  trim(connection->task);
}

static struct chunk *append(struct task *task, uint8_t kind, const struct iovec parts[2]) {
  struct chunk *chunk = malloc(sizeof *chunk + parts[0].iov_len + parts[1].iov_len);
  if (!chunk) return NULL;
  *chunk = (struct chunk){.kind = kind, .length = (uint32_t)(parts[0].iov_len + parts[1].iov_len)};
  memcpy(chunk->bytes, parts[0].iov_base, parts[0].iov_len);
  memcpy(chunk->bytes + parts[0].iov_len, parts[1].iov_base, parts[1].iov_len);
  if (task->backlog_tail)
    task->backlog_tail->next = chunk;
  else
    task->backlog_head = chunk;
  task->backlog_tail = chunk;
  task->backlog_bytes += sizeof *chunk + chunk->length;
  return chunk;
}

// Bytes sent, 0 when the client cannot take any now, -1 when it has gone.
static ssize_t send_parts(int fd, const struct iovec parts[2]) {
  struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = 2};
  ssize_t put = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return put < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) ? 0 : put;
}

void attach_deliver(struct monitor *monitor, struct task *task, uint8_t kind, char *bytes, size_t length) {
  uint8_t header[OUTPUT_HEADER] = {kind, 0, 0, 0, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                                   (uint8_t)(length >> 8), (uint8_t)length};
  const struct iovec parts[2] = {{header, task->tty ? 0 : OUTPUT_HEADER}, {bytes, length}};
  size_t total = parts[0].iov_len + length;
  struct chunk *chunk = NULL;
  bool behind = false;
  for (struct connection *client = monitor->connections; client; client = client->next) {
    if (!attached_to(client, task) || !client->wants[kind]) continue;
    if (client->cursor) {
      behind = true;
      continue;
    }
    ssize_t put = send_parts(client->fd, parts);
    if (put < 0) {
      connection_drop(monitor, client);
    } else if ((size_t)put < total) {
      if (!chunk) chunk = append(task, kind, parts);
      // Without memory the stream would have a hole: better no client than a torn one.
      if (chunk)
        point_at(client, chunk, (size_t)put);
      else
        connection_drop(monitor, client);
    }
  }
  if (behind && !chunk && task->backlog_head && !append(task, kind, parts))
    for (struct connection *client = monitor->connections; client; client = client->next)
      if (attached_to(client, task) && client->wants[kind] && client->cursor) connection_drop(monitor, client);
}

void attach_pump(struct monitor *monitor, struct connection *connection) {
  while (connection->cursor) {
    struct chunk *chunk = connection->cursor;
    size_t left = connection->wants[chunk->kind] ? chunk->length - connection->offset : 0;
    if (left) {
      ssize_t put = send(connection->fd, chunk->bytes + connection->offset, left, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) break;
      if (put < 0) {
        connection_drop(monitor, connection);
        return;
      }
      connection->offset += (size_t)put;
      if ((size_t)put < left) break;
    }
    point_at(connection, chunk->next, 0);
  }
  trim(connection->task);
}

void attach_close_done(struct monitor *monitor, struct task *task) {
  for (struct connection *client = monitor->connections; client; client = client->next)
    if (attached_to(client, task) && !client->cursor) connection_linger(monitor, client);
}
