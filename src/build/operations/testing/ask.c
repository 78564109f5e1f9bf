// ask SOCKET WORD: sends a word to a unix socket and prints a line of the first answer.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **words) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char answer[256];
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (count != 3) return 2;
  strncpy(address.sun_path, words[1], sizeof address.sun_path - 1);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) return perror("connect"), 1;
  if (write(fd, words[2], strlen(words[2])) < 0) return perror("write"), 1;
  ssize_t got = read(fd, answer, sizeof answer);
  if (got < 0) return perror("read"), 1;
  printf("%.*s\n", (int)got, answer);
  return 0;
}
