// A streaming tar decoder: ustar, pax (global headers too), GNU long names, GNU sparse in all its forms.
#ifndef SLOOP_TAR_READ_H
#define SLOOP_TAR_READ_H
#include "report.h"
#include "stream.h"
#include "tar.h"

enum { TAR_XATTRS_MAX = 128, TAR_EXTENDED_BYTES_MAX = 1 << 20, TAR_EXTENTS_MAX = 1 << 20 };

// What pax records say about the entries after them. Texts point into buffers that the reader owns.
struct pax {
  const char *path, *link, *sparse_name, *sparse_map;
  bool has_size, has_uid, has_gid, has_mtime, has_atime, has_real_size, sparse;
  uint64_t size, uid, gid, real_size, sparse_major, sparse_minor;
  struct timespec mtime, atime;
  uint64_t pending_offset;  // sparse 0.0: an offset that waits for its length
  size_t xattr_count;
  struct tar_xattr xattrs[TAR_XATTRS_MAX];
};

struct extents {
  struct tar_extent *list;
  size_t count, room;
};

struct tar_reader {
  struct stream_in *in;
  struct tar_header header;
  struct pax global, local;
  char *global_bytes[16];  // texts of global headers stay for the whole archive
  size_t global_count, global_total;
  char *local_bytes, *long_name, *long_link;
  char name[512], link[101];  // from the header
  struct extents extents;
  bool sparse;
  bool padded;           // a last entry that is not filled up to a block is damage, too: layers are read in whole blocks
  uint64_t body_left;    // unread bytes of the entry in the archive
  unsigned padding;      // after them
  const char *concerns;  // name for failures
};

void tar_reader_open(struct tar_reader *reader, struct stream_in *in);
void tar_reader_close(struct tar_reader *reader);
// 1: *entry is the next one (valid until the next call; an unread body is skipped); 0: the archive has ended and its
// input was read to the end; -1: the failure says what is wrong and where.
int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct failure *failure);
// Gives the entry's bytes piece by piece with their place in the file; holes are left out. A piece that returns -1
// has filled the failure.
typedef int tar_piece(void *context, uint64_t offset, const uint8_t *bytes, size_t count, struct failure *failure);
int tar_body(struct tar_reader *reader, tar_piece *piece, void *context, struct failure *failure);

// The damage or the broken stream as a failure of the step "unpack".
int tar_damaged(const struct tar_reader *reader, struct failure *failure, const char *what);
int tar_interrupted(const struct tar_reader *reader, struct failure *failure);
// Octal or GNU base-256. Negative values are allowed in base 256 only.
bool tar_number(const char *field, size_t size, int64_t *value);

// tar-pax.c: applies the records in bytes (which are cut into texts in place); NULL or what is wrong.
const char *pax_apply(struct pax *pax, struct extents *extents, char *bytes, size_t length);
// tar-sparse.c: the map of a sparse entry, however it is written; NULL or what is wrong.
const char *sparse_read_map(struct tar_reader *reader, uint64_t *real_size);
const char *extents_add(struct extents *extents, uint64_t offset, uint64_t length);
#endif
