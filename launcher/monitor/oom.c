// Kills for want of memory: counted by the kernel in a file of the container's cgroup, told while the container runs.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor.h"
#include "own.h"

// Events may come in floods. The v1 event comes right before the kill, which is counted a little later.
enum { REST_MS = 100, FIRST_LOOK_MS = 2, LAST_LOOK_MS = 1000 };

static bool counter_read(const struct oom *oom, uint64_t *value) {
  char text[2048];
  size_t key_length = strlen(oom->key);
  OWN_FD fresh = oom->counter < 0 ? open(oom->file, O_RDONLY | O_CLOEXEC) : -1;
  ssize_t got = pread(oom->counter < 0 ? fresh : oom->counter, text, sizeof text - 1, 0);
  if (got < 0) return false;
  text[got] = 0;
  for (char *line = text, *end; line; line = end ? end + 1 : NULL) {
    end = strchr(line, '\n');
    if (end) *end = 0;
    if (strncmp(line, oom->key, key_length) || line[key_length] != ' ') continue;
    return parse_u64(line + key_length + 1, 10, UINT64_MAX, value);
  }
  return false;
}

int oom_prepare(struct oom *oom, const struct plan *plan, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "oom-counter", 0);
  *oom = (struct oom){.counter = -1, .event = -1};
  if (!operation) return 0;
  if (operation->count != 2) return fail(failure, "oom-counter", NULL, EINVAL, "oom-counter wants a file and a key");
  oom->file = operation->args[0];
  oom->key = operation->args[1];
  // A cgroup that was there before has its own past.
  if (!counter_read(oom, &oom->start)) oom->start = 0;
  oom->seen = oom->told = oom->start;
  return 0;
}

// An event of a v1 cgroup is asked for by writing both descriptors into a file beside the counter.
static int event_of_v1(const struct oom *oom) {
  char text[32];
  const char *slash = strrchr(oom->file, '/');
  size_t room = strlen(oom->file) + 32;
  OWN_MEMORY char *path = malloc(room);
  if (!path || !slash) return -1;
  snprintf(path, room, "%.*s/cgroup.event_control", (int)(slash - oom->file), oom->file);
  OWN_FD event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  OWN_FD control = open(path, O_WRONLY | O_CLOEXEC);
  int length = snprintf(text, sizeof text, "%d %d", event, oom->counter);
  if (event < 0 || control < 0 || write(control, text, (size_t)length) != length) return -1;
  return give_fd(&event);
}

void oom_close(struct oom *oom) {
  if (oom->event >= 0 && oom->event != oom->counter) close(oom->event);
  if (oom->counter >= 0) close(oom->counter);
  oom->event = oom->counter = -1;
}

static uint64_t kills_told(const struct oom *oom) { return oom->told - oom->start; }

void oom_tell(struct monitor *monitor, struct connection *watcher) {
  char kills[24];
  snprintf(kills, sizeof kills, "%llu", (unsigned long long)kills_told(&monitor->oom));
  if (kills_told(&monitor->oom)) connection_report(monitor, watcher, "oom", kills, NULL);
}

// Tells every watcher of the init when the counter has grown; false when it has not.
static bool look(struct monitor *monitor) {
  struct oom *oom = &monitor->oom;
  uint64_t kills;
  if (!oom->file || !counter_read(oom, &kills) || kills <= oom->told) return false;
  oom->told = kills;
  for (struct connection *watcher = monitor->connections; watcher; watcher = watcher->next)
    if (watcher->fd >= 0 && watcher->role == ROLE_WATCH && watcher->task == monitor->tasks) oom_tell(monitor, watcher);
  return true;
}

void oom_watch(struct monitor *monitor) {
  struct oom *oom = &monitor->oom;
  if (!oom->file) return;
  oom->counter = open(oom->file, O_RDONLY | O_CLOEXEC);
  if (oom->counter < 0) return;
  oom->polled = strcmp(strrchr(oom->file, '/') ? strrchr(oom->file, '/') : "", "/memory.oom_control") ? POLLPRI : POLLIN;
  oom->event = oom->polled == POLLPRI ? oom->counter : event_of_v1(oom);
  // What came before is not announced any more; reading also readies POLLPRI.
  look(monitor);
}

void oom_ready(struct monitor *monitor, int64_t now) {
  struct oom *oom = &monitor->oom;
  uint64_t count;
  oom->rest_until = now + REST_MS;
  oom->look_pause = FIRST_LOOK_MS;
  oom->look_at = now;
  // The end of the cgroup is an event too: then there is nothing left to read.
  if (!counter_read(oom, &count)) oom_close(oom), oom->look_at = 0;
  else if (oom->event != oom->counter && read(oom->event, &count, sizeof count) < 0) oom->look_at = 0;
}

void oom_step(struct monitor *monitor, int64_t now) {
  struct oom *oom = &monitor->oom;
  if (oom->rest_until && now >= oom->rest_until) oom->rest_until = 0;
  if (!oom->look_at || now < oom->look_at) return;
  bool grown = look(monitor);
  oom->look_at = grown || oom->polled == POLLPRI || oom->look_pause > LAST_LOOK_MS ? 0 : now + oom->look_pause;
  oom->look_pause *= 2;
}

// The init tells of every kill of its run, so that its record has those that nobody heard of; an exec of new ones.
bool oom_at_end(struct monitor *monitor, bool is_init) {
  struct oom *oom = &monitor->oom;
  look(monitor);
  bool killed = oom->told > (is_init ? oom->start : oom->seen);
  oom->seen = oom->told;
  return killed;
}
