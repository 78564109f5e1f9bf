// digest: SHA-256 of files' contents and of their extended attributes.
//
// For each `file` (its path as hex) 96 bytes: state (8 bits: 0 read, 1 gone or no regular file), whether it has attributes (8 bits), 6 zeros; digest
// of the contents, digest of the attributes (zeros without any); size and seconds of mtime as they were after reading (64
// bits each), nanoseconds of mtime (32), 4 zeros. Directories have attributes only.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attributes.h"
#include "calls.h"
#include "own.h"
#include "resolve.h"
#include "sha256.h"
#include "stream.h"
#include "tree.h"
#include "verbs.h"

enum { ANSWER_BYTES = 96, READ_BYTES = 256 << 10 };

struct digesting {
  int root, parent;
  char *parent_path;  // of `parent`, NULL when none is open
  uint8_t *buffer;
  struct stream_out out;
};

static void put(uint8_t *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

// The directory of the path, opened once for all neighbours that follow each other.
static int parent_of(struct digesting *digesting, char *path, const char **name) {
  char *slash = strrchr(path, '/');
  const char *directory = slash ? path : "";
  *name = slash ? slash + 1 : path;
  if (slash) *slash = 0;
  if (digesting->parent_path && !strcmp(digesting->parent_path, directory)) return digesting->parent;
  own_close(&digesting->parent);
  free(digesting->parent_path);
  digesting->parent_path = NULL;
  digesting->parent = resolve_with(digesting->root, directory, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
  if (digesting->parent >= 0) digesting->parent_path = strdup(directory);
  return digesting->parent;
}

static int read_all(struct digesting *digesting, int fd, uint8_t *digest) {
  struct sha256 hash;
  sha256_open(&hash);
  for (;;) {
    ssize_t got = read(fd, digesting->buffer, READ_BYTES);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    sha256_add(&hash, digesting->buffer, (size_t)got);
  }
  sha256_close(&hash, digest);
  return 0;
}

static int by_name(const void *left, const void *right) {
  return strcmp(((const struct tar_xattr *)left)->name, ((const struct tar_xattr *)right)->name);
}

// 1 when there are attributes. The order in which the file system lists them does not matter.
static int attributes_digest(int parent, const char *name, int fd, uint8_t *digest) {
  struct xattr_list xattrs;
  struct sha256 hash;
  if (xattrs_read(parent, name, fd, &xattrs)) return -1;
  int some = xattrs.count > 0;
  sha256_open(&hash);
  if (some) qsort(xattrs.list, xattrs.count, sizeof *xattrs.list, by_name);
  for (size_t i = 0; i < xattrs.count; i++) {
    uint8_t length[4];
    put(length, xattrs.list[i].length, 4);
    sha256_add(&hash, xattrs.list[i].name, strlen(xattrs.list[i].name) + 1);
    sha256_add(&hash, length, sizeof length);
    sha256_add(&hash, xattrs.list[i].value, xattrs.list[i].length);
  }
  if (some) sha256_close(&hash, digest);
  xattrs_free(&xattrs);
  return some;
}

static int answer_one(struct digesting *digesting, char *path, struct failure *failure) {
  uint8_t answer[ANSWER_BYTES] = {0};
  struct stat stat;
  const char *name;
  int parent = parent_of(digesting, path, &name);
  if (!*name) name = ".";
  bool there = parent >= 0 && !fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW);
  bool directory = there && S_ISDIR(stat.st_mode);
  OWN_FD fd = !there      ? -1
              : directory ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                          : tree_open_file(parent, name, &stat);
  if (fd < 0 && there && errno != ENOENT && errno != EINVAL && errno != ENOTDIR && errno != ELOOP)
    return fail(failure, "digest", path, errno, "\"%.200s\" cannot be opened: %s", name, strerror(errno));
  int some = 0;
  bool failed = fd >= 0 && !directory && read_all(digesting, fd, answer + 8);
  if (fd >= 0 && !failed) some = attributes_digest(parent, name, fd, answer + 40);
  if (failed || some < 0 || (fd >= 0 && fstat(fd, &stat)))
    return fail(failure, "digest", path, errno, "\"%.200s\" cannot be read: %s", name, strerror(errno));
  answer[0] = fd < 0;
  answer[1] = (uint8_t)some;
  put(answer + 72, fd < 0 ? 0 : (uint64_t)stat.st_size, 8);
  put(answer + 80, fd < 0 ? 0 : (uint64_t)stat.st_mtim.tv_sec, 8);
  put(answer + 88, fd < 0 ? 0 : (uint64_t)stat.st_mtim.tv_nsec, 4);
  return stream_write(&digesting->out, answer, sizeof answer)
             ? fail(failure, "digest", "", errno, "the client stopped reading: %s", strerror(errno))
             : 0;
}

static int answer_all(struct digesting *digesting, const struct plan *plan, struct failure *failure) {
  for (uint32_t i = 1; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    size_t length = 0;
    if (!strncmp(operation->name, "root-", 5)) continue;
    uint8_t *bytes = strcmp(operation->name, "file") || operation->count != 1 ? NULL : parse_hex(operation->args[0], &length);
    OWN_MEMORY char *path = bytes ? calloc(1, length + 1) : NULL;
    if (path) memcpy(path, bytes, length);
    free(bytes);
    if (!path || strlen(path) != length)
      return fail(failure, operation->name, "", EINVAL, "digest wants paths of files in hexadecimal");
    if (answer_one(digesting, path, failure)) return -1;
  }
  if (!stream_finish(&digesting->out)) return 0;
  return fail(failure, "digest", "", errno, "the client stopped reading: %s", strerror(errno));
}

int verb_digest(struct request *request, struct failure *failure) {
  OWN_FD root = root_open(request, failure);
  if (root < 0) return -1;
  struct digesting digesting = {.root = root, .parent = -1, .buffer = malloc(READ_BYTES)};
  int result = digesting.buffer && !stream_out_open(&digesting.out, request->connection)
                   ? answer_all(&digesting, request->plan, failure)
                   : fail(failure, "digest", "", ENOMEM, "out of memory");
  stream_out_close(&digesting.out);
  own_close(&digesting.parent);
  free(digesting.parent_path);
  free(digesting.buffer);
  if (!result) report(request->connection, "ok", NULL);
  return result;
}
