// A container's root: opened for other verbs, mounted for launch, and its bind mounts.
#include "root.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "own.h"
#include "resolve.h"
#include "step-mounts.h"

static int source_open(const struct operation *bind, const char *path, const char *subpath, bool recursive,
                       struct failure *failure) {
  unsigned flags = OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0);
  if (!*subpath) {
    int tree = call_open_tree(AT_FDCWD, path, flags);
    if (tree >= 0) return tree;
    return fail(failure, bind->name, path, errno, "the bind source cannot be opened: %s", strerror(errno));
  }
  OWN_FD base = open(path, O_PATH | O_CLOEXEC);
  if (base < 0) return fail(failure, bind->name, path, errno, "the bind source cannot be opened: %s", strerror(errno));
  OWN_FD below = call_openat2(base, subpath, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  int tree = below < 0 ? -1 : call_open_tree(below, "", flags | AT_EMPTY_PATH);
  if (tree >= 0) return tree;
  return fail(failure, bind->name, subpath, errno, "the subpath cannot be opened beneath %s: %s", path,
              strerror(errno));
}

static int sources_open_here(const struct plan *plan, struct sources *sources, struct failure *failure) {
  const struct operation *operation = plan_find(plan, "root-path", 0);
  if (operation) {
    sources->root = source_open(operation, operation->args[0], "", true, failure);
    if (sources->root < 0) return -1;
  }
  for (uint32_t i = 0; i < plan->count; i++) {
    struct mount_flags flags;
    operation = &plan->operations[i];
    if (strcmp(operation->name, "bind")) continue;
    if (mount_flags_parse(operation->args[2], &flags, "bind", operation->args[1], failure)) return -1;
    const char *subpath = operation->count > 4 ? operation->args[4] : "";
    int tree = source_open(operation, operation->args[0], subpath, flags.recursive, failure);
    if (tree < 0) return -1;
    sources->trees[sources->count++] = tree;
  }
  return 0;
}

void overlay_order(struct order *order, const struct operation *operation) {
  struct operation overlay = *operation;
  if (!strcmp(operation->name, "tree")) overlay = tree_overlay(operation);
  else if (strcmp(operation->name, "root-overlay") && strcmp(operation->name, "view")) return;
  layers_order(order, &overlay);
}

static int views_open(struct request *request, struct sources *sources, struct failure *failure) {
  const struct plan *plan = request->plan;
  if (!plan_find(plan, "view", 0) && !plan_find(plan, "tree", 0)) return 0;
  sources->views = calloc(plan->count, sizeof *sources->views);
  sources->view_trees = calloc(plan->count, sizeof *sources->view_trees);
  if (!sources->views || !sources->view_trees) return fail(failure, "view", "", ENOMEM, "out of memory");
  for (uint32_t i = 0; i < plan->count; i++) {
    struct operation view = plan->operations[i];
    bool tree = !strcmp(view.name, "tree");
    if (!tree && strcmp(view.name, "view")) continue;
    if (tree) view = tree_overlay(&view);
    if (layers_open(request, &view, &sources->views[sources->view_count], failure)) return -1;
    sources->view_trees[sources->view_count++] = -1;
  }
  return 0;
}

int views_create(const struct plan *plan, struct sources *sources, struct failure *failure) {
  uint32_t at = 0;
  for (uint32_t i = 0; i < plan->count && at < sources->view_count; i++) {
    const struct operation *operation = &plan->operations[i];
    bool tree = !strcmp(operation->name, "tree");
    if (!tree && strcmp(operation->name, "view")) continue;
    int *made = &sources->view_trees[at];
    const struct layers *layers = &sources->views[at++];
    if (*made >= 0) continue;
    *made = tree ? tree_create(operation, layers, failure) : mount_view(operation, layers, failure);
    if (*made < 0) return -1;
  }
  return 0;
}

int sources_open_binds(struct request *request, struct sources *sources, struct failure *failure) {
  uint32_t binds = 0;
  *sources = (struct sources){.root = -1};
  for (uint32_t i = 0; i < request->plan->count; i++) binds += !strcmp(request->plan->operations[i].name, "bind");
  if (!binds && !plan_find(request->plan, "root-path", 0)) return 0;
  sources->trees = calloc(binds + 1, sizeof *sources->trees);
  OWN_FD home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (!sources->trees || home < 0 || setns(request->host_mounts, CLONE_NEWNS))
    return fail(failure, "bind", "", errno, "the host's mount namespace cannot be entered: %s", strerror(errno));
  int result = sources_open_here(request->plan, sources, failure);
  // Root and working directory become the namespace's own, which is where they were.
  if (setns(home, CLONE_NEWNS)) _exit(70);
  return result;
}

int sources_open_layers(struct request *request, struct sources *sources, struct failure *failure) {
  const struct operation *overlay = plan_find(request->plan, "root-overlay", 0);
  return layers_open(request, overlay, &sources->layers, failure) ? -1 : views_open(request, sources, failure);
}

int sources_open(struct request *request, struct sources *sources, struct failure *failure) {
  if (!sources_open_binds(request, sources, failure) && !sources_open_layers(request, sources, failure)) return 0;
  sources_close(sources);
  return -1;
}

void sources_close(struct sources *sources) {
  own_close(&sources->root);
  for (uint32_t i = 0; i < sources->count; i++) own_close(&sources->trees[i]);
  free(sources->trees);
  layers_close(&sources->layers);
  for (uint32_t i = 0; i < sources->view_count; i++) {
    layers_close(&sources->views[i]);
    own_close(&sources->view_trees[i]);
  }
  free(sources->views);
  free(sources->view_trees);
  *sources = (struct sources){.root = -1};
}

int root_create(struct request *request, struct sources *sources, struct failure *failure) {
  const struct operation *overlay = plan_find(request->plan, "root-overlay", 0);
  OWN_FD tree = overlay && sources->root < 0 ? mount_overlay(overlay, &sources->layers, failure) : give_fd(&sources->root);
  if (tree < 0) return overlay ? -1 : fail(failure, "plan", "", EINVAL, "the plan names no root");
  struct mount_attr private = {.propagation = 1 << 18};
  if (!overlay && call_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &private))
    return fail(failure, "root-path", "", errno, "the root's propagation cannot be set");
  return give_fd(&tree);
}

int root_attach(int tree, struct failure *failure) {
  if (!call_move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH)) return 0;
  return fail(failure, "root", "", errno, "the root cannot be attached: %s", strerror(errno));
}

int root_bind(int root, const struct operation *bind, int tree, struct failure *failure) {
  const char *path = bind->args[1], *kind = bind->args[3];
  struct mount_flags flags;
  struct stat status;
  if (fstatat(tree, "", &status, AT_EMPTY_PATH)) return fail(failure, "bind", path, errno, "the source is gone");
  bool directory = S_ISDIR(status.st_mode);
  if (directory ? !strcmp(kind, "file") : !strcmp(kind, "dir"))
    return fail(failure, "bind", bind->args[0], directory ? EISDIR : ENOTDIR, "the bind source is %sa directory",
                directory ? "" : "not ");
  OWN_FD target = target_open(root, path, directory ? TARGET_DIRECTORY : TARGET_FILE, tree, "bind", failure);
  if (target < 0 || mount_flags_parse(bind->args[2], &flags, "bind", path, failure) ||
      mount_flags_apply(tree, &flags, "bind", path, failure))
    return -1;
  if (mount_attach(tree, target))
    return fail(failure, "bind", path, errno, "the bind mount cannot be attached: %s", strerror(errno));
  return 0;
}

static int open_live(const struct operation *operation, struct failure *failure) {
  uint64_t pid;
  char path[64];
  if (!operation->count || !parse_u64(operation->args[0], 10, INT32_MAX, &pid) || !pid)
    return fail(failure, "root-pid", operation->count ? operation->args[0] : "", EINVAL, "not a process id");
  snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
  int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return root < 0 ? fail(failure, "root-pid", path, errno, "the process's root cannot be opened") : root;
}

// With binds, mounts must be attached: in a mount namespace of this process alone.
static int open_with_binds(struct request *request, struct sources *sources, struct failure *failure) {
  const struct plan *plan = request->plan;
  if (unshare(CLONE_NEWNS)) return fail(failure, "bind", "", errno, "no private mount namespace can be made");
  OWN_FD root = root_create(request, sources, failure);
  if (root < 0 || root_attach(root, failure)) return -1;
  uint32_t bound = 0;
  for (uint32_t i = 0; i < plan->count; i++) {
    const struct operation *operation = &plan->operations[i];
    if (strcmp(operation->name, "bind")) continue;
    if (root_bind(root, operation, sources->trees[bound++], failure)) return -1;
  }
  return give_fd(&root);
}

int root_open(struct request *request, struct failure *failure) {
  const struct operation *live = plan_find(request->plan, "root-pid", 0);
  if (live) return open_live(live, failure);
  const struct operation *path = plan_find(request->plan, "root-path", 0);
  const struct operation *overlay = plan_find(request->plan, "root-overlay", 0);
  const struct operation *bind = plan_find(request->plan, "bind", 0);
  if ((path && path->count != 1) || (overlay && overlay->count < 4) || (bind && (bind->count < 4 || bind->count > 5)))
    return fail(failure, "plan", "", EINVAL, "a root operation has the wrong number of arguments");
  struct sources sources;
  if (sources_open(request, &sources, failure)) return -1;
  int root;
  if (bind) root = open_with_binds(request, &sources, failure);
  else if (overlay) root = mount_overlay(overlay, &sources.layers, failure);
  else if (path) root = give_fd(&sources.root);
  else root = fail(failure, "plan", "", EINVAL, "the plan names no root");
  sources_close(&sources);
  return root;
}
