// The parts of probe: each adds what it finds out.
#ifndef SLOOP_PROBE_H
#define SLOOP_PROBE_H
#include <stdbool.h>
#include <stddef.h>

struct probe {
  int major, minor;  // of the kernel
  char *bytes;       // the report so far
  size_t used;
};

void probe_add(struct probe *probe, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
void probe_answer(struct probe *probe, const char *key, bool yes);
bool probe_at_least(const struct probe *probe, int major, int minor);
void probe_cgroups(struct probe *probe);   // probe-cgroups.c
void probe_mounts(struct probe *probe);    // probe-mounts.c
void probe_networks(struct probe *probe);  // probe-networks.c
#endif
