// A streaming tar decoder: ustar, pax (global headers too), GNU long names, GNU sparse in all its forms.
#include "tar-read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tar_reader_open(struct tar_reader *reader, struct stream_in *in) {
  memset(reader, 0, sizeof *reader);
  reader->in = in;
}

void tar_reader_close(struct tar_reader *reader) {
  for (size_t i = 0; i < reader->global_count; i++) free(reader->global_bytes[i]);
  free(reader->local_bytes);
  free(reader->long_name);
  free(reader->long_link);
  free(reader->extents.list);
}

int tar_damaged(const struct tar_reader *reader, struct failure *failure, const char *what) {
  const char *name = reader->concerns;
  if (!name)
    return fail(failure, "unpack", "", 0, "the tar is damaged after %llu bytes: %s",
                (unsigned long long)reader->in->total, what);
  return fail(failure, "unpack", name, 0, "the tar is damaged at the entry \"%.300s\": %s", name, what);
}

int tar_interrupted(const struct tar_reader *reader, struct failure *failure) {
  const char *name = reader->concerns ? reader->concerns : "";
  if (errno == EFBIG)
    return fail(failure, "unpack", name, EFBIG, "the tar is longer than the %llu bytes allowed",
                (unsigned long long)reader->in->limit);
  if (errno == EPROTO) return fail(failure, "unpack", name, EPROTO, "a frame of the tar stream breaks the protocol");
  return fail(failure, "unpack", name, errno, "the tar stream ended early: %s", strerror(errno));
}

unsigned tar_checksum(const struct tar_header *header) {
  unsigned sum = 0;
  const uint8_t *bytes = (const uint8_t *)header;
  for (unsigned i = 0; i < TAR_BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : bytes[i];
  return sum;
}

// Some old writers summed signed bytes.
static int signed_checksum(const struct tar_header *header) {
  int sum = 0;
  const int8_t *bytes = (const int8_t *)header;
  for (unsigned i = 0; i < TAR_BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : bytes[i];
  return sum;
}

bool tar_number(const char *field, size_t size, int64_t *value) {
  const uint8_t *bytes = (const uint8_t *)field;
  if (bytes[0] & 0x80) {
    bool negative = bytes[0] & 0x40;
    uint64_t number = negative ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++) {
      uint8_t byte = i ? bytes[i] : negative ? bytes[0] : bytes[0] & 0x7f;
      if (size - i > 8) {
        if (byte != (negative ? 0xff : 0)) return false;
      } else {
        number = number << 8 | byte;
      }
    }
    *value = (int64_t)number;
    return (*value < 0) == negative;
  }
  size_t i = 0;
  int64_t number = 0;
  while (i < size && field[i] == ' ') i++;
  for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
    if (number > INT64_MAX >> 3) return false;
    number = number << 3 | (field[i] - '0');
  }
  for (; i < size; i++)
    if (field[i] != ' ' && field[i] != 0) return false;
  *value = number;
  return true;
}

// 1: a header with a right checksum; 0: end of the archive (input drained); -1: failed.
static int read_header(struct tar_reader *reader, struct failure *failure) {
  static const struct tar_header zeros;
  for (int empty = 0;; empty++) {
    ssize_t got = stream_read(reader->in, &reader->header, TAR_BLOCK);
    if (got < 0) return tar_interrupted(reader, failure);
    if (got == 0) return 0;
    if (got < TAR_BLOCK) return tar_damaged(reader, failure, "it ends in the middle of a header");
    if (memcmp(&reader->header, &zeros, TAR_BLOCK)) {
      if (empty) return tar_damaged(reader, failure, "an entry follows a block of zeros");
      break;
    }
    if (empty == 0) continue;
    return stream_skip(reader->in, UINT64_MAX) < 0 ? tar_interrupted(reader, failure) : 0;
  }
  int64_t sum;
  if (!tar_number(reader->header.checksum, 8, &sum) ||
      (sum != (int64_t)tar_checksum(&reader->header) && sum != signed_checksum(&reader->header)))
    return tar_damaged(reader, failure, "the checksum of the header after it is wrong");
  return 1;
}

// The name in the header with ustar's or star's prefix.
static void header_names(struct tar_reader *reader) {
  const struct tar_header *header = &reader->header;
  int prefix = 0;
  if (!memcmp(header->magic, "ustar\0", 6)) prefix = memcmp(header->rest + 8, "tar\0", 4) ? 155 : 131;
  if (prefix && header->prefix[0])
    snprintf(reader->name, sizeof reader->name, "%.*s/%.100s", prefix, header->prefix, header->name);
  else
    snprintf(reader->name, sizeof reader->name, "%.100s", header->name);
  snprintf(reader->link, sizeof reader->link, "%.100s", header->link);
}

// The body of a long name or of pax records, in fresh memory with a NUL after it.
static int read_extended(struct tar_reader *reader, int64_t size, char **bytes, struct failure *failure) {
  if (size < 0 || size > TAR_EXTENDED_BYTES_MAX) return tar_damaged(reader, failure, "an extended header is too long");
  char *text = malloc((size_t)size + 1);
  if (!text) return fail(failure, "unpack", "", ENOMEM, "out of memory");
  uint64_t padding = -(uint64_t)size % TAR_BLOCK;
  ssize_t got = stream_read(reader->in, text, (size_t)size);
  int64_t skipped = got == size ? stream_skip(reader->in, padding) : 0;
  if (got != size || skipped != (int64_t)padding) {
    free(text);
    if (got < 0 || skipped < 0) return tar_interrupted(reader, failure);
    return tar_damaged(reader, failure, "it ends in the middle of an extended header");
  }
  text[size] = 0;
  *bytes = text;
  return 0;
}

static int keep(char **place, char *bytes) {
  free(*place);
  *place = bytes;
  return 0;
}

// 1: the header was an extended one and has been taken in; 0: it is an entry's own; -1: failed.
static int take_extended(struct tar_reader *reader, int64_t size, struct failure *failure) {
  char kind = reader->header.kind, *bytes = NULL;
  bool global = kind == TAR_PAX_GLOBAL, pax = global || kind == TAR_PAX || kind == TAR_PAX_SOLARIS;
  if (!pax && kind != TAR_GNU_LONG_NAME && kind != TAR_GNU_LONG_LINK) return 0;
  if (read_extended(reader, size, &bytes, failure)) return -1;
  if (!pax) return keep(kind == TAR_GNU_LONG_NAME ? &reader->long_name : &reader->long_link, bytes), 1;
  const char *wrong;
  if (global) {
    if (reader->global_count == 16 || (reader->global_total += (size_t)size) > TAR_EXTENDED_BYTES_MAX) {
      free(bytes);
      return tar_damaged(reader, failure, "it has too many global headers");
    }
    reader->global_bytes[reader->global_count++] = bytes;
    wrong = pax_apply(&reader->global, &reader->extents, bytes, (size_t)size);
    reader->local = reader->global;
  } else {
    keep(&reader->local_bytes, bytes);
    reader->local = reader->global;
    reader->extents.count = 0;
    wrong = pax_apply(&reader->local, &reader->extents, bytes, (size_t)size);
  }
  return wrong ? tar_damaged(reader, failure, wrong) : 1;
}

static char entry_kind(const struct tar_reader *reader, const char *name) {
  char kind = reader->header.kind;
  size_t length = strlen(name);
  if (kind == 0 || kind == TAR_CONTIGUOUS || kind == TAR_GNU_SPARSE) kind = TAR_FILE;
  return kind == TAR_FILE && length && name[length - 1] == '/' ? TAR_DIRECTORY : kind;
}

static const char *fill_names(struct tar_reader *reader, struct tar_entry *entry) {
  const struct pax *pax = &reader->local;
  header_names(reader);
  entry->name = pax->sparse_name    ? pax->sparse_name
                : pax->path         ? pax->path
                : reader->long_name ? reader->long_name
                                    : reader->name;
  entry->link = pax->link ? pax->link : reader->long_link ? reader->long_link : reader->link;
  reader->concerns = entry->name;
  return *entry->name ? NULL : "it has no name";
}

static const char *fill_numbers(struct tar_reader *reader, struct tar_entry *entry) {
  const struct tar_header *header = &reader->header;
  const struct pax *pax = &reader->local;
  int64_t mode, uid, gid, mtime, major = 0, minor = 0;
  if (!tar_number(header->mode, 8, &mode) || !tar_number(header->uid, 8, &uid) || !tar_number(header->gid, 8, &gid) ||
      !tar_number(header->mtime, 12, &mtime))
    return "a number in its header is malformed";
  bool device = entry->kind == TAR_CHAR_DEVICE || entry->kind == TAR_BLOCK_DEVICE;
  if (device && (!tar_number(header->major, 8, &major) || !tar_number(header->minor, 8, &minor)))
    return "its device number is malformed";
  if (pax->has_uid) uid = (int64_t)pax->uid;
  if (pax->has_gid) gid = (int64_t)pax->gid;
  // 4294967295 would mean "leave as it is" to the kernel.
  if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX) return "its owner is out of range";
  if (major < 0 || minor < 0 || major > UINT32_MAX || minor > UINT32_MAX) return "its device number is out of range";
  entry->mode = (uint32_t)mode & 07777;
  entry->uid = (uint32_t)uid;
  entry->gid = (uint32_t)gid;
  entry->major = (uint32_t)major;
  entry->minor = (uint32_t)minor;
  entry->mtime = pax->has_mtime ? pax->mtime : (struct timespec){.tv_sec = (time_t)mtime};
  entry->atime = pax->has_atime ? pax->atime : entry->mtime;
  entry->xattrs = pax->xattrs;
  entry->xattr_count = pax->xattr_count;
  return NULL;
}

static const char *fill_body(struct tar_reader *reader, struct tar_entry *entry, int64_t size) {
  const struct pax *pax = &reader->local;
  if (pax->has_size) size = (int64_t)pax->size;
  if (size < 0 || size > INT64_MAX - TAR_BLOCK) return "its size is out of range";
  if (entry->kind >= TAR_HARD_LINK && entry->kind <= TAR_FIFO) size = 0;
  reader->padding = -(unsigned)size % TAR_BLOCK;
  reader->body_left = entry->size = (uint64_t)size;
  reader->sparse = entry->kind == TAR_FILE && (pax->sparse || reader->header.kind == TAR_GNU_SPARSE);
  if (reader->sparse) return sparse_read_map(reader, &entry->size);
  reader->extents.count = 0;
  return NULL;
}

// Skips what is left of the last entry and forgets what was said about it.
static int finish_entry(struct tar_reader *reader, struct failure *failure) {
  uint64_t rest = reader->body_left + reader->padding;
  int64_t skipped = stream_skip(reader->in, rest);
  if (skipped < 0) return tar_interrupted(reader, failure);
  // docker's client sends archives that end with their last byte, unpadded; the next header is then not there either.
  uint64_t needed = reader->padded ? rest : reader->body_left;
  if ((uint64_t)skipped < needed) return tar_damaged(reader, failure, "it ends before the entry does");
  reader->body_left = reader->padding = 0;
  reader->extents.count = 0;
  reader->local = reader->global;
  // The names stay in memory for a failure of the next header.
  if (reader->concerns && reader->concerns != reader->name) {
    snprintf(reader->name, sizeof reader->name, "%s", reader->concerns);
    reader->concerns = reader->name;
  }
  keep(&reader->local_bytes, NULL);
  keep(&reader->long_name, NULL);
  return keep(&reader->long_link, NULL);
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct failure *failure) {
  for (;;) {
    if (finish_entry(reader, failure)) return -1;
    int64_t size;
    for (int taken = 1; taken;) {
      int got = read_header(reader, failure);
      if (got <= 0) return got;
      if (!tar_number(reader->header.size, 12, &size) || size < 0)
        return tar_damaged(reader, failure, "the size in the header after it is malformed");
      taken = take_extended(reader, size, failure);
      if (taken < 0) return -1;
    }
    memset(entry, 0, sizeof *entry);
    const char *wrong = fill_names(reader, entry);
    entry->kind = wrong ? 0 : entry_kind(reader, entry->name);
    if (reader->header.kind == TAR_GNU_VOLUMES) wrong = "it continues a file of another volume";
    if (!wrong) wrong = fill_numbers(reader, entry);
    if (!wrong) wrong = fill_body(reader, entry, size);
    if (wrong) return tar_damaged(reader, failure, wrong);
    if (entry->kind >= TAR_FILE && entry->kind <= TAR_FIFO) return 1;
  }
}

static int give(struct tar_reader *reader, uint64_t offset, uint64_t length, tar_piece *piece, void *context,
                struct failure *failure) {
  while (length) {
    const uint8_t *bytes;
    ssize_t ready = stream_peek(reader->in, &bytes);
    if (ready < 0) return tar_interrupted(reader, failure);
    if (ready == 0) return tar_damaged(reader, failure, "it ends before the entry does");
    size_t part = (uint64_t)ready < length ? (size_t)ready : (size_t)length;
    if (piece(context, offset, bytes, part, failure)) return -1;
    stream_take(reader->in, part);
    offset += part;
    length -= part;
    reader->body_left -= part;
  }
  return 0;
}

int tar_body(struct tar_reader *reader, tar_piece *piece, void *context, struct failure *failure) {
  if (!reader->sparse) return give(reader, 0, reader->body_left, piece, context, failure);
  for (size_t i = 0; i < reader->extents.count; i++) {
    const struct tar_extent *extent = &reader->extents.list[i];
    if (give(reader, extent->offset, extent->length, piece, context, failure)) return -1;
  }
  return 0;
}
