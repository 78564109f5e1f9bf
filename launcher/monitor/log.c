// The container's log in Docker's json-file form, rotated, never blocking the container.
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "made-directory.h"

static int open_file(struct log *log) {
  struct stat status;
  int fd = open_in_made_directory(log->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
  if (fd < 0) return -1;
  if (fstat(fd, &status)) {
    close(fd);
    return -1;
  }
  if (log->fd >= 0) close(log->fd);
  log->fd = fd;
  log->size = (uint64_t)status.st_size;
  return 0;
}

int log_open(struct log *log, const struct plan *plan, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "log", 0);
  uint64_t bytes, files;
  log->fd = -1;
  if (!operation || (operation->count == 1 && !strcmp(operation->args[0], "none"))) return 0;
  if (operation->count != 4 || strcmp(operation->args[0], "json-file"))
    return fail(failure, "log", NULL, EINVAL, "log wants `none`, or `json-file`, path, max bytes, max files");
  if (!parse_u64(operation->args[2], 10, INT64_MAX, &bytes) || !parse_u64(operation->args[3], 10, 10000, &files))
    return fail(failure, "log", operation->args[1], EINVAL, "the log's limits are not numbers");
  log->path = operation->args[1];
  log->max_bytes = bytes;
  log->max_files = files ? (uint32_t)files : 1;
  // The file is made with the first line, but one from before must be fit to be written on.
  if (!access(log->path, F_OK) && open_file(log))
    return fail(failure, "log", log->path, errno, "the log file cannot be opened");
  return 0;
}

int log_rotate(struct log *log) {
  size_t room = strlen(log->path) + 16;
  char from[room], to[room];
  // ext4 writes a file out at once when it is renamed over another one; the oldest is removed instead.
  snprintf(to, room, "%s.%u", log->path, log->max_files - 1);
  if (log->max_files > 1 && unlink(to) && errno != ENOENT) return -1;
  for (uint32_t n = log->max_files - 1; n >= 1; n--) {
    snprintf(to, room, "%s.%u", log->path, n);
    if (n > 1)
      snprintf(from, room, "%s.%u", log->path, n - 1);
    else
      snprintf(from, room, "%s", log->path);
    if (rename(from, to) && errno != ENOENT) return -1;
  }
  // A reader that has the only file open keeps what it has: a new file, not a truncated one.
  if (log->max_files == 1 && unlink(log->path) && errno != ENOENT) return -1;
  return open_file(log);
}

static uint64_t count_lines(const char *bytes, size_t length) {
  uint64_t lines = 0;
  for (const char *at = bytes; (at = memchr(at, '\n', length - (size_t)(at - bytes))); at++) lines++;
  return lines;
}

// On a full disk what does not fit is dropped, and the file is cut back to its last whole line.
static void flush_lines(struct log *log) {
  size_t done = 0;
  while (done < log->used) {
    ssize_t put = write(log->fd, log->buffer + done, log->used - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    done += (size_t)put;
  }
  if (done < log->used) {
    const char *newline = memrchr(log->buffer, '\n', done);
    size_t whole = newline ? (size_t)(newline + 1 - log->buffer) : 0;
    log->dropped += count_lines(log->buffer + whole, log->used - whole);
    if (whole < done && ftruncate(log->fd, (off_t)(log->size + whole))) whole = done;
    done = whole;
  }
  log->size += done;
  log->used = 0;
}

// Nine digits always, so that times sort as text.
static void stamp(struct log *log, const char *stream) {
  char second[32];
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &parts);
  log->tail_length = (size_t)snprintf(log->tail, sizeof log->tail, "\",\"stream\":\"%s\",\"time\":\"%s.%09ldZ\"}\n", stream,
                                      second, now.tv_nsec);
}

static void emit_line(struct log *log, const char *bytes, size_t length, bool whole) {
  if (log->max_bytes && log->size + log->used >= log->max_bytes) {
    flush_lines(log);
    // When rotation fails the file grows on: losing the limit is better than losing the lines.
    if (log->size >= log->max_bytes) log_rotate(log);
  }
  if (log->used + length * 6 + 160 > LOG_BUFFER_BYTES) flush_lines(log);
  char *to = log->buffer + log->used;
  memcpy(to, "{\"log\":\"", 8);
  to += 8;
  to += json_escape(to, bytes, length);
  if (whole) {
    memcpy(to, "\\n", 2);
    to += 2;
  }
  memcpy(to, log->tail, sizeof log->tail);  // of a fixed size: a few moves instead of a call
  log->used = (size_t)(to + log->tail_length - log->buffer);
}

static bool make_buffer(struct log *log) {
  if (log->buffer) return true;
  void *mapped = mmap(NULL, LOG_BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return false;
  log->buffer = mapped;
  return true;
}

static void forget_stash(struct stash *stash) {
  free(stash->bytes);
  stash->bytes = NULL;
  stash->used = 0;
}

// Adds to an unfinished line, at most to its largest length.
static bool add_to_stash(struct stash *stash, const char *bytes, size_t length) {
  if (!stash->bytes) stash->bytes = malloc(LINE_BYTES_MAX);
  if (!stash->bytes) return false;
  memcpy(stash->bytes + stash->used, bytes, length);
  stash->used += length;
  return true;
}

// Writes a full-length piece of a line that goes on; returns how many of the bytes it took.
static size_t emit_piece(struct log *log, struct stash *stash, const char *bytes, size_t room) {
  if (!stash->used) {
    size_t cut = utf8_cut(bytes, LINE_BYTES_MAX);
    emit_line(log, bytes, cut, false);
    return cut;
  }
  memcpy(stash->bytes + stash->used, bytes, room);
  size_t cut = utf8_cut(stash->bytes, LINE_BYTES_MAX);
  emit_line(log, stash->bytes, cut, false);
  memmove(stash->bytes, stash->bytes + cut, LINE_BYTES_MAX - cut);
  stash->used = LINE_BYTES_MAX - cut;
  return room;
}

void log_write(struct log *log, struct stash *stash, const char *stream, const char *bytes, size_t length) {
  if (!log->path) return;
  if (!make_buffer(log) || (log->fd < 0 && open_file(log))) {
    log->dropped += count_lines(bytes, length);
    return;
  }
  stamp(log, stream);
  while (length) {
    size_t room = LINE_BYTES_MAX - stash->used, look = length < room ? length : room, taken;
    const char *newline = memchr(bytes, '\n', look);
    if (newline) {
      size_t line = (size_t)(newline - bytes);
      taken = line + 1;
      if (stash->used) {
        add_to_stash(stash, bytes, line);
        emit_line(log, stash->bytes, stash->used, true);
        forget_stash(stash);
      } else {
        emit_line(log, bytes, line, true);
      }
    } else if (length >= room) {
      taken = emit_piece(log, stash, bytes, room);
    } else {
      if (!add_to_stash(stash, bytes, length)) log->dropped++;
      taken = length;
    }
    bytes += taken;
    length -= taken;
  }
  if (stash->bytes && !stash->used) forget_stash(stash);
  flush_lines(log);
}

void log_finish(struct log *log, struct stash *stash, const char *stream) {
  if (log->path && stash->used && make_buffer(log) && (log->fd >= 0 || !open_file(log))) {
    stamp(log, stream);
    emit_line(log, stash->bytes, stash->used, false);
    flush_lines(log);
  }
  forget_stash(stash);
}

void log_close(struct log *log) {
  if (log->fd >= 0) close(log->fd);
  if (log->buffer) munmap(log->buffer, LOG_BUFFER_BYTES);
  log->fd = -1;
  log->buffer = NULL;
}
