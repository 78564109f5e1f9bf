// Held network namespaces and layers: the parent keeps their descriptors by name; every child is born with a copy.
#include "hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "layers.h"
#include "letter.h"
#include "verbs.h"

// Builds use more layers than any table holds: those that were held first are let go, and mounted anew when wanted.
enum { NAME_MAX_BYTES = 128, HELD_MAX = 8192, LAYERS_MAX = 512 };

struct held {
  char name[NAME_MAX_BYTES];
  int descriptor;
  uint64_t serial;
};

struct letter {
  char action;  // 'h' hold, 'd' drop
  char name[NAME_MAX_BYTES];
};

// The one table of the process: written by the parent only, copied to children by fork.
static struct {
  struct held *entries;
  size_t count, room;
  uint64_t serial;
} table;

static struct held *entry_find(const char *name) {
  for (size_t i = 0; i < table.count; i++)
    if (!strcmp(table.entries[i].name, name)) return &table.entries[i];
  return NULL;
}

int held_find(const char *name) {
  struct held *entry = entry_find(name);
  return entry ? entry->descriptor : -1;
}

void held_each(void (*visit)(const char *name, void *context), void *context) {
  for (size_t i = 0; i < table.count; i++) visit(table.entries[i].name, context);
}

void held_close_all(void) {
  for (size_t i = 0; i < table.count; i++) close(table.entries[i].descriptor);
  table.count = 0;
}

static void entry_drop(const char *name) {
  struct held *entry = entry_find(name);
  if (!entry) return;
  close(entry->descriptor);
  *entry = table.entries[--table.count];
}

// Makes room among the layers.
static void layers_bound(void) {
  struct held *oldest = NULL;
  size_t layers = 0;
  for (size_t i = 0; i < table.count; i++) {
    struct held *entry = &table.entries[i];
    if (!layers_owns(entry->name)) continue;
    layers++;
    if (!oldest || entry->serial < oldest->serial) oldest = entry;
  }
  if (layers >= LAYERS_MAX) entry_drop(oldest->name);
}

static void entry_hold(const char *name, int descriptor) {
  if (layers_owns(name)) layers_bound();
  if (table.count == HELD_MAX) return (void)close(descriptor);
  if (table.count == table.room) {
    size_t room = table.room ? table.room * 2 : 64;
    struct held *entries = realloc(table.entries, room * sizeof *entries);
    if (!entries) return (void)close(descriptor);
    table.entries = entries;
    table.room = room;
  }
  struct held *entry = &table.entries[table.count++];
  memcpy(entry->name, name, NAME_MAX_BYTES);
  entry->descriptor = descriptor;
  entry->serial = ++table.serial;
}

static int mail(struct request *request, char action, const char *name, int descriptor) {
  struct letter letter = {.action = action};
  size_t length = strlen(name);
  if (!length || length >= sizeof letter.name) return errno = ENAMETOOLONG, -1;
  if (action == 'h' && table.count >= HELD_MAX) return errno = ENOSPC, -1;
  memcpy(letter.name, name, length);
  return letter_send(request->mailbox, &letter, sizeof letter, descriptor);
}

int held_hold(struct request *request, const char *name, int descriptor) {
  if (held_find(name) >= 0) return errno = EEXIST, -1;
  return mail(request, 'h', name, descriptor);
}

int held_drop(struct request *request, const char *name) {
  if (held_find(name) < 0) return errno = ENOENT, -1;
  return mail(request, 'd', name, -1);
}

static bool mail_take(int mailbox) {
  struct letter letter;
  int descriptor = -1;
  ssize_t got = letter_receive(mailbox, &letter, sizeof letter, MSG_DONTWAIT, &descriptor);
  if (got < 0) return errno == EINTR;
  bool whole = got == sizeof letter && !letter.name[sizeof letter.name - 1];
  if (whole && letter.action == 'd') entry_drop(letter.name);
  if (whole && letter.action == 'h' && descriptor >= 0 && !entry_find(letter.name)) {
    entry_hold(letter.name, descriptor);
    return true;
  }
  if (descriptor >= 0) close(descriptor);
  return true;
}

void held_drain(int mailbox) {
  while (mail_take(mailbox)) continue;
}
