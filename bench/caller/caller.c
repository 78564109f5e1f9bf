// A client of the Engine API that costs next to nothing, so that what is measured is the engine: creates, waits for and
// starts a container over kept connections.
//   caller SOCKET CONDITION BODY          for each line on standard input, a number of milliseconds: rests so long, runs
//                                         one container and answers with microseconds from create to its end known
//   caller SOCKET CONDITION BODY W COUNT  W at once, COUNT one after the other in each; answers with microseconds for all
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 16, ID_LENGTH = 64, WIDTH_MAX = 64 };

struct client {
  const char *condition, *body;
  int first, second;  // connections: create and start on one, wait on the other
};

static void give_up(const char *what, const char *detail) {
  fprintf(stderr, "caller: %s: %s\n", what, detail);
  exit(1);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int dial(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) give_up("the socket's path is too long", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) give_up("nobody listens", path);
  return fd;
}

static void post(int fd, const char *path, const char *body) {
  char request[ANSWER_MAX];
  int length = snprintf(request, sizeof request,
                        "POST /v1.50%s HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        path, strlen(body), body);
  if (length >= (int)sizeof request || write(fd, request, (size_t)length) != length) give_up("cannot ask", path);
}

// Whether all of an answer is there: its length is told, it comes in chunks, or it has no body.
static bool is_whole(const char *answer, size_t got, const char *body, int status) {
  const char *length = strcasestr(answer, "\r\nContent-Length:");
  if (status == 204) return true;
  if (length && length < body) return got - (size_t)(body - answer) >= strtoul(length + 17, NULL, 10);
  return strstr(body, "\r\n0\r\n\r\n") != NULL;
}

// Reads one answer, which must have this status; returns its body.
static const char *hear(int fd, char answer[ANSWER_MAX], int wanted) {
  for (size_t got = 0; got < ANSWER_MAX - 1;) {
    ssize_t more = read(fd, answer + got, ANSWER_MAX - 1 - got);
    if (more <= 0) give_up("the engine hung up", answer);
    got += (size_t)more;
    answer[got] = 0;
    const char *end = strstr(answer, "\r\n\r\n");
    int status = atoi(answer + strcspn(answer, " "));
    if (!end || !is_whole(answer, got, end + 4, status)) continue;
    if (status != wanted) give_up("the engine refused", end + 4);
    return end + 4;
  }
  give_up("an answer is too long", answer);
  return NULL;
}

static double run(const struct client *client) {
  char answer[ANSWER_MAX], path[256];
  double since = now_us();
  post(client->first, "/containers/create", client->body);
  const char *id = strstr(hear(client->first, answer, 201), "\"Id\":\"");
  if (!id || strlen(id += 6) < ID_LENGTH) give_up("the answer names no container", answer);
  snprintf(path, sizeof path, "/containers/%.*s/wait?condition=%s", ID_LENGTH, id, client->condition);
  post(client->second, path, "");
  snprintf(path, sizeof path, "/containers/%.*s/start", ID_LENGTH, id);
  post(client->first, path, "");
  hear(client->first, answer, 204);
  hear(client->second, answer, 200);
  return now_us() - since;
}

static struct client make_client(char **words) {
  return (struct client){.condition = words[2], .body = words[3], .first = dial(words[1]), .second = dial(words[1])};
}

static void serve(char **words) {
  struct client client = make_client(words);
  char line[32];
  while (fgets(line, sizeof line, stdin)) {
    usleep((useconds_t)atoi(line) * 1000);
    printf("%.0f\n", run(&client));
    fflush(stdout);
  }
}

static void together(char **words, int width, int count) {
  double since = now_us();
  for (int i = 0; i < width; i++) {
    if (fork()) continue;
    struct client client = make_client(words);
    for (int done = 0; done < count; done++) run(&client);
    exit(0);
  }
  int status, failed = 0;
  while (wait(&status) > 0) failed |= status;
  if (failed) give_up("a run failed", words[1]);
  printf("%.0f\n", now_us() - since);
}

int main(int count, char **words) {
  if (count == 4) serve(words);
  else if (count == 6 && atoi(words[4]) <= WIDTH_MAX) together(words, atoi(words[4]), atoi(words[5]));
  else give_up("wants", "SOCKET CONDITION BODY [WIDTH COUNT]");
  return 0;
}
