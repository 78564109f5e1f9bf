// The kernel's answers: acknowledgements, errors with their extended message, and dumps.
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"
#include "own.h"

enum { REPLY_BYTES = 64 << 10 };

struct pending {
  const uint8_t *bytes;  // what was sent
  size_t length;
  uint32_t acknowledgements, dumps;
  bool interrupted;  // the list changed while it was read
};

// The text that the kernel added to an error, if it did; it is bounded by the message.
static const char *extended_text(const struct nlmsghdr *header, const struct nlmsgerr *error, char *text, size_t size) {
  if (!(header->nlmsg_flags & NLM_F_ACK_TLVS)) return "";
  size_t at = NLMSG_HDRLEN + sizeof *error;
  if (!(header->nlmsg_flags & NLM_F_CAPPED) && error->msg.nlmsg_len > sizeof error->msg)
    at += NLMSG_ALIGN(error->msg.nlmsg_len - sizeof error->msg);
  while (at + sizeof(struct nlattr) <= header->nlmsg_len) {
    const struct nlattr *attribute = (const struct nlattr *)((const uint8_t *)header + at);
    if (attribute->nla_len < sizeof *attribute || attribute->nla_len > header->nlmsg_len - at) break;
    if ((attribute->nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG) {
      snprintf(text, size, "%.*s", (int)(attribute->nla_len - sizeof *attribute), (const char *)(attribute + 1));
      return text;
    }
    at += NLA_ALIGN(attribute->nla_len);
  }
  return "";
}

static int refused(const struct pending *pending, const struct nlmsghdr *header, const struct nlmsgerr *error,
                   struct failure *failure) {
  char text[256], which[48];
  unsigned number = 0, at = 0;
  for (size_t offset = 0; offset + sizeof(struct nlmsghdr) <= pending->length && !number; at++) {
    const struct nlmsghdr *sent = (const struct nlmsghdr *)(pending->bytes + offset);
    if (sent->nlmsg_seq == error->msg.nlmsg_seq && sent->nlmsg_type == error->msg.nlmsg_type) number = at + 1;
    offset += NLMSG_ALIGN(sent->nlmsg_len);
  }
  snprintf(which, sizeof which, "message %u, type %u", number, error->msg.nlmsg_type);
  const char *why = extended_text(header, error, text, sizeof text);
  return fail(failure, "netlink", which, -error->error, "the kernel refused the request: %s%s%s",
              strerror(-error->error), *why ? ": " : "", why);
}

static int take(struct pending *pending, const struct nlmsghdr *header, struct stream_out *replies,
                struct failure *failure) {
  if (header->nlmsg_type == NLMSG_ERROR) {
    const struct nlmsgerr *error = NLMSG_DATA(header);
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof *error))
      return fail(failure, "netlink", "", EPROTO, "the kernel's answer is too short");
    if (error->error) return refused(pending, header, error, failure);
    if (pending->acknowledgements) pending->acknowledgements--;
    return 0;
  }
  if (header->nlmsg_type == NLMSG_NOOP) return 0;
  if (header->nlmsg_flags & NLM_F_DUMP_INTR) pending->interrupted = true;
  if (header->nlmsg_type == NLMSG_DONE) {
    int32_t error = 0;
    if (pending->dumps) pending->dumps--;
    if (header->nlmsg_len >= NLMSG_LENGTH(sizeof error)) memcpy(&error, NLMSG_DATA(header), sizeof error);
    return error < 0 ? fail(failure, "netlink", "", -error, "the kernel could not list: %s", strerror(-error)) : 0;
  }
  if (!replies || !stream_write(replies, header, NLMSG_ALIGN(header->nlmsg_len))) return 0;
  return fail(failure, "netlink", "", errno, "the client stopped reading: %s", strerror(errno));
}

static void count_answers(struct pending *pending) {
  for (size_t offset = 0; offset + sizeof(struct nlmsghdr) <= pending->length;) {
    const struct nlmsghdr *sent = (const struct nlmsghdr *)(pending->bytes + offset);
    // A dump request is answered by its end alone; DUMP is two bits of which creating requests use one each.
    bool dump = (sent->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (dump)
      pending->dumps++;
    else if (sent->nlmsg_flags & NLM_F_ACK)
      pending->acknowledgements++;
    offset += NLMSG_ALIGN(sent->nlmsg_len);
  }
}

int netlink_await(int fd, const uint8_t *bytes, size_t length, struct stream_out *replies, struct failure *failure) {
  struct pending pending = {.bytes = bytes, .length = length};
  OWN_MEMORY uint8_t *buffer = malloc(REPLY_BYTES);
  if (!buffer) return fail(failure, "netlink", "", ENOMEM, "out of memory");
  count_answers(&pending);
  while (pending.acknowledgements || pending.dumps) {
    struct iovec part = {buffer, REPLY_BYTES};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got = recvmsg(fd, &message, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(failure, "netlink", "", errno, "the kernel's answer cannot be read: %s", strerror(errno));
    if (message.msg_flags & MSG_TRUNC) return fail(failure, "netlink", "", EMSGSIZE, "the kernel's answer is too long");
    for (size_t offset = 0; offset + sizeof(struct nlmsghdr) <= (size_t)got;) {
      const struct nlmsghdr *header = (const struct nlmsghdr *)(buffer + offset);
      if (header->nlmsg_len < sizeof *header || header->nlmsg_len > (size_t)got - offset)
        return fail(failure, "netlink", "", EPROTO, "the kernel's answer is malformed");
      if (take(&pending, header, replies, failure)) return -1;
      offset += NLMSG_ALIGN(header->nlmsg_len);
    }
  }
  return pending.interrupted ? fail(failure, "netlink", "", EINTR, "the kernel's list changed while it was read") : 0;
}
