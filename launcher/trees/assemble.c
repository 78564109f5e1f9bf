// assemble: one file is written out of bytes that the client sends, files of roots, and ranges of other files; and hashed.
//
// What to write comes as data, piece after piece, little endian:
//   'L' length (32 bits), bytes                              these bytes
//   'F' root (8), length of path (16), size, seconds of mtime and ctime (64 each), their nanoseconds (32 each), path
//                                                            the file's contents, as many bytes, and zeros up to a block
//   'R' file (8), offset (64), length (64)                   a range of a file of the plan
// The file is read and written by one thread while another one hashes. The hash's state is told of at every STATE_BYTES; a
// client that knows that a file begins as an older one did gives such a state back (`resume`), and the beginning is copied
// within the kernel and not hashed again.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "calls.h"
#include "own.h"
#include "resolve.h"
#include "sha256.h"
#include "stream.h"
#include "tar.h"
#include "tree.h"
#include "verbs.h"

enum { SLOTS = 6, SLOT_BYTES = 512 << 10, PLACES_MAX = 64, COPY_BYTES = 8 << 20 };
// States of the hash that are told of: one for each STATE_BYTES of the first STATES_MAX times as many.
enum { STATE_BYTES = 4 << 20, STATES_MAX = 1024, STATE_WORDS = 8 };

struct slot {
  uint8_t *bytes;
  size_t filled;
  bool full;  // the hashing thread may have it
};

struct assembly {
  struct stream_in in;
  int output;
  int roots[PLACES_MAX], files[PLACES_MAX];
  uint32_t root_count, file_count;
  int parent, parent_root;  // directory of the last file, in that root
  char parent_path[PATH_MAX];
  struct slot slots[SLOTS];
  unsigned at;  // slot that is being filled
  bool ended;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct sha256 hash;
  uint64_t resume_at;  // bytes that the first range begins with and that are hashed already
  uint32_t states[STATES_MAX][STATE_WORDS];
  uint32_t state_count;
  uint64_t size, moved;  // of the output; files that are not what was expected
};

static void *hash_slots(void *context) {
  struct assembly *assembly = context;
  for (unsigned next = 0;; next = (next + 1) % SLOTS) {
    struct slot *slot = &assembly->slots[next];
    pthread_mutex_lock(&assembly->lock);
    while (!slot->full && !assembly->ended) pthread_cond_wait(&assembly->changed, &assembly->lock);
    bool full = slot->full;
    pthread_mutex_unlock(&assembly->lock);
    if (!full) return NULL;
    sha256_add(&assembly->hash, slot->bytes, slot->filled);
    if (assembly->hash.total % STATE_BYTES == 0 && assembly->state_count < STATES_MAX)
      memcpy(assembly->states[assembly->state_count++], assembly->hash.state, sizeof assembly->hash.state);
    pthread_mutex_lock(&assembly->lock);
    slot->full = false;
    slot->filled = 0;
    pthread_cond_signal(&assembly->changed);
    pthread_mutex_unlock(&assembly->lock);
  }
}

static int unwritten(struct failure *failure) {
  return fail(failure, "assemble", "", errno, "the layer cannot be written: %s", strerror(errno));
}

// Writes the slot, hands it to the hashing thread and waits for the next one.
static int pass_slot(struct assembly *assembly) {
  struct slot *slot = &assembly->slots[assembly->at];
  if (write_full(assembly->output, slot->bytes, slot->filled)) return -1;
  assembly->size += slot->filled;
  pthread_mutex_lock(&assembly->lock);
  slot->full = true;
  pthread_cond_signal(&assembly->changed);
  assembly->at = (assembly->at + 1) % SLOTS;
  while (assembly->slots[assembly->at].full) pthread_cond_wait(&assembly->changed, &assembly->lock);
  pthread_mutex_unlock(&assembly->lock);
  return 0;
}

// Room in the present slot for at least one byte; NULL with errno.
static uint8_t *room_in(struct assembly *assembly, size_t *room) {
  if (assembly->slots[assembly->at].filled == SLOT_BYTES && pass_slot(assembly)) return NULL;
  struct slot *slot = &assembly->slots[assembly->at];
  *room = SLOT_BYTES - slot->filled;
  return slot->bytes + slot->filled;
}

static int add_zeros(struct assembly *assembly, uint64_t count, struct failure *failure) {
  while (count) {
    size_t room;
    uint8_t *to = room_in(assembly, &room);
    if (!to) return unwritten(failure);
    size_t part = count < room ? (size_t)count : room;
    memset(to, 0, part);
    assembly->slots[assembly->at].filled += part;
    count -= part;
  }
  return 0;
}

// `at` < 0: from where the descriptor stands.
static int add_file(struct assembly *assembly, int fd, int64_t at, uint64_t size, const char *path,
                    struct failure *failure) {
  while (size) {
    size_t room;
    uint8_t *to = room_in(assembly, &room);
    if (!to) return unwritten(failure);
    size_t part = size < room ? (size_t)size : room;
    ssize_t got = at < 0 ? read(fd, to, part) : pread(fd, to, part, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(failure, "assemble", path, errno, "it cannot be read: %s", strerror(errno));
    if (got == 0) return fail(failure, "assemble", path, ESTALE, "it was cut short while it was copied");
    assembly->slots[assembly->at].filled += (size_t)got;
    size -= (uint64_t)got;
    if (at >= 0) at += got;
  }
  return 0;
}

static uint64_t number(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
  return value;
}

static int damaged(struct failure *failure) {
  return fail(failure, "assemble", "", EPROTO, "what is to be written is malformed or ends too early");
}

static int take(struct assembly *assembly, void *to, size_t count, struct failure *failure) {
  return stream_read(&assembly->in, to, count) == (ssize_t)count ? 0 : damaged(failure);
}

static int add_literal(struct assembly *assembly, struct failure *failure) {
  uint8_t head[4];
  if (take(assembly, head, sizeof head, failure)) return -1;
  for (uint64_t left = number(head, 4); left;) {
    size_t room;
    uint8_t *to = room_in(assembly, &room);
    if (!to) return unwritten(failure);
    size_t part = left < room ? (size_t)left : room;
    if (take(assembly, to, part, failure)) return -1;
    assembly->slots[assembly->at].filled += part;
    left -= part;
  }
  return 0;
}

static int parent_of(struct assembly *assembly, int root, const char *path, size_t length) {
  if (assembly->parent >= 0 && assembly->parent_root == root && !strncmp(assembly->parent_path, path, length) &&
      !assembly->parent_path[length])
    return assembly->parent;
  own_close(&assembly->parent);
  memcpy(assembly->parent_path, path, length);
  assembly->parent_path[length] = 0;
  assembly->parent_root = root;
  return assembly->parent =
             resolve_with(root, assembly->parent_path, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
}

static int add_from_root(struct assembly *assembly, struct failure *failure) {
  uint8_t head[35];
  char path[PATH_MAX];
  struct stat stat;
  if (take(assembly, head, sizeof head, failure)) return -1;
  uint64_t root = head[0], length = number(head + 1, 2), size = number(head + 3, 8);
  if (root >= assembly->root_count || length >= sizeof path || size > INT64_MAX) return damaged(failure);
  if (take(assembly, path, length, failure)) return -1;
  path[length] = 0;
  if (strlen(path) != length) return damaged(failure);
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  int parent = parent_of(assembly, assembly->roots[root], path, slash ? (size_t)(slash - path) : 0);
  OWN_FD fd = parent < 0 ? -1 : tree_open_file(parent, name, &stat);
  if (fd < 0)
    return fail(failure, "assemble", path, errno, "it cannot be opened any more: %s",
                errno == EINVAL ? "it is no regular file" : strerror(errno));
  if (add_file(assembly, fd, -1, size, path, failure)) return -1;
  if (fstat(fd, &stat)) return fail(failure, "assemble", path, errno, "it cannot be looked at: %s", strerror(errno));
  assembly->moved += (uint64_t)stat.st_size != size || (uint64_t)stat.st_mtim.tv_sec != number(head + 11, 8) ||
                       (uint64_t)stat.st_ctim.tv_sec != number(head + 19, 8) ||
                       (uint64_t)stat.st_mtim.tv_nsec != number(head + 27, 4) ||
                       (uint64_t)stat.st_ctim.tv_nsec != number(head + 31, 4);
  return add_zeros(assembly, -size % TAR_BLOCK, failure);
}

// The beginning that is hashed already, from file to file within the kernel.
static int copy_beginning(struct assembly *assembly, int fd, struct failure *failure) {
  loff_t from = 0;
  while ((uint64_t)from < assembly->resume_at) {
    size_t part = (size_t)(assembly->resume_at - (uint64_t)from);
    ssize_t got = copy_file_range(fd, &from, assembly->output, NULL, part < COPY_BYTES ? part : COPY_BYTES, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unwritten(failure);
    if (got == 0) return fail(failure, "assemble", "", ESTALE, "the older layer was cut short while it was copied");
    assembly->size += (uint64_t)got;
  }
  return 0;
}

static int add_range(struct assembly *assembly, struct failure *failure) {
  uint8_t head[17];
  if (take(assembly, head, sizeof head, failure)) return -1;
  uint64_t offset = number(head + 1, 8), length = number(head + 9, 8);
  if (head[0] >= assembly->file_count || offset > INT64_MAX || length > INT64_MAX - offset) return damaged(failure);
  int fd = assembly->files[head[0]];
  if (assembly->hash.total == assembly->resume_at && !assembly->size && assembly->resume_at) {
    if (offset || length < assembly->resume_at || assembly->slots[0].filled) return damaged(failure);
    if (copy_beginning(assembly, fd, failure)) return -1;
    offset += assembly->resume_at;
    length -= assembly->resume_at;
  }
  return add_file(assembly, fd, (int64_t)offset, length, "", failure);
}

static int assemble_all(struct assembly *assembly, struct failure *failure) {
  for (int result = 0; !result;) {
    uint8_t kind;
    ssize_t got = stream_read(&assembly->in, &kind, 1);
    // A hash that goes on has begun with what it speaks of, and with nothing else.
    if (assembly->resume_at > assembly->size && (got <= 0 || kind != 'R')) return damaged(failure);
    if (got == 0) return pass_slot(assembly) ? unwritten(failure) : 0;
    if (got < 0) return damaged(failure);
    if (kind == 'L') result = add_literal(assembly, failure);
    else if (kind == 'F') result = add_from_root(assembly, failure);
    else if (kind == 'R') result = add_range(assembly, failure);
    else result = damaged(failure);
    if (result) return -1;
  }
  return -1;
}

// Arguments: bytes that are hashed already, and the state of the hash after them.
static int resume_hash(struct assembly *assembly, const struct operation *operation) {
  uint64_t at;
  size_t length = 0;
  OWN_MEMORY uint8_t *state = parse_hex(operation->args[1], &length);
  if (!state || length != sizeof assembly->hash.state) return -1;
  if (!parse_u64(operation->args[0], 10, INT64_MAX, &at) || !at || at % STATE_BYTES) return -1;
  for (int i = 0; i < STATE_WORDS; i++)
    assembly->hash.state[i] = (uint32_t)state[4 * i] << 24 | (uint32_t)state[4 * i + 1] << 16 |
                              (uint32_t)state[4 * i + 2] << 8 | state[4 * i + 3];
  assembly->hash.total = assembly->resume_at = at;
  return 0;
}

// The roots of the plan, each opened as the root of a plan of its own.
static int open_places(struct request *request, struct assembly *assembly, struct failure *failure) {
  for (uint32_t i = 1; i < request->plan->count; i++) {
    const struct operation *operation = &request->plan->operations[i];
    bool root = !strncmp(operation->name, "root-", 5), file = !strcmp(operation->name, "file") && operation->count == 1;
    if (!strcmp(operation->name, "output") && operation->count == 1) continue;
    if (!strcmp(operation->name, "resume") && operation->count == 2) {
      if (resume_hash(assembly, operation)) return fail(failure, "resume", "", EINVAL, "it is no state of a hash");
      continue;
    }
    if (!root && !file) return fail(failure, operation->name, "", EINVAL, "assemble has no such operation");
    if ((root ? assembly->root_count : assembly->file_count) == PLACES_MAX)
      return fail(failure, operation->name, "", E2BIG, "there are too many of them");
    struct operation list[] = {{"assemble", 0, operation->args + operation->count}, *operation};
    struct plan plan = {.operations = list, .count = 2};
    struct request one = *request;
    one.plan = &plan;
    int fd = root ? root_open(&one, failure) : open(operation->args[0], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
      return root ? -1 : fail(failure, "file", operation->args[0], errno, "it cannot be opened: %s", strerror(errno));
    if (root) assembly->roots[assembly->root_count++] = fd;
    else assembly->files[assembly->file_count++] = fd;
  }
  return 0;
}

static int run(struct assembly *assembly, struct failure *failure) {
  pthread_t thread;
  for (int i = 0; i < SLOTS; i++)
    if (!(assembly->slots[i].bytes = malloc(SLOT_BYTES)))
      return fail(failure, "assemble", "", ENOMEM, "out of memory");
  if (pthread_create(&thread, NULL, hash_slots, assembly))
    return fail(failure, "assemble", "", EAGAIN, "no thread can be made");
  int result = assemble_all(assembly, failure);
  pthread_mutex_lock(&assembly->lock);
  assembly->ended = true;
  pthread_cond_signal(&assembly->changed);
  pthread_mutex_unlock(&assembly->lock);
  pthread_join(thread, NULL);
  return result;
}

// States are written as the digest is: 64 digits each, one after the other.
static void answer(struct request *request, struct assembly *assembly) {
  uint8_t digest[SHA256_BYTES];
  char text[2 * SHA256_BYTES + 1], size[24], changed[24];
  OWN_MEMORY char *states = calloc(assembly->state_count + 1, 2 * SHA256_BYTES);
  for (uint32_t i = 0; states && i < assembly->state_count; i++)
    for (int word = 0; word < STATE_WORDS; word++)
      snprintf(states + 2 * SHA256_BYTES * i + 8 * word, 9, "%08" PRIx32, assembly->states[i][word]);
  sha256_close(&assembly->hash, digest);
  sha256_text(digest, text);
  snprintf(size, sizeof size, "%" PRIu64, assembly->size);
  snprintf(changed, sizeof changed, "%" PRIu64, assembly->moved);
  report(request->connection, "ok", "sha256", text, "size", size, "changed", changed, "states", states ? states : "", NULL);
}

int verb_assemble(struct request *request, struct failure *failure) {
  const struct operation *output = plan_find(request->plan, "output", 0);
  if (!output || output->count != 1) return fail(failure, "output", "", EINVAL, "assemble needs one output");
  OWN_MEMORY struct assembly *assembly = calloc(1, sizeof *assembly);
  if (!assembly || stream_in_open(&assembly->in, request->connection))
    return fail(failure, "assemble", "", ENOMEM, "out of memory");
  assembly->parent = -1;
  pthread_mutex_init(&assembly->lock, NULL);
  pthread_cond_init(&assembly->changed, NULL);
  sha256_open(&assembly->hash);
  int result = open_places(request, assembly, failure);
  assembly->output = result ? -1 : open(output->args[0], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (!result && assembly->output < 0)
    result = fail(failure, "output", output->args[0], errno, "it cannot be created: %s", strerror(errno));
  if (!result) result = run(assembly, failure);
  if (assembly->output >= 0 && result) unlink(output->args[0]);
  own_close(&assembly->output);
  own_close(&assembly->parent);
  for (uint32_t i = 0; i < assembly->root_count; i++) close(assembly->roots[i]);
  for (uint32_t i = 0; i < assembly->file_count; i++) close(assembly->files[i]);
  for (int i = 0; i < SLOTS; i++) free(assembly->slots[i].bytes);
  if (result)
    stream_refuse(&assembly->in, failure);
  else
    answer(request, assembly);
  stream_in_close(&assembly->in);
  return 0;
}
