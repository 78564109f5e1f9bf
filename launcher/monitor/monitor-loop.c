// The monitor's loop: one thread, one poll, and the few things that wait for a moment in time.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor.h"
#include "names.h"

enum { QUIET_MS = 1000 };
enum entry_kind { ENTRY_OUTPUT, ENTRY_INPUT, ENTRY_CONNECTION, ENTRY_LISTENING, ENTRY_PROCESS, ENTRY_OOM, ENTRY_NAMES };

struct poll_entry {
  enum entry_kind kind;
  struct task *task;
  union {
    struct source *source;
    struct connection *connection;
  };
};

static bool make_room(struct monitor *monitor, uint32_t count) {
  if (count < monitor->poll_room) return true;
  uint32_t room = monitor->poll_room ? monitor->poll_room * 2 : 16;
  struct poll_entry *entries = realloc(monitor->entries, room * sizeof *entries);
  if (entries) monitor->entries = entries;
  struct pollfd *polled = entries ? realloc(monitor->polled, room * sizeof *polled) : NULL;
  if (!polled) return false;
  monitor->polled = polled;
  monitor->poll_room = room;
  return true;
}

static void add(struct monitor *monitor, uint32_t *count, int fd, short events, struct poll_entry entry) {
  if (fd < 0 || !make_room(monitor, *count)) return;
  monitor->polled[*count] = (struct pollfd){.fd = fd, .events = events};
  monitor->entries[(*count)++] = entry;
}

// Processes come last: what they wrote before they died, and who came before, is seen first.
static uint32_t collect(struct monitor *monitor, int64_t now) {
  uint32_t count = 0;
  for (struct task *task = monitor->tasks; task; task = task->next) {
    for (int i = 0; i < 2; i++) {
      struct source *source = &task->outputs[i];
      if (source->rest_until && now >= source->rest_until) source->rest_until = 0;
      if (source_wanted(task, source))
        add(monitor, &count, source->fd, POLLIN, (struct poll_entry){ENTRY_OUTPUT, task, {.source = source}});
    }
    if (task->input.bytes)
      add(monitor, &count, task->input.fd, POLLOUT, (struct poll_entry){ENTRY_INPUT, task, {NULL}});
  }
  for (struct connection *connection = monitor->connections; connection; connection = connection->next)
    add(monitor, &count, connection->fd, connection_events(connection),
        (struct poll_entry){ENTRY_CONNECTION, NULL, {.connection = connection}});
  if (now >= monitor->accept_after)
    add(monitor, &count, monitor->listening, POLLIN, (struct poll_entry){ENTRY_LISTENING, NULL, {NULL}});
  if (!monitor->oom.rest_until)
    add(monitor, &count, monitor->oom.event, monitor->oom.polled, (struct poll_entry){ENTRY_OOM, NULL, {NULL}});
  if (monitor->names)
    add(monitor, &count, monitor->names->poll, POLLIN, (struct poll_entry){ENTRY_NAMES, NULL, {NULL}});
  for (struct task *task = monitor->tasks; task; task = task->next)
    add(monitor, &count, task->process.pidfd, POLLIN, (struct poll_entry){ENTRY_PROCESS, task, {NULL}});
  return count;
}

static void soonest(int64_t *deadline, int64_t moment) {
  if (!*deadline || moment < *deadline) *deadline = moment;
}

static int next_timeout(const struct monitor *monitor, int64_t now) {
  int64_t deadline = 0;
  for (const struct task *task = monitor->tasks; task; task = task->next) {
    if (task->attaches_expected) soonest(&deadline, task->attach_deadline);
    if (task->phase == PHASE_ENDED && task->drain_deadline) {
      soonest(&deadline, task->quiet_deadline);
      soonest(&deadline, task->drain_deadline);
    }
    for (int i = 0; i < 2; i++)
      if (task->outputs[i].rest_until) soonest(&deadline, task->outputs[i].rest_until);
  }
  for (const struct connection *connection = monitor->connections; connection; connection = connection->next)
    if (connection->role == ROLE_LINGER) soonest(&deadline, connection->linger_deadline);
  if (monitor->oom.event >= 0 && monitor->oom.rest_until) soonest(&deadline, monitor->oom.rest_until);
  if (monitor->oom.look_at) soonest(&deadline, monitor->oom.look_at);
  if (monitor->names && names_deadline(monitor->names)) soonest(&deadline, names_deadline(monitor->names));
  if (monitor->warm) soonest(&deadline, monitor->last_read + QUIET_MS);
  if (monitor->accept_after > now) soonest(&deadline, monitor->accept_after);
  if (monitor->cleaning && !monitor->cleaned) soonest(&deadline, monitor->clean_next ? monitor->clean_next : now);
  if (!deadline) return -1;
  return deadline <= now ? 0 : (int)(deadline - now);
}

static void dispatch(struct monitor *monitor, struct poll_entry *entry, short events) {
  switch (entry->kind) {
    case ENTRY_OUTPUT:
      if (entry->source->fd < 0) return;
      if (entry->task->phase == PHASE_ENDED)
        task_drain(monitor, entry->task);
      else if (source_read(monitor, entry->task, entry->source) == READ_END)
        source_end(monitor, entry->task, entry->source);
      return;
    case ENTRY_INPUT:
      input_write(entry->task);
      return;
    case ENTRY_CONNECTION:
      if (entry->connection->fd >= 0) connection_ready(monitor, entry->connection, events);
      return;
    case ENTRY_LISTENING:
      if (monitor->listening >= 0) connection_accept(monitor);
      return;
    case ENTRY_OOM:
      oom_ready(monitor, now_ms());
      return;
    case ENTRY_NAMES:
      if (monitor->names) names_ready(monitor, now_ms());
      return;
    case ENTRY_PROCESS:
      if (entry->task->process.pidfd >= 0) task_reap(monitor, entry->task);
      return;
  }
}

static void keep_time(struct monitor *monitor) {
  int64_t now = now_ms();
  for (struct task *task = monitor->tasks; task; task = task->next) {
    if (task->attaches_expected && now >= task->attach_deadline) task->attaches_expected = 0;
    // Also begins the drain that waited for the last expected client.
    if (task->phase == PHASE_ENDED && (!task->drain_deadline || now >= task->quiet_deadline || now >= task->drain_deadline))
      task_drain(monitor, task);
    if (task->phase == PHASE_TOLD) attach_close_done(monitor, task);
  }
  for (struct connection *connection = monitor->connections; connection; connection = connection->next)
    if (connection->role == ROLE_LINGER && now >= connection->linger_deadline) connection_drop(monitor, connection);
  oom_step(monitor, now);
  names_step(monitor, now);
  if (monitor->warm && now >= monitor->last_read + QUIET_MS) buffers_release(monitor);
  clean_step(monitor);
}

static bool is_finished(const struct monitor *monitor) {
  if (!monitor->cleaned) return false;
  for (const struct task *task = monitor->tasks; task; task = task->next)
    if (task->phase != PHASE_TOLD) return false;
  for (const struct connection *connection = monitor->connections; connection; connection = connection->next)
    if (connection->role == ROLE_ATTACH || connection->role == ROLE_LINGER) return false;
  return true;
}

void monitor_loop(struct monitor *monitor) {
  while (!is_finished(monitor)) {
    int64_t now = now_ms();
    uint32_t count = collect(monitor, now);
    int ready = poll(monitor->polled, count, next_timeout(monitor, now));
    for (uint32_t i = 0; ready > 0 && i < count; i++)
      if (monitor->polled[i].revents) dispatch(monitor, &monitor->entries[i], monitor->polled[i].revents);
    keep_time(monitor);
    connection_sweep(monitor);
    finished_execs_trim(monitor);
  }
  // Who came with the last breath still gets an answer.
  for (struct connection *connection = monitor->connections; connection; connection = connection->next)
    if (connection->fd >= 0 && connection->role == ROLE_REQUEST) connection_ready(monitor, connection, POLLIN);
}
