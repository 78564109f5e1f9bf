// A file is opened, its directory made first when that is missing.
#include "made-directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int open_in_made_directory(const char *path, int flags, mode_t mode) {
  char directory[PATH_MAX];
  int fd = open(path, flags | O_CLOEXEC, mode);
  if (fd >= 0 || errno != ENOENT) return fd;
  const char *slash = strrchr(path, '/');
  if (!slash || (size_t)(slash - path) >= sizeof directory) return -1;
  snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
  if (mkdir(directory, 0710) && errno != EEXIST) return -1;
  return open(path, flags | O_CLOEXEC, mode);
}
