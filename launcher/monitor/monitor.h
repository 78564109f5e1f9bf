// Inside the monitor: what it knows about its container, its execs and the clients that talk to it.
#ifndef SLOOP_MONITOR_H
#define SLOOP_MONITOR_H
#include <stdbool.h>
#include <stdint.h>

#include "log.h"
#include "report.h"
#include "task.h"

enum {
  READ_BYTES = 128 << 10,        // one read of a container's output
  BACKLOG_BYTES_MAX = 1 << 20,   // not yet taken by the slowest attached client
  INPUT_BYTES = 64 << 10,        // one read of a client's stdin
  CONNECTIONS_MAX = 512,
  EXECS_MAX = 1024,
  FINISHED_EXECS_MAX = 64,       // whose exit a later watch can still learn
  EXEC_ID_MAX = 128,
  PENDING_BYTES_MAX = 16 << 20,  // unfinished requests of all connections together
  ATTACH_WAIT_MS = 10000,
  DRAIN_QUIET_MS = 50,           // the process is dead, someone else holds its pipe and says nothing
  DRAIN_TOTAL_MS = 1000,
  LINGER_MS = 2000,
};

// Output that some client has not taken yet, as it goes over the wire. Clients point into one shared list.
struct chunk {
  struct chunk *next;
  uint32_t waiters;  // clients whose next byte is in this chunk
  uint32_t length;
  uint8_t kind;      // 1 stdout, 2 stderr
  char bytes[];
};

struct source {
  int fd;        // -1 once ended
  uint8_t kind;  // 1 stdout, 2 stderr
  bool wide;     // the pipe was to be enlarged
  bool deep;     // and was
  int64_t rest_until;  // a tty without any open slave, or a pipe that shall fill: looked at again then
  struct stash stash;
};

struct input {
  int fd;  // -1: closed
  bool once, end_wanted;
  char *bytes;
  size_t start, end;
};

struct ending {
  int code, signal;
  bool oom;
  uint64_t finished_ns;
};

enum phase { PHASE_RUNNING, PHASE_ENDED, PHASE_TOLD };

// The init (id "") or an exec.
struct task {
  struct task *next;
  char id[EXEC_ID_MAX + 1];
  struct process process;
  bool tty, delivered;
  enum phase phase;
  struct source outputs[2];
  struct input input;
  struct chunk *backlog_head, *backlog_tail;
  size_t backlog_bytes;
  uint32_t attaches_expected;
  int64_t attach_deadline, quiet_deadline, drain_deadline;
  struct ending ending;
};

// Kills for want of memory.
struct oom {
  const char *file, *key;
  int counter, event;           // the open file, and what is polled (v2: the same); -1: not watched
  short polled;                 // events
  uint64_t start, seen, told;   // the counter at the container's start, when a task last ended, as told
  int64_t rest_until, look_at;  // not polled until then; looked at then; 0: no
  int look_pause;
};

enum role { ROLE_REQUEST, ROLE_WATCH, ROLE_ATTACH, ROLE_LINGER };

struct connection {
  struct connection *next;
  int fd;  // -1: dropped, freed by the next sweep
  enum role role;
  bool owner;         // brought the plan of its task
  bool input_ended;   // the client half-closed
  bool wants[3];      // attach: stdin, stdout, stderr
  struct task *task;  // watch, attach
  struct chunk *cursor;
  size_t offset;
  int64_t linger_deadline;
  uint8_t header[FRAME_HEADER];
  size_t header_got, got, length, room;
  char *payload;
};

struct names;

struct monitor {
  struct request *request;
  struct task *tasks;  // the first is the init
  struct connection *connections;
  uint32_t connection_count;
  size_t pending_bytes;
  int listening;
  const char *socket_path, *record_path;
  bool record_sync;
  int record;  // the file that becomes the record, made while the container starts; -1 = not made
  struct log log;
  char *buffer;  // READ_BYTES, mapped
  bool warm;     // the buffers have been used since they were last given back
  int64_t last_read, accept_after;
  struct names *names;  // NULL: the container does not ask us for names
  int *ports;
  uint32_t port_count;
  struct oom oom;
  const char *kill_cgroup;
  int namespaces[4];
  bool cleaning, cleaned;
  int64_t clean_next, clean_deadline;
  struct poll_entry *entries;
  struct pollfd *polled;
  uint32_t poll_room;
};

int64_t now_ms(void);
// A finished process has code 128+signal when it was killed.
bool task_running(const struct task *task);

// monitor.c: reads attach-expect.
int expect_attaches(struct task *task, const struct plan *plan, struct failure *failure);

// ports.c: binds what reserve-port names. The descriptors end in monitor->ports.
int ports_reserve(struct monitor *monitor, struct failure *failure);
void ports_release(struct monitor *monitor);

// stdio.c
int streams_open(struct task *task, const struct plan *plan, struct stdio_ends *ends, struct failure *failure);
void streams_ready(struct task *task, const struct stdio_ends *ends);
void streams_close(struct task *task);
enum read_result { READ_SOME, READ_NOTHING, READ_END };
enum read_result source_read(struct monitor *monitor, struct task *task, struct source *source);
void source_end(struct monitor *monitor, struct task *task, struct source *source);
bool source_wanted(const struct task *task, const struct source *source);
void input_accept(struct monitor *monitor, struct connection *connection);
void input_finish(struct monitor *monitor, struct connection *connection);
void input_write(struct task *task);
void buffers_release(struct monitor *monitor);

// attach.c
void attach_deliver(struct monitor *monitor, struct task *task, uint8_t kind, char *bytes, size_t length);
void attach_pump(struct monitor *monitor, struct connection *connection);
void attach_forget(struct connection *connection);
void attach_close_done(struct monitor *monitor, struct task *task);

// connection.c
struct connection *connection_add(struct monitor *monitor, int fd);
void connection_accept(struct monitor *monitor);
void connection_ready(struct monitor *monitor, struct connection *connection, short events);
short connection_events(const struct connection *connection);
void connection_drop(struct monitor *monitor, struct connection *connection);
void connection_sweep(struct monitor *monitor);
// One report in one send; a client that does not take it is dropped.
void connection_report(struct monitor *monitor, struct connection *connection, const char *kind, ...)
    __attribute__((sentinel));
void connection_fail(struct monitor *monitor, struct connection *connection, const struct failure *failure);
void connection_send(struct monitor *monitor, struct connection *connection, const char *payload, size_t length);
void connection_linger(struct monitor *monitor, struct connection *connection);

// requests.c
// Takes the payload over.
void request_perform(struct monitor *monitor, struct connection *connection, char *payload, size_t length);

// ending.c: how a task ends.
void task_reap(struct monitor *monitor, struct task *task);
void task_drain(struct monitor *monitor, struct task *task);
void task_free(struct monitor *monitor, struct task *task);
struct task *task_find(struct monitor *monitor, const char *id);
void finished_execs_trim(struct monitor *monitor);
size_t exited_encode(char *buffer, size_t size, const struct ending *ending);

// oom.c
int oom_prepare(struct oom *oom, const struct plan *plan, struct failure *failure);
void oom_watch(struct monitor *monitor);
void oom_close(struct oom *oom);
void oom_ready(struct monitor *monitor, int64_t now);
void oom_step(struct monitor *monitor, int64_t now);
void oom_tell(struct monitor *monitor, struct connection *watcher);
// Whether there were kills: since the start for the init, since a task last ended for an exec.
bool oom_at_end(struct monitor *monitor, bool is_init);

// exit-record.c
// Makes the file that will become the record; its descriptor, or -1 with errno.
int exit_record_make(const char *path);
// Removes it again when there will be no record.
void exit_record_drop(const char *path, int made);
// Takes such a descriptor, or -1 when none was made.
int exit_record_write(const char *path, int made, bool sync, const char *payload, size_t length);

// cleaning.c: what is left of a container after its end was told.
void cgroup_kill_rest(const char *directory);
void clean_begin(struct monitor *monitor);
void clean_step(struct monitor *monitor);

// monitor-loop.c: runs until nothing is left to do.
void monitor_loop(struct monitor *monitor);
#endif
