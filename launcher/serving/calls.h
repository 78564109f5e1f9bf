// System calls that libc does not wrap, or wraps differently from one libc to the next. sys/mount.h is never
// included beside linux/mount.h: their definitions clash.
#ifndef SLOOP_CALLS_H
#define SLOOP_CALLS_H
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif
enum { UMOUNT_DETACH = 2 };

static inline int call_openat2(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
  return (int)syscall(SYS_openat2, at, path, &how, sizeof how);
}
static inline int call_open_tree(int at, const char *path, unsigned flags) {
  return (int)syscall(SYS_open_tree, at, path, flags | O_CLOEXEC);
}
static inline int call_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags) {
  return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}
static inline int call_mount_setattr(int at, const char *path, unsigned flags, struct mount_attr *attributes) {
  return (int)syscall(SYS_mount_setattr, at, path, flags, attributes, sizeof *attributes);
}
static inline int call_fsopen(const char *type) { return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC); }
static inline int call_fspick(const char *path) { return (int)syscall(SYS_fspick, AT_FDCWD, path, FSPICK_CLOEXEC); }
static inline int call_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux) {
  return (int)syscall(SYS_fsconfig, fs, command, key, value, aux);
}
static inline int call_fsmount(int fs, unsigned attributes) {
  return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
}
static inline int call_mount(const char *source, const char *target, const char *type, unsigned long flags,
                             const void *options) {
  return (int)syscall(SYS_mount, source, target, type, flags, options);
}
static inline int call_umount(const char *target, int flags) { return (int)syscall(SYS_umount2, target, flags); }
static inline int call_pivot_root(const char *new_root, const char *put_old) {
  return (int)syscall(SYS_pivot_root, new_root, put_old);
}
// Fork semantics: the child runs on a copy of the caller's stack.
static inline pid_t call_clone3(struct clone_args *args) {
  return (pid_t)syscall(SYS_clone3, args, sizeof *args);
}
static inline int call_close_range(unsigned first, unsigned last, unsigned flags) {
  return (int)syscall(SYS_close_range, first, last, flags);
}
static inline int call_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}
#endif
