// For tests: mounts an EROFS layer in a mount namespace of its own until its input ends.
//   keep-mounted LAYER PLACE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char index[4096], options[4096], end;
  if (argc != 3 || unshare(CLONE_NEWNS) || mount("", "/", "", MS_REC | MS_PRIVATE, NULL)) return 1;
  snprintf(index, sizeof index, "%s/index", argv[1]);
  snprintf(options, sizeof options, "device=%s/layer.tar", argv[1]);
  if (mount(index, argv[2], "erofs", MS_RDONLY, options)) return perror("mount"), 1;
  puts("mounted");
  fflush(stdout);
  while (read(0, &end, 1) > 0) continue;
  return 0;
}
