// Letters between the launcher's own processes: a few bytes on a socketpair, with descriptors or without.
#include "letter.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Room for the descriptors, aligned as the kernel wants it.
union envelope {
  char bytes[CMSG_SPACE(sizeof(int) * LETTER_DESCRIPTORS_MAX)];
  struct cmsghdr align;
};

int letter_send_many(int line, const void *bytes, size_t length, const int *descriptors, size_t count) {
  union envelope control;
  struct iovec part = {(void *)bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > LETTER_DESCRIPTORS_MAX) return errno = E2BIG, -1;
  if (count) {
    memset(&control, 0, CMSG_SPACE(sizeof(int) * count));
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
  }
  return sendmsg(line, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int letter_send(int line, const void *bytes, size_t length, int descriptor) {
  return letter_send_many(line, bytes, length, &descriptor, descriptor >= 0);
}

ssize_t letter_receive_many(int line, void *bytes, size_t length, int flags, int *descriptors, size_t room,
                            size_t *count) {
  union envelope control;
  struct iovec part = {bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control};
  *count = 0;
  ssize_t got = recvmsg(line, &message, flags | MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!header || header->cmsg_type != SCM_RIGHTS) return got;
  size_t came = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < came; i++) {
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header) + i * sizeof descriptor, sizeof descriptor);
    if (i < room) descriptors[(*count)++] = descriptor;
    else close(descriptor);
  }
  return got;
}

ssize_t letter_receive(int line, void *bytes, size_t length, int flags, int *descriptor) {
  size_t count;
  ssize_t got = letter_receive_many(line, bytes, length, flags, descriptor, 1, &count);
  if (!count) *descriptor = -1;
  return got;
}
