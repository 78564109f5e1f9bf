// The floor: what the kernel alone needs for the work that a launch plan asks for.
#ifndef SLOOP_FLOOR_H
#define SLOOP_FLOOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { WORDS_MAX = 4096, STEPS_MAX = 512, OPTIONS_MAX = 16 };

enum step_kind { STEP_MOUNT, STEP_DIRECTORY, STEP_DEVICE, STEP_SYMLINK, STEP_MASK, STEP_READONLY };

// A mount or node of the plan, ready to be handed to the kernel. Paths are relative to the root.
struct step {
  enum step_kind kind;
  const char *path, *type, *source;
  const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];  // value NULL: a flag
  unsigned attributes, mode;
  dev_t device;
  bool directory;    // mask: an empty directory, not the null device
  bool needs_place;  // a cgroup file system: mounted once the process is in its cgroups
};

struct file_write {
  const char *file, *value;
};

// A launch plan, taken apart before the clock starts.
struct work {
  char *bytes;
  const char *upper, *lower[16], *layer_options[OPTIONS_MAX];
  const char *cgroups[16], *hostname, *program;
  struct file_write limits[64], sysctls[16];
  struct step steps[STEPS_MAX];
  size_t lower_count, option_count, cgroup_count, limit_count, sysctl_count, step_count;
  const char *workdir;
  uint64_t capabilities;
  bool new_network;
  struct { unsigned short length; void *code; } filter;
};

// Reads a plan's frame. False when it asks for something that the floor does not do.
bool work_read(struct work *work, const char *path);
// Performs it, the way a launcher that does nothing else would; microseconds until the end of the program is known, or
// -1. `network` is the descriptor of the prepared network namespace, or -1.
double work_perform(const struct work *work, int network);
// Takes down what is left, and forgets the work.
void work_clear(struct work *work);
double now_us(void);
#endif
