// The launch verb: makes a container's init. While the child mounts, the parent makes the cgroups and places it.
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "birth.h"
#include "calls.h"
#include "cgroup.h"
#include "counter.h"
#include "rlimits.h"
#include "namespaces.h"
#include "own.h"
#include "process.h"
#include "root.h"
#include "rootfs.h"
#include "rules.h"
#include "task.h"
#include "waiting.h"

// Pseudo file systems have no source that must be found in the launcher's namespace.
static bool suits_nursery(const struct plan *plan) {
  static const char *const pseudo[] = {"proc", "tmpfs", "devpts", "mqueue", "sysfs", "cgroup", "cgroup2"};
  const struct operation *operation;
  if (plan_find(plan, "view", 0)) return false;  // its layers are in the launcher's namespace
  for (uint32_t n = 0; (operation = plan_find(plan, "mount", n)); n++) {
    size_t i = 0, count = sizeof pseudo / sizeof *pseudo;
    while (i < count && strcmp(pseudo[i], operation->args[0])) i++;
    if (i == count) return false;
  }
  return true;
}

static bool is_new(const struct plan *plan, const char *kind) {
  const struct operation *operation;
  for (uint32_t n = 0; (operation = plan_find(plan, "namespace", n)); n++)
    if (!strcmp(operation->args[0], kind)) return !strcmp(operation->args[1], "new");
  return false;
}

// Asks early for what the parent holds and has made ahead; the answer is read when it is needed.
static void order_make(struct request *request, struct order *order) {
  const struct plan *plan = request->plan;
  order_begin(order);
  // What a user namespace shall own must be made in it.
  if (!request->spent && !is_new(plan, "user")) {
    order->kinds[STOCK_MOUNTS] = is_new(plan, "mount") && suits_nursery(plan);
    order->kinds[STOCK_IPC] = is_new(plan, "ipc");
    order->kinds[STOCK_NETWORK] = is_new(plan, "network");
  }
  for (uint32_t i = 0; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    overlay_order(order, operation);
    if (strcmp(operation->name, "namespace") || strncmp(operation->args[1], "held:", 5)) continue;
    order_add(order, operation->args[1] + 5);
    // The monitor asks for names there.
    if (plan_find(plan, "name-relay", 0)) order_add(order, operation->args[1] + 5);
  }
  order_send(order, request);
  request->order = order;
}

int verb_launch(struct request *request, struct failure *failure) {
  struct order order;
  if (rules_check(request->plan, launch_rules, failure)) return -1;
  order_make(request, &order);
  return monitor_main(request, failure);
}

static const uint64_t stock_flags[STOCK_KINDS] = {CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET};

struct launch {
  struct request *request;
  struct stdio_ends *ends;
  struct namespaces namespaces;
  struct sources sources;
  struct cgroups cgroups;
  uint64_t ordered;  // CLONE_NEW* of the new namespaces that were asked for: the child is given them, or makes them
  int nursery;     // the mount namespace that the root is put together in, -1: one of the clone's
  int line[2];     // parent's and child's end of the birth line
  meanwhile_function *meanwhile;
  void *context;
};

// Root inside a new user namespace, once its maps are written.
static int become_mapped_root(const struct launch *launch, struct failure *failure) {
  if (birth_wait(launch->line[1], BIRTH_MAPPED)) _exit(70);
  if (syscall(SYS_setresgid, 0, 0, 0) || syscall(SYS_setresuid, 0, 0, 0))
    return fail(failure, "uid-map", "", errno, "the maps give the container no root user: %s", strerror(errno));
  return prctl(PR_SET_DUMPABLE, 0);
}

// From here on the process is in its cgroups: only now may a cgroup namespace take its root from them.
static int settle(void *context, struct failure *failure) {
  const struct launch *launch = context;
  if (birth_wait(launch->line[1], BIRTH_GO)) _exit(70);
  if (!(launch->namespaces.fresh & CLONE_NEWCGROUP) || !unshare(CLONE_NEWCGROUP)) return 0;
  return fail(failure, "namespace", "cgroup", errno, "the cgroup namespace cannot be made: %s", strerror(errno));
}

// What was asked of the launcher's parent, who answers while the child is made.
static int order_use(struct launch *launch, struct failure *failure) {
  static const char *const names[STOCK_KINDS] = {"mount", "ipc", "network"};
  struct request *request = launch->request;
  order_receive(request->order);
  for (int kind = 0; kind < STOCK_KINDS; kind++) {
    int given = give_fd(&request->order->stock[kind]);
    if (given >= 0) launch->namespaces.fresh &= ~stock_flags[kind];
    if (given >= 0 && kind == STOCK_MOUNTS) launch->nursery = given;
    else if (given >= 0) launch->namespaces.joined[namespace_index(names[kind])] = given;
    else if (launch->ordered & stock_flags[kind] && unshare((int)stock_flags[kind]))
      return fail(failure, "namespace", names[kind], errno, "the kernel refuses a new namespace: %s", strerror(errno));
  }
  if (namespaces_read_held(request, &launch->namespaces, failure)) return -1;
  return sources_open_layers(request, &launch->sources, failure);
}

static int child_prepare(struct launch *launch, struct birth *birth, struct failure *failure) {
  const struct plan *plan = launch->request->plan;
  process_heed_signals();
  umask(0);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  bool mapped = launch->namespaces.fresh & CLONE_NEWUSER;
  if (mapped ? become_mapped_root(launch, failure) : order_use(launch, failure)) return -1;
  if (namespaces_join(&launch->namespaces, failure)) return -1;
  birth_say(launch->line[1], BIRTH_JOINED, -1, NULL);
  if (launch->namespaces.fresh & CLONE_NEWNET && loopback_up(failure)) return -1;
  struct rootfs rootfs = {.plan = plan, .ends = launch->ends, .sources = &launch->sources, .console = {-1, -1},
                          .empty = -1, .place.directory = -1, .own = namespaces_own(&launch->namespaces), .settle = settle, .context = launch};
  // The overlay takes its layers from the launcher's mount namespace.
  rootfs.root = root_create(launch->request, &launch->sources, failure);
  if (rootfs.root < 0 || views_create(plan, &launch->sources, failure)) return -1;
  if (launch->nursery >= 0 && setns(launch->nursery, CLONE_NEWNS))
    return fail(failure, "namespace", "mount", errno, "the nursery cannot be entered: %s", strerror(errno));
  if (root_attach(rootfs.root, failure) || rootfs_perform(&rootfs, failure) || rootfs_enter(&rootfs, failure)) return -1;
  birth->console = rootfs.console;
  if (names_apply(plan, rootfs.own, failure)) return -1;
  return rootfs.sysctls_set ? 0 : sysctls_apply(plan, rootfs.own, -1, failure);
}

// Nothing of the image runs before the monitor is ready for it.
static int permitted(int line) {
  if (birth_wait(line, BIRTH_RUN)) _exit(70);
  return 0;
}

static int child_main(struct launch *launch) {
  struct failure failure = {0};
  struct birth birth = {launch->request->plan, launch->ends, {-1, -1}, launch->line[1]};
  program_map();
  close(launch->line[0]);
  if (!child_prepare(launch, &birth, &failure) &&
      (birth.console.master < 0 || !birth_say(birth.line, BIRTH_CONSOLE, birth.console.master, NULL)) &&
      !process_seal(&birth, &failure) && !permitted(birth.line))
    process_become(&birth, &failure);
  birth_say(birth.line, BIRTH_FAILED, -1, &failure);
  return 70;
}

// A joined pid namespace is entered by children only: set for the clone and set back after it.
static int clone_child(struct launch *launch, int cgroup, struct process *init, struct failure *failure) {
  int others = launch->namespaces.joined[namespace_index("pid")];
  OWN_FD own = others < 0 ? -1 : open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  if (others >= 0 && (own < 0 || setns(others, CLONE_NEWPID)))
    return fail(failure, "namespace", "pid", errno, "the pid namespace cannot be joined: %s", strerror(errno));
  struct clone_args args = {.exit_signal = SIGCHLD, .pidfd = (uintptr_t)&init->pidfd};
  args.flags = CLONE_PIDFD | (launch->namespaces.fresh & ~launch->ordered & ~(uint64_t)CLONE_NEWCGROUP);
  if (cgroup >= 0) args.flags |= CLONE_INTO_CGROUP;
  args.cgroup = cgroup < 0 ? 0 : (uint64_t)cgroup;
  pid_t pid = call_clone3(&args);
  if (pid == 0) _exit(child_main(launch));
  int error = errno;
  if (own >= 0 && setns(own, CLONE_NEWPID)) _exit(70);
  if (pid < 0)
    return fail(failure, "namespace", "", error, "the kernel refuses a process with these namespaces: %s",
                strerror(error));
  init->pid = pid;
  own_close(&launch->line[1]);
  launch->line[1] = -1;
  return 0;
}

static void ends_close(struct stdio_ends *ends) {
  own_close(&ends->in);
  own_close(&ends->out);
  own_close(&ends->err);
  ends->in = ends->out = ends->err = -1;
}

// What the child has its own copies of.
static void leave_to_child(struct launch *launch) {
  ends_close(launch->ends);
  sources_close(&launch->sources);
  namespaces_close(&launch->namespaces);
  own_close(&launch->nursery);
  launch->nursery = -1;
}

static int parent_attend(struct launch *launch, bool placed, struct process *init, struct failure *failure) {
  const struct plan *plan = launch->request->plan;
  if (launch->namespaces.fresh & CLONE_NEWUSER) {
    if (namespaces_map_users(plan, init->pid, failure)) return -1;
    birth_say(launch->line[0], BIRTH_MAPPED, -1, NULL);
  }
  if (oom_score_apply(plan, init->pid, failure)) return -1;
  if (!placed && cgroups_make(plan, &launch->cgroups, failure)) return -1;
  if (!placed && cgroups_place(plan, init->pid, 0, failure)) return -1;
  birth_say(launch->line[0], BIRTH_GO, -1, NULL);
  // A client tries again without a namespace that is no longer held: it must not have been told that anyone listens.
  if (birth_await_joined(launch->line[0], failure)) return -1;
  if (launch->meanwhile(launch->context, failure)) return -1;
  birth_say(launch->line[0], BIRTH_RUN, -1, NULL);
  leave_to_child(launch);
  return birth_attend(launch->line[0], &launch->ends->console, failure);
}

// Root in a user namespace may neither enter the data root nor ask the launcher's parent: its overlays are made here.
static int prepare_for_mapped(struct launch *launch, struct failure *failure) {
  struct request *request = launch->request;
  const struct operation *overlay = plan_find(request->plan, "root-overlay", 0);
  if (namespaces_read_held(request, &launch->namespaces, failure)) return -1;
  if (sources_open_layers(request, &launch->sources, failure)) return -1;
  if (overlay) launch->sources.root = mount_overlay(overlay, &launch->sources.layers, failure);
  return overlay && launch->sources.root < 0 ? -1 : views_create(request->plan, &launch->sources, failure);
}

static int prepare(struct launch *launch, struct failure *failure) {
  struct request *request = launch->request;
  if (birth_line(launch->line)) return fail(failure, "spawn", "", errno, "the birth line cannot be made");
  if (namespaces_read(request, &launch->namespaces, failure)) return -1;
  if (!(launch->namespaces.fresh & CLONE_NEWNS))
    return fail(failure, "namespace", "mount", EINVAL, "a container needs a mount namespace of its own");
  if (sources_open_binds(request, &launch->sources, failure)) return -1;
  for (int kind = 0; kind < STOCK_KINDS; kind++)
    if (request->order->kinds[kind]) launch->ordered |= stock_flags[kind];
  return launch->namespaces.fresh & CLONE_NEWUSER ? prepare_for_mapped(launch, failure) : 0;
}

// A monitor lives as long as its container: it keeps nothing of the launcher's alive, and has nothing to say to it.
static void order_forget(struct request *request) {
  order_end(request->order);
  own_close(&request->counter);
  request->counter = -1;
  request->order = NULL;
}

static int spawn(struct launch *launch, struct process *init, struct failure *failure) {
  const struct plan *plan = launch->request->plan;
  if (prepare(launch, failure)) return -1;
  // A lone cgroup is entered by the clone itself; it must exist before.
  bool alone = plan_find(plan, "cgroup", 0) && !plan_find(plan, "cgroup", 1);
  if (alone && cgroups_make(plan, &launch->cgroups, failure)) return -1;
  OWN_FD only = alone ? cgroups_only_v2(plan) : -1;
  if (clone_child(launch, only, init, failure)) return -1;
  order_forget(launch->request);
  if (!parent_attend(launch, only >= 0, init, failure)) return 0;
  birth_abort(init);
  return -1;
}

int launch_spawn(struct request *request, struct stdio_ends *ends, struct process *init, meanwhile_function *meanwhile,
                 void *context, struct failure *failure) {
  struct launch launch = {.request = request, .ends = ends, .meanwhile = meanwhile, .context = context, .sources = {.root = -1}, .nursery = -1,
                           .line = {-1, -1}};
  for (int i = 0; i < NAMESPACE_KINDS; i++) launch.namespaces.joined[i] = -1;
  *init = (struct process){-1, -1};
  ends->console = -1;
  int result = spawn(&launch, init, failure);
  own_close(&launch.line[0]);
  own_close(&launch.line[1]);
  leave_to_child(&launch);
  if (result) cgroups_undo(&launch.cgroups);
  else cgroups_keep(&launch.cgroups);
  return result;
}
