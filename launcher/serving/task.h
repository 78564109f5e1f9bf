// Where launch.c/join.c (make a process) and monitor.c (live with it) meet.
#ifndef SLOOP_TASK_H
#define SLOOP_TASK_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "verbs.h"

// The child's ends of its streams. Made by the monitor (stdio.c), used and closed by spawn.
struct stdio_ends {
  bool tty;
  uint16_t rows, cols;  // 0 = the kernel's default
  int in, out, err;     // pipe: the child's ends; tty: -1
  int console;          // tty: after spawn, the pty's master, owned by the monitor; else -1
};

struct process {
  pid_t pid;   // in the host's pid namespace
  int pidfd;
};

// Makes the container's init from the request's plan: cgroups, clone3, root, system, process phases, execve.
// Returns once execve has succeeded (0) or with the failure filled and nothing left behind (-1). `meanwhile` is called
// while the child puts its root together; when it fails the program is not run.
typedef int meanwhile_function(void *context, struct failure *failure);
int launch_spawn(struct request *request, struct stdio_ends *ends, struct process *init, meanwhile_function *meanwhile,
                 void *context, struct failure *failure);
// Makes a process that joins the init's namespaces, cgroups and root, as the exec plan says. The new process is a
// direct child of the caller.
int join_spawn(struct request *request, const struct process *init, struct stdio_ends *ends, struct process *process,
               struct failure *failure);

// The monitor of a launch plan (monitor.c): prepares sockets, log, ports and streams, calls launch_spawn, reports,
// serves until the init has ended and every attached client has its bytes. Called by verb_launch; never forks
// anything but what join_spawn makes.
int monitor_main(struct request *request, struct failure *failure);
#endif
