// Which file systems and mount features there are. The contexts that are opened here are never mounted.
#include <errno.h>

#include "calls.h"
#include "own.h"
#include "probe.h"

static bool takes_flag(const char *type, const char *flag) {
  OWN_FD context = call_fsopen(type);
  return context >= 0 && !call_fsconfig(context, FSCONFIG_SET_FLAG, flag, NULL, 0);
}

static bool takes_text(const char *type, const char *key, const char *value) {
  OWN_FD context = call_fsopen(type);
  return context >= 0 && !call_fsconfig(context, FSCONFIG_SET_STRING, key, value, 0);
}

// A file that is no EROFS image: refused for its content where plain files can be mounted, as no block device
// elsewhere. It must lie on a file system with a page cache of its own; a sealed copy of this program does not.
static bool erofs_from_file(void) {
  static const char *const files[] = {"/etc/passwd", "/etc/os-release", "/usr/lib/os-release", "/etc/hostname"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    OWN_FD context = call_fsopen("erofs");
    if (context < 0 || call_fsconfig(context, FSCONFIG_SET_STRING, "source", files[i], 0)) return false;
    if (call_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) && errno != ENOTBLK && errno != ENOENT) return true;
  }
  return false;
}

// A bad descriptor is looked at only where the flag is known.
static bool idmapped_mounts(void) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = 1 << 20};
  OWN_FD tree = call_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE);
  return tree >= 0 && call_mount_setattr(tree, "", AT_EMPTY_PATH, &attributes) && errno == EBADF;
}

void probe_mounts(struct probe *probe) {
  OWN_FD overlay = call_fsopen("overlay"), erofs = call_fsopen("erofs");
  bool idmapped = idmapped_mounts();
  probe_answer(probe, "overlay", overlay >= 0);
  // Before 6.5 overlayfs takes any option until it is mounted, so the version counts too.
  probe_answer(probe, "overlay-volatile", probe_at_least(probe, 5, 10) && takes_flag("overlay", "volatile"));
  probe_answer(probe, "overlay-userxattr", probe_at_least(probe, 5, 11) && takes_flag("overlay", "userxattr"));
  probe_answer(probe, "overlay-metacopy", probe_at_least(probe, 4, 19) && takes_text("overlay", "metacopy", "off"));
  probe_answer(probe, "overlay-lowerdir-append",
               probe_at_least(probe, 6, 5) && takes_text("overlay", "lowerdir+", "/"));
  probe_answer(probe, "erofs", erofs >= 0);
  probe_answer(probe, "erofs-file", erofs >= 0 && erofs_from_file());
  probe_answer(probe, "mount-setattr", probe_at_least(probe, 5, 12));
  probe_answer(probe, "idmapped-mounts", idmapped);
  probe_answer(probe, "idmapped-overlay-layers", idmapped && probe_at_least(probe, 5, 19));
}
