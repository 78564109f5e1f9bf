// The monitor: the parent of a container's init, for as long as it lives.
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "names.h"
#include "own.h"

enum { LISTEN_BACKLOG = 1024, ATTACHES_MAX = 64 };

int expect_attaches(struct task *task, const struct plan *plan, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "attach-expect", 0);
  uint64_t count = 0;
  if (operation && (operation->count != 1 || !parse_u64(operation->args[0], 10, ATTACHES_MAX, &count)))
    return fail(failure, "attach-expect", NULL, EINVAL, "attach-expect wants a number from 0 to %d", ATTACHES_MAX);
  task->attaches_expected = (uint32_t)count;
  task->attach_deadline = now_ms() + ATTACH_WAIT_MS;
  return 0;
}

static int listen_at(const char *path, struct failure *failure) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path)
    return fail(failure, "monitor-socket", path, ENAMETOOLONG, "a socket's path has at most %zu bytes",
                sizeof address.sun_path - 1);
  strcpy(address.sun_path, path);
  OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(failure, "monitor-socket", path, errno, "no socket can be made");
  // Of a monitor that was killed; a container has one monitor at a time.
  if (unlink(path) && errno != ENOENT) return fail(failure, "monitor-socket", path, errno, "the old socket cannot be removed");
  if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, LISTEN_BACKLOG))
    return fail(failure, "monitor-socket", path, errno, "the monitor cannot listen there");
  return give_fd(&fd);
}

static int read_record(struct monitor *monitor, const struct plan *plan, struct failure *failure) {
  const struct operation *record = plan_find(plan, "exit-record", 0);
  if (!record) return 0;
  if (record->count != 2 || (strcmp(record->args[1], "sync") && strcmp(record->args[1], "nosync")))
    return fail(failure, "exit-record", NULL, EINVAL, "exit-record wants a path and `sync` or `nosync`");
  monitor->record_path = record->args[0];
  monitor->record_sync = !strcmp(record->args[1], "sync");
  // Of an earlier run: it would be taken for this one's.
  if (unlink(monitor->record_path) && errno != ENOENT)
    return fail(failure, "exit-record", monitor->record_path, errno, "the old exit record cannot be removed");
  return 0;
}

// What the init need not wait for, while it puts its root together.
static int prepare_meanwhile(void *context, struct failure *failure) {
  struct monitor *monitor = context;
  const struct plan *plan = monitor->request->plan;
  const char *socket_path = plan_find(plan, "monitor-socket", 0)->args[0];
  if (oom_prepare(&monitor->oom, plan, failure) || read_record(monitor, plan, failure)) return -1;
  if (log_open(&monitor->log, plan, failure)) return -1;
  monitor->listening = listen_at(socket_path, failure);
  if (monitor->listening < 0) return -1;
  monitor->socket_path = socket_path;
  // Who will attach can dial now, while the launch goes on.
  if (monitor->tasks->attaches_expected) report(monitor->request->connection, "listening", NULL);
  oom_watch(monitor);
  // Where that fails it is tried again at the end, when there may be room.
  if (monitor->record_path) monitor->record = exit_record_make(monitor->record_path);
  return 0;
}

static int prepare(struct monitor *monitor, struct stdio_ends *ends, struct failure *failure) {
  const struct plan *plan = monitor->request->plan;
  const struct operation *socket_at = plan_find(plan, "monitor-socket", 0);
  const struct operation *kill_at = plan_find(plan, "kill-on-end", 0);
  if (!socket_at || socket_at->count != 1)
    return fail(failure, "monitor-socket", NULL, EINVAL, "launch wants a monitor-socket");
  if (kill_at && kill_at->count != 1) return fail(failure, "kill-on-end", NULL, EINVAL, "kill-on-end wants a directory");
  if (kill_at) monitor->kill_cgroup = kill_at->args[0];
  if (ports_reserve(monitor, failure) || expect_attaches(monitor->tasks, plan, failure)) return -1;
  if (names_prepare(monitor, failure)) return -1;
  return streams_open(monitor->tasks, plan, ends, failure);
}

// Holding the init's namespaces moves their destruction from its exit to the monitor's cleaning.
static void hold_namespaces(struct monitor *monitor) {
  enum { IOCTL_GET_IPC = _IO(0xff, 2), IOCTL_GET_MOUNT = _IO(0xff, 3), IOCTL_GET_NETWORK = _IO(0xff, 4) };
  const unsigned ioctls[] = {IOCTL_GET_MOUNT, IOCTL_GET_NETWORK, IOCTL_GET_IPC};
  const char *const names[] = {"mnt", "net", "ipc"};
  char path[64];
  for (int i = 0; i < 3; i++) {
    int fd = ioctl(monitor->tasks->process.pidfd, ioctls[i], 0);
    if (fd < 0) {
      snprintf(path, sizeof path, "/proc/%d/ns/%s", monitor->tasks->process.pid, names[i]);
      fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    monitor->namespaces[i] = fd;
  }
}

static int by_number(const void *left, const void *right) { return *(const int *)left - *(const int *)right; }

// Closes every inherited descriptor: held namespaces of others, the launcher's own.
static void close_others(struct monitor *monitor) {
  const struct task *init = monitor->tasks;
  int names[4];
  names_kept(monitor, names);
  const int few[] = {names[0], names[1], names[2], names[3], monitor->connections ? monitor->connections->fd : -1, monitor->listening, monitor->log.fd,
                     monitor->record, monitor->oom.counter, monitor->oom.event,
                     init->process.pidfd, init->outputs[0].fd, init->outputs[1].fd, init->input.fd,
                     monitor->namespaces[0], monitor->namespaces[1], monitor->namespaces[2], monitor->namespaces[3]};
  size_t count = sizeof few / sizeof *few;
  OWN_MEMORY int *kept = malloc((count + monitor->port_count) * sizeof *kept);
  if (!kept) return;
  memcpy(kept, few, sizeof few);
  if (monitor->port_count) memcpy(kept + count, monitor->ports, monitor->port_count * sizeof *kept);
  count += monitor->port_count;
  qsort(kept, count, sizeof *kept, by_number);
  unsigned from = 3;
  for (size_t i = 0; i < count; i++) {
    if (kept[i] < 3) continue;
    if ((unsigned)kept[i] > from) syscall(SYS_close_range, from, (unsigned)kept[i] - 1, 0);
    from = (unsigned)kept[i] + 1;
  }
  syscall(SYS_close_range, from, ~0U, 0);
  monitor->request->host_mounts = monitor->request->host_network = -1;
}

// Becomes a process of its own (the session it has already): deaf to the terminal's signals, nothing of the launcher's kept open.
static void leave_launcher(struct monitor *monitor) {
  const int ignored[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  prctl(PR_SET_NAME, "sloop-monitor");
  if (chdir("/")) return;
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; null >= 0 && fd < 3; fd++) dup2(null, fd);
  if (null > 2) close(null);
  close_others(monitor);
}

static void begin(struct monitor *monitor) {
  char pid[16];
  struct connection *owner = connection_add(monitor, monitor->request->connection);
  struct task *init = monitor->tasks;
  hold_namespaces(monitor);
  snprintf(pid, sizeof pid, "%d", init->process.pid);
  if (owner) {
    owner->role = ROLE_WATCH;
    owner->owner = true;
    owner->task = init;
    connection_report(monitor, owner, "started", pid, NULL);
  }
  if (!owner || owner->fd < 0) init->attaches_expected = 0;
}

static void release(struct monitor *monitor) {
  for (struct connection *connection = monitor->connections; connection; connection = connection->next)
    connection_drop(monitor, connection);
  connection_sweep(monitor);
  while (monitor->tasks) task_free(monitor, monitor->tasks);
  if (monitor->listening >= 0) {
    unlink(monitor->socket_path);
    close(monitor->listening);
  }
  exit_record_drop(monitor->record_path, monitor->record);
  oom_close(&monitor->oom);
  ports_release(monitor);
  names_close(monitor);
  log_close(&monitor->log);
  free(monitor->entries);
  free(monitor->polled);
  free(monitor);
}

int monitor_main(struct request *request, struct failure *failure) {
  struct stdio_ends ends;
  struct monitor *monitor = calloc(1, sizeof *monitor);
  struct task *init = calloc(1, sizeof *init);
  if (!monitor || !init) {
    free(monitor);
    free(init);
    return fail(failure, "launch", NULL, ENOMEM, "out of memory");
  }
  *monitor = (struct monitor){.request = request, .tasks = init, .listening = -1, .record = -1, .log.fd = -1, .oom = {.counter = -1, .event = -1},
                              .namespaces = {-1, -1, -1, -1}};
  init->process.pidfd = init->input.fd = init->outputs[0].fd = init->outputs[1].fd = -1;
  signal(SIGCHLD, SIG_DFL);
  if (prepare(monitor, &ends, failure) || launch_spawn(request, &ends, &init->process, prepare_meanwhile, monitor, failure)) {
    init->process.pidfd = -1;
    release(monitor);
    return -1;
  }
  signal(SIGPIPE, SIG_IGN);
  streams_ready(init, &ends);
  begin(monitor);
  leave_launcher(monitor);
  monitor_loop(monitor);
  release(monitor);
  request->connection = -1;
  return 0;
}
