// netns-create, netns-drop, netns-list: network namespaces that the launcher holds by name.
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "netlink.h"
#include "own.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

// A fresh namespace with lo up; this process is in it afterwards. A socket names its namespace without /proc.
static int make_namespace(struct failure *failure) {
  if (unshare(CLONE_NEWNET))
    return fail(failure, "netns-create", "", errno, "no network namespace can be made: %s", strerror(errno));
  OWN_FD control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  if (control < 0 || ioctl(control, SIOCSIFFLAGS, &loopback))
    return fail(failure, "netns-create", "lo", errno, "the loopback interface cannot be brought up: %s",
                strerror(errno));
  int namespace = ioctl(control, SIOCGSKNS);
  return namespace >= 0
             ? namespace
             : fail(failure, "netns-create", "", errno, "the namespace cannot be opened: %s", strerror(errno));
}

int verb_netns_create(struct request *request, struct failure *failure) {
  const struct operation *name = plan_find(request->plan, "name", 0);
  if (!name || name->count != 1 || !*name->args[0])
    return fail(failure, "name", "", EINVAL, "netns-create needs one name");
  OWN_FD present = held_get(request, name->args[0]);
  if (present >= 0)
    return fail(failure, "name", name->args[0], EEXIST, "a namespace of this name is held already");
  OWN_FD namespace = make_namespace(failure);
  if (namespace < 0) return -1;
  struct netlink netlink;
  netlink_open(&netlink, request->host_network, namespace, NULL);
  netlink.current = NETLINK_INSIDE;
  int result = netlink_perform_all(&netlink, request->plan, failure);
  netlink_close(&netlink);
  if (result) return -1;
  if (held_hold(request, name->args[0], namespace))
    return fail(failure, "netns-create", name->args[0], errno, "the launcher cannot hold the namespace: %s",
                strerror(errno));
  report(request->connection, "ok", NULL);
  return 0;
}

int verb_netns_drop(struct request *request, struct failure *failure) {
  const struct operation *operation;
  for (uint32_t i = 0; (operation = plan_find(request->plan, "name", i)); i++)
    for (uint32_t n = 0; n < operation->count; n++)
      if (held_drop(request, operation->args[n]))
        return fail(failure, "netns-drop", operation->args[n], errno, "the launcher cannot drop the namespace: %s",
                    strerror(errno));
  report(request->connection, "ok", NULL);
  return 0;
}

int verb_netns_list(struct request *request, struct failure *failure) {
  static const char field[] = "name";
  size_t bytes = 0, used = 3;
  OWN_MEMORY char *names = held_list(request, &bytes);
  OWN_MEMORY char *listing = names ? malloc(used + bytes * (1 + sizeof field)) : NULL;
  if (!listing) return fail(failure, "netns-list", "", errno, "the launcher's namespaces cannot be listed");
  memcpy(listing, "ok", used);
  for (const char *name = names; name < names + bytes; name += strlen(name) + 1) {
    size_t length = strlen(name) + 1;
    if (used + sizeof field + length > FRAME_BYTES_MAX) break;
    memcpy(listing + used, field, sizeof field);
    memcpy(listing + used + sizeof field, name, length);
    used += sizeof field + length;
  }
  frame_write(request->connection, FRAME_REPORT, listing, used);
  return 0;
}
