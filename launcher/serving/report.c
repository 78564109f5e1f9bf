// Answers: ok, started, oom, exited, failed (PROTOCOL.md).
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "plan.h"

int fail(struct failure *failure, const char *step, const char *path, int error, const char *format, ...) {
  va_list args;
  memset(failure, 0, sizeof *failure);
  snprintf(failure->step, sizeof failure->step, "%s", step);
  snprintf(failure->path, sizeof failure->path, "%s", path ? path : "");
  failure->error = error;
  va_start(args, format);
  vsnprintf(failure->message, sizeof failure->message, format, args);
  va_end(args);
  return -1;
}

size_t report_encode(char *buffer, size_t size, const char *kind, va_list fields) {
  size_t used = 0;
  for (const char *field = kind; field; field = va_arg(fields, const char *)) {
    size_t length = strlen(field) + 1;
    if (length > size - used) return 0;
    memcpy(buffer + used, field, length);
    used += length;
  }
  return used;
}

int report(int fd, const char *kind, ...) {
  char payload[8192];
  va_list fields;
  va_start(fields, kind);
  size_t length = report_encode(payload, sizeof payload, kind, fields);
  va_end(fields);
  return length ? frame_write(fd, FRAME_REPORT, payload, length) : -1;
}

int report_failure(int fd, const struct failure *failure) {
  char error[16];
  snprintf(error, sizeof error, "%d", failure->error);
  return report(fd, "failed", failure->step, failure->path, error, failure->message, NULL);
}
