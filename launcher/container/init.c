// The built-in tiny init: forwards signals, reaps, and ends as its command did.
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "calls.h"

// Signals that tell of a fault of this process itself, or that its terminal's job control sends: not the command's.
static bool own_signal(int number) {
  static const int own[] = {SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGTTIN, SIGTTOU,
                            SIGKILL, SIGSTOP};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (own[i] == number) return true;
  return false;
}

// Reaps all that have ended; the command's exit code when it is among them, else -1.
static int reap(pid_t command) {
  int status, code = -1;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != command) continue;
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return code;
}

// The kernel shows this memory to the container as the command line, and it holds paths of the host. A last byte that
// is not NUL makes the kernel stop at the first one that is.
static void hide_arguments(void) {
  static const char title[] = "sloop-init";
  char *start = program_invocation_name, *end = environ ? environ[0] : NULL;
  if (!end || end <= start || (size_t)(end - start) <= sizeof title || end - start > 3 * PATH_MAX) return;
  memset(start, 0, (size_t)(end - start));
  memcpy(start, title, sizeof title);
  end[-1] = 1;
}

static void stay(pid_t command, const sigset_t *all) {
  call_close_range(0, ~0U, 0);
  prctl(PR_SET_NAME, "sloop-init");
  hide_arguments();
  for (;;) {
    siginfo_t signal;
    int number = sigwaitinfo(all, &signal);
    if (number < 0) continue;
    if (number == SIGCHLD) {
      int code = reap(command);
      if (code >= 0) _exit(code);
    } else if (!own_signal(number)) {
      kill(command, number);
    }
  }
}

int init_stay(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  // Not pid 1 when the pid namespace is shared: orphans still come to us.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t command = fork();
  if (command < 0) return -1;
  if (command > 0) stay(command, &all);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  setpgid(0, 0);
  tcsetpgrp(STDIN_FILENO, getpgrp());
  sigemptyset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  return 0;
}
