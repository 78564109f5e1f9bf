// The exit record: a whole file or none, written before anyone is told of the end.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "made-directory.h"
#include "monitor.h"
#include "own.h"

int exit_record_write(const char *path, bool sync, const char *payload, size_t length) {
  size_t room = strlen(path) + 8;
  char temporary[room];
  snprintf(temporary, room, "%s.tmp", path);
  OWN_FD fd = open_in_made_directory(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  if (fd < 0) return -1;
  ssize_t put = write(fd, payload, length);
  if (put == (ssize_t)length && (!sync || !fdatasync(fd)) && !rename(temporary, path)) return 0;
  int error = put < 0 || put == (ssize_t)length ? errno : ENOSPC;
  unlink(temporary);
  errno = error;
  return -1;
}
