// Writes tar entries: ustar where a header can hold the entry, pax records for what does not fit.
#include "tar-write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char zeros[TAR_BLOCK];

struct records {
  char *bytes;
  size_t used, room;
  bool failed;
};

// LENGTH KEY=VALUE\n, where LENGTH counts its own digits too.
static void record_add(struct records *records, const char *prefix, const char *key, const void *value, size_t length) {
  size_t body = strlen(prefix) + strlen(key) + length + 3, total = body, before = 0;
  while (total != before) {
    before = total;
    total = body + (size_t)snprintf(NULL, 0, "%zu", before);
  }
  if (records->used + total + 1 > records->room) {
    size_t room = (records->used + total) * 2 + 512;
    char *bytes = realloc(records->bytes, room);
    if (!bytes) {
      records->failed = true;
      return;
    }
    records->bytes = bytes;
    records->room = room;
  }
  char *at = records->bytes + records->used;
  int head = sprintf(at, "%zu %s%s=", total, prefix, key);
  memcpy(at + head, value, length);
  at[head + (int)length] = '\n';
  records->used += total;
}

static void record_number(struct records *records, const char *key, uint64_t value) {
  char text[24];
  int length = snprintf(text, sizeof text, "%" PRIu64, value);
  record_add(records, "", key, text, (size_t)length);
}

static void record_time(struct records *records, const char *key, struct timespec time) {
  char text[40], *end;
  int64_t seconds = time.tv_sec;
  long nanoseconds = time.tv_nsec;
  bool negative = seconds < 0;
  if (negative && nanoseconds) {
    seconds++;
    nanoseconds = 1000000000 - nanoseconds;
  }
  int length = snprintf(text, sizeof text, "%s%" PRId64 ".%09ld", negative ? "-" : "", negative ? -seconds : seconds,
                        nanoseconds);
  for (end = text + length; end[-1] == '0'; end--) continue;
  if (end[-1] == '.') end--;
  record_add(records, "", key, text, (size_t)(end - text));
}

// Octal with a closing NUL. A value that does not fit leaves zeros; its record tells.
static bool octal(char *field, size_t size, uint64_t value) {
  bool fits = value < (uint64_t)1 << 3 * (size - 1);
  if (!fits) value = 0;
  for (size_t i = size - 1; i-- > 0; value >>= 3) field[i] = (char)('0' + (value & 7));
  return fits;
}

// The name as a whole, or cut at a slash into prefix and name.
static bool put_name(struct tar_header *header, const char *name) {
  size_t length = strlen(name);
  if (length <= sizeof header->name) return memcpy(header->name, name, length), true;
  size_t first = length - sizeof header->name - 1;
  const char *slash = strchr(name + first, '/');
  if (!slash || slash == name || (size_t)(slash - name) > sizeof header->prefix || !slash[1]) {
    memcpy(header->name, name, sizeof header->name);
    return false;
  }
  memcpy(header->prefix, name, (size_t)(slash - name));
  memcpy(header->name, slash + 1, length - (size_t)(slash - name) - 1);
  return true;
}

static void seal(struct tar_header *header) {
  memcpy(header->magic, "ustar\00000", 8);
  octal(header->checksum, 7, tar_checksum(header));
  header->checksum[7] = ' ';
}

static void fill(struct tar_header *header, const struct tar_entry *entry, struct records *records) {
  size_t link = strlen(entry->link);
  memset(header, 0, sizeof *header);
  header->kind = entry->kind;
  octal(header->mode, 8, entry->mode);
  if (!put_name(header, entry->name)) record_add(records, "", "path", entry->name, strlen(entry->name));
  if (link > sizeof header->link) record_add(records, "", "linkpath", entry->link, link);
  memcpy(header->link, entry->link, link < sizeof header->link ? link : sizeof header->link);
  if (!octal(header->uid, 8, entry->uid)) record_number(records, "uid", entry->uid);
  if (!octal(header->gid, 8, entry->gid)) record_number(records, "gid", entry->gid);
  if (!octal(header->size, 12, entry->size)) record_number(records, "size", entry->size);
  bool whole = entry->mtime.tv_sec >= 0 && !entry->mtime.tv_nsec;
  if (!octal(header->mtime, 12, entry->mtime.tv_sec < 0 ? 0 : (uint64_t)entry->mtime.tv_sec) || !whole)
    record_time(records, "mtime", entry->mtime);
  if (entry->kind == TAR_CHAR_DEVICE || entry->kind == TAR_BLOCK_DEVICE) {
    octal(header->major, 8, entry->major);
    octal(header->minor, 8, entry->minor);
  }
  for (size_t i = 0; i < entry->xattr_count; i++)
    record_add(records, "SCHILY.xattr.", entry->xattrs[i].name, entry->xattrs[i].value, entry->xattrs[i].length);
  seal(header);
}

static int write_records(struct tar_writer *writer, const struct tar_entry *entry, const struct records *records) {
  struct tar_header header = {.kind = TAR_PAX};
  const char *last = strrchr(entry->name, '/');
  last = last && last[1] ? last + 1 : "entry";
  snprintf(header.name, sizeof header.name, "PaxHeaders.0/%.80s", last);
  octal(header.mode, 8, 0644);
  octal(header.uid, 8, 0);
  octal(header.gid, 8, 0);
  octal(header.mtime, 12, 0);
  octal(header.size, 12, records->used);
  seal(&header);
  if (stream_write(&writer->out, &header, TAR_BLOCK) || stream_write(&writer->out, records->bytes, records->used))
    return -1;
  return tar_write_padding(writer, records->used);
}

int tar_write_entry(struct tar_writer *writer, const struct tar_entry *entry) {
  struct tar_header header;
  struct records records = {0};
  fill(&header, entry, &records);
  int result = records.failed ? (errno = ENOMEM, -1) : 0;
  if (!result && records.used) result = write_records(writer, entry, &records);
  if (!result) result = stream_write(&writer->out, &header, TAR_BLOCK);
  free(records.bytes);
  writer->entries++;
  return result;
}

int tar_write_padding(struct tar_writer *writer, uint64_t size) {
  return stream_write(&writer->out, zeros, -size % TAR_BLOCK);
}

int tar_write_end(struct tar_writer *writer) {
  if (stream_write(&writer->out, zeros, TAR_BLOCK) || stream_write(&writer->out, zeros, TAR_BLOCK)) return -1;
  return stream_finish(&writer->out);
}
