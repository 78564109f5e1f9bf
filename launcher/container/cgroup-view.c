// What a container sees of its v1 cgroups (cgroup-view.h).
#include "cgroup-view.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "own.h"

enum { HIERARCHIES_MAX = 24 };

struct hierarchy {
  char *point, *options;
};

// Written once by the parent, copied to children by fork.
static struct {
  struct hierarchy entries[HIERARCHIES_MAX];
  size_t count;
} known;

void cgroup_view_learn(void) {
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  char *line = NULL;
  size_t room = 0;
  while (mounts && known.count < HIERARCHIES_MAX && getline(&line, &room, mounts) > 0) {
    char *type = strstr(line, " - cgroup "), point[256], root[256];
    char *options = type ? strrchr(type, ' ') : NULL;
    // A mount of a part of the hierarchy shows other directories than its paths say.
    if (!options || sscanf(line, "%*s %*s %*s %255s %255s", root, point) != 2 || strcmp(root, "/")) continue;
    options[1 + strcspn(options + 1, "\n")] = 0;
    struct hierarchy found = {strdup(point), strdup(options + 1)};
    if (found.point && found.options) known.entries[known.count++] = found;
  }
  free(line);
  if (mounts) fclose(mounts);
}

static bool has_word(const char *words, const char *word, size_t length) {
  for (const char *at = words; *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ','))
    if (strcspn(at, ",") == length && !strncmp(at, word, length)) return true;
  return false;
}

// Whether a hierarchy mounted with the first options is what the second ones ask for.
static bool same_hierarchy(const char *options, const char *wanted) {
  for (const char *at = wanted; *at;) {
    size_t length = strcspn(at, ",");
    if (strncmp(at, "none", length) && !has_word(options, at, length)) return false;
    at += length + (at[length] == ',');
  }
  return *wanted;
}

static bool lies_in(const char *path, const char *point) {
  size_t length = strlen(point);
  return !strncmp(path, point, length) && path[length] == '/';
}

bool cgroup_view_covers(const char *path) {
  if (strstr(path, "/..")) return false;
  for (size_t i = 0; i < known.count; i++)
    if (lies_in(path, known.entries[i].point)) return true;
  return false;
}

static const char *directory_in(const struct plan *plan, const char *point) {
  const struct operation *operation;
  for (uint32_t n = 0; (operation = plan_find(plan, "cgroup", n)); n++)
    if (lies_in(operation->args[0], point)) return operation->args[0];
  return NULL;
}

int cgroup_view_open(const struct plan *plan, const char *options) {
  for (size_t i = 0; i < known.count; i++) {
    if (!same_hierarchy(known.entries[i].options, options)) continue;
    const char *directory = directory_in(plan, known.entries[i].point);
    return directory ? call_open_tree(AT_FDCWD, directory, OPEN_TREE_CLONE) : -1;
  }
  return -1;
}
