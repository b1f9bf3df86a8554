/*
 * A request to stop, from the scheduler to a runner that may be blocked in poll(2): an atomic flag
 * for loops and a file descriptor for poll. Raised once, never lowered. One owner (the scheduler's
 * run object) creates and destroys it; the runner only looks.
 */
#ifndef SCHEDULER_CANCEL_H
#define SCHEDULER_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

struct cancel {
    _Atomic bool is_raised;
    int fd; /* eventfd, readable once raised; -1 when none could be made */
};

void cancel_init(struct cancel *c);
void cancel_fini(struct cancel *c);
void cancel_raise(struct cancel *c); /* any thread */
static inline bool cancel_is_raised(const struct cancel *c)
{
    return atomic_load(&c->is_raised);
}

#endif
