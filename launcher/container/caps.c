// Capabilities, set exactly.
#include "caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "calls.h"

static bool mask_parse(const char *text, uint64_t *mask) {
  if (!strncmp(text, "0x", 2)) text += 2;
  return parse_u64(text, 16, UINT64_MAX, mask);
}

int caps_read(const struct plan *plan, struct caps *caps, struct failure *failure) {
  memset(caps, 0, sizeof *caps);
  const struct operation *operation = plan_find(plan, "capabilities", 0);
  if (!operation) return 0;
  uint64_t *masks[] = {&caps->bounding, &caps->effective, &caps->permitted, &caps->inheritable, &caps->ambient};
  for (int i = 0; i < 5; i++)
    if (!mask_parse(operation->args[i], masks[i]))
      return fail(failure, "capabilities", operation->args[i], EINVAL, "a capability mask must be lower-case hex");
  caps->given = true;
  return 0;
}

int caps_bound(const struct caps *caps, struct failure *failure) {
  if (!caps->given) return 0;
  for (int capability = 0; capability < 64; capability++) {
    if (caps->bounding >> capability & 1) continue;
    if (!prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)) continue;
    // Beyond the last one that the kernel knows; without CAP_SETPCAP only what is not there anyway goes.
    int error = errno, held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    errno = error;
    if (held < 0) break;
    if (held)
      return fail(failure, "capabilities", "bounding", errno, "capability %d cannot be dropped", capability);
  }
  return 0;
}

static int permitted_now(uint64_t *permitted) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets)) return -1;
  *permitted = sets[0].permitted | (uint64_t)sets[1].permitted << 32;
  return 0;
}

static int set(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2] = {
      {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
      {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
  };
  return (int)syscall(SYS_capset, &header, sets);
}

int caps_apply(const struct caps *caps, uid_t uid, struct failure *failure) {
  uint64_t held;
  if (!caps->given) return 0;
  if (permitted_now(&held)) return fail(failure, "capabilities", "", errno, "the capabilities cannot be read");
  // Nobody can give what the launcher itself lacks (CAP_SYS_RESOURCE in many virtual machines).
  uint64_t permitted = caps->permitted & held, inheritable = caps->inheritable & caps->bounding & held;
  uint64_t ambient = caps->ambient & permitted & inheritable;
  // The kernel's execve leaves a user other than root no more than the ambient set; nor may it use more until then.
  if (uid) permitted &= ambient;
  uint64_t effective = caps->effective & permitted;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
    return fail(failure, "capabilities", "ambient", errno, "the ambient set cannot be cleared");
  if (set(effective, permitted, inheritable))
    return fail(failure, "capabilities", "", errno, "the capability sets cannot be set");
  for (int capability = 0; capability < 64 && ambient >> capability; capability++)
    if (ambient >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))
      return fail(failure, "capabilities", "ambient", errno, "capability %d cannot be made ambient", capability);
  return 0;
}
