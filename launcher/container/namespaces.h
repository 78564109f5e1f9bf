// The namespaces a container gets: new ones, held ones, others' ones.
#ifndef SLOOP_NAMESPACES_H
#define SLOOP_NAMESPACES_H
#include <stdbool.h>
#include <stdint.h>

#include "verbs.h"

enum { NAMESPACE_KINDS = 8 };

// By index: the flag of clone(2), whether it is new, and the descriptor to join (-1 = none).
struct namespaces {
  uint64_t fresh;  // CLONE_NEW* of every new namespace
  int joined[NAMESPACE_KINDS];
};

// The clone flag of the kind at an index; index of a kind's name, or -1.
uint64_t namespace_flag(int index);
int namespace_index(const char *kind);

// Reads the plan's namespace operations and opens what is joined, but for those that the launcher holds: they come with
// the second call. -1 with the failure filled.
int namespaces_read(struct request *request, struct namespaces *namespaces, struct failure *failure);
int namespaces_read_held(struct request *request, struct namespaces *namespaces, struct failure *failure);
// CLONE_NEW* of all that are not the host's.
uint64_t namespaces_own(const struct namespaces *namespaces);
void namespaces_close(struct namespaces *namespaces);
// Enters every joined namespace but pid's (which is the parent's to prepare). -1 with the failure filled.
int namespaces_join(const struct namespaces *namespaces, struct failure *failure);
// Writes uid_map and gid_map of a child in a new user namespace.
int namespaces_map_users(const struct plan *plan, int pid, struct failure *failure);
// Brings up the loopback interface of this process's network namespace. -1 with the failure filled.
int loopback_up(struct failure *failure);
#endif
