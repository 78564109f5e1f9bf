// Where cgroup hierarchies are mounted and which controllers they have.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"
#include "probe.h"

// The mount point in mountinfo writes blanks, tabs, newlines and backslashes as \ and three octal digits.
static void unescape(char *text) {
  char *to = text;
  for (char *from = text; *from; to++) {
    bool octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3];
    *to = octal ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0')) : *from;
    from += octal ? 4 : 1;
  }
  *to = 0;
}

static bool is_flag(const char *option) {
  static const char *const flags[] = {"rw", "ro", "xattr", "noprefix", "clone_children", "all", "none", NULL};
  for (int i = 0; flags[i]; i++)
    if (!strcmp(option, flags[i])) return true;
  return !strncmp(option, "release_agent=", 14);
}

static void add_controllers(struct probe *probe, char *options, const char *path) {
  char key[96], *rest = NULL;
  for (char *option = strtok_r(options, ",\n", &rest); option; option = strtok_r(NULL, ",\n", &rest)) {
    if (is_flag(option)) continue;
    snprintf(key, sizeof key, "cgroup-v1-%.70s", !strncmp(option, "name=", 5) ? option + 5 : option);
    probe_add(probe, key, "%s", path);
  }
}

static void add_unified(struct probe *probe, const char *path) {
  char file[512], text[400] = "";
  snprintf(file, sizeof file, "%.480s/cgroup.controllers", path);
  OWN_FD fd = open(file, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  while (length > 0 && text[length - 1] == '\n') text[--length] = 0;
  probe_add(probe, "cgroup-v2", "%s", path);
  probe_add(probe, "cgroup-v2-controllers", "%s", text);
}

void probe_cgroups(struct probe *probe) {
  bool v1 = false, v2 = false;
  char *line = NULL, point[512];
  size_t room = 0;
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  while (mounts && getline(&line, &room, mounts) > 0) {
    char *after = strstr(line, " - "), *options;
    if (!after || strncmp(after, " - cgroup", 9) || sscanf(line, "%*s %*s %*s %*s %511s", point) != 1) continue;
    unescape(point);
    if (!strncmp(after, " - cgroup2 ", 11)) {
      if (!v2) add_unified(probe, point);
      v2 = true;
    } else if (!strncmp(after, " - cgroup ", 10) && (options = strrchr(after, ' '))) {
      add_controllers(probe, options + 1, point);
      v1 = true;
    }
  }
  free(line);
  if (mounts) fclose(mounts);
  probe_add(probe, "cgroup-mode", "%s", v1 && v2 ? "hybrid" : v1 ? "v1" : v2 ? "v2" : "none");
  probe_answer(probe, "cgroup-kill", v2 && probe_at_least(probe, 5, 14));
  probe_answer(probe, "clone-into-cgroup", v2 && probe_at_least(probe, 5, 7));
}
