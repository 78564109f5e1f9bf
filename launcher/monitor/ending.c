// How a process's life ends: reaped, recorded, its streams drained, told to everyone who waits.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor.h"

enum { WAIT_BY_PIDFD = 3, DRAIN_READS_MAX = 64 };

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool task_running(const struct task *task) { return task->phase == PHASE_RUNNING; }

struct task *task_find(struct monitor *monitor, const char *id) {
  struct task *task = monitor->tasks;
  while (task && strcmp(task->id, id)) task = task->next;
  return task;
}

static size_t encode(char *buffer, size_t size, const char *kind, ...) {
  va_list fields;
  va_start(fields, kind);
  size_t length = report_encode(buffer, size, kind, fields);
  va_end(fields);
  return length;
}

size_t exited_encode(char *buffer, size_t size, const struct ending *ending) {
  char code[16], signal[16], finished[24];
  snprintf(code, sizeof code, "%d", ending->code);
  snprintf(signal, sizeof signal, "%d", ending->signal);
  snprintf(finished, sizeof finished, "%llu", (unsigned long long)ending->finished_ns);
  return encode(buffer, size, "exited", code, signal, ending->oom ? "1" : "0", finished, "", NULL);
}

static void note_ending(struct ending *ending, int waited, const siginfo_t *died) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  ending->finished_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
  ending->signal = waited == 0 && died->si_code != CLD_EXITED ? died->si_status : 0;
  ending->code = waited ? 255 : ending->signal ? 128 + ending->signal : died->si_status;
}

static void record_init(struct monitor *monitor, struct ending *ending) {
  char payload[256];
  if (monitor->kill_cgroup) cgroup_kill_rest(monitor->kill_cgroup);
  if (!monitor->record_path) return;
  size_t length = exited_encode(payload, sizeof payload, ending);
  // Without a record the watchers still learn the end; a daemon that comes later finds a monitor gone.
  exit_record_write(monitor->record_path, monitor->record, monitor->record_sync, payload, length);
  monitor->record = -1;
}

void task_reap(struct monitor *monitor, struct task *task) {
  siginfo_t died = {0};
  int waited = waitid((idtype_t)WAIT_BY_PIDFD, (id_t)task->process.pidfd, &died, WEXITED | WNOHANG);
  if (waited && errno == EINTR) return;
  if (!waited && !died.si_pid) return;
  note_ending(&task->ending, waited, &died);
  close(task->process.pidfd);
  task->process.pidfd = -1;
  task->ending.oom = oom_at_end(monitor, task == monitor->tasks);
  if (task == monitor->tasks) record_init(monitor, &task->ending);
  task->phase = PHASE_ENDED;
  task->drain_deadline = 0;
  task_drain(monitor, task);
}

// Who connected before still gets an answer.
static void stop_listening(struct monitor *monitor) {
  connection_accept(monitor);
  close(monitor->listening);
  monitor->listening = -1;
}

static void tell(struct monitor *monitor, struct task *task) {
  char payload[256];
  bool is_init = task == monitor->tasks;
  size_t length = exited_encode(payload, sizeof payload, &task->ending);
  // A successor may make its own socket at the same path as soon as the end is known.
  if (is_init) unlink(monitor->socket_path);
  task->phase = PHASE_TOLD;
  for (struct connection *watcher = monitor->connections; watcher; watcher = watcher->next) {
    if (watcher->fd < 0 || watcher->role != ROLE_WATCH || watcher->task != task) continue;
    connection_send(monitor, watcher, payload, length);
    if (watcher->fd >= 0) task->delivered = true;
    if (!is_init) connection_drop(monitor, watcher);
  }
  streams_close(task);
  attach_close_done(monitor, task);
  if (!is_init) return;
  stop_listening(monitor);
  clean_begin(monitor);
}

// True once nothing more will come from the source.
static bool drain_source(struct monitor *monitor, struct task *task, struct source *source, bool late) {
  // Clients that stall no longer matter: at most what the pipe holds is left, and others may fill it again.
  for (int i = 0; source->fd >= 0 && i < DRAIN_READS_MAX; i++) {
    enum read_result result = source_read(monitor, task, source);
    if (result == READ_SOME) {
      task->quiet_deadline = now_ms() + DRAIN_QUIET_MS;
      continue;
    }
    if (result == READ_END || late) source_end(monitor, task, source);
    break;
  }
  if (late && source->fd >= 0) source_end(monitor, task, source);
  return source->fd < 0;
}

void task_drain(struct monitor *monitor, struct task *task) {
  int64_t now = now_ms();
  if (task->phase != PHASE_ENDED || task->attaches_expected) return;
  if (!task->drain_deadline) {
    task->drain_deadline = now + DRAIN_TOTAL_MS;
    task->quiet_deadline = now + DRAIN_QUIET_MS;
  }
  bool late = now >= task->drain_deadline || now >= task->quiet_deadline;
  bool out = drain_source(monitor, task, &task->outputs[0], late);
  bool err = drain_source(monitor, task, &task->outputs[1], late);
  if (out && err) tell(monitor, task);
}

void task_free(struct monitor *monitor, struct task *task) {
  struct task **link = &monitor->tasks;
  while (*link && *link != task) link = &(*link)->next;
  if (*link) *link = task->next;
  for (struct connection *connection = monitor->connections; connection; connection = connection->next) {
    if (connection->task != task) continue;
    connection_drop(monitor, connection);
    connection->task = NULL;
  }
  streams_close(task);
  if (task->process.pidfd >= 0) close(task->process.pidfd);
  free(task);
}

static bool has_clients(const struct monitor *monitor, const struct task *task) {
  for (const struct connection *connection = monitor->connections; connection; connection = connection->next)
    if (connection->fd >= 0 && connection->task == task) return true;
  return false;
}

// New execs are put in front, so the last one that fits is the oldest; those whose end is known go first.
void finished_execs_trim(struct monitor *monitor) {
  uint32_t finished = 0;
  for (;;) {
    struct task *oldest = NULL;
    finished = 0;
    for (struct task *task = monitor->tasks->next; task; task = task->next) {
      if (task->phase != PHASE_TOLD || has_clients(monitor, task)) continue;
      finished++;
      if (!oldest || task->delivered >= oldest->delivered) oldest = task;
    }
    if (finished <= FINISHED_EXECS_MAX) return;
    task_free(monitor, oldest);
  }
}
