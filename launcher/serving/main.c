// The launcher: performs plans. `launcher serve SOCKET [DATA_ROOT]` serves them, `launcher version` names itself.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve.h"
#include "verbs.h"
#include "waiting.h"

#define LAUNCHER_VERSION "1"

static const struct {
  const char *name;
  verb_function *perform;
} verbs[] = {
    {"launch", verb_launch},
    {"netns-create", verb_netns_create},
    {"netns-drop", verb_netns_drop},
    {"netns-list", verb_netns_list},
    {"netlink", verb_netlink},
    {"netlink-watch", verb_netlink_watch},
    {"cgroup-kill", verb_cgroup_kill},
    {"cgroup-favor-moves", verb_cgroup_favor_moves},
    {"furnish", verb_furnish},
    {"renew", verb_renew},
    {"remove-tree", verb_remove_tree},
    {"stat", verb_stat},
    {"pack", verb_pack},
    {"unpack", verb_unpack},
    {"copy", verb_copy},
    {"changes", verb_changes},
    {"usage", verb_usage},
    {"scan", verb_scan},
    {"digest", verb_digest},
    {"assemble", verb_assemble},
    {"probe", verb_probe},
    {"version", verb_version},
};

int verb_version(struct request *request, struct failure *failure) {
  char pid[16];
  snprintf(pid, sizeof pid, "%d", request->launcher);
  return report(request->connection, "ok", "version", LAUNCHER_VERSION, "pid", pid, NULL);
}

static int plan_read(struct plan *plan, int connection, struct failure *failure) {
  uint8_t kind = 0;
  char *payload = NULL;
  int64_t length = frame_read(connection, &kind, &payload);
  if (length == -1) return fail(failure, "plan", "", errno, "the connection ended before a whole plan came");
  if (length == -2) return fail(failure, "plan", "", EPROTO, "the frame's header breaks the protocol's rules");
  if (kind != FRAME_PLAN) free(payload);
  const char *wrong = kind == FRAME_PLAN ? plan_decode(plan, payload, (size_t)length) : "a plan must come first";
  return wrong ? fail(failure, "plan", "", EPROTO, "%s", wrong) : 0;
}

static int perform(struct request *request, const char *verb, struct failure *failure) {
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(verbs[i].name, verb) && verbs[i].perform) return verbs[i].perform(request, failure);
  return fail(failure, "plan", verb, ENOSYS, "the launcher has no such verb");
}

static int connection_main(struct request *request) {
  struct plan plan = {0};
  struct failure failure = {0};
  if (!plan_await(request)) return 0;
  int result = plan_read(&plan, request->connection, &failure);
  request->plan = &plan;
  if (!result) result = perform(request, plan.operations[0].name, &failure);
  if (result) report_failure(request->connection, &failure);
  plan_free(&plan);
  return result ? 1 : 0;
}

static int usage(void) {
  fputs("usage: launcher serve SOCKET [DATA_ROOT] | launcher version\n", stderr);
  return 2;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "version")) return puts("sloop launcher " LAUNCHER_VERSION) < 0;
  if (argc < 3 || argc > 4 || strcmp(argv[1], "serve")) return usage();
  if (serve_from_sealed_copy(argv)) return 1;
  return serve(argv[2], argv[3], connection_main) ? 1 : 0;
}
