// Held network namespaces and layers: the parent keeps their descriptors by name.
#include "hold.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layers.h"
#include "own.h"

// Builds use more layers than any table holds: those that were held first are let go, and mounted anew when wanted.
enum { HELD_MAX = 8192, LAYERS_MAX = 512 };

struct held {
  char name[HELD_NAME_MAX];
  int descriptor;
  uint64_t serial;
};

// The one table of the process.
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

bool held_full(void) { return table.count == HELD_MAX; }

void held_forget(const char *name) {
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
  if (layers >= LAYERS_MAX) held_forget(oldest->name);
}

static bool make_room(void) {
  if (table.count < table.room) return true;
  size_t room = table.room ? table.room * 2 : 64;
  struct held *entries = realloc(table.entries, room * sizeof *entries);
  if (!entries) return false;
  table.entries = entries;
  table.room = room;
  return true;
}

bool held_keep(const char *name, int descriptor) {
  size_t length = strlen(name) + 1;
  if (length > HELD_NAME_MAX || entry_find(name)) return false;
  if (layers_owns(name)) layers_bound();
  if (held_full() || !make_room()) return false;
  struct held *entry = &table.entries[table.count++];
  memcpy(entry->name, name, length);
  entry->descriptor = descriptor;
  entry->serial = ++table.serial;
  return true;
}

int held_names(void) {
  OWN_FD file = memfd_create("names", MFD_CLOEXEC);
  for (size_t i = 0; file >= 0 && i < table.count; i++) {
    const char *name = table.entries[i].name;
    size_t length = strlen(name) + 1;
    if (!layers_owns(name) && write(file, name, length) != (ssize_t)length) return -1;
  }
  return give_fd(&file);
}
