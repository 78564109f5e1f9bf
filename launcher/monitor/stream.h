// The bytes inside a run of data frames: read without copying, written in large frames.
#ifndef SLOOP_STREAM_H
#define SLOOP_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stream_in {
  int fd;
  uint8_t *buffer;    // FRAME_BYTES_MAX bytes, owned
  size_t at, filled;  // unread part of the buffer
  size_t frame_left;  // bytes of the current frame still in the socket
  bool ended;         // the empty frame has been seen
  uint64_t total;     // bytes taken so far
  uint64_t limit;     // 0 = none; more bytes than this fail with EFBIG
};

int stream_in_open(struct stream_in *in, int fd);
void stream_in_close(struct stream_in *in);
// Bytes ready at *bytes (at least one); 0 at the end; -1 with errno (EPROTO: bad frame, EPIPE: the client has gone).
ssize_t stream_peek(struct stream_in *in, const uint8_t **bytes);
void stream_take(struct stream_in *in, size_t count);
// Copies exactly count bytes, or fewer at the end of the stream. -1 with errno.
ssize_t stream_read(struct stream_in *in, void *out, size_t count);
// Discards up to count bytes and returns how many there were. -1 with errno.
int64_t stream_skip(struct stream_in *in, uint64_t count);

// Reports a failure, then takes what still comes until the stream's end or ten silent seconds: a client that is still sending
// would lose the report. -1 when the client has gone.
struct failure;
int stream_refuse(struct stream_in *in, const struct failure *failure);

struct stream_out {
  int fd;
  uint8_t *buffer;  // frame header, then FRAME_BYTES_MAX bytes
  size_t filled;
  uint64_t frames;  // sent so far
};

int stream_out_open(struct stream_out *out, int fd);
void stream_out_close(struct stream_out *out);
// Room for at least one byte at the returned place; *room says how much. NULL when the client has gone.
uint8_t *stream_room(struct stream_out *out, size_t *room);
void stream_put(struct stream_out *out, size_t count);
int stream_write(struct stream_out *out, const void *bytes, size_t count);
// Sends what is buffered, then the empty frame.
int stream_finish(struct stream_out *out);
#endif
