// The launcher's own life: sealed copy, private mounts, accept loop. It never parses a plan itself.
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "calls.h"
#include "cgroup-view.h"
#include "claim.h"
#include "counter.h"
#include "hold.h"
#include "own.h"
#include "process.h"
#include "seat.h"
#include "stock.h"

// How often a launcher looks whether clients can still reach it.
enum { LOOK_MS = 5000 };
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

int serve_from_sealed_copy(char **argv) {
  OWN_FD self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0) return complain("open", "/proc/self/exe");
  int seals = fcntl(self, F_GET_SEALS);
  if (seals >= 0 && (seals & SEALS) == SEALS) return 0;
  OWN_FD copy = memfd_create("sloop-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  struct stat status;
  if (copy < 0 || fstat(self, &status)) return complain("copy", "/proc/self/exe");
  for (off_t at = 0; at < status.st_size;)
    if (sendfile(copy, self, &at, (size_t)(status.st_size - at)) <= 0) return complain("copy", "/proc/self/exe");
  if (fchmod(copy, 0555) || fcntl(copy, F_ADD_SEALS, SEALS)) return complain("seal", "the launcher's copy");
  syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
  return complain("execute", "the launcher's sealed copy");
}

static bool peer_trusted(int connection) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return !getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) && (peer.uid == 0 || peer.uid == geteuid());
}

// The parent of all.
struct launcher {
  struct request request;  // what every child gets
  struct stock_keeper stock;
  int listener, counter;
};

// In the child: nothing of what the parent holds, and a session of its own, so that signals to the daemon's group spare it.
static int child_main(struct launcher *launcher, connection_function *connection) {
  struct request *request = &launcher->request;
  int own[] = {request->connection, request->counter, request->host_mounts, request->host_network};
  process_keep_only(own, sizeof own / sizeof *own);
  request->spent = stock_spent(&launcher->stock);
  request->full = held_full();
  setsid();
  signal(SIGCHLD, SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  return connection(request);
}

static void serve_one(struct launcher *launcher, connection_function *connection) {
  OWN_FD client = accept4(launcher->listener, NULL, NULL, SOCK_CLOEXEC);
  // Out of descriptors or memory: the connection waits in the queue, and so do we.
  if (client < 0 && errno != EAGAIN && errno != ECONNABORTED) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  if (client < 0 || !peer_trusted(client)) return;
  launcher->request.connection = client;
  pid_t child = fork();
  if (child == 0) _exit(child_main(launcher, connection));
  if (child > 0) return;
  struct failure failure;
  fail(&failure, "fork", "", errno, "the launcher cannot make a process for this request");
  report_failure(client, &failure);
}

// What the starter may have left behind: closed standard streams, blocked or ignored signals, its own session.
static void settle_in(void) {
  int spare = open("/dev/null", O_RDWR);
  while (spare >= 0 && spare <= 2) spare = open("/dev/null", O_RDWR);
  own_close(&spare);
  process_reset_signals();
  signal(SIGCHLD, SIG_IGN);
  setsid();
  prctl(PR_SET_NAME, "sloop-launcher");
  // Containers that share our pid namespace must not look into our children before they exec (CVE-2016-9962).
  prctl(PR_SET_DUMPABLE, 0);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int open_all(struct launcher *launcher, const char *socket_path, const char *data_root) {
  struct request *request = &launcher->request;
  int counter[2];
  request->host_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  request->host_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (request->host_mounts < 0 || request->host_network < 0) return complain("open", "/proc/self/ns");
  if (seat_take(socket_path, data_root)) return complain("make", "the launcher's mount namespace");
  if (counter_open(counter)) return complain("make", "the counter");
  launcher->counter = counter[0];
  request->counter = counter[1];
  if (stock_open(&launcher->stock, counter[1])) return complain("make", "the stock of namespaces");
  cgroup_view_learn();
  return 0;
}

// Until something comes, the path is looked at again or the stock is to be renewed.
static int wait_for(struct pollfd waited[2], int due) {
  bool look = due < 0 || due > LOOK_MS;
  int ready = poll(waited, 2, look ? LOOK_MS : due);
  return ready < 0 && errno == EINTR ? 1 : ready || look ? ready : 1;
}

int serve(const char *socket_path, const char *data_root, connection_function *connection) {
  struct launcher launcher = {.request = {.host_mounts = -1, .host_network = -1, .counter = -1, .line = {-1, -1}, .launcher = getpid()}};
  struct claim claim;
  settle_in();
  launcher.listener = claim_socket(socket_path);
  if (launcher.listener < 0 || open_all(&launcher, socket_path, data_root)) return -1;
  claim_note(&claim, socket_path);
  struct pollfd waited[] = {{.fd = launcher.listener, .events = POLLIN},
                            {.fd = launcher.counter, .events = POLLIN}};
  for (;;) {
    int ready = wait_for(waited, stock_renew(&launcher.stock, now_ms()));
    if (ready < 0) return complain("poll", socket_path);
    // Whoever needs a launcher starts another one: this one would stay for ever, unseen.
    if (ready == 0 && claim_lost(&claim)) return errno = ENOENT, complain("serve", socket_path);
    // A letter was sent before its sender's client was answered: drained first, the next request sees its effect.
    counter_serve(launcher.counter, &launcher.stock, now_ms());
    if (waited[0].revents & POLLIN) serve_one(&launcher, connection);
  }
}
