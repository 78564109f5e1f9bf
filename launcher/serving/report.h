// Answers: ok, started, oom, exited, failed (PROTOCOL.md). One failed step, the path it concerned and why.
#ifndef SLOOP_REPORT_H
#define SLOOP_REPORT_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct failure {
  char step[64];
  char path[512];
  int error;  // errno, or 0
  char message[512];
};

// Fills a failure and returns -1, so that `return fail(f, "bind", path, errno, "…")` reads well.
int fail(struct failure *failure, const char *step, const char *path, int error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

// Fields as a NULL-terminated list of strings. Returns -1 when the peer has gone.
int report(int fd, const char *kind, ...) __attribute__((sentinel));
int report_failure(int fd, const struct failure *failure);
// Builds a report payload in the buffer; returns its length, or 0 when it does not fit.
size_t report_encode(char *buffer, size_t size, const char *kind, va_list fields);
#endif
