// Exchanges two names for ever, as fast as the kernel can: a directory and a link in its place.
#include <linux/fs.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count != 3) return 2;
  for (;;) syscall(SYS_renameat2, -100, words[1], -100, words[2], RENAME_EXCHANGE);
}
