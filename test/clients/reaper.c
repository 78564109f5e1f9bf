/* A stand-in for testcontainers' Ryuk: hears label filters on port 8080, and once nobody is connected, removes what they name. */
#include <arpa/inet.h>
#include <ctype.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { max_connections = 32, max_filters = 32, line_size = 512 };

struct connection {
  int fd;
  size_t length;
  char line[line_size];
};

static char filters[max_filters][line_size];
static int filter_count;
static char answer[1 << 20];

/** One request over the mounted socket; the body is left in `answer`. */
static const char *request(const char *method, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/var/run/docker.sock"};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char text[2048];
  size_t length = 0;
  answer[0] = 0;
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
    perror("docker.sock");
    if (fd >= 0) close(fd);
    return answer;
  }
  int size = snprintf(text, sizeof text, "%s %s HTTP/1.0\r\nHost: docker\r\nContent-Length: 0\r\n\r\n", method, path);
  if (write(fd, text, (size_t)size) != size) perror("write");
  for (ssize_t got; length < sizeof answer - 1 && (got = read(fd, answer + length, sizeof answer - 1 - length)) > 0;)
    length += (size_t)got;
  answer[length] = 0;
  close(fd);
  const char *body = strstr(answer, "\r\n\r\n");
  return body ? body + 4 : answer;
}

/** `filters={"label":["key=value"]}`, percent-encoded. */
static void query_of(const char *label, char *out, size_t size) {
  char json[line_size + 32];
  size_t at = 0;
  snprintf(json, sizeof json, "{\"label\":[\"%.*s\"]}", line_size, label);
  for (const char *from = json; *from && at + 4 < size; from++)
    at += (size_t)snprintf(out + at, size - at, isalnum((unsigned char)*from) ? "%c" : "%%%02X", (unsigned char)*from);
}

/** Removes each object that `list` answers with, except this container. */
static void remove_all(const char *kind, const char *key, const char *list, const char *how) {
  char self[64] = "", path[1024];
  gethostname(self, sizeof self - 1);
  char *body = strdup(request("GET", list));
  for (char *at = body; at && (at = strstr(at, key));) {
    at += strlen(key);
    char *end = strchr(at, '"');
    if (!end) break;
    *end = 0;
    if (strncmp(at, self, strlen(self)) != 0) {
      snprintf(path, sizeof path, "/%s/%s%s", kind, at, how);
      request("DELETE", path);
      printf("removed %s %s\n", kind, at);
    }
    at = end + 1;
  }
  free(body);
}

static void reap(void) {
  for (int each = 0; each < filter_count; each++) {
    char query[2 * line_size], path[3 * line_size];
    query_of(filters[each], query, sizeof query);
    snprintf(path, sizeof path, "/containers/json?all=1&filters=%s", query);
    remove_all("containers", "{\"Id\":\"", path, "?force=1&v=1");
    snprintf(path, sizeof path, "/networks?filters=%s", query);
    remove_all("networks", "\"Id\":\"", path, "");
    snprintf(path, sizeof path, "/volumes?filters=%s", query);
    remove_all("volumes", "\"Name\":\"", path, "?force=1");
    snprintf(path, sizeof path, "/images/json?filters=%s", query);
    remove_all("images", "\"Id\":\"", path, "?force=1");
  }
}

/** Takes a filter line ("label=key=value") and acknowledges it. */
static void take(struct connection *from, char *line) {
  line[strcspn(line, "\r")] = 0;
  if (strncmp(line, "label=", 6) == 0 && filter_count < max_filters) strcpy(filters[filter_count++], line + 6);
  if (write(from->fd, "ACK\n", 4) != 4) perror("ACK");
}

/** Reads what has come; false when the connection has ended. */
static bool hear(struct connection *from) {
  ssize_t got = read(from->fd, from->line + from->length, sizeof from->line - 1 - from->length);
  if (got <= 0) return false;
  from->length += (size_t)got;
  from->line[from->length] = 0;
  for (char *end; (end = strchr(from->line, '\n'));) {
    *end = 0;
    take(from, from->line);
    from->length -= (size_t)(end + 1 - from->line);
    memmove(from->line, end + 1, from->length + 1);
  }
  return true;
}

int main(void) {
  const char *given = getenv("RYUK_RECONNECTION_TIMEOUT");
  const int patience = (given ? atoi(given) : 10) * 1000;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)};
  struct connection connections[max_connections];
  struct pollfd waits[max_connections + 1];
  int count = 0;
  bool heard = false;
  setvbuf(stdout, NULL, _IOLBF, 0);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16)) {
    perror("port 8080");
    return 1;
  }
  puts("Started");
  for (;;) {
    waits[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (int each = 0; each < count; each++) waits[each + 1] = (struct pollfd){.fd = connections[each].fd, .events = POLLIN};
    int ready = poll(waits, (nfds_t)count + 1, count > 0 ? -1 : heard ? patience : 60000);
    if (ready == 0) break;
    for (int each = count - 1; each >= 0; each--) {
      if (!waits[each + 1].revents || hear(&connections[each])) continue;
      close(connections[each].fd);
      connections[each] = connections[--count];
    }
    if (waits[0].revents && count < max_connections) {
      connections[count] = (struct connection){.fd = accept(listener, NULL, NULL)};
      if (connections[count].fd >= 0) count++, heard = true;
    }
  }
  reap();
  return 0;
}
