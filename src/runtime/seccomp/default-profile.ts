// The default seccomp profile: what a container may call, by what the calls are for.
import type { SeccompProfile, SyscallRule } from "./profile.ts"

const words = (text: string): string[] => text.trim().split(/\s+/)

/** Harmless to the host with the rights that a container has. */
const always = words(`
  read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek readahead
  open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl
  pipe pipe2 splice tee vmsplice sendfile sendfile64 copy_file_range
  stat stat64 fstat fstat64 lstat lstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64
  access faccessat faccessat2 chmod fchmod fchmodat fchmodat2
  chown chown32 fchown fchown32 fchownat lchown lchown32 umask
  getdents getdents64 chdir fchdir getcwd mkdir mkdirat rmdir mknod mknodat
  link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat renameat2
  truncate truncate64 ftruncate ftruncate64 fallocate fadvise64 fadvise64_64 fsync fdatasync sync syncfs
  sync_file_range sync_file_range2 utime utimes utimensat utimensat_time64 futimesat name_to_handle_at cachestat
  getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr
  listxattrat removexattr lremovexattr fremovexattr removexattrat file_getattr file_setattr
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark
  select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2
  eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
  timerfd_settime64 io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64
  ioprio_get ioprio_set

  mmap mmap2 munmap mprotect mremap msync mincore madvise brk mlock mlock2 mlockall munlock munlockall
  memfd_create memfd_secret membarrier mseal map_shadow_stack pkey_alloc pkey_free pkey_mprotect
  remap_file_pages process_mrelease

  execve execveat exit exit_group fork vfork wait4 waitid waitpid kill tkill tgkill pause restart_syscall
  pidfd_open pidfd_send_signal getpid getppid gettid getpgid getpgrp setpgid getsid setsid
  getpriority setpriority getrusage getrlimit ugetrlimit setrlimit prlimit64 times getcpu
  set_tid_address set_robust_list get_robust_list set_thread_area get_thread_area rseq prctl seccomp uretprobe
  landlock_add_rule landlock_create_ruleset landlock_restrict_self
  sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
  sched_setscheduler sched_yield
  futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue

  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn
  alarm getitimer setitimer nanosleep clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 clock_adjtime clock_adjtime64 adjtimex gettimeofday time
  timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64

  getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
  getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32
  setresuid setresuid32 setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32
  capget capset getrandom sysinfo uname

  socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
  send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64

  ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
  mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
`)

const allow = (names: string, rule: Partial<SyscallRule> = {}): SyscallRule => ({
  names: words(names),
  action: "SCMP_ACT_ALLOW",
  ...rule,
})

const withCapability = (capability: string, names: string): SyscallRule =>
  allow(names, { includes: { caps: [capability] } })

const afAlg = 38
const afVsock = 40
/**
 * Every address family but AF_ALG (the kernel's crypto, CVE-2026-31431) and AF_VSOCK (reaches the hypervisor).
 * The 32-bit socketcall is not allowed at all, because its arguments cannot be looked at.
 */
const sockets: readonly SyscallRule[] = [
  allow("socket", { args: [{ index: 0, op: "SCMP_CMP_LT", value: afAlg }] }),
  allow("socket", { args: [{ index: 0, op: "SCMP_CMP_EQ", value: afAlg + 1 }] }),
  allow("socket", { args: [{ index: 0, op: "SCMP_CMP_GT", value: afVsock }] }),
]

/** Linux, PER_LINUX32 and the uname26 flag, and the query. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]

/** CLONE_NEW… of mount, cgroup, uts, ipc, user, pid and network. */
const newNamespaces = 0x7e020000
const enosys = 38

const withoutAdmin = { excludes: { caps: ["CAP_SYS_ADMIN"] } } as const

export const defaultProfile: SeccompProfile = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  archMap: [
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: [] },
  ],
  syscalls: [
    { names: always, action: "SCMP_ACT_ALLOW" },
    ...sockets,
    ...personalities.map((value) => allow("personality", { args: [{ index: 0, op: "SCMP_CMP_EQ", value }] })),
    allow("ptrace process_vm_readv process_vm_writev", { includes: { minKernel: "4.8" } }),
    allow("arch_prctl", { includes: { arches: ["amd64", "x32"] } }),
    allow("modify_ldt", { includes: { arches: ["amd64", "x32", "x86"] } }),
    allow("clone", {
      args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: newNamespaces, valueTwo: 0 }],
      ...withoutAdmin,
    }),
    // The flags of clone3 lie in memory that a filter cannot read; callers fall back to clone.
    { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: enosys, ...withoutAdmin },
    withCapability(
      "CAP_SYS_ADMIN",
      `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie lsm_get_self_attr
       lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree open_tree_attr perf_event_open
       quotactl quotactl_fd setdomainname sethostname setns statmount syslog umount umount2 unshare`,
    ),
    withCapability("CAP_BPF", "bpf"),
    withCapability("CAP_PERFMON", "perf_event_open"),
    withCapability("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    withCapability("CAP_SYS_BOOT", "reboot"),
    withCapability("CAP_SYS_CHROOT", "chroot"),
    withCapability("CAP_SYS_MODULE", "delete_module init_module finit_module"),
    withCapability("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    withCapability("CAP_SYS_PACCT", "acct"),
    withCapability("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    withCapability("CAP_SYS_RAWIO", "iopl ioperm"),
    withCapability("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
    withCapability("CAP_SYS_TTY_CONFIG", "vhangup"),
    withCapability("CAP_SYSLOG", "syslog"),
  ],
}
