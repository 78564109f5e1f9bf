// The monitor's connection to the daemon's name server: made when something is asked, made again when it breaks.
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "names.h"
#include "own.h"

enum { INBOX_BYTES = 128 << 10, RETRY_MS = 20 };

void link_close(struct names *names, int64_t now) {
  if (names->link >= 0) close(names->link);
  names->link = -1;
  names->link_full = false;
  names->inbox_end = 0;
  names->hello_sent = 0;
  names->retry_at = now + RETRY_MS;
  questions_rewind(&names->questions);
}

void inbox_unmap(struct names *names) {
  if (names->inbox) munmap(names->inbox, INBOX_BYTES);
  names->inbox = NULL;
}

static bool is_trusted(int fd) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) && (peer.uid == 0 || peer.uid == geteuid());
}

static bool link_open(struct names *names, int64_t now) {
  if (names->link >= 0) return true;
  if (now < names->retry_at) return false;
  names->retry_at = now + RETRY_MS;
  if (!names->inbox) {
    void *mapped = mmap(NULL, INBOX_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return false;
    names->inbox = mapped;
  }
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, names->path, sizeof names->path);
  OWN_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) || !is_trusted(fd)) return false;
  names->link = give_fd(&fd);
  names_poll(names, names->link, NAMES_LINK, EPOLLIN, false);
  return true;
}

static void watch_link(struct names *names, bool full) {
  if (names->link_full == full) return;
  names->link_full = full;
  names_poll(names, names->link, NAMES_LINK, full ? EPOLLIN | EPOLLOUT : EPOLLIN, true);
}

void link_send(struct names *names, int64_t now) {
  struct iovec parts[1 + NAMES_BATCH];
  while (names->questions.all && names->questions.unsent != NAMES_NOBODY && link_open(names, now)) {
    size_t count = 0, hello = names->hello_length - names->hello_sent;
    if (hello) parts[count++] = (struct iovec){names->hello + names->hello_sent, hello};
    count += questions_gather(&names->questions, parts + count, NAMES_BATCH);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent = sendmsg(names->link, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return watch_link(names, true);
    if (sent < 0) return link_close(names, now);
    size_t of_hello = (size_t)sent < hello ? (size_t)sent : hello;
    names->hello_sent += of_hello;
    questions_sent(&names->questions, (size_t)sent - of_hello);
  }
  if (names->link >= 0) watch_link(names, false);
}

struct answers {
  struct mmsghdr messages[NAMES_BATCH];
  struct iovec parts[NAMES_BATCH];
  struct sockaddr_in to[NAMES_BATCH];
  unsigned count;
};

// A client that is gone or does not take its answer loses it, as with any datagram.
static void answers_send(struct names *names, struct answers *answers) {
  for (unsigned done = 0; done < answers->count;) {
    int sent = sendmmsg(names->udp, answers->messages + done, answers->count - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    done += sent > 0 ? (unsigned)sent : 1;
  }
  answers->count = 0;
}

static void take_answer(struct names *names, struct answers *answers, uint32_t ticket, uint8_t *bytes, size_t length,
                        int64_t now) {
  struct question *question = question_find(&names->questions, ticket);
  if (!question) return;
  uint16_t client = question->client;
  if (client != NAMES_NOBODY) {
    bool present = names->clients[client].fd >= 0 && names->clients[client].serial == question->serial;
    names_forget(names, question);
    if (present && length) client_answer(names, client, bytes, length, now);
    if (present) client_resume(names, client, now);
    return;
  }
  unsigned at = answers->count;
  answers->to[at] = question->from;
  names_forget(names, question);
  if (!length) return;
  answers->parts[at] = (struct iovec){bytes, length};
  answers->messages[at] = (struct mmsghdr){.msg_hdr = {.msg_name = &answers->to[at], .msg_namelen = sizeof answers->to[at],
                                                       .msg_iov = &answers->parts[at], .msg_iovlen = 1}};
  if (++answers->count == NAMES_BATCH) answers_send(names, answers);
}

// The daemon asks a name server that only the container reaches. Its answer comes to the same socket.
static void pass_on(const struct names *names, const uint8_t *bytes, size_t length) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (length <= NAMES_PLACE) return;
  memcpy(&to.sin_addr, bytes, 4);
  memcpy(&to.sin_port, bytes + 4, 2);
  sendto(names->beyond, bytes + NAMES_PLACE, length - NAMES_PLACE, MSG_DONTWAIT | MSG_NOSIGNAL,
         (const struct sockaddr *)&to, sizeof to);
}

// False when the daemon does not keep to the protocol.
static bool take_frames(struct names *names, int64_t now) {
  struct answers answers;
  size_t at = 0;
  bool whole = true;
  answers.count = 0;
  while (names->inbox_end - at >= NAMES_HEADER) {
    const uint8_t *header = names->inbox + at;
    size_t length = header[0] | (size_t)header[1] << 8;
    uint32_t ticket = header[4] | (uint32_t)header[5] << 8 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 24;
    if (header[2] != NAMES_ANSWER && header[2] != NAMES_PASSED) {
      whole = false;
      break;
    }
    if (names->inbox_end - at - NAMES_HEADER < length) break;
    uint8_t *bytes = names->inbox + at + NAMES_HEADER;
    if (header[2] == NAMES_PASSED) pass_on(names, bytes, length);
    else take_answer(names, &answers, ticket, bytes, length, now);
    at += NAMES_HEADER + length;
  }
  answers_send(names, &answers);
  if (at) memmove(names->inbox, names->inbox + at, names->inbox_end - at);
  names->inbox_end -= at;
  return whole;
}

void link_ready(struct names *names, int64_t now) {
  ssize_t got = recv(names->link, names->inbox + names->inbox_end, INBOX_BYTES - names->inbox_end, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) got = 0;
  else if (got <= 0) return link_close(names, now);
  names->inbox_end += (size_t)got;
  if (!take_frames(names, now)) link_close(names, now);
}
