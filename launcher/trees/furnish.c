// furnish: the directories, files and links that every container of an image needs are made once, in a layer of their own.
#include <errno.h>
#include <string.h>

#include "devices.h"
#include "own.h"
#include "resolve.h"
#include "root.h"
#include "rules.h"
#include "verbs.h"

static const struct rule furnish_rules[] = {
    {"furnish", 0, 0}, {"root-path", 1, 1}, {"root-overlay", 4, 503}, {"directory", 4, 4},
    {"file", 1, 1},    {"symlink", 2, 2},   {NULL, 0, 0},
};

static int file_make(int root, const struct operation *operation, struct failure *failure) {
  OWN_FD file = target_make_file(root, operation->args[0]);
  if (file >= 0) return 0;
  return fail(failure, operation->name, operation->args[0], errno, "the file cannot be made: %s", strerror(errno));
}

static int make(int root, struct place *place, const struct operation *operation, struct failure *failure) {
  if (!strcmp(operation->name, "directory")) return directory_make(root, place, operation, failure);
  if (!strcmp(operation->name, "symlink")) return symlink_make(root, place, operation, failure);
  return strcmp(operation->name, "file") ? 0 : file_make(root, operation, failure);
}

// What an image is like (a link or a file in the way) is for the launch to judge; what the disk lacks is told.
static bool is_images_doing(int error) {
  return error == EEXIST || error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENOENT;
}

int verb_furnish(struct request *request, struct failure *failure) {
  if (rules_check(request->plan, furnish_rules, failure)) return -1;
  OWN_FD root = root_open(request, failure);
  if (root < 0) return -1;
  struct place place = {.directory = -1};
  for (uint32_t i = 1; i < request->plan->count; i++)
    if (make(root, &place, &request->plan->operations[i], failure) && !is_images_doing(failure->error)) return -1;
  place_forget(&place);
  // The overlay must be gone before its upper directory becomes a lower one of others.
  own_close(&root);
  root = -1;
  report(request->connection, "ok", NULL);
  return 0;
}
