// Makes moving processes between cgroups cheap: without `favordynmods` the first move after a pause waits for an RCU
// grace period (measured here: 11.6 ms against 0.03 ms). The flag belongs to the kernel's one default hierarchy.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "own.h"
#include "verbs.h"

// A remount sets all of these flags anew, so those in force are read first and asked for again.
static const char *const kept_flags[] = {"nsdelegate", "memory_localevents", "memory_recursiveprot",
                                         "memory_hugetlb_accounting", "pids_localevents"};

// Finds the cgroup2 mount of this namespace: its path and its super block's options.
static bool find_cgroup2(char *path, size_t path_size, char *options, size_t options_size) {
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  char *line = NULL;
  size_t room = 0;
  bool found = false;
  while (mounts && !found && getline(&line, &room, mounts) > 0) {
    char *type = strstr(line, " - cgroup2 ");
    char *point = type ? strchr(line, '/') : NULL;  // the root field, then the mount point
    point = point ? strchr(point, ' ') : NULL;
    char *last = type ? strrchr(type, ' ') : NULL;
    if (!point || !last) continue;
    point++;
    snprintf(path, path_size, "%.*s", (int)strcspn(point, " "), point);
    snprintf(options, options_size, "%.*s", (int)strcspn(last + 1, "\n"), last + 1);
    found = true;
  }
  free(line);
  if (mounts) fclose(mounts);
  return found;
}

static bool has_word(const char *words, const char *word) {
  size_t length = strlen(word);
  for (const char *at = words; (at = strstr(at, word)); at += length)
    if ((at == words || at[-1] == ',') && (at[length] == ',' || at[length] == 0)) return true;
  return false;
}

static int set_flags(int fs, const char *options) {
  for (size_t i = 0; i < sizeof kept_flags / sizeof *kept_flags; i++)
    if (has_word(options, kept_flags[i]) && call_fsconfig(fs, FSCONFIG_SET_FLAG, kept_flags[i], NULL, 0)) return -1;
  return call_fsconfig(fs, FSCONFIG_SET_FLAG, "favordynmods", NULL, 0);
}

int verb_cgroup_favor_moves(struct request *request, struct failure *failure) {
  char path[4096], options[512] = "";
  bool mounted = find_cgroup2(path, sizeof path, options, sizeof options);
  if (has_word(options, "favordynmods")) return report(request->connection, "ok", "changed", "no", NULL);
  // Without a cgroup2 mount a mount is made and dropped at once: the flag stays with the hierarchy.
  OWN_FD fs = mounted ? call_fspick(path) : call_fsopen("cgroup2");
  if (fs < 0) return fail(failure, "cgroup-favor-moves", mounted ? path : "", errno, "cgroup2 cannot be configured");
  if (set_flags(fs, options))
    return fail(failure, "cgroup-favor-moves", "", errno, "this kernel does not know favordynmods (6.0 and later do)");
  if (call_fsconfig(fs, mounted ? FSCONFIG_CMD_RECONFIGURE : FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    return fail(failure, "cgroup-favor-moves", "", errno, "the kernel refused favordynmods");
  return report(request->connection, "ok", "changed", "yes", NULL);
}
