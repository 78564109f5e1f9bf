// The launcher's own life: sealed copy, private mounts, accept loop.
#ifndef SLOOP_SERVE_H
#define SLOOP_SERVE_H
#include "verbs.h"

// Runs in the forked child of one connection; its return value is the child's exit code.
typedef int connection_function(struct request *request);

// Re-executes the process from a sealed memory file, so that nobody can write to it through /proc/PID/exe
// (CVE-2019-5736). Returns only when that is done already (0) or impossible (-1, with a message printed).
int serve_from_sealed_copy(char **argv);
// Serves connections until killed; -1 with a message printed when it cannot.
int serve(const char *socket_path, const char *data_root, connection_function *connection);
#endif
