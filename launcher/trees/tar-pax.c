// Pax extended headers: "LENGTH KEY=VALUE\n" records that override what the next header says.
#include <string.h>

#include "plan.h"
#include "tar-read.h"

// Seconds with up to nine decimals; more are dropped. Negative fractions count from the second below.
static bool pax_time(char *text, struct timespec *time) {
  char *point = strchr(text, '.');
  long nanoseconds = 0;
  if (point) {
    *point = 0;
    long unit = 100000000;
    for (const char *c = point + 1; *c; c++, unit /= 10) {
      if (*c < '0' || *c > '9') return false;
      nanoseconds += (*c - '0') * unit;
    }
  }
  int64_t seconds;
  if (!parse_i64(text, INT64_MIN / 2, INT64_MAX / 2, &seconds)) return false;
  if (*text == '-' && nanoseconds) {
    seconds--;
    nanoseconds = 1000000000 - nanoseconds;
  }
  time->tv_sec = (time_t)seconds;
  time->tv_nsec = nanoseconds;
  return true;
}

static const char *pax_xattr(struct pax *pax, const char *name, const char *value, size_t length) {
  if (!*name) return "an extended attribute has no name";
  size_t at = 0;
  while (at < pax->xattr_count && strcmp(pax->xattrs[at].name, name)) at++;
  if (at == TAR_XATTRS_MAX) return "an entry has too many extended attributes";
  if (at == pax->xattr_count) pax->xattr_count++;
  pax->xattrs[at] = (struct tar_xattr){name, value, length};
  return NULL;
}

static const char *pax_sparse(struct pax *pax, struct extents *extents, const char *key, const char *value) {
  uint64_t number = 0;
  pax->sparse = true;
  if (!strcmp(key, "name")) return pax->sparse_name = value, NULL;
  if (!strcmp(key, "map")) return pax->sparse_map = value, NULL;
  if (!parse_u64(value, 10, INT64_MAX, &number)) return "a sparse record is not a number";
  if (!strcmp(key, "major")) pax->sparse_major = number;
  if (!strcmp(key, "minor")) pax->sparse_minor = number;
  if (!strcmp(key, "size") || !strcmp(key, "realsize")) {
    pax->has_real_size = true;
    pax->real_size = number;
  }
  if (!strcmp(key, "offset")) pax->pending_offset = number;
  if (!strcmp(key, "numbytes")) return extents_add(extents, pax->pending_offset, number);
  return NULL;
}

static const char *pax_number(const char *value, uint64_t max, bool *has, uint64_t *number) {
  *has = *value != 0;  // an empty value takes an earlier record back
  return *has && !parse_u64(value, 10, max, number) ? "a pax record is not a number in range" : NULL;
}

static const char *pax_record(struct pax *pax, struct extents *extents, char *key, char *value, size_t length) {
  if (!strncmp(key, "SCHILY.xattr.", 13)) return pax_xattr(pax, key + 13, value, length);
  if (!strncmp(key, "LIBARCHIVE.xattr.", 17)) return NULL;  // the same attributes again, in base 64
  if (!strcmp(key, "comment")) return NULL;
  if (strlen(value) != length) return "a pax record holds a NUL byte";
  if (!strcmp(key, "path")) return pax->path = *value ? value : NULL, NULL;
  if (!strcmp(key, "linkpath")) return pax->link = *value ? value : NULL, NULL;
  if (!strcmp(key, "size")) return pax_number(value, INT64_MAX, &pax->has_size, &pax->size);
  if (!strcmp(key, "uid")) return pax_number(value, UINT32_MAX - 1, &pax->has_uid, &pax->uid);
  if (!strcmp(key, "gid")) return pax_number(value, UINT32_MAX - 1, &pax->has_gid, &pax->gid);
  if (!strncmp(key, "GNU.sparse.", 11)) return pax_sparse(pax, extents, key + 11, value);
  bool modified = !strcmp(key, "mtime");
  if (modified || !strcmp(key, "atime")) {
    bool *has = modified ? &pax->has_mtime : &pax->has_atime;
    *has = *value != 0;
    if (*has && !pax_time(value, modified ? &pax->mtime : &pax->atime)) return "a pax time is malformed";
  }
  return NULL;
}

const char *pax_apply(struct pax *pax, struct extents *extents, char *bytes, size_t length) {
  char *at = bytes, *end = bytes + length;
  while (at < end) {
    size_t size = 0;
    char *c = at;
    for (; c < end && *c >= '0' && *c <= '9' && size <= TAR_EXTENDED_BYTES_MAX; c++)
      size = size * 10 + (size_t)(*c - '0');
    if (c == at || c == end || *c != ' ' || size > (size_t)(end - at) || at + size <= c + 1)
      return "a pax record has a wrong length";
    char *key = c + 1, *record_end = at + size - 1;
    char *equals = memchr(key, '=', (size_t)(record_end - key));
    if (*record_end != '\n' || !equals) return "a pax record is malformed";
    *equals = *record_end = 0;
    if (strlen(key) != (size_t)(equals - key)) return "a pax record holds a NUL byte";
    const char *wrong = pax_record(pax, extents, key, equals + 1, (size_t)(record_end - equals - 1));
    if (wrong) return wrong;
    at += size;
  }
  return NULL;
}
