// usage: what a tree takes on its file system; a file with several names counts once.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host-mounts.h"
#include "links.h"
#include "own.h"
#include "tree.h"
#include "verbs.h"

struct usage {
  uint64_t bytes, inodes, content;
  struct links links;
};

static int count(struct usage *usage, const struct stat *stat, struct failure *failure) {
  int failed = 0;
  if (!S_ISDIR(stat->st_mode) && stat->st_nlink > 1 && links_seen(&usage->links, stat, "", &failed)) return 0;
  if (failed) return fail(failure, "usage", "", ENOMEM, "out of memory");
  usage->bytes += (uint64_t)stat->st_blocks * 512;
  usage->inodes++;
  if (!S_ISDIR(stat->st_mode)) usage->content += (uint64_t)stat->st_size;
  return 0;
}

static int leaf(void *context, const struct tree_place *place, struct failure *failure) {
  return count(context, &place->stat, failure);
}

static int enter(void *context, const struct tree_place *place, int directory, struct failure *failure) {
  return count(context, &place->stat, failure);
}

int verb_usage(struct request *request, struct failure *failure) {
  static const struct tree_visitor visitor = {.wants_stat = true, .mounts = TREE_SKIP, .leaf = leaf, .enter = enter};
  const struct operation *path = plan_find(request->plan, "path", 0);
  struct usage usage = {0};
  struct stat stat;
  char bytes[24], inodes[24], content[24];
  if (!path || path->count != 1) return fail(failure, "path", "", EINVAL, "usage needs one path");
  if (host_mounts_enter(request, failure)) return -1;
  OWN_FD fd = open(path->args[0], O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &stat))
    return fail(failure, "usage", path->args[0], errno, "it cannot be opened: %s", strerror(errno));
  int result = count(&usage, &stat, failure);
  if (!result && S_ISDIR(stat.st_mode)) result = tree_walk(fd, "usage", &visitor, &usage, failure);
  links_free(&usage.links);
  if (result) return result;
  snprintf(bytes, sizeof bytes, "%" PRIu64, usage.bytes);
  snprintf(inodes, sizeof inodes, "%" PRIu64, usage.inodes);
  snprintf(content, sizeof content, "%" PRIu64, usage.content);
  report(request->connection, "ok", "bytes", bytes, "inodes", inodes, "content", content, NULL);
  return 0;
}
