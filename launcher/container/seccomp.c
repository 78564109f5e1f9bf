// The system call filter that TypeScript compiled.
#include "seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "calls.h"
#include "own.h"

static int install(const struct operation *operation, struct failure *failure) {
  size_t length = 0;
  uint64_t flags;
  OWN_MEMORY uint8_t *program = parse_hex(operation->args[0], &length);
  size_t count = length / sizeof(struct sock_filter);
  if (!program || !count || length % sizeof(struct sock_filter) || count > BPF_MAXINSNS)
    return fail(failure, "seccomp", "", EINVAL, "the filter is not 1 to %d whole instructions in hex", BPF_MAXINSNS);
  if (!parse_u64(operation->args[1], 10, UINT32_MAX, &flags))
    return fail(failure, "seccomp", "", EINVAL, "the flags are not a number");
  // A listener's descriptor would have no one to go to.
  if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
    return fail(failure, "seccomp", "", EINVAL, "listeners are not supported");
  struct sock_fprog filter = {.len = (unsigned short)count, .filter = (struct sock_filter *)(void *)program};
  if (!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned)flags, &filter)) return 0;
  return fail(failure, "seccomp", "", errno, "the kernel refuses the filter of %zu instructions: %s", count,
              strerror(errno));
}

int seccomp_install(const struct plan *plan, struct failure *failure) {
  const struct operation *operation;
  for (uint32_t n = 0; (operation = plan_find(plan, "seccomp", n)); n++)
    if (install(operation, failure)) return -1;
  return 0;
}
