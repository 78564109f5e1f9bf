// netlink: messages that the daemon encoded, sent in the namespace they are for.
#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rlimits.h"
#include "own.h"

enum { RECEIVE_BYTES = 4 << 20, ANSWER_SECONDS = 15, LISTING_TRIES = 20 };

void netlink_open(struct netlink *netlink, int host, int inside, struct stream_out *replies) {
  *netlink = (struct netlink){
      .namespaces = {host, inside}, .current = -1, .sockets = {{-1, -1}, {-1, -1}}, .replies = replies};
}

void netlink_close(struct netlink *netlink) {
  for (int i = 0; i < 4; i++) own_close(&netlink->sockets[i / 2][i % 2]);
}

// The socket of a protocol in a place; made by entering the namespace once.
static int socket_in(struct netlink *netlink, enum netlink_place place, enum netlink_protocol protocol,
                     struct failure *failure) {
  int *fd = &netlink->sockets[place][protocol], on = 1, room = RECEIVE_BYTES;
  const char *where = place == NETLINK_HOST ? "host" : "inside";
  if (*fd >= 0) return *fd;
  if (netlink->current != (int)place && setns(netlink->namespaces[place], CLONE_NEWNET))
    return fail(failure, "netlink", where, errno, "the network namespace cannot be entered: %s", strerror(errno));
  netlink->current = (int)place;
  *fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol == NETLINK_OF_ROUTE ? NETLINK_ROUTE : NETLINK_NETFILTER);
  if (*fd < 0) return fail(failure, "netlink", where, errno, "the netlink socket cannot be made: %s", strerror(errno));
  struct timeval patience = {.tv_sec = ANSWER_SECONDS};
  setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(*fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(*fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(*fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  if (setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
    setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  return *fd;
}

static const char *check_messages(const uint8_t *bytes, size_t length) {
  if (!length) return "there is no message";
  for (size_t offset = 0; offset < length;) {
    const struct nlmsghdr *header = (const struct nlmsghdr *)(bytes + offset);
    if (length - offset < sizeof *header || header->nlmsg_len < sizeof *header || header->nlmsg_len > length - offset)
      return "a message's length is wrong";
    offset += NLMSG_ALIGN(header->nlmsg_len);
  }
  return NULL;
}

// Replaces 32-bit fields by descriptors of the namespaces, which only this process knows.
static const char *patch(const struct netlink *netlink, const struct operation *operation, uint8_t *bytes,
                         size_t length) {
  for (uint32_t i = 3; i < operation->count; i += 3) {
    uint64_t offset;
    const char *const *triple = operation->args + i;
    bool host = !strcmp(triple[2], "host-fd");
    if (!parse_u64(triple[0], 10, UINT32_MAX, &offset) || length < 4 || offset > length - 4 || strcmp(triple[1], "4"))
      return "a descriptor's place is out of range";
    if (!host && strcmp(triple[2], "inside-fd")) return "a descriptor is neither inside-fd nor host-fd";
    int32_t fd = netlink->namespaces[host ? NETLINK_HOST : NETLINK_INSIDE];
    if (fd < 0) return "there is no such namespace here";
    memcpy(bytes + offset, &fd, sizeof fd);
  }
  return NULL;
}

static int transmit_once(int fd, const uint8_t *bytes, size_t length, struct netlink *netlink,
                         struct failure *failure) {
  int room = (int)(length * 2 > 1 << 20 ? length * 2 : 1 << 20);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (length > 100 << 10 && setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room))
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  ssize_t sent;
  do sent = sendto(fd, bytes, length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail(failure, "netlink", "", errno, "the message cannot be sent: %s", strerror(errno));
  return netlink_await(fd, bytes, length, netlink->replies, failure);
}

// A list that changed while it was read is asked for again, as long as nothing of it has been passed on.
static int transmit(int fd, const uint8_t *bytes, size_t length, struct netlink *netlink, struct failure *failure) {
  struct stream_out *replies = netlink->replies;
  struct stream_out before = replies ? *replies : (struct stream_out){0};
  for (int tries = 0;; tries++) {
    if (!transmit_once(fd, bytes, length, netlink, failure)) return 0;
    bool again = failure->error == EINTR && tries < LISTING_TRIES && (!replies || replies->frames == before.frames);
    if (!again) return -1;
    if (replies) replies->filled = before.filled;
  }
}

// rtnetlink goes on after a message that failed, so its messages are sent one by one; nf_tables takes all or nothing.
static int send_all(int fd, enum netlink_protocol protocol, const uint8_t *bytes, size_t length,
                    struct netlink *netlink, struct failure *failure) {
  if (protocol == NETLINK_OF_NETFILTER) return transmit(fd, bytes, length, netlink, failure);
  for (size_t offset = 0; offset < length;) {
    const struct nlmsghdr *header = (const struct nlmsghdr *)(bytes + offset);
    if (transmit(fd, bytes + offset, header->nlmsg_len, netlink, failure)) return -1;
    offset += NLMSG_ALIGN(header->nlmsg_len);
  }
  return 0;
}

int netlink_perform(struct netlink *netlink, const struct operation *operation, struct failure *failure) {
  if (operation->count < 3 || operation->count % 3)
    return fail(failure, "netlink", "", EINVAL, "a netlink operation has the wrong number of arguments");
  const char *where = operation->args[0], *which = operation->args[1];
  bool host = !strcmp(where, "host"), route = !strcmp(which, "route");
  if ((!host && strcmp(where, "inside")) || (!route && strcmp(which, "netfilter")))
    return fail(failure, "netlink", where, EINVAL, "a netlink operation is for \"%s\" and \"%s\"", where, which);
  size_t length = 0;
  OWN_MEMORY uint8_t *bytes = parse_hex(operation->args[2], &length);
  const char *wrong = bytes ? check_messages(bytes, length) : "it is not hex";
  if (!wrong) wrong = patch(netlink, operation, bytes, length);
  if (wrong) return fail(failure, "netlink", where, EINVAL, "a netlink operation is malformed: %s", wrong);
  enum netlink_protocol protocol = route ? NETLINK_OF_ROUTE : NETLINK_OF_NETFILTER;
  int fd = socket_in(netlink, host ? NETLINK_HOST : NETLINK_INSIDE, protocol, failure);
  return fd < 0 ? -1 : send_all(fd, protocol, bytes, length, netlink, failure);
}

static int sysctls_inside(struct netlink *netlink, const struct plan *plan, struct failure *failure) {
  if (netlink->current != NETLINK_INSIDE && setns(netlink->namespaces[NETLINK_INSIDE], CLONE_NEWNET))
    return fail(failure, "sysctl", "inside", errno, "the network namespace cannot be entered: %s", strerror(errno));
  netlink->current = NETLINK_INSIDE;
  return sysctls_apply(plan, netlink->host_inside ? 0 : CLONE_NEWNET, -1, failure);
}

int netlink_perform_all(struct netlink *netlink, const struct plan *plan, struct failure *failure) {
  bool sysctls_set = false;
  for (uint32_t i = 0; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    if (!strcmp(operation->name, "netlink") && netlink_perform(netlink, operation, failure)) return -1;
    if (strcmp(operation->name, "sysctl") || sysctls_set) continue;
    if (sysctls_inside(netlink, plan, failure)) return -1;
    sysctls_set = true;
  }
  return 0;
}

int verb_netlink(struct request *request, struct failure *failure) {
  const struct operation *named = plan_find(request->plan, "namespace", 0);
  struct stream_out replies;
  struct netlink netlink;
  if (!named || named->count != 1) return fail(failure, "namespace", "", EINVAL, "netlink needs one namespace");
  OWN_FD inside = namespace_open(request, named->args[0], failure);
  if (inside < 0) return -1;
  if (stream_out_open(&replies, request->connection)) return fail(failure, "netlink", "", ENOMEM, "out of memory");
  netlink_open(&netlink, request->host_network, inside, &replies);
  netlink.host_inside = !strcmp(named->args[0], "host");
  // The verb's own name is "netlink" too: it is operation 0 and has no arguments.
  struct plan operations = *request->plan;
  operations.operations++;
  operations.count--;
  int result = netlink_perform_all(&netlink, &operations, failure);
  if (!result && !stream_finish(&replies)) report(request->connection, "ok", NULL);
  // After the answer: a netfilter socket that has deleted something waits in close for RCU grace periods (10 to 20 ms).
  netlink_close(&netlink);
  stream_out_close(&replies);
  return result;
}
