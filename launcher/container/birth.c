// The line between a spawner and the process it makes, until that process has passed execve.
#include "birth.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "letter.h"
#include "own.h"

struct letter {
  char word;
  struct failure failure;
};

int birth_line(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

int birth_say(int line, enum birth_word word, int descriptor, const struct failure *failure) {
  struct letter letter = {.word = (char)word};
  if (failure) letter.failure = *failure;
  return letter_send(line, &letter, failure ? sizeof letter : 1, descriptor);
}

int birth_wait(int line, enum birth_word word) {
  char said = 0;
  ssize_t got;
  do got = recv(line, &said, 1, 0);
  while (got < 0 && errno == EINTR);
  return got == 1 && said == (char)word ? 0 : -1;
}

bool birth_parent_lives(int line) {
  struct pollfd waited = {.fd = line, .events = POLLIN};
  return poll(&waited, 1, 0) >= 0 && !(waited.revents & POLLHUP);
}

// Nothing that the child says needs an answer: it is read when the line has closed, and wakes nobody before.
static void await_close(int line) {
  struct pollfd waited = {.fd = line, .events = 0};
  while (poll(&waited, 1, -1) < 0 && errno == EINTR) continue;
}

// One letter; 1, 0 at the end, -1 on error.
static int listen_once(int line, struct letter *letter, int *descriptor) {
  ssize_t got;
  // A child that ended without having read our last word resets the line; what it said is still to come.
  do got = letter_receive(line, letter, sizeof *letter, 0, descriptor);
  while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got <= 0) return (int)got;
  return letter->word == BIRTH_FAILED && got != sizeof *letter ? -1 : 1;
}

int birth_await_joined(int line, struct failure *failure) {
  struct letter letter;
  int descriptor = -1;
  int got = listen_once(line, &letter, &descriptor);
  own_close(&descriptor);
  if (got > 0 && letter.word == BIRTH_JOINED) return 0;
  if (got > 0 && letter.word == BIRTH_FAILED) return *failure = letter.failure, -1;
  return fail(failure, "spawn", "", ECHILD, "the new process died before it ran its program");
}

int birth_attend(int line, int *console, struct failure *failure) {
  struct letter letter;
  OWN_FD master = -1;
  bool ready = false;
  await_close(line);
  for (;;) {
    int descriptor = -1;
    int got = listen_once(line, &letter, &descriptor);
    if (descriptor >= 0) {
      own_close(&master);
      master = descriptor;
    }
    if (got < 0) return fail(failure, "spawn", "", errno, "the new process cannot be heard");
    if (got == 0 && !ready) return fail(failure, "spawn", "", ECHILD, "the new process died before it ran its program");
    if (got == 0) break;
    if (letter.word == BIRTH_FAILED) {
      *failure = letter.failure;
      return -1;
    }
    ready |= letter.word == BIRTH_EXEC;
  }
  *console = give_fd(&master);
  return 0;
}

void birth_abort(struct process *child) {
  call_pidfd_send_signal(child->pidfd, SIGKILL);
  while (waitpid(child->pid, NULL, __WALL) < 0 && errno == EINTR) continue;
  own_close(&child->pidfd);
  child->pid = -1;
}
