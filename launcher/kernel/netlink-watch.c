// netlink-watch: passes on what the kernel tells a multicast group, until the client hangs up.
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "own.h"
#include "plan.h"
#include "verbs.h"

enum { ROOM_BYTES = 1 << 20, EVENT_BYTES = 64 << 10 };

static int join_group(int fd, const struct operation *group, struct failure *failure) {
  uint64_t number;
  if (group->count != 2 || !parse_u64(group->args[1], 10, 1024, &number) || !number)
    return fail(failure, "group", "", EINVAL, "a group has a protocol and a number");
  int joined = (int)number;
  if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &joined, sizeof joined))
    return fail(failure, "group", group->args[1], errno, "the group cannot be joined: %s", strerror(errno));
  return 0;
}

// A socket that hears the plan's groups, all of one protocol.
static int listening_socket(const struct plan *plan, struct failure *failure) {
  const struct operation *group = plan_find(plan, "group", 0);
  const char *protocol = group && group->count ? group->args[0] : "";
  bool route = !strcmp(protocol, "route");
  int room = ROOM_BYTES;
  if (!route && strcmp(protocol, "netfilter"))
    return fail(failure, "group", protocol, EINVAL, "a group is of \"route\" or \"netfilter\"");
  OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, route ? NETLINK_ROUTE : NETLINK_NETFILTER);
  if (fd < 0)
    return fail(failure, "group", protocol, errno, "the netlink socket cannot be made: %s", strerror(errno));
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  // A socket without a number of its own is not told what the kernel itself broadcasts.
  struct sockaddr_nl own = {.nl_family = AF_NETLINK};
  if (bind(fd, (struct sockaddr *)&own, sizeof own))
    return fail(failure, "group", protocol, errno, "the netlink socket cannot be bound: %s", strerror(errno));
  for (uint32_t n = 0; (group = plan_find(plan, "group", n)); n++) {
    if (group->count && strcmp(group->args[0], protocol))
      return fail(failure, "group", "", EINVAL, "all groups of a watch are of one protocol");
    if (join_group(fd, group, failure)) return -1;
  }
  return give_fd(&fd);
}

// The two notes that are our own: NLMSG_NOOP when everything from now on will be heard, NLMSG_OVERRUN when some was lost.
static int tell(int connection, uint16_t type) {
  struct nlmsghdr note = {.nlmsg_len = sizeof note, .nlmsg_type = type};
  return frame_write(connection, FRAME_DATA, &note, sizeof note);
}

static int pass_on(int fd, int connection) {
  static uint8_t event[EVENT_BYTES];
  ssize_t got = recv(fd, event, sizeof event, MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  if (got < 0 && errno == ENOBUFS) return tell(connection, NLMSG_OVERRUN);
  if (got < 0) return -1;
  if (got > (ssize_t)sizeof event) return tell(connection, NLMSG_OVERRUN);
  return got ? frame_write(connection, FRAME_DATA, event, (size_t)got) : 0;
}

// Whatever the client does next, and its end, ends the watch.
static void watch(int fd, int connection) {
  struct pollfd ready[2] = {{.fd = connection, .events = POLLIN | POLLRDHUP}, {.fd = fd, .events = POLLIN}};
  if (tell(connection, NLMSG_NOOP)) return;
  for (;;) {
    if (poll(ready, 2, -1) < 0 && errno != EINTR) return;
    if (ready[0].revents) return;
    if (ready[1].revents && pass_on(fd, connection)) return;
  }
}

int verb_netlink_watch(struct request *request, struct failure *failure) {
  const struct operation *named = plan_find(request->plan, "namespace", 0);
  if (!named || named->count != 1) return fail(failure, "namespace", "", EINVAL, "netlink-watch needs one namespace");
  OWN_FD namespace = namespace_open(request, named->args[0], failure);
  if (namespace < 0) return -1;
  if (setns(namespace, CLONE_NEWNET))
    return fail(failure, "namespace", named->args[0], errno, "it cannot be entered: %s", strerror(errno));
  OWN_FD fd = listening_socket(request->plan, failure);
  if (fd < 0) return -1;
  watch(fd, request->connection);
  return 0;
}
