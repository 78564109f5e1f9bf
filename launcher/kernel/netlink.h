// Netlink operations of a plan, sent in the host's or another network namespace.
#ifndef SLOOP_NETLINK_H
#define SLOOP_NETLINK_H
#include "stream.h"
#include "verbs.h"

enum netlink_place { NETLINK_HOST, NETLINK_INSIDE };
enum netlink_protocol { NETLINK_OF_ROUTE, NETLINK_OF_NETFILTER };

struct netlink {
  int namespaces[2];  // descriptors by place; borrowed
  int current;        // the place this process is in, or -1
  int sockets[2][2];  // by place and protocol, -1 until they are needed
  bool host_inside;   // the inside namespace is the host's: its sysctls are not for us
  struct stream_out *replies;
};

void netlink_open(struct netlink *netlink, int host, int inside, struct stream_out *replies);
void netlink_close(struct netlink *netlink);
// Performs one `netlink` operation: all its messages acknowledged, its dumps collected.
int netlink_perform(struct netlink *netlink, const struct operation *operation, struct failure *failure);
// All `netlink` operations of a plan, in order, and its `sysctl` ones together at the place of the first; an error ends them.
int netlink_perform_all(struct netlink *netlink, const struct plan *plan, struct failure *failure);

struct nlmsghdr;
// netlink-reply.c: waits for the answers to messages [bytes, length) and passes other replies on. EINTR: a list changed
// while it was read, its replies are of no use.
int netlink_await(int fd, const uint8_t *bytes, size_t length, struct stream_out *replies, struct failure *failure);
#endif
