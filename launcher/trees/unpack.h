// What the parts of unpack share: where the archive goes, how, and what must be remembered until its end.
#ifndef SLOOP_UNPACK_H
#define SLOOP_UNPACK_H
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tar-read.h"

enum unpack_whiteouts { WHITEOUTS_NONE, WHITEOUTS_OVERLAY, WHITEOUTS_APPLY };

// A directory's times are set when nothing more is put into it.
struct unpacked_directory {
  char *path;
  dev_t device;
  ino_t inode;
  struct timespec times[2];
};

struct unpack {
  int root;        // every path is resolved in it
  const char *at;  // the archive's place in the root
  enum unpack_whiteouts whiteouts;
  bool keep_owners, overwrite_directories;
  bool one_owner;  // everything belongs to uid and gid, whatever the tar says
  uid_t uid;
  gid_t gid;
  struct tar_reader reader;
  int parent;  // the directory of the last entry (O_PATH), or -1
  char parent_path[PATH_MAX];
  struct unpacked_directory *directories;
  size_t directory_count, directory_room, directory_bytes;
  uint64_t *touched;  // hash set of what this archive made, for WHITEOUTS_APPLY
  size_t touched_count, touched_room;
  uint64_t entries, bytes;
};

// A name of the archive without leading slash, ".", ".." and doubled slashes; "" is the destination itself.
// Names that lead out of it fail.
int unpack_clean(const char *name, char clean[PATH_MAX], struct failure *failure);
// The directory that holds the entry (borrowed), made with its parents if missing, and the entry's own name.
int unpack_parent(struct unpack *unpack, const char *clean, const char **name, struct failure *failure);
void unpack_forget_parent(struct unpack *unpack);
int unpack_entry(struct unpack *unpack, const struct tar_entry *entry, const char *clean, struct failure *failure);
int unpack_directory_times(struct unpack *unpack, struct failure *failure);
int unpack_remember(struct unpack *unpack, const char *clean, const struct stat *stat, const struct timespec times[2],
                    struct failure *failure);

// 1: the entry was a whiteout and has been dealt with; 0: it is not one; -1: failed.
int unpack_whiteout(struct unpack *unpack, const char *clean, struct failure *failure);
bool stat_is_whiteout(const struct stat *stat);
int unpack_set_opaque(int parent, const char *name, const char *path, struct failure *failure);
int unpack_touch(struct unpack *unpack, const struct stat *stat, struct failure *failure);
#endif
