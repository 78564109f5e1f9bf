// One clock for both sides: performs a plan itself, or asks a launcher to. Reads lines, answers each with microseconds.
//   floor PLAN            performs the plan in this process, the fastest way there is
//   dial SOCKET           connects to a launcher ahead of the next plan, as the daemon does
//   ask PLAN              hands it over there; until its `exited` report is there
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seat.h"
#include "floor.h"

enum { FRAME_HEADER = 8, FRAME_MAX = 1 << 16 };

// A network namespace with its loopback up, as the launcher's pool has them.
static int network_prepare(void) {
  int ends[2];
  char done;
  char path[64];
  if (pipe(ends)) return -1;
  pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) || write(ends[1], "", 1) != 1) _exit(1);
    pause();
  }
  if (read(ends[0], &done, 1) != 1) return -1;
  snprintf(path, sizeof path, "/proc/%d/ns/net", child);
  int network = open(path, O_RDONLY | O_CLOEXEC);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(ends[0]);
  close(ends[1]);
  return network;
}

static double perform(const char *plan) {
  static struct work work;
  if (!work_read(&work, plan)) return -1;
  int network = work.new_network ? -1 : network_prepare();
  double took = work_perform(&work, network);
  work_clear(&work);
  if (network >= 0) close(network);
  return took;
}

static bool read_all(int fd, uint8_t *bytes, size_t length) {
  for (size_t got = 0; got < length;) {
    ssize_t more = read(fd, bytes + got, length - got);
    if (more <= 0) return false;
    got += (size_t)more;
  }
  return true;
}

// The next report: its kind, and its fields, in one line. False at the end.
static bool report_read(int fd, char *text) {
  uint8_t header[FRAME_HEADER];
  if (!read_all(fd, header, sizeof header)) return false;
  size_t length = header[4] | (size_t)header[5] << 8 | (size_t)header[6] << 16;
  if (length >= FRAME_MAX || !read_all(fd, (uint8_t *)text, length)) return false;
  for (size_t i = 0; i < length; i++)
    if (!text[i]) text[i] = ' ';
  text[length] = 0;
  return true;
}

static int dial(const char *socket_path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return connect(fd, (struct sockaddr *)&address, sizeof address) ? -1 : fd;
}

static double ask(int fd, const char *plan) {
  static char bytes[1 << 20], text[FRAME_MAX];
  int file = open(plan, O_RDONLY | O_CLOEXEC);
  ssize_t length = file < 0 ? -1 : read(file, bytes, sizeof bytes);
  close(file);
  double since = now_us(), took = -1;
  if (length <= 0 || write(fd, bytes, (size_t)length) != length) return -1;
  while (report_read(fd, text)) {
    if (!strncmp(text, "failed ", 7)) fprintf(stderr, "%s\n", text);
    // Read on: the connection's end tells that everything is taken down.
    if (!strncmp(text, "exited 0 ", 9)) took = now_us() - since;
  }
  close(fd);
  return took;
}

int main(int argc, char **argv) {
  char line[4096];
  if (argc != 2) return fputs("usage: floor DATA_ROOT   (a launcher's data root: where plans and layers lie)\n", stderr), 2;
  char inside[4096];
  snprintf(inside, sizeof inside, "%s/socket", argv[1]);
  prctl(PR_SET_NAME, "floor");
  if (seat_take(inside, argv[1])) return perror("floor: a small mount namespace cannot be made"), 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int launcher = -1; fgets(line, sizeof line, stdin);) {
    char *verb = strtok(line, " \n"), *named = strtok(NULL, " \n");
    double took = -1;
    if (verb && !strcmp(verb, "floor") && named) took = perform(named);
    if (verb && !strcmp(verb, "dial") && named) took = (launcher = dial(named)) < 0 ? -1 : 1;
    if (verb && !strcmp(verb, "ask") && named) took = ask(launcher, named);
    printf("%.0f\n", took);
  }
  return 0;
}
