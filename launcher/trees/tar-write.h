// Writes tar entries: ustar where a header can hold the entry, pax records for what does not fit.
#ifndef SLOOP_TAR_WRITE_H
#define SLOOP_TAR_WRITE_H
#include "stream.h"
#include "tar.h"

struct tar_writer {
  struct stream_out out;
  uint64_t entries;
};

// The header of one entry; atime is not written. -1 with errno (the client has gone, or out of memory).
int tar_write_entry(struct tar_writer *writer, const struct tar_entry *entry);
// Zeros up to the next block after size bytes of body.
int tar_write_padding(struct tar_writer *writer, uint64_t size);
// The end of the archive and of the stream.
int tar_write_end(struct tar_writer *writer);
#endif
