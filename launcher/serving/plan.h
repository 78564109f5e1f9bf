// Frames and plans: the bounded, versioned decoder of everything the launcher is told (PROTOCOL.md).
#ifndef SLOOP_PLAN_H
#define SLOOP_PLAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FRAME_VERSION = 1, FRAME_HEADER = 8, FRAME_PLAN = 1, FRAME_REPORT = 2, FRAME_DATA = 3 };
enum { PLAN_BYTES_MAX = 4 << 20, FRAME_BYTES_MAX = 1 << 20, PLAN_OPERATIONS_MAX = 65536 };

struct operation {
  const char *name;
  uint32_t count;
  const char *const *args;  // count entries, then NULL
};

// Owns its bytes; operations point into them. Free with plan_free.
struct plan {
  char *bytes;
  struct operation *operations;
  uint32_t count;
};

// Decodes a plan's payload, which is fresh memory and becomes the plan's, also when it is wrong. Returns NULL, or a
// sentence that says what is wrong with it.
const char *plan_decode(struct plan *plan, char *payload, size_t length);
void plan_free(struct plan *plan);

// The n-th (from 0) operation of that name, or NULL.
const struct operation *plan_find(const struct plan *plan, const char *name, uint32_t nth);

// Parses without locale or leading signs; false when malformed or out of range.
bool parse_u64(const char *text, int base, uint64_t max, uint64_t *value);
bool parse_i64(const char *text, int64_t min, int64_t max, int64_t *value);
// Decodes lower-case hex into fresh memory; NULL when malformed. *length is set.
uint8_t *parse_hex(const char *text, size_t *length);

// Reads exactly one frame. Returns payload length and sets *kind and *payload (malloced, NUL appended);
// -1 on end of file or error with errno, -2 when the header breaks the rules.
int64_t frame_read(int fd, uint8_t *kind, char **payload);
// Writes one frame completely; -1 with errno on failure. SIGPIPE is never raised.
int frame_write(int fd, uint8_t kind, const void *payload, size_t length);
// Full read/write helpers for blocking descriptors. read_full returns bytes read before end of file.
ssize_t read_full(int fd, void *buffer, size_t length);
int write_full(int fd, const void *buffer, size_t length);
#endif
