// What a verb gets and which verbs there are. A verb runs in its own forked child of the launcher.
#ifndef SLOOP_VERBS_H
#define SLOOP_VERBS_H
#include <stdbool.h>

#include "plan.h"
#include "report.h"

struct request {
  int connection;           // the client's stream socket
  const struct plan *plan;  // operations[0] is the verb
  int host_mounts;          // descriptor of the host's mount namespace
  int host_network;         // descriptor of the host's network namespace
  int mailbox;              // datagram socket to the launcher's parent (held namespaces), or -1
  int counter;              // likewise, for namespaces made ahead (stock.h), or -1
  int order;                // launch: where those that were asked for come, or -1
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

// Held network namespaces and layers live in the launcher's parent (hold.c). A child inherits their descriptors.
int held_find(const char *name);                                            // descriptor, or -1
int held_hold(struct request *request, const char *name, int descriptor);   // asks the parent to keep it
int held_drop(struct request *request, const char *name);                   // asks the parent to forget it
// Calls visit for each held name.
void held_each(void (*visit)(const char *name, void *context), void *context);
// Opens `held:NAME`, `host`, or a path as a namespace descriptor; -1 with the failure filled.
int namespace_open(struct request *request, const char *text, struct failure *failure);
#endif
