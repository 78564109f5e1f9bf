// unpack: the tar stream of a client becomes files beneath a root.
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"
#include "resolve.h"
#include "user.h"
#include "verbs.h"

enum { DIRECTORY_BYTES_MAX = 512 << 20 };

int unpack_clean(const char *name, char clean[PATH_MAX], struct failure *failure) {
  size_t used = 0;
  clean[0] = 0;
  while (*name) {
    size_t length = strcspn(name, "/");
    bool up = length == 2 && name[0] == '.' && name[1] == '.';
    if (up && !used) return fail(failure, "unpack", name, EXDEV, "an entry's name leads out of the destination");
    if (up) {
      while (used && clean[used - 1] != '/') used--;
      used -= used > 0;
    } else if (length && !(length == 1 && *name == '.')) {
      if (used + length + 2 > PATH_MAX)
        return fail(failure, "unpack", clean, ENAMETOOLONG, "an entry's name is too long");
      if (used) clean[used++] = '/';
      memcpy(clean + used, name, length);
      used += length;
    }
    clean[used] = 0;
    name += length + (name[length] == '/');
  }
  return 0;
}

void unpack_forget_parent(struct unpack *unpack) {
  if (unpack->parent >= 0) close(unpack->parent);
  unpack->parent = -1;
}

int unpack_parent(struct unpack *unpack, const char *clean, const char **name, struct failure *failure) {
  char full[2 * PATH_MAX];
  const char *slash = strrchr(clean, '/');
  size_t length = slash ? (size_t)(slash - clean) : 0;
  *name = slash ? slash + 1 : clean;
  if (unpack->parent >= 0 && !strncmp(unpack->parent_path, clean, length) && !unpack->parent_path[length])
    return unpack->parent;
  unpack_forget_parent(unpack);
  snprintf(full, sizeof full, "%s/%.*s", unpack->at, (int)length, clean);
  unpack->parent = resolve_open(unpack->root, full, O_PATH | O_DIRECTORY, 0);
  if (unpack->parent < 0 && errno == ENOENT && length)
    unpack->parent = resolve_make_directories(unpack->root, full, 0755);
  if (unpack->parent < 0)
    return fail(failure, "unpack", clean, errno, "its directory cannot be opened: %s", strerror(errno));
  memcpy(unpack->parent_path, clean, length);
  unpack->parent_path[length] = 0;
  return unpack->parent;
}

int unpack_remember(struct unpack *unpack, const char *clean, const struct stat *stat, const struct timespec times[2],
                    struct failure *failure) {
  size_t length = strlen(clean) + 1;
  if (unpack->directory_count == unpack->directory_room) {
    size_t room = unpack->directory_room ? unpack->directory_room * 2 : 256;
    struct unpacked_directory *list = realloc(unpack->directories, room * sizeof *list);
    if (!list) return fail(failure, "unpack", clean, ENOMEM, "out of memory");
    unpack->directories = list;
    unpack->directory_room = room;
  }
  struct unpacked_directory *directory = &unpack->directories[unpack->directory_count];
  unpack->directory_bytes += length + sizeof *directory;
  if (unpack->directory_bytes > DIRECTORY_BYTES_MAX)
    return fail(failure, "unpack", clean, E2BIG, "the tar has too many directories");
  *directory = (struct unpacked_directory){malloc(length), stat->st_dev, stat->st_ino, {times[0], times[1]}};
  if (!directory->path) return fail(failure, "unpack", clean, ENOMEM, "out of memory");
  memcpy(directory->path, clean, length);
  unpack->directory_count++;
  return 0;
}

// In the archive's order, so that the last entry of a directory wins; one that has been replaced or moved since is left
// alone.
int unpack_directory_times(struct unpack *unpack, struct failure *failure) {
  for (size_t i = 0; i < unpack->directory_count; i++) {
    const struct unpacked_directory *directory = &unpack->directories[i];
    char full[2 * PATH_MAX];
    struct stat stat;
    snprintf(full, sizeof full, "%s/%s", unpack->at, directory->path);
    OWN_FD fd = resolve_open(unpack->root, full, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || fstat(fd, &stat) || stat.st_dev != directory->device || stat.st_ino != directory->inode) continue;
    if (futimens(fd, directory->times))
      return fail(failure, "unpack", directory->path, errno, "its times cannot be set: %s", strerror(errno));
  }
  return 0;
}

static int choice(const char *value, const char *const *choices) {
  for (int i = 0; choices[i]; i++)
    if (!strcmp(value, choices[i])) return i;
  return -1;
}

static int read_option(struct unpack *unpack, struct stream_in *in, const char *key, const char *value,
                       struct failure *failure) {
  static const char *const whiteouts[] = {"none", "overlay", "apply", NULL}, *const yes_no[] = {"no", "yes", NULL};
  static const char *const keep[] = {"no", "keep", NULL};
  int chosen = 0;
  bool known = true;
  if (!strcmp(key, "whiteouts"))
    unpack->whiteouts = (enum unpack_whiteouts)(chosen = choice(value, whiteouts));
  else if (!strcmp(key, "overwrite-dir-with-file"))
    unpack->overwrite_directories = (chosen = choice(value, yes_no)) == 1;
  else if (!strcmp(key, "owners"))
    unpack->keep_owners = (chosen = choice(value, keep)) == 1;
  else if (!strcmp(key, "limit"))
    chosen = parse_u64(value, 10, UINT64_MAX, &in->limit) ? 0 : -1;
  else
    known = false;
  if (known && chosen >= 0) return 0;
  return fail(failure, "option", key, EINVAL, "unpack has no option \"%s\" with the value \"%s\"", key, value);
}

static int read_plan(struct unpack *unpack, struct stream_in *in, const struct plan *plan, struct failure *failure) {
  unpack->at = "/";
  unpack->keep_owners = unpack->overwrite_directories = true;
  for (uint32_t i = 1; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    if (!strncmp(operation->name, "root-", 5) || !strcmp(operation->name, "bind")) continue;  // read by root_open
    if (!strcmp(operation->name, "at") && operation->count == 1) {
      unpack->at = operation->args[0];
    } else if (!strcmp(operation->name, "option") && operation->count == 2) {
      if (read_option(unpack, in, operation->args[0], operation->args[1], failure)) return -1;
    } else if (!strcmp(operation->name, "user") && operation->count == 1) {
      unpack->one_owner = true;  // looked up once the root is open
    } else {
      return fail(failure, operation->name, "", EINVAL, "unpack has no operation \"%s\" with %u arguments",
                  operation->name, operation->count);
    }
  }
  if (strlen(unpack->at) >= PATH_MAX)
    return fail(failure, "at", unpack->at, ENAMETOOLONG, "the destination's path is too long");
  return 0;
}

static int find_owner(struct unpack *unpack, const struct plan *plan, struct failure *failure) {
  struct user user;
  if (!unpack->one_owner) return 0;
  if (user_find(plan, unpack->root, &user, failure)) return -1;
  unpack->uid = user.uid;
  unpack->gid = user.gid;
  return 0;
}

static int unpack_all(struct unpack *unpack, struct failure *failure) {
  struct tar_entry entry;
  char clean[PATH_MAX];
  OWN_FD at = resolve_open(unpack->root, unpack->at, O_PATH | O_DIRECTORY, 0);
  if (at < 0) return fail(failure, "at", unpack->at, errno, "the destination cannot be opened: %s", strerror(errno));
  int got;
  while ((got = tar_next(&unpack->reader, &entry, failure)) > 0) {
    if (unpack_clean(entry.name, clean, failure)) return -1;
    int whiteout = unpack_whiteout(unpack, clean, failure);
    if (whiteout < 0 || (!whiteout && unpack_entry(unpack, &entry, clean, failure))) return -1;
    unpack->entries++;
  }
  return got ? -1 : unpack_directory_times(unpack, failure);
}

static void release(struct unpack *unpack) {
  tar_reader_close(&unpack->reader);
  unpack_forget_parent(unpack);
  for (size_t i = 0; i < unpack->directory_count; i++) free(unpack->directories[i].path);
  free(unpack->directories);
  free(unpack->touched);
}

int verb_unpack(struct request *request, struct failure *failure) {
  struct stream_in in;
  char entries[24], bytes[24];
  if (stream_in_open(&in, request->connection)) return fail(failure, "unpack", "", ENOMEM, "out of memory");
  struct unpack unpack = {.root = -1, .parent = -1};
  tar_reader_open(&unpack.reader, &in);
  umask(0);
  int result = read_plan(&unpack, &in, request->plan, failure);
  unpack.reader.padded = unpack.whiteouts == WHITEOUTS_OVERLAY;
  if (!result) result = unpack.root = root_open(request, failure);
  if (result >= 0) result = find_owner(&unpack, request->plan, failure);
  if (result >= 0) result = unpack_all(&unpack, failure);
  snprintf(entries, sizeof entries, "%" PRIu64, unpack.entries);
  snprintf(bytes, sizeof bytes, "%" PRIu64, unpack.bytes);
  if (result < 0)
    result = stream_refuse(&in, failure);
  else
    result = report(request->connection, "ok", "entries", entries, "bytes", bytes, NULL);
  release(&unpack);
  if (unpack.root >= 0) close(unpack.root);
  stream_in_close(&in);
  return result < 0 ? 0 : result;  // a client that has gone needs no failure
}
