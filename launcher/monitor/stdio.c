// A process's streams as the monitor sees them: reading its output, feeding its stdin.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor.h"

enum { PIPE_BYTES = 1 << 20, PIPE_BYTES_MODEST = 256 << 10, HUNG_MS = 200, FILL_MS = 1 };

static bool choose(const char *text, const char *yes, const char *no, bool *chosen) {
  *chosen = !strcmp(text, yes);
  return *chosen || !strcmp(text, no);
}

static int read_stdio(const struct plan *plan, struct task *task, struct stdio_ends *ends, bool *open_input,
                      struct failure *failure) {
  const struct operation *operation = plan_find(plan, "stdio", 0);
  uint64_t rows, columns;
  if (!operation) return 0;
  if (operation->count != 5 || !choose(operation->args[0], "tty", "pipe", &task->tty) ||
      !choose(operation->args[1], "open", "closed", open_input) ||
      !choose(operation->args[2], "once", "keep", &task->input.once) ||
      !parse_u64(operation->args[3], 10, UINT16_MAX, &rows) || !parse_u64(operation->args[4], 10, UINT16_MAX, &columns))
    return fail(failure, "stdio", NULL, EINVAL, "stdio wants pipe|tty, open|closed, once|keep, rows and cols");
  ends->tty = task->tty;
  ends->rows = (uint16_t)rows;
  ends->cols = (uint16_t)columns;
  return 0;
}

static int make_pipe(int *mine, int *theirs, bool i_read) {
  int pair[2];
  if (pipe2(pair, O_CLOEXEC)) return -1;
  *mine = pair[!i_read];
  *theirs = pair[i_read];
  return fcntl(*mine, F_SETFL, O_NONBLOCK);
}

int streams_open(struct task *task, const struct plan *plan, struct stdio_ends *ends, struct failure *failure) {
  bool open_input = false;
  *ends = (struct stdio_ends){.in = -1, .out = -1, .err = -1, .console = -1};
  task->outputs[0] = (struct source){.fd = -1, .kind = 1};
  task->outputs[1] = (struct source){.fd = -1, .kind = 2};
  task->input.fd = -1;
  if (read_stdio(plan, task, ends, &open_input, failure)) return -1;
  // A tty's input is its master; closed means that no client's bytes go there.
  if (task->tty) {
    task->input.end_wanted = !open_input;
    return 0;
  }
  int made = open_input ? make_pipe(&task->input.fd, &ends->in, false) : 0;
  if (!open_input) made = ends->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (made < 0 || make_pipe(&task->outputs[0].fd, &ends->out, true) || make_pipe(&task->outputs[1].fd, &ends->err, true)) {
    fail(failure, "stdio", NULL, errno, "the process's streams cannot be made");
    streams_close(task);
    if (ends->in >= 0) close(ends->in);
    if (ends->out >= 0) close(ends->out);
    if (ends->err >= 0) close(ends->err);
    return -1;
  }
  return 0;
}

void streams_ready(struct task *task, const struct stdio_ends *ends) {
  if (!task->tty) return;
  task->outputs[0].fd = ends->console;
  fcntl(ends->console, F_SETFL, O_NONBLOCK);
  fcntl(ends->console, F_SETFD, FD_CLOEXEC);
  if (!task->input.end_wanted) task->input.fd = fcntl(ends->console, F_DUPFD_CLOEXEC, 3);
}

static void input_close(struct input *input) {
  if (input->fd >= 0) close(input->fd);
  free(input->bytes);
  input->fd = -1;
  input->bytes = NULL;
  input->start = input->end = 0;
}

void streams_close(struct task *task) {
  for (int i = 0; i < 2; i++) {
    if (task->outputs[i].fd >= 0) close(task->outputs[i].fd);
    task->outputs[i].fd = -1;
    free(task->outputs[i].stash.bytes);
    task->outputs[i].stash = (struct stash){0};
  }
  input_close(&task->input);
}

static const char *stream_name(const struct source *source) { return source->kind == 1 ? "stdout" : "stderr"; }

void source_end(struct monitor *monitor, struct task *task, struct source *source) {
  if (task == monitor->tasks) log_finish(&monitor->log, &source->stash, stream_name(source));
  if (source->fd >= 0) close(source->fd);
  source->fd = -1;
}

// A writer that keeps a pipe full gets a larger one: fewer switches between it and the monitor.
static void widen(struct source *source) {
  source->wide = true;
  source->deep = fcntl(source->fd, F_SETPIPE_SZ, PIPE_BYTES) >= 0 || fcntl(source->fd, F_SETPIPE_SZ, PIPE_BYTES_MODEST) >= 0;
}

static bool make_buffer(struct monitor *monitor) {
  if (monitor->buffer) return true;
  void *mapped = mmap(NULL, READ_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return false;
  monitor->buffer = mapped;
  return true;
}

static void mark_read(struct monitor *monitor, ssize_t got) {
  if (got > 4096) monitor->warm = true;
  monitor->last_read = now_ms();
}

enum read_result source_read(struct monitor *monitor, struct task *task, struct source *source) {
  if (!make_buffer(monitor)) return READ_NOTHING;
  ssize_t got = read(source->fd, monitor->buffer, READ_BYTES);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return READ_NOTHING;
  // A tty says EIO while nobody has it open; someone may open it again as long as the process lives.
  if (got < 0 && errno == EIO && task_running(task)) {
    source->rest_until = now_ms() + HUNG_MS;
    return READ_NOTHING;
  }
  if (got <= 0) return READ_END;
  if (!source->wide && !task->tty && got >= 64 << 10) widen(source);
  mark_read(monitor, got);
  // A busy writer that is woken and waited for at each of its small writes costs more than its bytes.
  if (source->deep && got < READ_BYTES) source->rest_until = monitor->last_read + FILL_MS;
  // Clients first: they work on it while the log is written.
  attach_deliver(monitor, task, source->kind, monitor->buffer, (size_t)got);
  if (task == monitor->tasks)
    log_write(&monitor->log, &source->stash, stream_name(source), monitor->buffer, (size_t)got);
  return READ_SOME;
}

bool source_wanted(const struct task *task, const struct source *source) {
  return source->fd >= 0 && !task->attaches_expected && !source->rest_until &&
         (task->backlog_bytes < BACKLOG_BYTES_MAX || !task_running(task));
}

void buffers_release(struct monitor *monitor) {
  monitor->warm = false;
  if (monitor->buffer) madvise(monitor->buffer, READ_BYTES, MADV_DONTNEED);
  if (monitor->log.buffer) madvise(monitor->log.buffer, LOG_BUFFER_BYTES, MADV_DONTNEED);
}

void input_write(struct task *task) {
  struct input *input = &task->input;
  while (input->fd >= 0 && input->start < input->end) {
    ssize_t put = write(input->fd, input->bytes + input->start, input->end - input->start);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) {
      input_close(input);
      return;
    }
    input->start += (size_t)put;
  }
  free(input->bytes);
  input->bytes = NULL;
  input->start = input->end = 0;
  if (input->end_wanted && !task->tty) input_close(input);
}

// What the process does not take at once waits; no more is read from clients until it is gone.
static void input_add(struct task *task, const char *bytes, size_t length) {
  struct input *input = &task->input;
  if (input->fd < 0) return;
  while (length && !input->bytes) {
    ssize_t put = write(input->fd, bytes, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) {
      input_close(input);
      return;
    }
    bytes += put;
    length -= (size_t)put;
  }
  if (!length) return;
  char *larger = realloc(input->bytes, input->end + length);
  if (!larger) return;
  memcpy(larger + input->end, bytes, length);
  input->bytes = larger;
  input->end += length;
}

static void input_end(struct task *task) {
  struct input *input = &task->input;
  if (!input->once || task->tty) return;
  input->end_wanted = true;
  if (input->start == input->end) input_close(input);
}

// Reads once; false at the end of what the client will ever send.
static bool input_take(struct monitor *monitor, struct connection *connection, ssize_t *got) {
  *got = 0;
  if (!make_buffer(monitor)) return true;
  *got = recv(connection->fd, monitor->buffer, INPUT_BYTES, MSG_DONTWAIT);
  if (*got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (*got <= 0) return false;
  mark_read(monitor, *got);
  if (connection->wants[0]) input_add(connection->task, monitor->buffer, (size_t)*got);
  return true;
}

void input_accept(struct monitor *monitor, struct connection *connection) {
  ssize_t got;
  if (input_take(monitor, connection, &got)) return;
  connection->input_ended = true;
  if (connection->wants[0]) input_end(connection->task);
}

// The client has gone, but what it sent before still counts: at most its socket's buffer.
void input_finish(struct monitor *monitor, struct connection *connection) {
  ssize_t got = 0;
  if (connection->input_ended || !connection->wants[0]) return;
  for (int i = 0; i < 64 && input_take(monitor, connection, &got) && got > 0; i++) {
  }
  input_end(connection->task);
}
