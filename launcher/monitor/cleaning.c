// What is left of a container after its end was told: processes, cgroups, ports, namespaces.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "monitor.h"
#include "names.h"
#include "own.h"

enum { CLEAN_TOTAL_MS = 5000, CLEAN_PAUSE_MS = 5, CGROUP_DEPTH_MAX = 16, CGROUP_PATH_MAX = 4096 };

static bool write_file(const char *directory, const char *name, const char *text) {
  char path[CGROUP_PATH_MAX];
  if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) return false;
  OWN_FD fd = open(path, O_WRONLY | O_CLOEXEC);
  return fd >= 0 && write(fd, text, strlen(text)) >= 0;
}

typedef bool cgroup_function(const char *directory, int depth);

// Calls visit for each directory right beneath.
static void each_below(const char *directory, int depth, cgroup_function *visit) {
  DIR *list = depth > CGROUP_DEPTH_MAX ? NULL : opendir(directory);
  if (!list) return;
  for (struct dirent *entry; (entry = readdir(list));) {
    size_t room = strlen(directory) + strlen(entry->d_name) + 2;
    if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    OWN_MEMORY char *path = malloc(room);
    if (!path) break;
    snprintf(path, room, "%s/%s", directory, entry->d_name);
    visit(path, depth + 1);
  }
  closedir(list);
}

static bool kill_listed(const char *directory) {
  char path[CGROUP_PATH_MAX], line[32];
  bool found = false;
  if (snprintf(path, sizeof path, "%s/cgroup.procs", directory) >= (int)sizeof path) return false;
  FILE *list = fopen(path, "re");
  if (!list) return false;
  while (fgets(line, sizeof line, list)) {
    uint64_t pid;
    line[strcspn(line, "\n")] = 0;
    if (parse_u64(line, 10, INT32_MAX, &pid) && pid > 1 && !kill((pid_t)pid, SIGKILL)) found = true;
  }
  fclose(list);
  return found;
}

// Without cgroup.kill: new processes may be born while the list is read, and a frozen one does not die.
static bool kill_tree(const char *directory, int depth) {
  for (int pass = 0; pass < 8 && kill_listed(directory); pass++) {
  }
  write_file(directory, "freezer.state", "THAWED");
  each_below(directory, depth, kill_tree);
  return true;
}

void cgroup_kill_rest(const char *directory) {
  if (!write_file(directory, "cgroup.kill", "1")) kill_tree(directory, 0);
}

// A container with its own cgroup rights may have made directories beneath.
static bool remove_cgroup(const char *directory, int depth) {
  if (!rmdir(directory) || errno == ENOENT) return true;
  if (errno != EBUSY && errno != ENOTEMPTY) return false;
  each_below(directory, depth, remove_cgroup);
  return !rmdir(directory) || errno == ENOENT;
}

static bool remove_cgroups(struct monitor *monitor) {
  bool removed = true;
  const struct operation *operation;
  for (uint32_t i = 0; i < monitor->request->plan->count; i++) {
    operation = &monitor->request->plan->operations[i];
    if (strcmp(operation->name, "cgroup") || operation->count < 1) continue;
    if (!remove_cgroup(operation->args[0], 0)) removed = false;
  }
  return removed;
}

void clean_begin(struct monitor *monitor) {
  monitor->cleaning = true;
  oom_close(&monitor->oom);
  monitor->clean_next = 0;
  monitor->clean_deadline = now_ms() + CLEAN_TOTAL_MS;
}

void clean_step(struct monitor *monitor) {
  int64_t now = now_ms();
  if (!monitor->cleaning || monitor->cleaned || now < monitor->clean_next) return;
  ports_release(monitor);
  names_close(monitor);
  for (size_t i = 0; i < sizeof monitor->namespaces / sizeof *monitor->namespaces; i++) {
    if (monitor->namespaces[i] >= 0) close(monitor->namespaces[i]);
    monitor->namespaces[i] = -1;
  }
  if (!remove_cgroups(monitor) && now < monitor->clean_deadline) {
    if (monitor->kill_cgroup) cgroup_kill_rest(monitor->kill_cgroup);
    monitor->clean_next = now + CLEAN_PAUSE_MS;
    return;
  }
  monitor->cleaned = true;
  for (struct connection *watcher = monitor->connections; watcher; watcher = watcher->next)
    if (watcher->fd >= 0 && watcher->role == ROLE_WATCH && watcher->task == monitor->tasks)
      connection_drop(monitor, watcher);
}
