// The exit record: a whole file or none, written before anyone is told of the end.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "made-directory.h"
#include "monitor.h"
#include "own.h"

struct name {
  char text[PATH_MAX];
};

static struct name temporary(const char *path) {
  struct name name;
  // A path that is too long names no file.
  if ((size_t)snprintf(name.text, sizeof name.text, "%s.tmp", path) >= sizeof name.text) name.text[0] = 0;
  return name;
}

int exit_record_make(const char *path) {
  return open_in_made_directory(temporary(path).text, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
}

void exit_record_drop(const char *path, int made) {
  if (made >= 0) unlink(temporary(path).text);
  own_close(&made);
}

// Its directory may have been removed and made anew while the container ran.
static bool is_there(int fd) {
  struct stat status;
  return fd >= 0 && !fstat(fd, &status) && status.st_nlink;
}

static int write_into(int fd, const char *path, bool sync, const char *payload, size_t length) {
  ssize_t put = write(fd, payload, length);
  if (put != (ssize_t)length) return errno = put < 0 ? errno : ENOSPC, -1;
  return sync && fdatasync(fd) ? -1 : rename(temporary(path).text, path);
}

int exit_record_write(const char *path, int made, bool sync, const char *payload, size_t length) {
  OWN_FD first = made;
  if (is_there(made) && !write_into(made, path, sync, payload, length)) return 0;
  // None could be made, or its place has gone.
  OWN_FD second = exit_record_make(path);
  if (second >= 0 && !write_into(second, path, sync, payload, length)) return 0;
  int error = errno;
  unlink(temporary(path).text);
  errno = error;
  return -1;
}
