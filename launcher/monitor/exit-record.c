// The exit record: a whole file or none, written before anyone is told of the end.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "made-directory.h"
#include "monitor.h"
#include "own.h"

static char *temporary_name(const char *path) {
  size_t room = strlen(path) + 8;
  char *name = malloc(room);
  if (name) snprintf(name, room, "%s.tmp", path);
  return name;
}

int exit_record_make(const char *path) {
  OWN_MEMORY char *temporary = temporary_name(path);
  if (!temporary) return errno = ENOMEM, -1;
  return open_in_made_directory(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
}

void exit_record_drop(const char *path, int made) {
  OWN_MEMORY char *temporary = made < 0 ? NULL : temporary_name(path);
  if (temporary) unlink(temporary);
  own_close(&made);
}

// Whether the path still leads to the file: its directory may have been made anew while the container ran.
static bool is_at(const char *path, int fd) {
  struct stat there, here;
  return !lstat(path, &there) && !fstat(fd, &here) && there.st_ino == here.st_ino && there.st_dev == here.st_dev;
}

int exit_record_write(const char *path, int made, bool sync, const char *payload, size_t length) {
  OWN_MEMORY char *temporary = temporary_name(path);
  OWN_FD fd = temporary && made >= 0 && is_at(temporary, made) ? made : exit_record_make(path);
  if (fd != made && made >= 0) close(made);
  if (!temporary || fd < 0) return -1;
  ssize_t put = write(fd, payload, length);
  if (put == (ssize_t)length && (!sync || !fdatasync(fd)) && !rename(temporary, path)) return 0;
  int error = put < 0 || put == (ssize_t)length ? errno : ENOSPC;
  unlink(temporary);
  errno = error;
  return -1;
}
