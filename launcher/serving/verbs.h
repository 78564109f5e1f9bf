// What a verb gets and which verbs there are. A verb runs in its own forked child of the launcher.
#ifndef SLOOP_VERBS_H
#define SLOOP_VERBS_H
#include <stdbool.h>
#include <sys/types.h>

#include "plan.h"
#include "report.h"

struct order;

struct request {
  int connection;           // the client's stream socket
  const struct plan *plan;  // operations[0] is the verb
  pid_t launcher;           // the parent
  int host_mounts;          // descriptor of the host's mount namespace
  int host_network;         // descriptor of the host's network namespace
  int counter;              // datagram socket to the launcher's parent (counter.h), or -1
  int line[2];              // two ends for the next question there, or -1
  struct order *order;      // launch: what was asked for there
  // As the parent was when this process was forked:
  bool spent;               // nothing of the stock was left
  bool full;                // no more could be held
};

// Returns 0 after its last report was sent, or -1 with the failure filled (the caller reports it).
typedef int verb_function(struct request *request, struct failure *failure);

verb_function verb_launch;                                           // launch.c
verb_function verb_unpack, verb_pack, verb_stat, verb_changes;       // unpack.c pack.c stat.c changes.c
verb_function verb_copy, verb_remove_tree, verb_usage;               // copy.c remove-tree.c usage.c
verb_function verb_furnish, verb_renew;                             // furnish.c renew.c
verb_function verb_scan, verb_digest, verb_assemble;                 // scan.c digest.c assemble.c
verb_function verb_netns_create, verb_netns_drop, verb_netns_list;   // netns.c
verb_function verb_cgroup_favor_moves;                               // cgroup-tune.c
verb_function verb_netlink_watch;                                    // netlink-watch.c
verb_function verb_netlink, verb_cgroup_kill, verb_probe, verb_version;  // netlink.c cgroup-kill.c probe.c

// Held network namespaces and layers live in the launcher's parent, which is asked at the counter (counter.c).
int held_get(struct request *request, const char *name);                    // descriptor of one's own, or -1
int held_hold(struct request *request, const char *name, int descriptor);   // asks the parent to keep it
int held_drop(struct request *request, const char *name);                   // asks the parent to forget it
// The names of all but layers, one after the other, each with its NUL, in fresh memory; NULL with errno.
char *held_list(struct request *request, size_t *bytes);
// Opens `held:NAME`, `host`, or a path as a namespace descriptor; -1 with the failure filled.
int namespace_open(struct request *request, const char *text, struct failure *failure);
#endif
