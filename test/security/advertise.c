// A container that advertises itself as a router, with a prefix, to everybody on its link: advertise INTERFACE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **words) {
  struct {
    struct nd_router_advert router;
    struct nd_opt_prefix_info prefix;
  } packet = {0};
  packet.router.nd_ra_type = ND_ROUTER_ADVERT;
  packet.router.nd_ra_curhoplimit = 64;
  packet.router.nd_ra_router_lifetime = htons(1800);
  packet.prefix.nd_opt_pi_type = ND_OPT_PREFIX_INFORMATION;
  packet.prefix.nd_opt_pi_len = 4;
  packet.prefix.nd_opt_pi_prefix_len = 64;
  packet.prefix.nd_opt_pi_flags_reserved = ND_OPT_PI_FLAG_ONLINK | ND_OPT_PI_FLAG_AUTO;
  packet.prefix.nd_opt_pi_valid_time = packet.prefix.nd_opt_pi_preferred_time = htonl(3600);
  inet_pton(AF_INET6, "2001:db8:bad::", &packet.prefix.nd_opt_pi_prefix);
  struct sockaddr_in6 everybody = {.sin6_family = AF_INET6};
  inet_pton(AF_INET6, "ff02::1", &everybody.sin6_addr);
  everybody.sin6_scope_id = if_nametoindex(count > 1 ? words[1] : "eth0");
  int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), hops = 255;
  setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
  // Only what comes from a link-local address is heeded, and that takes its time until it may be used.
  for (int tries = 0; tries < 30; tries++) {
    if (sendto(fd, &packet, sizeof packet, 0, (struct sockaddr *)&everybody, sizeof everybody) < 0)
      return perror("advertise"), 1;
    usleep(100000);
  }
  return 0;
}
