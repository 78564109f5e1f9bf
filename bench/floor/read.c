// Takes a launch plan apart: everything that is words becomes what the kernel's calls take.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "calls.h"
#include "floor.h"

enum { FRAME_HEADER = 8, FILTER_INSTRUCTION = 8 };

static const struct {
  const char *name;
  unsigned set;
} attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY},     {"nosuid", MOUNT_ATTR_NOSUID},     {"nodev", MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC}, {"relatime", MOUNT_ATTR_RELATIME}, {"strictatime", MOUNT_ATTR_STRICTATIME},
};

static bool attributes_read(char *text, unsigned *set) {
  for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
    size_t i = 0;
    while (i < sizeof attributes / sizeof *attributes && strcmp(word, attributes[i].name)) i++;
    if (i == sizeof attributes / sizeof *attributes) return false;
    *set |= attributes[i].set;
  }
  return true;
}

static bool mount_read(struct step *step, char **args) {
  size_t count = 0;
  *step = (struct step){.kind = STEP_MOUNT, .type = args[0], .source = args[1], .path = args[2] + 1};
  step->needs_place = !strncmp(step->type, "cgroup", 6);
  for (char *word = strtok(args[4], ","); word && count < OPTIONS_MAX; word = strtok(NULL, ",")) {
    char *value = strchr(word, '=');
    if (value) *value++ = 0;
    step->keys[count] = word;
    step->values[count++] = value;
  }
  return attributes_read(args[3], &step->attributes);
}

static void filter_read(struct work *work, const char *hex) {
  size_t bytes = strlen(hex) / 2;
  uint8_t *code = malloc(bytes);
  for (size_t i = 0; code && i < bytes; i++) {
    const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
    code[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  work->filter.length = (unsigned short)(bytes / FILTER_INSTRUCTION);
  work->filter.code = code;
}

static void overlay_read(struct work *work, char **args, size_t count) {
  work->upper = args[0];
  work->workdir = args[1];
  for (char *word = strtok(args[2], ","); word; word = strtok(NULL, ",")) work->layer_options[work->option_count++] = word;
  for (size_t i = 3; i < count && work->lower_count < 16; i++) work->lower[work->lower_count++] = args[i];
}

static struct step *step_add(struct work *work) { return &work->steps[work->step_count++]; }

static bool node_read(struct work *work, const char *name, char **args) {
  if (!strcmp(name, "device"))
    *step_add(work) = (struct step){.kind = STEP_DEVICE, .path = args[0] + 1, .mode = (unsigned)strtoul(args[4], NULL, 8),
                                    .device = makedev((unsigned)atoi(args[2]), (unsigned)atoi(args[3]))};
  else if (!strcmp(name, "symlink"))
    *step_add(work) = (struct step){.kind = STEP_SYMLINK, .source = args[0], .path = args[1] + 1};
  else if (!strcmp(name, "directory"))
    *step_add(work) = (struct step){.kind = STEP_DIRECTORY, .path = args[0] + 1, .mode = 0755};
  else
    return false;
  return true;
}

// What is not there cannot be masked: the host's own /proc and /sys tell what the container's will have.
static bool cover_read(struct work *work, const char *name, char **args) {
  struct stat status;
  bool mask = !strcmp(name, "mask");
  if (!mask && strcmp(name, "readonly")) return false;
  if (stat(args[0], &status)) return true;
  *step_add(work) = (struct step){.kind = mask ? STEP_MASK : STEP_READONLY, .path = args[0] + 1,
                                  .directory = S_ISDIR(status.st_mode)};
  return true;
}

static bool operation_read(struct work *work, const char *name, char **args, size_t count) {
  // The launcher's own promises, and what an empty plan has in it; a floor without them is the harder one.
  static const char *const left_out[] = {"launch", "cgroup-device-program", "monitor-socket", "exit-record", "log", "stdio", "oom-counter", "user",
                                         "umask", "cwd", "env", "attach-expect"};
  for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
    if (!strcmp(name, left_out[i])) return true;
  if (!strcmp(name, "mount")) return mount_read(step_add(work), args);
  if (!strcmp(name, "cgroup")) work->cgroups[work->cgroup_count++] = args[0];
  else if (!strcmp(name, "cgroup-write")) work->limits[work->limit_count++] = (struct file_write){args[0], args[1]};
  else if (!strcmp(name, "sysctl")) work->sysctls[work->sysctl_count++] = (struct file_write){args[0], args[1]};
  else if (!strcmp(name, "root-overlay")) overlay_read(work, args, count);
  else if (!strcmp(name, "namespace")) work->new_network |= !strcmp(args[0], "network") && !strcmp(args[1], "new");
  else if (!strcmp(name, "hostname")) work->hostname = args[0];
  else if (!strcmp(name, "argv")) work->program = args[0];
  else if (!strcmp(name, "seccomp")) filter_read(work, args[0]);
  else if (!strcmp(name, "capabilities")) work->capabilities = strtoull(args[0], NULL, 16);
  else return node_read(work, name, args) || cover_read(work, name, args);
  return true;
}

// net.ipv4.x becomes sys/net/ipv4/x.
static bool sysctls_finish(struct work *work) {
  for (size_t i = 0; i < work->sysctl_count; i++) {
    char *path;
    if (asprintf(&path, "sys/%s", work->sysctls[i].file) < 0) return false;
    for (char *at = path; *at; at++)
      if (*at == '.') *at = '/';
    work->sysctls[i].file = path;
  }
  return true;
}

bool work_read(struct work *work, const char *path) {
  struct stat status;
  *work = (struct work){0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) || status.st_size <= FRAME_HEADER) return false;
  work->bytes = malloc((size_t)status.st_size);
  bool whole = work->bytes && read(fd, work->bytes, (size_t)status.st_size) == status.st_size;
  close(fd);
  for (char *at = work->bytes + FRAME_HEADER, *end = work->bytes + status.st_size; whole && at < end;) {
    char *name = at, *args[600];
    at += strlen(at) + 1;
    size_t count = (size_t)atoi(at);
    at += strlen(at) + 1;
    for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
      if (i < 600) args[i] = at;
    if (!operation_read(work, name, args, count)) return fprintf(stderr, "the floor does not know %s\n", name), false;
  }
  return whole && sysctls_finish(work);
}
