// Letters between the launcher's own processes: a few bytes on a socketpair, with at most one descriptor.
#include "letter.h"

#include <string.h>
#include <sys/socket.h>

// Room for one descriptor, aligned as the kernel wants it.
union envelope {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

int letter_send(int line, const void *bytes, size_t length, int descriptor) {
  union envelope control = {0};
  struct iovec part = {(void *)bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return sendmsg(line, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

ssize_t letter_receive(int line, void *bytes, size_t length, int flags, int *descriptor) {
  union envelope control;
  struct iovec part = {bytes, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                           .msg_controllen = sizeof control};
  *descriptor = -1;
  ssize_t got = recvmsg(line, &message, flags | MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (header && header->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
  return got;
}
