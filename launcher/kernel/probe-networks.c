// Which kinds of links can be made and whether nf_tables answers: tried in a network namespace of its own.
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlink.h"
#include "own.h"
#include "probe.h"

static const char *const kinds[] = {"veth", "bridge", "macvlan", "ipvlan", "vlan", "vxlan", "dummy"};
enum { KINDS = sizeof kinds / sizeof *kinds, ANSWER_NF_TABLES = 1 << KINDS };

static int ask(int protocol, const void *message, size_t length) {
  struct failure failure = {0};
  OWN_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0 || send(fd, message, length, 0) < 0) return errno;
  return netlink_await(fd, message, length, NULL, &failure) ? failure.error : 0;
}

// A kind that is missing is refused with EOPNOTSUPP; one that only lacks its parent or id in another way.
static bool has_kind(const char *kind) {
  size_t length = strlen(kind);
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
    struct rtattr info, name;
    char text[16];
  } request = {
      .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)) + (unsigned)(RTA_LENGTH(0) + RTA_SPACE(length)),
                 .nlmsg_seq = 1,
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
      .info = {.rta_type = IFLA_LINKINFO, .rta_len = (unsigned short)(RTA_LENGTH(0) + RTA_SPACE(length))},
      .name = {.rta_type = IFLA_INFO_KIND, .rta_len = (unsigned short)RTA_LENGTH(length)},
  };
  memcpy(request.text, kind, length);
  return ask(NETLINK_ROUTE, &request, request.header.nlmsg_len) != EOPNOTSUPP;
}

static bool has_nf_tables(void) {
  struct {
    struct nlmsghdr header;
    struct nfgenmsg family;
  } request = {.header = {.nlmsg_len = sizeof request,
                          .nlmsg_seq = 1,
                          .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
  return ask(NETLINK_NETFILTER, &request, sizeof request) == 0;
}

static int answers(void) {
  int found = 0;
  if (unshare(CLONE_NEWNET)) return 0;
  for (int i = 0; i < KINDS; i++)
    if (has_kind(kinds[i])) found |= 1 << i;
  return found | (has_nf_tables() ? ANSWER_NF_TABLES : 0);
}

void probe_networks(struct probe *probe) {
  int status = 0;
  pid_t child = fork();
  if (child == 0) _exit(answers());
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) status = 0;
  int found = WEXITSTATUS(status);
  for (int i = 0; i < KINDS; i++) probe_answer(probe, kinds[i], found & 1 << i);
  probe_answer(probe, "nf-tables", found & ANSWER_NF_TABLES);
}
