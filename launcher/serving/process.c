// The process phase that launch and exec share: from a fresh child inside the container to execve.
#include "process.h"

#include <errno.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "birth.h"
#include "calls.h"
#include "caps.h"
#include "init.h"
#include "rlimits.h"
#include "own.h"
#include "resolve.h"
#include "search.h"
#include "seccomp.h"
#include "user.h"

enum { LINE = 3, SLAVE = 4, FIRST_CLOSED = 5 };

static void unblock_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

void process_reset_signals(void) {
  for (int number = 1; number < NSIG; number++) {
    struct sigaction plain = {.sa_handler = SIG_DFL};
    if (number != SIGKILL && number != SIGSTOP) sigaction(number, &plain, NULL);
  }
  unblock_signals();
}

void process_heed_signals(void) {
  const int ignored[] = {SIGCHLD, SIGPIPE, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_DFL);
  unblock_signals();
}

static int by_number(const void *one, const void *other) { return *(const int *)one - *(const int *)other; }

void process_keep_only(int *kept, size_t count) {
  int from = 3;
  qsort(kept, count, sizeof *kept, by_number);
  for (size_t i = 0; i < count; i++) {
    if (kept[i] < from) continue;
    if (kept[i] > from) call_close_range((unsigned)from, (unsigned)kept[i] - 1, 0);
    from = kept[i] + 1;
  }
  call_close_range((unsigned)from, ~0U, 0);
}

// Moves fd out of the way of the places 0 to 4.
static int lift(int fd) { return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_CLOSED); }

int process_seal(struct birth *birth, struct failure *failure) {
  bool tty = birth->ends->tty;
  int slave = tty ? lift(birth->console.slave) : -1, line = lift(birth->line);
  int in = tty ? slave : lift(birth->ends->in);
  int out = tty ? slave : lift(birth->ends->out), err = tty ? slave : lift(birth->ends->err);
  if (line < 0 || in < 0 || out < 0 || err < 0)
    return fail(failure, "stdio", "", errno, "the process's streams cannot be prepared");
  if (dup3(line, LINE, O_CLOEXEC) < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
    return fail(failure, "stdio", "", errno, "the process's streams cannot be set: %s", strerror(errno));
  birth->line = LINE;
  birth->console.slave = birth->console.master = -1;
  if (call_close_range(SLAVE, ~0U, 0))
    return fail(failure, "stdio", "", errno, "the launcher's descriptors cannot be closed");
  return 0;
}

// Streams belong to the process's user, so that it can open /dev/stdout and /proc/self/fd/1 itself.
static int streams_own(const struct user *user, bool tty, struct failure *failure) {
  for (int fd = 0; fd < (tty ? 1 : 3); fd++) {
    struct stat status;
    if (fstat(fd, &status)) return fail(failure, "stdio", "", errno, "a stream cannot be read");
    if (status.st_uid == user->uid || (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3))) continue;
    if (fchown(fd, user->uid, (gid_t)-1) && errno != EPERM && errno != EINVAL && errno != EROFS)
      return fail(failure, "stdio", "", errno, "a stream cannot be given to the user: %s", strerror(errno));
  }
  return 0;
}

static int session_begin(bool tty, struct failure *failure) {
  setsid();
  // A keyring of its own, not the launcher's; machines without keyrings or with a full quota go without.
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  if (tty && ioctl(0, TIOCSCTTY, 0))
    return fail(failure, "stdio", "", errno, "the terminal cannot become the controlling one: %s", strerror(errno));
  return 0;
}

static int umask_set(const struct plan *plan, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "umask", 0);
  uint64_t mask = 022;
  if (operation && !parse_u64(operation->args[0], 8, 0777, &mask))
    return fail(failure, "umask", operation->args[0], EINVAL, "a umask is an octal number up to 0777");
  umask((mode_t)mask);
  return 0;
}

// The directory is opened in the root only, and what we then stand in must be reachable from the root: a directory of
// the host that leaked in would not be (CVE-2024-21626).
static int directory_enter(const struct plan *plan, int root, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "cwd", 0);
  const char *path = operation ? operation->args[0] : "/";
  char here[PATH_MAX];
  if (*path != '/') return fail(failure, "cwd", path, EINVAL, "the working directory must be an absolute path");
  bool create = operation && !strcmp(operation->args[1], "create");
  OWN_FD directory = create ? resolve_make_directories(root, path, 0755)
                            : resolve_open(root, path, O_PATH | O_DIRECTORY, 0);
  if (directory < 0 && errno == ELOOP)
    return fail(failure, "cwd", path, ELOOP, "the working directory leads through a magic link or too many links");
  if (directory < 0 || fchdir(directory))
    return fail(failure, "cwd", path, errno, "the working directory cannot be entered: %s", strerror(errno));
  if (syscall(SYS_getcwd, here, sizeof here) < 0 || here[0] != '/')
    return fail(failure, "cwd", path, EPERM, "the working directory lies outside of the container's root");
  return 0;
}

static int user_become(const struct user *user, const struct caps *caps, struct failure *failure) {
  if (caps->given && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    return fail(failure, "user", "", errno, "the capabilities cannot be kept over the change of user");
  if (syscall(SYS_setgroups, (size_t)user->count, user->groups))
    return fail(failure, "user", "", errno, "the supplementary groups cannot be set: %s", strerror(errno));
  if (syscall(SYS_setresgid, user->gid, user->gid, user->gid))
    return fail(failure, "user", "", errno, "the group %u cannot be set: %s", user->gid, strerror(errno));
  if (syscall(SYS_setresuid, user->uid, user->uid, user->uid))
    return fail(failure, "user", "", errno, "the user %u cannot be set: %s", user->uid, strerror(errno));
  if (caps->given && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))
    return fail(failure, "user", "", errno, "the keeping of capabilities cannot be ended");
  return caps_apply(caps, user->uid, failure);
}

// Without no-new-privileges a filter needs CAP_SYS_ADMIN, so it comes before that is dropped; with it, it comes as
// late as can be, so that it need not allow what the launcher does.
static int security_apply(const struct plan *plan, const struct user *user, struct failure *failure) {
  struct caps caps;
  bool locked = plan_find(plan, "no-new-privileges", 0);
  if (caps_read(plan, &caps, failure) || (!locked && seccomp_install(plan, failure))) return -1;
  if (caps_bound(&caps, failure) || user_become(user, &caps, failure)) return -1;
  if (!locked) return 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    return fail(failure, "no-new-privileges", "", errno, "no-new-privileges cannot be set");
  return seccomp_install(plan, failure);
}

// The change of user has cleared the wish to die with the parent; it may have died since.
static int mortal(int line, struct failure *failure) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
    return fail(failure, "spawn", "", errno, "PR_SET_PDEATHSIG is refused");
  if (!birth_parent_lives(line)) _exit(70);
  return 0;
}

// The plan's env, in its order, with HOME added when it is not given.
static char **environment_make(const struct plan *plan, const struct user *user) {
  uint32_t count = 0;
  bool home = false;
  for (uint32_t i = 0; i < plan->count; i++) count += !strcmp(plan->operations[i].name, "env");
  char **environment = calloc(count + 2, sizeof *environment);
  char *text = malloc(sizeof user->home + 8);
  if (!environment || !text) return NULL;
  uint32_t used = 0;
  for (uint32_t i = 0; i < plan->count; i++) {
    if (strcmp(plan->operations[i].name, "env")) continue;
    environment[used] = (char *)(uintptr_t)plan->operations[i].args[0];
    home |= !strncmp(environment[used++], "HOME=", 5);
  }
  snprintf(text, sizeof user->home + 8, "HOME=%s", user->home);
  if (home) free(text);
  else environment[used] = text;
  return environment;
}

static int execute(struct birth *birth, const struct user *user, struct failure *failure) {
  const struct operation *argv = plan_find(birth->plan, "argv", 0);
  char **environment = environment_make(birth->plan, user);
  if (!argv) return fail(failure, "plan", "", EINVAL, "the plan has no argv");
  if (!environment) return fail(failure, "env", "", ENOMEM, "out of memory");
  if (plan_find(birth->plan, "init", 0)) {
    if (init_stay()) return fail(failure, "init", "", errno, "the init cannot make its process: %s", strerror(errno));
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
      return fail(failure, "init", "", errno, "PR_SET_PDEATHSIG is refused");
  }
  if (birth_say(birth->line, BIRTH_EXEC, -1, NULL)) _exit(70);
  return program_execute(argv->args, environment, failure);
}

int process_become(struct birth *birth, struct failure *failure) {
  struct user user;
  bool tty = birth->ends->tty;
  OWN_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return fail(failure, "root", "/", errno, "the container's root cannot be opened");
  if (user_find(birth->plan, root, &user, failure)) return -1;
  if (session_begin(tty, failure) || streams_own(&user, tty, failure)) return -1;
  if (directory_enter(birth->plan, root, failure) || rlimits_apply(birth->plan, failure)) return -1;
  own_close(&root);
  root = -1;
  if (umask_set(birth->plan, failure) || security_apply(birth->plan, &user, failure)) return -1;
  return mortal(birth->line, failure) ? -1 : execute(birth, &user, failure);
}
