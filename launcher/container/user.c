// Who the process runs as, looked up in the root's own /etc/passwd and /etc/group.
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "own.h"
#include "resolve.h"

enum { TABLE_BYTES_MAX = 4 << 20, FIELDS_MAX = 7 };

// A whole table as text, empty when there is none. A fifo or device in its place counts as none.
static char *table_read(int root, const char *path) {
  struct stat status;
  OWN_FD fd = resolve_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size > TABLE_BYTES_MAX) return strdup("");
  char *text = malloc((size_t)status.st_size + 1);
  if (!text) return NULL;
  ssize_t length = read_full(fd, text, (size_t)status.st_size);
  text[length > 0 ? length : 0] = 0;
  return text;
}

// Cuts the next line of a table into fields at the colons; their number, or 0 at the end. *at moves on.
static int line_next(char **at, char *fields[FIELDS_MAX]) {
  if (!**at) return 0;
  char *line = *at;
  size_t length = strcspn(line, "\n");
  *at = line + length + (line[length] == '\n');
  line[length] = 0;
  int count = 0;
  for (char *field = line; field && count < FIELDS_MAX;) {
    fields[count++] = field;
    field = strchr(field, ':');
    if (field) *field++ = 0;
  }
  return count;
}

// Ids have no sign, no leading zero and fit into 31 bits (CVE-2024-40635).
static bool id_parse(const char *text, uint32_t *id) {
  uint64_t value;
  if ((text[0] == '0' && text[1]) || !parse_u64(text, 10, INT32_MAX, &value)) return false;
  *id = (uint32_t)value;
  return true;
}

static int group_add(struct user *user, gid_t gid, struct failure *failure) {
  for (uint32_t i = 0; i < user->count; i++)
    if (user->groups[i] == gid) return 0;
  if (user->count == USER_GROUPS_MAX) return fail(failure, "user", "/etc/group", E2BIG, "the user has too many groups");
  user->groups[user->count++] = gid;
  return 0;
}

// Finds name (or number) among the entries of /etc/passwd; fills name_found when there is an entry.
static int passwd_find(char *table, const char *wanted, struct user *user, char *name_found, size_t size,
                       struct failure *failure) {
  uint32_t number = 0, uid, gid;
  bool numeric = id_parse(wanted, &number);
  char *fields[FIELDS_MAX];
  for (int count; (count = line_next(&table, fields));) {
    if (count < 4 || !id_parse(fields[2], &uid) || !id_parse(fields[3], &gid)) continue;
    if (strcmp(fields[0], wanted) && !(numeric && uid == number)) continue;
    user->uid = uid;
    user->gid = gid;
    if (count > 5 && *fields[5]) snprintf(user->home, sizeof user->home, "%s", fields[5]);
    snprintf(name_found, size, "%s", fields[0]);
    return 0;
  }
  if (numeric) return user->uid = number, 0;
  if (wanted[strspn(wanted, "0123456789")] == 0)
    return fail(failure, "user", wanted, ERANGE, "uids and gids must be in range 0-2147483647");
  return fail(failure, "user", wanted, ENOENT, "unable to find user %s: no matching entries in passwd file", wanted);
}

static int group_find(const char *original, const char *wanted, gid_t *gid, struct failure *failure) {
  uint32_t number = 0, found;
  bool numeric = id_parse(wanted, &number);
  OWN_MEMORY char *copy = strdup(original);
  char *fields[FIELDS_MAX], *table = copy;
  if (!copy) return fail(failure, "user", wanted, ENOMEM, "out of memory");
  for (int count; (count = line_next(&table, fields));) {
    if (count < 3 || !id_parse(fields[2], &found)) continue;
    if (strcmp(fields[0], wanted) && !(numeric && found == number)) continue;
    return *gid = found, 0;
  }
  if (numeric) return *gid = number, 0;
  if (wanted[strspn(wanted, "0123456789")] == 0)
    return fail(failure, "user", wanted, ERANGE, "uids and gids must be in range 0-2147483647");
  return fail(failure, "user", wanted, ENOENT, "unable to find group %s: no matching entries in group file", wanted);
}

// The groups whose member list names the user.
static int groups_of(const char *original, const char *name, struct user *user, struct failure *failure) {
  OWN_MEMORY char *copy = strdup(original);
  char *fields[FIELDS_MAX], *table = copy;
  uint32_t gid;
  if (!copy) return fail(failure, "user", name, ENOMEM, "out of memory");
  for (int count; (count = line_next(&table, fields));) {
    if (count < 4 || !id_parse(fields[2], &gid)) continue;
    for (char *member = strtok(fields[3], ","); member; member = strtok(NULL, ","))
      if (!strcmp(member, name) && group_add(user, gid, failure)) return -1;
  }
  return 0;
}

static int find_named(const char *spec, char *passwd, const char *group, struct user *user, struct failure *failure) {
  char name[256], found[256] = "";
  const char *colon = strchr(spec, ':');
  size_t length = colon ? (size_t)(colon - spec) : strlen(spec);
  if (length >= sizeof name) return fail(failure, "user", spec, ENAMETOOLONG, "the user's name is too long");
  snprintf(name, sizeof name, "%.*s", (int)length, spec);
  if (passwd_find(passwd, *name ? name : "0", user, found, sizeof found, failure)) return -1;
  if (colon && colon[1]) {
    if (group_find(group, colon + 1, &user->gid, failure)) return -1;
    return group_add(user, user->gid, failure);
  }
  if (group_add(user, user->gid, failure)) return -1;
  return *found ? groups_of(group, found, user, failure) : 0;
}

int user_find(const struct plan *plan, int root, struct user *user, struct failure *failure) {
  memset(user, 0, sizeof *user);
  snprintf(user->home, sizeof user->home, "/");
  const struct operation *operation = plan_find(plan, "user", 0);
  const char *spec = operation ? operation->args[0] : "";
  OWN_MEMORY char *passwd = table_read(root, "/etc/passwd");
  OWN_MEMORY char *group = table_read(root, "/etc/group");
  if (!passwd || !group) return fail(failure, "user", spec, ENOMEM, "out of memory");
  if (find_named(spec, passwd, group, user, failure)) return -1;
  for (uint32_t n = 0; (operation = plan_find(plan, "group-add", n)); n++) {
    gid_t gid;
    if (group_find(group, operation->args[0], &gid, failure) || group_add(user, gid, failure)) return -1;
  }
  return 0;
}
