// Tries system calls that a contained process must not have. One line each: name, then "ok" or the errno.
#include <errno.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AF_ALG_FAMILY 38
#define AF_VSOCK_FAMILY 40
#define X32_BIT 0x40000000

static void say(const char *name, long result) {
  if (result >= 0) printf("%s ok\n", name);
  else printf("%s %d\n", name, errno);
}

static long try_clone(unsigned long flags) {
  long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  return pid;
}

static long try_clone3(unsigned long long flags) {
  unsigned long long args[11] = {flags, 0, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, 0};
  long pid = syscall(435, args, sizeof args);
  if (pid == 0) _exit(0);
  return pid;
}

#ifdef __x86_64__
// The 32-bit door: the same process calls the kernel by int 0x80.
static long old_door(long number, long first, long second, long third) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory", "r8", "r9", "r10", "r11");
  if (result < 0 && result > -4096) {
    errno = (int)-result;
    return -1;
  }
  return result;
}

static void old_doors(void) {
  uint32_t *words = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  words[0] = AF_ALG_FAMILY;
  words[1] = SOCK_SEQPACKET;
  words[2] = 0;
  say("i386-socketcall-alg", old_door(102, 1, (long)words, 0));
  say("i386-socket-alg", old_door(359, AF_ALG_FAMILY, SOCK_SEQPACKET, 0));
  say("i386-keyctl", old_door(288, 0, -3, 0));
  say("i386-bpf", old_door(357, 0, (long)words, 128));
  say("i386-unshare", old_door(310, CLONE_NEWUSER, 0, 0));
  say("i386-io_uring_setup", old_door(425, 4, (long)(words + 64), 0));
  say("x32-socket-alg", syscall(X32_BIT | SYS_socket, AF_ALG_FAMILY, SOCK_SEQPACKET, 0));
  say("x32-unshare", syscall(X32_BIT | SYS_unshare, CLONE_NEWUSER));
}
#else
static void old_doors(void) {}
#endif

int main(void) {
  char room[256];
  memset(room, 0, sizeof room);
  say("getpid", syscall(SYS_getpid));
  say("socket-inet", socket(AF_INET, SOCK_STREAM, 0));
  say("fork", try_clone(0));
  say("socket-alg", socket(AF_ALG_FAMILY, SOCK_SEQPACKET, 0));
  say("socket-vsock", socket(AF_VSOCK_FAMILY, SOCK_STREAM, 0));
  say("socketpair-alg", socketpair(AF_ALG_FAMILY, SOCK_SEQPACKET, 0, (int *)room));
  say("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
  say("add_key", syscall(SYS_add_key, "user", "sloop", "x", 1, KEY_SPEC_PROCESS_KEYRING));
  say("request_key", syscall(SYS_request_key, "user", "sloop", 0, 0));
  say("bpf", syscall(SYS_bpf, 0, room, 128));
  say("io_uring_setup", syscall(425, 4, room));
  say("io_uring_enter", syscall(426, 0, 0, 0, 0, 0));
  say("userfaultfd", syscall(SYS_userfaultfd, 0));
  say("unshare-user", unshare(CLONE_NEWUSER));
  say("unshare-mount", unshare(CLONE_NEWNS));
  say("unshare-net", unshare(CLONE_NEWNET));
  say("clone-user", try_clone(CLONE_NEWUSER));
  say("clone-pid", try_clone(CLONE_NEWPID));
  say("clone-cgroup", try_clone(CLONE_NEWCGROUP));
  say("clone3-user", try_clone3(CLONE_NEWUSER));
  say("clone3", try_clone3(0));
  say("setns", syscall(SYS_setns, 0, 0));
  say("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
  say("umount2", syscall(SYS_umount2, "/proc", 2));
  say("pivot_root", syscall(SYS_pivot_root, "/", "/"));
  say("open_tree", syscall(428, -100, "/", 1));
  say("fsopen", syscall(430, "tmpfs", 0));
  say("mount_setattr", syscall(442, -100, "/", 0, room, 32));
  say("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
  say("init_module", syscall(SYS_init_module, room, 0, ""));
  say("finit_module", syscall(SYS_finit_module, 0, "", 0));
  say("delete_module", syscall(SYS_delete_module, "none", 0));
  say("perf_event_open", syscall(SYS_perf_event_open, room, 0, -1, -1, 0));
  say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, room, 0));
  say("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
  say("swapon", syscall(SYS_swapon, "/none", 0));
  say("settimeofday", syscall(SYS_settimeofday, 0, 0));
  say("quotactl", syscall(SYS_quotactl, 0, 0, 0, 0));
  say("acct", syscall(SYS_acct, 0));
  old_doors();
  return 0;
}
