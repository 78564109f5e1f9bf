// The tar format: the 512-byte header as it lies in the archive and the entry it describes.
#ifndef SLOOP_TAR_H
#define SLOOP_TAR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { TAR_BLOCK = 512 };
enum {
  TAR_FILE = '0',
  TAR_HARD_LINK = '1',
  TAR_SYMLINK = '2',
  TAR_CHAR_DEVICE = '3',
  TAR_BLOCK_DEVICE = '4',
  TAR_DIRECTORY = '5',
  TAR_FIFO = '6',
  TAR_CONTIGUOUS = '7',
  TAR_GNU_LONG_LINK = 'K',
  TAR_GNU_LONG_NAME = 'L',
  TAR_GNU_SPARSE = 'S',
  TAR_GNU_VOLUMES = 'M',
  TAR_PAX = 'x',
  TAR_PAX_SOLARIS = 'X',
  TAR_PAX_GLOBAL = 'g',
};

struct tar_header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], kind, link[100];
  char magic[8];  // "ustar\0" "00", or GNU's "ustar  \0"
  char owner[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header is one block");

struct tar_xattr {
  const char *name;
  const char *value;
  size_t length;
};

struct tar_extent {
  uint64_t offset, length;
};

struct tar_entry {
  char kind;                // TAR_FILE … TAR_FIFO
  const char *name, *link;  // as in the archive; no NUL inside
  uint32_t mode, uid, gid, major, minor;
  struct timespec atime, mtime;
  uint64_t size;  // of the file, holes included
  const struct tar_xattr *xattrs;
  size_t xattr_count;
};

unsigned tar_checksum(const struct tar_header *header);
#endif
