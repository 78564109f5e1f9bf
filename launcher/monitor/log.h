// The container's log in Docker's json-file form, rotated, never blocking the container.
#ifndef SLOOP_LOG_H
#define SLOOP_LOG_H
#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "report.h"

enum { LINE_BYTES_MAX = 16 << 10, LOG_BUFFER_BYTES = 256 << 10 };

// The beginning of a line whose end has not come yet.
struct stash {
  char *bytes;
  size_t used;
};

struct log {
  int fd;            // -1: not opened yet
  const char *path;  // NULL: there is no log
  uint64_t size, max_bytes, dropped;  // dropped: lines lost because the disk was full
  uint32_t max_files;
  char *buffer;  // LOG_BUFFER_BYTES, mapped
  size_t used;
  char tail[96];  // what follows a line's text, the same for all lines of one read
  size_t tail_length;
};

// Reads what the plan's `log` says; no operation or `none` = no log. A new file is made by the first line. -1 with the failure
// filled.
int log_open(struct log *log, const struct plan *plan, struct failure *failure);
// Takes a piece of a stream; whole lines are in the file when it returns.
void log_write(struct log *log, struct stash *stash, const char *stream, const char *bytes, size_t length);
// Writes an unfinished last line.
void log_finish(struct log *log, struct stash *stash, const char *stream);
// Renames the files one up and begins a new one; -1 with errno (the old file goes on being written).
int log_rotate(struct log *log);
void log_close(struct log *log);

// json-line.c: escapes as Docker does; out has room for 6 bytes for each byte and 16 more. Returns the length.
size_t json_escape(char *out, const char *in, size_t length);
// At most length: the largest cut that does not tear a UTF-8 sequence apart.
size_t utf8_cut(const char *bytes, size_t length);
#endif
