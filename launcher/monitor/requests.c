// What a client may ask of a monitor: attach, watch, signal, resize, exec, log-rotate, name-relay, state.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor.h"
#include "names.h"

// 0 after the answer was sent or the connection became something else; -1 with the failure filled.
typedef int request_function(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                             struct failure *failure);

struct allowed {
  const char *name;
  uint32_t count;
};

struct verb {
  const char *name;
  uint32_t count;  // arguments of the verb itself
  request_function *perform;
  struct allowed operations[3];  // an exec's are checked by join_spawn
};

// The task that `exec ID` names, or the init.
static struct task *find_task(struct monitor *monitor, const struct plan *plan, struct failure *failure) {
  const struct operation *exec = plan_find(plan, "exec", 0);
  const char *id = exec ? exec->args[0] : "";
  struct task *task = exec && !*id ? NULL : task_find(monitor, id);
  if (!task) fail(failure, "exec", id, ESRCH, "no such exec");
  return task;
}

static int require_running(const struct task *task, struct failure *failure) {
  return task_running(task) ? 0 : fail(failure, "signal", task->id, ESRCH, "the process has ended");
}

static bool parse_streams(char *text, bool wants[3]) {
  static const char *const names[3] = {"stdin", "stdout", "stderr"};
  char *rest;
  for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
    int n = 0;
    while (n < 3 && strcmp(word, names[n])) n++;
    if (n == 3) return false;
    wants[n] = true;
  }
  return wants[0] || wants[1] || wants[2];
}

static int perform_attach(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                          struct failure *failure) {
  struct task *task = find_task(monitor, plan, failure);
  const struct operation *streams = plan_find(plan, "streams", 0);
  char text[64];
  bool wants[3] = {false};
  if (!task) return -1;
  if (!streams || snprintf(text, sizeof text, "%s", streams->args[0]) >= (int)sizeof text || !parse_streams(text, wants))
    return fail(failure, "attach", NULL, EINVAL, "attach wants streams: any of stdin, stdout and stderr");
  if (task->phase == PHASE_TOLD) return fail(failure, "attach", task->id, ESRCH, "the process has ended");
  connection_report(monitor, connection, "ok", NULL);
  if (connection->fd < 0) return 0;
  connection->role = ROLE_ATTACH;
  connection->task = task;
  memcpy(connection->wants, wants, sizeof wants);
  if (task->attaches_expected) task->attaches_expected--;
  return 0;
}

static void report_started(struct monitor *monitor, struct connection *connection, const struct task *task) {
  char pid[16];
  snprintf(pid, sizeof pid, "%d", task->process.pid);
  connection_report(monitor, connection, "started", pid, NULL);
}

static int perform_watch(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                         struct failure *failure) {
  char payload[256];
  struct task *task = find_task(monitor, plan, failure);
  if (!task) return -1;
  report_started(monitor, connection, task);
  if (connection->fd < 0) return 0;
  connection->role = ROLE_WATCH;
  connection->task = task;
  if (task == monitor->tasks) oom_tell(monitor, connection);
  if (connection->fd < 0 || task->phase != PHASE_TOLD) return 0;
  connection_send(monitor, connection, payload, exited_encode(payload, sizeof payload, &task->ending));
  task->delivered = true;
  // The init's watchers wait for the cleaning, which the closed connection tells.
  if (task != monitor->tasks || monitor->cleaned) connection_drop(monitor, connection);
  return 0;
}

static int perform_signal(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                          struct failure *failure) {
  const struct operation *number = plan_find(plan, "number", 0);
  struct task *task = find_task(monitor, plan, failure);
  uint64_t signal;
  if (!task) return -1;
  if (!number || !parse_u64(number->args[0], 10, 64, &signal))
    return fail(failure, "signal", NULL, EINVAL, "signal wants a number from 0 to 64");
  if (require_running(task, failure)) return -1;
  if (syscall(SYS_pidfd_send_signal, task->process.pidfd, (int)signal, NULL, 0))
    return fail(failure, "signal", task->id, errno, errno == ESRCH ? "the process has ended" : "the signal was refused");
  connection_report(monitor, connection, "ok", NULL);
  return 0;
}

static int perform_resize(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                          struct failure *failure) {
  const struct operation *size = plan_find(plan, "size", 0);
  struct task *task = find_task(monitor, plan, failure);
  uint64_t rows, columns;
  if (!task) return -1;
  if (!size || !parse_u64(size->args[0], 10, UINT16_MAX, &rows) || !parse_u64(size->args[1], 10, UINT16_MAX, &columns))
    return fail(failure, "resize", NULL, EINVAL, "resize wants rows and columns from 0 to 65535");
  if (require_running(task, failure)) return -1;
  if (!task->tty) return fail(failure, "resize", task->id, ENOTTY, "the process has no tty");
  struct winsize window = {.ws_row = (uint16_t)rows, .ws_col = (uint16_t)columns};
  if (ioctl(task->outputs[0].fd, TIOCSWINSZ, &window)) return fail(failure, "resize", task->id, errno, "the tty refused");
  connection_report(monitor, connection, "ok", NULL);
  return 0;
}

static uint32_t count_tasks(const struct monitor *monitor, bool running) {
  uint32_t count = 0;
  for (const struct task *task = monitor->tasks->next; task; task = task->next) count += !running || task_running(task);
  return count;
}

static int start_exec(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                      struct task *task, struct failure *failure) {
  struct stdio_ends ends;
  struct request request = *monitor->request;
  request.plan = plan;
  request.connection = connection->fd;
  if (expect_attaches(task, plan, failure) || streams_open(task, plan, &ends, failure)) return -1;
  if (join_spawn(&request, &monitor->tasks->process, &ends, &task->process, failure)) {
    streams_close(task);
    return -1;
  }
  streams_ready(task, &ends);
  task->next = monitor->tasks->next;
  monitor->tasks->next = task;
  report_started(monitor, connection, task);
  // The client may be gone already; the exec runs all the same.
  connection->role = ROLE_WATCH;
  connection->task = task;
  connection->owner = true;
  if (connection->fd < 0) task->attaches_expected = 0;
  return 0;
}

static int perform_exec(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                        struct failure *failure) {
  const char *id = plan->operations[0].args[0];
  size_t length = strlen(id);
  if (!length || length > EXEC_ID_MAX) return fail(failure, "exec", NULL, EINVAL, "an exec's ID has 1 to 128 bytes");
  if (task_find(monitor, id)) return fail(failure, "exec", id, EEXIST, "there is an exec of that ID");
  if (require_running(monitor->tasks, failure)) return -1;
  if (count_tasks(monitor, true) >= EXECS_MAX) return fail(failure, "exec", id, EAGAIN, "too many execs run at once");
  struct task *task = calloc(1, sizeof *task);
  if (!task) return fail(failure, "exec", id, ENOMEM, "out of memory");
  memcpy(task->id, id, length);
  if (!start_exec(monitor, connection, plan, task, failure)) return 0;
  free(task);
  return -1;
}

static int perform_log_rotate(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                              struct failure *failure) {
  if (monitor->log.fd >= 0 && log_rotate(&monitor->log))
    return fail(failure, "log-rotate", monitor->log.path, errno, "the log cannot be rotated");
  connection_report(monitor, connection, "ok", NULL);
  return 0;
}

static int perform_name_relay(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                              struct failure *failure) {
  enum { NETWORK = 1 };  // see hold_namespaces
  if (require_running(monitor->tasks, failure)) return -1;
  if (monitor->namespaces[NETWORK] < 0)
    return fail(failure, "name-relay", NULL, ENOENT, "the container's network namespace is not known");
  if (names_open(monitor, monitor->namespaces[NETWORK], &plan->operations[0], failure)) return -1;
  connection_report(monitor, connection, "ok", NULL);
  return 0;
}

static int perform_state(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                         struct failure *failure) {
  char pid[16], execs[16], dropped[24];
  snprintf(pid, sizeof pid, "%d", monitor->tasks->process.pid);
  snprintf(execs, sizeof execs, "%u", count_tasks(monitor, true));
  snprintf(dropped, sizeof dropped, "%llu", (unsigned long long)monitor->log.dropped);
  connection_report(monitor, connection, "ok", "pid", pid, "execs", execs, "dropped", dropped, NULL);
  return 0;
}

static const struct verb verbs[] = {
    {"attach", 0, perform_attach, {{"streams", 1}, {"exec", 1}}},
    {"watch", 0, perform_watch, {{"exec", 1}}},
    {"signal", 0, perform_signal, {{"number", 1}, {"exec", 1}}},
    {"resize", 0, perform_resize, {{"size", 2}, {"exec", 1}}},
    {"exec", 1, perform_exec, {{NULL, 0}}},
    {"log-rotate", 0, perform_log_rotate, {{NULL, 0}}},
    {"name-relay", 2, perform_name_relay, {{NULL, 0}}},
    {"name-relay", 3, perform_name_relay, {{NULL, 0}}},
    {"state", 0, perform_state, {{NULL, 0}}},
};

static const struct verb *find_verb(const struct operation *operation) {
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(operation->name, verbs[i].name) && operation->count == verbs[i].count) return &verbs[i];
  return NULL;
}

static bool is_allowed(const struct verb *verb, const struct operation *operation) {
  for (const struct allowed *allowed = verb->operations; allowed->name; allowed++)
    if (!strcmp(allowed->name, operation->name) && allowed->count == operation->count) return true;
  return false;
}

static int perform(struct monitor *monitor, struct connection *connection, const struct plan *plan,
                   struct failure *failure) {
  const struct verb *verb = find_verb(&plan->operations[0]);
  if (!verb) return fail(failure, plan->operations[0].name, NULL, EINVAL, "a monitor has no such verb");
  for (uint32_t i = 1; i < plan->count && verb->perform != perform_exec; i++)
    if (!is_allowed(verb, &plan->operations[i]))
      return fail(failure, plan->operations[i].name, NULL, EINVAL, "%s does not take this operation", verb->name);
  return verb->perform(monitor, connection, plan, failure);
}

void request_perform(struct monitor *monitor, struct connection *connection, char *payload, size_t length) {
  struct plan plan;
  struct failure failure;
  const char *wrong = plan_decode(&plan, payload, length);
  if (wrong) {
    connection_report(monitor, connection, "failed", "plan", "", "0", wrong, NULL);
    connection_drop(monitor, connection);
    return;
  }
  if (perform(monitor, connection, &plan, &failure)) connection_fail(monitor, connection, &failure);
  plan_free(&plan);
}
