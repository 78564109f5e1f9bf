// Frames and plans: the bounded, versioned decoder of everything the launcher is told (PROTOCOL.md).
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool parse_u64(const char *text, int base, uint64_t max, uint64_t *value) {
  uint64_t result = 0;
  if (*text == '\0') return false;
  for (const char *c = text; *c; c++) {
    int digit = *c >= '0' && *c <= '9' ? *c - '0' : *c >= 'a' && *c <= 'f' ? *c - 'a' + 10 : 99;
    if (digit >= base) return false;
    if (result > (UINT64_MAX - (uint64_t)digit) / (uint64_t)base) return false;
    result = result * (uint64_t)base + (uint64_t)digit;
  }
  if (result > max) return false;
  *value = result;
  return true;
}

bool parse_i64(const char *text, int64_t min, int64_t max, int64_t *value) {
  bool negative = *text == '-';
  uint64_t magnitude;
  if (!parse_u64(text + negative, 10, INT64_MAX, &magnitude)) return false;
  int64_t result = negative ? -(int64_t)magnitude : (int64_t)magnitude;
  if (result < min || result > max) return false;
  *value = result;
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

uint8_t *parse_hex(const char *text, size_t *length) {
  size_t digits = strlen(text);
  if (digits % 2) return NULL;
  uint8_t *bytes = malloc(digits / 2 + 1);
  if (!bytes) return NULL;
  for (size_t i = 0; i < digits; i += 2) {
    int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) {
      free(bytes);
      return NULL;
    }
    bytes[i / 2] = (uint8_t)(high << 4 | low);
  }
  *length = digits / 2;
  return bytes;
}

// Counts words and operations first, so that memory is asked for once and is proportional to the payload.
static const char *count_operations(const char *payload, size_t length, uint32_t *operations, uint32_t *words) {
  const char *at = payload, *end = payload + length;
  *operations = *words = 0;
  while (at < end) {
    const char *name_end = memchr(at, 0, (size_t)(end - at));
    if (!name_end || name_end == at) return "an operation has no name";
    const char *count_text = name_end + 1;
    const char *count_end = count_text < end ? memchr(count_text, 0, (size_t)(end - count_text)) : NULL;
    uint64_t count;
    if (!count_end || !parse_u64(count_text, 10, (uint64_t)length, &count)) return "an operation has no argument count";
    at = count_end + 1;
    for (uint64_t i = 0; i < count; i++) {
      const char *arg_end = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
      if (!arg_end) return "an operation has fewer arguments than it says";
      at = arg_end + 1;
    }
    *words += (uint32_t)count + 1;
    if (++*operations > PLAN_OPERATIONS_MAX) return "the plan has too many operations";
  }
  return *operations ? NULL : "the plan is empty";
}

static const char *refuse(struct plan *plan, const char *wrong) {
  plan_free(plan);
  return wrong;
}

const char *plan_decode(struct plan *plan, char *payload, size_t length) {
  uint32_t operations, words;
  *plan = (struct plan){.bytes = payload};
  if (length > PLAN_BYTES_MAX) return refuse(plan, "the plan is too long");
  const char *wrong = count_operations(payload, length, &operations, &words);
  if (wrong) return refuse(plan, wrong);
  // One piece of memory: what is new costs a fault a page.
  plan->operations = malloc(operations * sizeof *plan->operations + words * sizeof(char *));
  if (!plan->operations) return refuse(plan, "out of memory");
  const char *at = plan->bytes;
  const char **word = (const char **)(plan->operations + operations);
  for (uint32_t i = 0; i < operations; i++) {
    struct operation *operation = &plan->operations[i];
    uint64_t count = 0;
    operation->name = at;
    at += strlen(at) + 1;
    parse_u64(at, 10, UINT32_MAX, &count);
    at += strlen(at) + 1;
    operation->count = (uint32_t)count;
    operation->args = word;
    for (uint64_t n = 0; n < count; n++) {
      *word++ = at;
      at += strlen(at) + 1;
    }
    *word++ = NULL;
  }
  plan->count = operations;
  return NULL;
}

void plan_free(struct plan *plan) {
  free(plan->bytes);
  free(plan->operations);
  memset(plan, 0, sizeof *plan);
}

const struct operation *plan_find(const struct plan *plan, const char *name, uint32_t nth) {
  for (uint32_t i = 0; i < plan->count; i++) {
    const char *here = plan->operations[i].name;
    // A plan is searched often: most names differ in their first letter.
    if (*here == *name && !strcmp(here, name) && nth-- == 0) return &plan->operations[i];
  }
  return NULL;
}

ssize_t read_full(int fd, void *buffer, size_t length) {
  size_t done = 0;
  while (done < length) {
    ssize_t got = read(fd, (char *)buffer + done, length - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += (size_t)got;
  }
  return (ssize_t)done;
}

int write_full(int fd, const void *buffer, size_t length) {
  const char *at = buffer;
  while (length) {
    ssize_t put = send(fd, at, length, MSG_NOSIGNAL);
    if (put < 0 && errno == ENOTSOCK) put = write(fd, at, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    at += put;
    length -= (size_t)put;
  }
  return 0;
}

int64_t frame_read(int fd, uint8_t *kind, char **payload) {
  uint8_t header[FRAME_HEADER];
  ssize_t got = read_full(fd, header, sizeof header);
  if (got != sizeof header) return -1;
  uint32_t length = header[4] | (uint32_t)header[5] << 8 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 24;
  if (header[0] != FRAME_VERSION || header[2] || header[3]) return -2;
  if (header[1] < FRAME_PLAN || header[1] > FRAME_DATA) return -2;
  if (length > (header[1] == FRAME_PLAN ? PLAN_BYTES_MAX : FRAME_BYTES_MAX)) return -2;
  char *bytes = malloc((size_t)length + 1);
  if (!bytes) return -1;
  if (read_full(fd, bytes, length) != (ssize_t)length) {
    free(bytes);
    return -1;
  }
  bytes[length] = 0;
  *kind = header[1];
  *payload = bytes;
  return length;
}

int frame_write(int fd, uint8_t kind, const void *payload, size_t length) {
  uint8_t header[FRAME_HEADER] = {FRAME_VERSION, kind, 0, 0, (uint8_t)length, (uint8_t)(length >> 8),
                                  (uint8_t)(length >> 16), (uint8_t)(length >> 24)};
  if (write_full(fd, header, sizeof header)) return -1;
  return length ? write_full(fd, payload, length) : 0;
}
