// The bytes inside a run of data frames: read without copying, written in large frames.
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "plan.h"
#include "report.h"

int stream_in_open(struct stream_in *in, int fd) {
  memset(in, 0, sizeof *in);
  in->fd = fd;
  in->buffer = malloc(FRAME_BYTES_MAX);
  return in->buffer ? 0 : -1;
}

void stream_in_close(struct stream_in *in) {
  free(in->buffer);
  in->buffer = NULL;
}

static int next_frame(struct stream_in *in) {
  uint8_t header[FRAME_HEADER];
  ssize_t got = read_full(in->fd, header, sizeof header);
  if (got != sizeof header) return errno = got < 0 ? errno : EPIPE, -1;
  uint32_t length = header[4] | (uint32_t)header[5] << 8 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 24;
  if (header[0] != FRAME_VERSION || header[1] != FRAME_DATA || header[2] || header[3] || length > FRAME_BYTES_MAX)
    return errno = EPROTO, -1;
  in->frame_left = length;
  if (length == 0) in->ended = true;
  return 0;
}

ssize_t stream_peek(struct stream_in *in, const uint8_t **bytes) {
  if (in->at == in->filled) {
    if (!in->ended && in->frame_left == 0 && next_frame(in)) return -1;
    if (in->ended) return 0;
    ssize_t got;
    do got = read(in->fd, in->buffer, in->frame_left);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return errno = got < 0 ? errno : EPIPE, -1;
    in->at = 0;
    in->filled = (size_t)got;
    in->frame_left -= (size_t)got;
    in->total += (uint64_t)got;
    if (in->limit && in->total > in->limit) return errno = EFBIG, -1;
  }
  *bytes = in->buffer + in->at;
  return (ssize_t)(in->filled - in->at);
}

void stream_take(struct stream_in *in, size_t count) { in->at += count; }

ssize_t stream_read(struct stream_in *in, void *out, size_t count) {
  size_t done = 0;
  while (done < count) {
    const uint8_t *bytes;
    ssize_t ready = stream_peek(in, &bytes);
    if (ready < 0) return -1;
    if (ready == 0) break;
    size_t part = (size_t)ready < count - done ? (size_t)ready : count - done;
    memcpy((uint8_t *)out + done, bytes, part);
    stream_take(in, part);
    done += part;
  }
  return (ssize_t)done;
}

int64_t stream_skip(struct stream_in *in, uint64_t count) {
  uint64_t done = 0;
  while (done < count) {
    const uint8_t *bytes;
    ssize_t ready = stream_peek(in, &bytes);
    if (ready < 0) return -1;
    if (ready == 0) break;
    size_t part = (uint64_t)ready < count - done ? (size_t)ready : (size_t)(count - done);
    stream_take(in, part);
    done += part;
  }
  return (int64_t)done;
}

int stream_refuse(struct stream_in *in, const struct failure *failure) {
  struct timeval patience = {.tv_sec = 10};
  int result = report_failure(in->fd, failure);
  shutdown(in->fd, SHUT_WR);
  setsockopt(in->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  in->limit = 0;
  stream_skip(in, UINT64_MAX);
  return result;
}

int stream_out_open(struct stream_out *out, int fd) {
  out->fd = fd;
  out->filled = 0;
  out->frames = 0;
  out->buffer = malloc(FRAME_HEADER + FRAME_BYTES_MAX);
  return out->buffer ? 0 : -1;
}

void stream_out_close(struct stream_out *out) {
  free(out->buffer);
  out->buffer = NULL;
}

static int flush(struct stream_out *out) {
  uint8_t *header = out->buffer;
  uint32_t length = (uint32_t)out->filled;
  memset(header, 0, FRAME_HEADER);
  header[0] = FRAME_VERSION;
  header[1] = FRAME_DATA;
  for (int i = 0; i < 4; i++) header[4 + i] = (uint8_t)(length >> 8 * i);
  out->filled = 0;
  out->frames++;
  return write_full(out->fd, out->buffer, FRAME_HEADER + length);
}

uint8_t *stream_room(struct stream_out *out, size_t *room) {
  if (out->filled == FRAME_BYTES_MAX && flush(out)) return NULL;
  *room = FRAME_BYTES_MAX - out->filled;
  return out->buffer + FRAME_HEADER + out->filled;
}

void stream_put(struct stream_out *out, size_t count) { out->filled += count; }

int stream_write(struct stream_out *out, const void *bytes, size_t count) {
  const uint8_t *from = bytes;
  while (count) {
    size_t room;
    uint8_t *to = stream_room(out, &room);
    if (!to) return -1;
    size_t part = room < count ? room : count;
    memcpy(to, from, part);
    stream_put(out, part);
    from += part;
    count -= part;
  }
  return 0;
}

int stream_finish(struct stream_out *out) {
  if (out->filled && flush(out)) return -1;
  return flush(out);
}
