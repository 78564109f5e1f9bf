// The line between a spawner and the process it makes, until that process has passed execve.
#ifndef SLOOP_BIRTH_H
#define SLOOP_BIRTH_H
#include "report.h"
#include "task.h"

// parent to child: mapped (uid and gid maps are written), go (the cgroups are entered), run (nothing speaks against
// the program any more).
// child to parent: joined (launch: it is in its namespaces, and has its layers), console (with the pty's master), exec (execve comes next), failed.
enum birth_word { BIRTH_MAPPED = 'm', BIRTH_GO = 'g', BIRTH_RUN = 'r', BIRTH_JOINED = 'j', BIRTH_CONSOLE = 'c', BIRTH_EXEC = 'x', BIRTH_FAILED = 'f' };

// A pair of close-on-exec ends; ends[0] is the parent's. -1 with errno.
int birth_line(int ends[2]);
int birth_say(int line, enum birth_word word, int descriptor, const struct failure *failure);
// The child waits for a word; -1 when the parent is gone.
int birth_wait(int line, enum birth_word word);
// Whether the parent still holds its end.
bool birth_parent_lives(int line);
// The parent waits for `joined`. -1 with the failure filled when the child failed or died.
int birth_await_joined(int line, struct failure *failure);
// The parent listens until the line closes by execve. Stores the console's master, if one comes.
// -1 with the failure filled when the child failed or died.
int birth_attend(int line, int *console, struct failure *failure);
// Kills and reaps a child that must not live on.
void birth_abort(struct process *child);
#endif
