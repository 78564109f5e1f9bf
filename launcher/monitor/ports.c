// Published ports are bound and kept while the container lives, so that nothing else on the host takes them.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor.h"
#include "own.h"

// Fills the address; returns its length, or 0 when the text is none.
static socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *address) {
  struct sockaddr_in *four = (struct sockaddr_in *)address;
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    return sizeof *four;
  }
  if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) return 0;
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(port);
  return sizeof *six;
}

enum { NOTHING_TO_HOLD = -2 };

// A bound descriptor, NOTHING_TO_HOLD, or -1 with the failure filled.
static int reserve(const struct operation *operation, struct failure *failure) {
  struct sockaddr_storage address;
  uint64_t port;
  const int yes = 1;
  if (operation->count != 3 || !parse_u64(operation->args[2], 10, 65535, &port) || !port)
    return fail(failure, "reserve-port", NULL, EINVAL, "reserve-port wants a protocol, an address and a port");
  const char *protocol = operation->args[0], *host = operation->args[1], *number = operation->args[2];
  int stream = !strcmp(protocol, "tcp"), sctp = !strcmp(protocol, "sctp");
  if (!stream && !sctp && strcmp(protocol, "udp"))
    return fail(failure, "reserve-port", protocol, EINVAL, "%s is not a protocol with ports", protocol);
  socklen_t length = parse_address(host, (uint16_t)port, &address);
  if (!length) return fail(failure, "reserve-port", host, EINVAL, "%s is not an address", host);
  int type = stream || sctp ? SOCK_STREAM : SOCK_DGRAM;
  OWN_FD fd = socket(address.ss_family, type | SOCK_CLOEXEC, sctp ? IPPROTO_SCTP : 0);
  // Where the kernel has no sockets of sctp nobody else can take a port of it either.
  if (fd < 0 && sctp && errno == EPROTONOSUPPORT) return NOTHING_TO_HOLD;
  if (fd < 0) return fail(failure, "reserve-port", number, errno, "no %s socket can be made", protocol);
  if (address.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  int bound = bind(fd, (struct sockaddr *)&address, length);
  // Two sockets with SO_REUSEADDR could share the port unnoticed; with it only the second try, which a closed
  // connection's minute in TIME_WAIT may need.
  if (bound && errno == EADDRINUSE && type == SOCK_STREAM) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bound = bind(fd, (struct sockaddr *)&address, length);
  }
  if (bound) {
    const char *why = errno == EADDRINUSE ? "address already in use" : strerror(errno);
    const char *open = address.ss_family == AF_INET6 ? "[" : "", *close = *open ? "]" : "";
    return fail(failure, "reserve-port", number, errno, "failed to bind host port %s%s%s:%s/%s: %s", open, host, close,
                number, protocol, why);
  }
  return give_fd(&fd);
}

int ports_reserve(struct monitor *monitor, struct failure *failure) {
  const struct plan *plan = monitor->request->plan;
  const struct operation *operation;
  uint32_t count = 0;
  for (uint32_t i = 0; i < plan->count; i++) count += !strcmp(plan->operations[i].name, "reserve-port");
  if (!count) return 0;
  monitor->ports = calloc(count, sizeof *monitor->ports);
  if (!monitor->ports) return fail(failure, "reserve-port", NULL, ENOMEM, "out of memory");
  for (uint32_t i = 0; i < plan->count; i++) {
    operation = &plan->operations[i];
    if (strcmp(operation->name, "reserve-port")) continue;
    int fd = reserve(operation, failure);
    if (fd == NOTHING_TO_HOLD) continue;
    if (fd < 0) return -1;
    monitor->ports[monitor->port_count++] = fd;
  }
  return 0;
}

void ports_release(struct monitor *monitor) {
  for (uint32_t i = 0; i < monitor->port_count; i++) close(monitor->ports[i]);
  free(monitor->ports);
  monitor->ports = NULL;
  monitor->port_count = 0;
}
