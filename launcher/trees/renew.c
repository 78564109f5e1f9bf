// renew: writable layers that nothing was written to are made as good as new, so that no others need be created.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "host-mounts.h"
#include "own.h"
#include "rules.h"
#include "tree.h"
#include "verbs.h"

enum { ATTRIBUTES_MAX = 4096 };

static const struct rule renew_rules[] = {{"renew", 0, 0}, {"layer", 2, 2}, {NULL, 0, 0}};

static bool is_empty(int directory) {
  struct tree_names names;
  if (tree_names_read(directory, false, &names)) return false;
  bool empty = !names.count;
  tree_names_free(&names);
  return empty;
}

// Overlay's own marks go too: they are about the stack of layers that the directory was the top of.
static bool strip(int directory) {
  char names[ATTRIBUTES_MAX];
  ssize_t length = flistxattr(directory, names, sizeof names);
  if (length < 0) return errno == ENOTSUP;
  for (const char *name = names; name < names + length; name += strlen(name) + 1)
    if (fremovexattr(directory, name)) return false;
  return true;
}

static unsigned flags_of(int directory) {
  unsigned flags = 0;
  return ioctl(directory, FS_IOC_GETFLAGS, &flags) ? 0 : flags;
}

// Whatever a container can have changed of its root directory is put back, or the layer is given up.
static bool reset(int upper, int work) {
  struct stat status;
  if (fstat(upper, &status) || !is_empty(upper) || flags_of(upper) != flags_of(work) || !strip(upper)) return false;
  if ((status.st_uid || status.st_gid) && fchown(upper, 0, 0)) return false;
  if ((status.st_mode & 07777) != 0755 && fchmod(upper, 0755)) return false;
  return !futimens(upper, NULL);
}

static bool renew(const struct operation *operation) {
  struct failure ignored;
  OWN_FD upper = open(operation->args[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  OWN_FD work = open(operation->args[1], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return upper >= 0 && work >= 0 && reset(upper, work) && !tree_empty(work, "renew", &ignored);
}

int verb_renew(struct request *request, struct failure *failure) {
  static const char yes[] = "renewed\0yes", no[] = "renewed\0no";
  const struct plan *plan = request->plan;
  if (rules_check(plan, renew_rules, failure) || host_mounts_enter(request, failure)) return -1;
  OWN_MEMORY char *answer = malloc(sizeof "ok" + plan->count * sizeof yes);
  if (!answer) return fail(failure, "renew", "", ENOMEM, "out of memory");
  size_t used = sizeof "ok";
  memcpy(answer, "ok", used);
  for (uint32_t i = 1; i < plan->count; i++) {
    bool renewed = renew(&plan->operations[i]);
    memcpy(answer + used, renewed ? yes : no, renewed ? sizeof yes : sizeof no);
    used += renewed ? sizeof yes : sizeof no;
  }
  frame_write(request->connection, FRAME_REPORT, answer, used);
  return 0;
}
