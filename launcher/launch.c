// The launch verb.
#include "task.h"
#pragma weak monitor_main

int verb_launch(struct request *request, struct failure *failure) { return monitor_main(request, failure); }
