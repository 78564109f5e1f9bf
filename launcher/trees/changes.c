// changes: what a container's upper directory changes of the layers beneath it, as `docker diff` tells it.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "attributes.h"
#include "calls.h"
#include "own.h"
#include "resolve.h"
#include "stream.h"
#include "tree.h"
#include "unpack.h"
#include "verbs.h"

struct changes {
  int lower;  // the merged view of the lower layers, or -1
  char *lines;
  size_t used, room, count;
  bool *told;  // for each depth of the walk: whether that directory has a line
  size_t told_room;
  size_t opaque_from;  // depth of the outermost opaque directory around, 0 = none
};

static size_t depth_of(const char *path) {
  size_t depth = 1;
  for (; *path; path++) depth += *path == '/';
  return depth;
}

static int add_line(struct changes *changes, char kind, const char *path, size_t length, const char *name,
                    struct failure *failure) {
  size_t extra = name ? strlen(name) + 1 : 0, needed = changes->used + length + extra + 4;
  if (needed > changes->room) {
    char *lines = realloc(changes->lines, needed * 2);
    if (!lines) return fail(failure, "changes", path, ENOMEM, "out of memory");
    changes->lines = lines;
    changes->room = needed * 2;
  }
  char *at = changes->lines + changes->used;
  *at++ = kind;
  *at++ = ' ';
  *at++ = '/';
  memcpy(at, path, length);
  at += length;
  if (name) {
    *at++ = '/';
    memcpy(at, name, extra - 1);
    at += extra - 1;
  }
  *at++ = 0;
  changes->used = (size_t)(at - changes->lines);
  changes->count++;
  return 0;
}

// A line for the path (and name in it), after lines for the directories above that have none yet.
static int tell(struct changes *changes, char kind, const char *path, const char *name, struct failure *failure) {
  size_t depth = 1, parents = depth_of(path) - !name;
  for (const char *slash = path; depth <= parents; depth++, slash++) {
    slash += strcspn(slash, "/");
    if (changes->told[depth]) continue;
    changes->told[depth] = true;
    if (add_line(changes, 'C', path, (size_t)(slash - path), NULL, failure)) return -1;
  }
  return add_line(changes, kind, path, strlen(path), name, failure);
}

static bool below(const struct changes *changes, const char *path, struct stat *stat) {
  OWN_FD fd = changes->lower < 0
                  ? -1
                  : call_openat2(changes->lower, path, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  return fd >= 0 && !fstat(fd, stat);
}

static int leaf(void *context, const struct tree_place *place, struct failure *failure) {
  struct stat lower;
  char kind = stat_is_whiteout(&place->stat) ? 'D' : below(context, place->path, &lower) ? 'C' : 'A';
  return tell(context, kind, place->path, NULL, failure);
}

static bool same_directory(const struct stat *upper, const struct stat *lower) {
  return S_ISDIR(lower->st_mode) && upper->st_mode == lower->st_mode && upper->st_uid == lower->st_uid &&
         upper->st_gid == lower->st_gid && upper->st_mtim.tv_sec == lower->st_mtim.tv_sec &&
         upper->st_mtim.tv_nsec == lower->st_mtim.tv_nsec;
}

// An opaque directory deletes what the layers beneath have in it, unless it has an entry of the same name.
static int tell_hidden(struct changes *changes, const char *path, int directory, struct failure *failure) {
  OWN_FD lower =
      call_openat2(changes->lower, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  struct tree_names names;
  struct stat stat;
  if (lower < 0) return 0;
  if (tree_names_read(lower, false, &names))
    return fail(failure, "changes", path, errno, "it cannot be listed: %s", strerror(errno));
  int result = 0;
  for (size_t i = 0; i < names.count && !result; i++) {
    const char *name = names.bytes + names.offsets[i];
    if (fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW)) result = tell(changes, 'D', path, name, failure);
  }
  tree_names_free(&names);
  return result;
}

static int enter(void *context, const struct tree_place *place, int directory, struct failure *failure) {
  struct changes *changes = context;
  struct stat lower;
  size_t depth = depth_of(place->path);
  if (depth + 1 > changes->told_room) {
    bool *told = realloc(changes->told, depth * 2 + 16);
    if (!told) return fail(failure, "changes", place->path, ENOMEM, "out of memory");
    changes->told = told;
    changes->told_room = depth * 2 + 16;
  }
  changes->told[depth] = false;
  bool existed = below(changes, place->path, &lower);
  if (!existed || !same_directory(&place->stat, &lower)) {
    if (tell(changes, existed ? 'C' : 'A', place->path, NULL, failure)) return -1;
    changes->told[depth] = true;
  }
  if (!changes->opaque_from && directory_is_opaque(directory)) changes->opaque_from = depth;
  bool hides = changes->opaque_from && existed && S_ISDIR(lower.st_mode);
  return hides ? tell_hidden(changes, place->path, directory, failure) : 0;
}

static int leave(void *context, const struct tree_place *place, struct failure *failure) {
  struct changes *changes = context;
  if (changes->opaque_from == depth_of(place->path)) changes->opaque_from = 0;
  return 0;
}

static int by_path(const void *left, const void *right) {
  return strcmp(*(const char *const *)left + 2, *(const char *const *)right + 2);
}

static int send_lines(struct changes *changes, int connection, struct failure *failure) {
  struct stream_out out;
  OWN_MEMORY const char **sorted = calloc(changes->count + 1, sizeof *sorted);
  if (!sorted || stream_out_open(&out, connection)) return fail(failure, "changes", "", ENOMEM, "out of memory");
  const char *at = changes->lines;
  for (size_t i = 0; i < changes->count; i++, at += strlen(at) + 1) sorted[i] = at;
  qsort(sorted, changes->count, sizeof *sorted, by_path);
  int result = 0;
  for (size_t i = 0; i < changes->count && !result; i++) result = stream_write(&out, sorted[i], strlen(sorted[i]) + 1);
  if (!result) result = stream_finish(&out);
  stream_out_close(&out);
  return result ? fail(failure, "changes", "", errno, "the client stopped reading: %s", strerror(errno)) : 0;
}

// The lower directories as the kernel would merge them: a read-only overlay.
static int open_lower(struct request *request, struct failure *failure) {
  uint32_t count = 0, operations = request->plan->count;
  for (uint32_t i = 1; i < operations; i++) count += request->plan->operations[i].count;
  OWN_MEMORY const char **layers = calloc(count + 4, sizeof *layers);
  if (!layers) return fail(failure, "lower", "", ENOMEM, "out of memory");
  layers[0] = layers[1] = layers[2] = "";
  count = 3;
  for (uint32_t i = 1; i < operations; i++) {
    const struct operation *operation = &request->plan->operations[i];
    if (strcmp(operation->name, "lower")) continue;
    for (uint32_t n = 0; n < operation->count; n++) layers[count++] = operation->args[n];
  }
  if (count == 3) return -2;
  struct operation list[] = {{"changes", 0, layers + count}, {"root-overlay", count, layers}};
  struct plan plan = {.operations = list, .count = 2};
  struct request view = *request;
  view.plan = &plan;
  return root_open(&view, failure);
}

int verb_changes(struct request *request, struct failure *failure) {
  static const struct tree_visitor visitor = {
      .wants_stat = true, .mounts = TREE_SKIP, .leaf = leaf, .enter = enter, .leave = leave};
  const struct operation *upper = plan_find(request->plan, "upper", 0);
  if (!upper || upper->count != 1) return fail(failure, "upper", "", EINVAL, "changes needs one upper directory");
  OWN_FD lower = open_lower(request, failure);
  if (lower == -1) return -1;
  OWN_FD directory = open(upper->args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return fail(failure, "upper", upper->args[0], errno, "it cannot be opened: %s", strerror(errno));
  struct changes changes = {.lower = lower};
  int result = tree_walk(directory, "changes", &visitor, &changes, failure);
  if (!result) result = send_lines(&changes, request->connection, failure);
  free(changes.lines);
  free(changes.told);
  if (!result) report(request->connection, "ok", NULL);
  return result;
}
