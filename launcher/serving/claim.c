// Which launcher serves: the holder of a lock beside the socket. A lock is a process's own and death gives it back.
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "own.h"

// A holder that nobody could reach for so long has lost its socket; one that was told to end has so long to do it.
enum { TRY_MS = 2, UNREACHED_MS = 2000, PATIENCE_MS = 8000 };

int complain(const char *step, const char *path) {
  fprintf(stderr, "launcher: %s %s: %s\n", step, path, strerror(errno));
  return -1;
}

static bool answers(const struct sockaddr_un *address) {
  OWN_FD probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return probe >= 0 && !connect(probe, (const struct sockaddr *)address, sizeof *address);
}

static void make_way(int lock) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (!fcntl(lock, F_GETLK, &whole) && whole.l_type != F_UNLCK && whole.l_pid > 1) kill(whole.l_pid, SIGTERM);
}

// Between bind and listen a socket refuses like a stale one: without the lock two launchers that start at once would
// each take the path, and the first would serve on unseen. The descriptor is never closed, which would end the lock.
static int take_lock(const char *path, const struct sockaddr_un *address) {
  char name[PATH_MAX];
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  snprintf(name, sizeof name, "%s.lock", path);
  int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) return complain("open", name);
  for (int waited = 0; fcntl(lock, F_SETLK, &whole); waited += TRY_MS) {
    if (errno != EAGAIN && errno != EACCES) return complain("lock", name);
    if (answers(address)) return errno = EADDRINUSE, complain("listen on", path);
    if (waited == UNREACHED_MS) make_way(lock);
    if (waited > PATIENCE_MS) return errno = EBUSY, complain("lock", name);
    nanosleep(&(struct timespec){.tv_nsec = TRY_MS * 1000000}, NULL);
  }
  return 0;
}

int claim_socket(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, complain("listen on", path);
  strcpy(address.sun_path, path);
  if (take_lock(path, &address)) return -1;
  // A launcher of an earlier version has no lock.
  if (answers(&address)) return errno = EADDRINUSE, complain("listen on", path);
  OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t mask = umask(0177);
  unlink(path);
  int bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(mask);
  if (bound || listen(fd, 1024)) return complain("listen on", path);
  return give_fd(&fd);
}

void claim_note(struct claim *claim, const char *path) {
  struct stat status;
  bool seen = !lstat(path, &status) && S_ISSOCK(status.st_mode);
  *claim = (struct claim){.path = seen ? path : NULL};
  if (seen) claim->device = status.st_dev, claim->inode = status.st_ino;
}

bool claim_lost(const struct claim *claim) {
  struct stat status;
  if (!claim->path) return false;
  if (lstat(claim->path, &status)) return errno == ENOENT || errno == ENOTDIR;
  return status.st_dev != claim->device || status.st_ino != claim->inode;
}
