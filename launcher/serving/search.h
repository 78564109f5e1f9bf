// Finds and executes the program; when that fails, finds out why.
#ifndef SLOOP_SEARCH_H
#define SLOOP_SEARCH_H
#include "report.h"

// execve of argv[0], searched in the environment's PATH when it has no slash. Returns only on failure (-1, filled):
// errno ENOENT = nothing found, and message says what was the true cause, if it is not the program itself.
int program_execute(const char *const *argv, char **environment, struct failure *failure);
#endif
