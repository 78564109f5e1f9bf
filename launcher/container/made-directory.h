// Files whose directory is made with them, because most containers need neither.
#ifndef SLOOP_MADE_DIRECTORY_H
#define SLOOP_MADE_DIRECTORY_H
#include <sys/types.h>

// open(2) with O_CLOEXEC; when the directory is missing it is made (0710), its own parent is not. -1 with errno.
int open_in_made_directory(const char *path, int flags, mode_t mode);
#endif
