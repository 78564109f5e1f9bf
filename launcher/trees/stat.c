// stat: what a path in a root is.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "own.h"
#include "resolve.h"
#include "verbs.h"

int verb_stat(struct request *request, struct failure *failure) {
  const struct operation *path = plan_find(request->plan, "path", 0), *option = plan_find(request->plan, "option", 0);
  char link[PATH_MAX] = "", size[24], mode[24], modified[32];
  struct stat stat;
  if (!path || path->count != 1) return fail(failure, "path", "", EINVAL, "stat needs one path");
  bool follow = option && option->count == 2 && !strcmp(option->args[0], "follow") && !strcmp(option->args[1], "yes");
  OWN_FD root = root_open(request, failure);
  if (root < 0) return -1;
  const char *text = path->args[0];
  OWN_FD fd = follow ? resolve_open(root, text, O_PATH, 0) : resolve_open_nofollow(root, text, O_PATH, 0);
  if (fd < 0 || fstat(fd, &stat)) return fail(failure, "stat", text, errno, "it cannot be opened: %s", strerror(errno));
  if (S_ISLNK(stat.st_mode) && readlinkat(fd, "", link, sizeof link - 1) < 0)
    return fail(failure, "stat", text, errno, "the link cannot be read: %s", strerror(errno));
  char name[PATH_MAX];
  snprintf(name, sizeof name, "%s", text);
  size_t length = strlen(name);
  while (length > 1 && name[length - 1] == '/') name[--length] = 0;
  const char *slash = strrchr(name, '/'), *last = slash && slash[1] ? slash + 1 : name;
  snprintf(size, sizeof size, "%" PRId64, (int64_t)stat.st_size);
  snprintf(mode, sizeof mode, "%u", stat.st_mode);
  __int128 nanoseconds = (__int128)stat.st_mtim.tv_sec * 1000000000 + stat.st_mtim.tv_nsec;
  snprintf(modified, sizeof modified, "%" PRId64, (int64_t)nanoseconds);
  report(request->connection, "ok", "name", last, "size", size, "mode", mode, "mtime-ns", modified, "link-target", link,
         NULL);
  return 0;
}
