// Maps of sparse files: GNU's old header with its extension blocks, pax 0.0 and 0.1 (in records), pax 1.0 (in the
// body).
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "tar-read.h"

static const char *const broken = "the map of a sparse file is malformed";

const char *extents_add(struct extents *extents, uint64_t offset, uint64_t length) {
  if (extents->count == TAR_EXTENTS_MAX) return "a sparse file has too many extents";
  if (extents->count == extents->room) {
    size_t room = extents->room ? extents->room * 2 : 64;
    struct tar_extent *list = realloc(extents->list, room * sizeof *list);
    if (!list) return "out of memory";
    extents->list = list;
    extents->room = room;
  }
  extents->list[extents->count++] = (struct tar_extent){offset, length};
  return NULL;
}

// GNU's old form: up to four extents in the header and 21 in each block that follows it.
static const char *old_block(struct extents *extents, const char *slots, unsigned count) {
  for (unsigned i = 0; i < count; i++, slots += 24) {
    int64_t offset, length;
    if (!*slots) break;
    if (!tar_number(slots, 12, &offset) || !tar_number(slots + 12, 12, &length) || offset < 0 || length < 0)
      return broken;
    const char *wrong = extents_add(extents, (uint64_t)offset, (uint64_t)length);
    if (wrong) return wrong;
  }
  return NULL;
}

static const char *old_map(struct tar_reader *reader, uint64_t *real_size) {
  const char *raw = (const char *)&reader->header;
  int64_t size;
  if (!tar_number(raw + 483, 12, &size) || size < 0) return broken;
  *real_size = (uint64_t)size;
  const char *wrong = old_block(&reader->extents, raw + 386, 4);
  bool more = raw[482];
  while (!wrong && more) {
    char block[TAR_BLOCK];
    if (stream_read(reader->in, block, sizeof block) != sizeof block) return broken;
    wrong = old_block(&reader->extents, block, 21);
    more = block[504];
  }
  return wrong;
}

// Pax 0.1: offset,length,offset,length…
static const char *listed_map(struct extents *extents, const char *text) {
  extents->count = 0;
  while (*text) {
    uint64_t pair[2];
    for (int i = 0; i < 2; i++) {
      char number[24];
      size_t digits = strspn(text, "0123456789");
      if (digits == 0 || digits >= sizeof number) return broken;
      memcpy(number, text, digits);
      number[digits] = 0;
      if (!parse_u64(number, 10, INT64_MAX, &pair[i])) return broken;
      text += digits;
      if (*text == ',')
        text++;
      else if (i == 0 || *text)
        return broken;
    }
    const char *wrong = extents_add(extents, pair[0], pair[1]);
    if (wrong) return wrong;
  }
  return NULL;
}

// One decimal line of the map at the front of a pax 1.0 body. *used counts the bytes taken.
static bool body_number(struct tar_reader *reader, uint64_t *used, uint64_t *number) {
  char text[24];
  for (size_t i = 0; i < sizeof text; i++) {
    if (*used == reader->body_left || stream_read(reader->in, &text[i], 1) != 1) return false;
    ++*used;
    if (text[i] != '\n') continue;
    text[i] = 0;
    return parse_u64(text, 10, INT64_MAX, number);
  }
  return false;
}

static const char *body_map(struct tar_reader *reader) {
  uint64_t used = 0, count, offset, length;
  if (!body_number(reader, &used, &count) || count > TAR_EXTENTS_MAX) return broken;
  while (count--) {
    if (!body_number(reader, &used, &offset) || !body_number(reader, &used, &length)) return broken;
    const char *wrong = extents_add(&reader->extents, offset, length);
    if (wrong) return wrong;
  }
  uint64_t rest = -used % TAR_BLOCK;
  if (rest > reader->body_left - used || stream_skip(reader->in, rest) != (int64_t)rest) return broken;
  reader->body_left -= used + rest;
  return NULL;
}

const char *sparse_read_map(struct tar_reader *reader, uint64_t *real_size) {
  const struct pax *pax = &reader->local;
  const char *wrong = NULL;
  if (reader->header.kind == TAR_GNU_SPARSE) {
    wrong = old_map(reader, real_size);
  } else {
    if (!pax->has_real_size) return broken;
    *real_size = pax->real_size;
    if (pax->sparse_major == 1 && pax->sparse_minor == 0) {
      reader->extents.count = 0;
      wrong = body_map(reader);
    } else if (pax->sparse_major) {
      wrong = "the sparse format is not known";
    } else if (pax->sparse_map) {
      wrong = listed_map(&reader->extents, pax->sparse_map);
    }
  }
  if (wrong) return wrong;
  uint64_t stored = 0, reached = 0;
  for (size_t i = 0; i < reader->extents.count; i++) {
    const struct tar_extent *extent = &reader->extents.list[i];
    if (extent->offset < reached || extent->offset > *real_size || extent->length > *real_size - extent->offset)
      return broken;
    reached = extent->offset + extent->length;
    stored += extent->length;
  }
  return stored == reader->body_left ? NULL : broken;
}
