// A further process in a running container: joins the init's namespaces, root and cgroups.
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "birth.h"
#include "calls.h"
#include "cgroup.h"
#include "rlimits.h"
#include "own.h"
#include "process.h"
#include "rules.h"
#include "task.h"

struct join {
  struct request *request;
  struct stdio_ends *ends;
  const struct process *init;
  int namespaces;  // CLONE_NEW* of those in which the init differs from us
  int line[2];
};

// Joining the user or time namespace that one is in already is an error, so only what differs is joined.
static int namespaces_differing(pid_t init, struct failure *failure) {
  static const struct {
    const char *name;
    int flag;
  } known[] = {{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},        {"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC},
               {"uts", CLONE_NEWUTS},   {"cgroup", CLONE_NEWCGROUP}, {"pid", CLONE_NEWPID}, {"time", CLONE_NEWTIME}};
  int differing = 0;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    char path[64];
    struct stat own, other;
    snprintf(path, sizeof path, "/proc/self/ns/%s", known[i].name);
    if (stat(path, &own)) continue;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", init, known[i].name);
    if (stat(path, &other)) return fail(failure, "exec", path, errno, "the container is not running");
    if (own.st_ino != other.st_ino || own.st_dev != other.st_dev) differing |= known[i].flag;
  }
  return differing;
}

static int child_join(struct join *join, struct birth *birth, struct failure *failure) {
  // Already visible in the container's pid namespace: nothing of the host may be found among our descriptors.
  int kept[] = {join->ends->in, join->ends->out, join->ends->err, join->line[1], join->init->pidfd};
  process_keep_only(kept, sizeof kept / sizeof *kept);
  process_heed_signals();
  umask(0);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // The cgroups first: nothing that follows may run outside of their limits.
  if (birth_wait(join->line[1], BIRTH_GO)) _exit(70);
  int entered = join->namespaces & ~CLONE_NEWPID;
  if (entered && setns(join->init->pidfd, entered))
    return fail(failure, "namespace", "", errno, "the container's namespaces cannot be joined: %s", strerror(errno));
  if (join->namespaces & CLONE_NEWUSER && (syscall(SYS_setresgid, 0, 0, 0) || syscall(SYS_setresuid, 0, 0, 0)))
    return fail(failure, "namespace", "user", errno, "the container has no root user: %s", strerror(errno));
  prctl(PR_SET_DUMPABLE, 0);
  if (chdir("/")) return fail(failure, "root", "/", errno, "the container's root cannot be entered");
  if (!join->ends->tty) return 0;
  OWN_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return fail(failure, "root", "/", errno, "the container's root cannot be opened");
  return console_open(root, join->ends->rows, join->ends->cols, &birth->console, failure);
}

static int child_main(struct join *join) {
  struct failure failure = {0};
  struct birth birth = {join->request->plan, join->ends, {-1, -1}, join->line[1]};
  if (!child_join(join, &birth, &failure) &&
      (birth.console.master < 0 || !birth_say(birth.line, BIRTH_CONSOLE, birth.console.master, NULL)) &&
      !process_seal(&birth, &failure))
    process_become(&birth, &failure);
  birth_say(birth.line, BIRTH_FAILED, -1, &failure);
  return 70;
}

// Only children enter a pid namespace: this process sets it for the clone and sets it back after it, so that the new
// process is its own direct child.
static int clone_child(struct join *join, struct process *process, struct failure *failure) {
  bool other = join->namespaces & CLONE_NEWPID;
  OWN_FD own = other ? open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC) : -1;
  if (other && (own < 0 || setns(join->init->pidfd, CLONE_NEWPID)))
    return fail(failure, "namespace", "pid", errno, "the container's pid namespace cannot be joined: %s",
                strerror(errno));
  struct clone_args args = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&process->pidfd};
  pid_t pid = call_clone3(&args);
  if (pid == 0) _exit(child_main(join));
  int error = errno;
  if (own >= 0 && setns(own, CLONE_NEWPID)) _exit(70);
  if (pid < 0)
    return fail(failure, "exec", "", error, "the kernel refuses a process in the container: %s", strerror(error));
  process->pid = pid;
  own_close(&join->line[1]);
  join->line[1] = -1;
  return 0;
}

static int spawn(struct join *join, struct process *process, struct failure *failure) {
  const struct plan *plan = join->request->plan;
  if (rules_check(plan, exec_rules, failure)) return -1;
  join->namespaces = namespaces_differing(join->init->pid, failure);
  if (join->namespaces < 0) return -1;
  if (birth_line(join->line)) return fail(failure, "spawn", "", errno, "the birth line cannot be made");
  if (clone_child(join, process, failure)) return -1;
  if (!oom_score_apply(plan, process->pid, failure) && !cgroups_place(plan, process->pid, join->init->pid, failure)) {
    birth_say(join->line[0], BIRTH_GO, -1, NULL);
    if (!birth_attend(join->line[0], &join->ends->console, failure)) return 0;
  }
  birth_abort(process);
  return -1;
}

int join_spawn(struct request *request, const struct process *init, struct stdio_ends *ends, struct process *process,
               struct failure *failure) {
  struct join join = {.request = request, .ends = ends, .init = init, .line = {-1, -1}};
  *process = (struct process){-1, -1};
  ends->console = -1;
  int result = spawn(&join, process, failure);
  own_close(&join.line[0]);
  own_close(&join.line[1]);
  own_close(&ends->in);
  own_close(&ends->out);
  own_close(&ends->err);
  ends->in = ends->out = ends->err = -1;
  return result;
}
