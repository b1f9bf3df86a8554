/*
 * What an EXPLAIN answers: lines of item and text, in the order in which they are added. Owned by one
 * thread at a time.
 */
#ifndef SCHEDULER_EXPLAIN_H
#define SCHEDULER_EXPLAIN_H

#include <stddef.h>

struct explain_line {
    char *item; /* owned, never NULL */
    char *text; /* owned, never NULL; no secrets */
};

struct explain {
    struct explain_line *lines; /* owned */
    size_t n;
};

void explain_add(struct explain *e, const char *item, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void explain_fini(struct explain *e);

#endif
