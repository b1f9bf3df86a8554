/*
 * A hierarchical timing wheel: any number of timers, add and remove in constant time. It knows no
 * clock, no thread and allocates nothing; the owner says what time it is, in ticks.
 *
 *     level 0: 64 slots of 1 tick      level 1: 64 slots of 64 ticks      … level 3: 64^3 ticks
 *
 * A timer sits in the slot of the highest digit (base 64) in which its expiry differs from now, and
 * moves down a level when that digit's turn comes. Expiries beyond the last level wait in its
 * farthest slot and are placed again from there. Owned by one thread.
 */
#ifndef SCHEDULER_WHEEL_H
#define SCHEDULER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_LEVELS = 4, WHEEL_SLOTS = 64 };

/* Embedded in the object that waits; all fields are the wheel's. {0} is a timer that is not set. */
struct wheel_timer {
    struct wheel_timer *next;
    struct wheel_timer **link; /* what points at us; NULL when not set */
    uint64_t expires;          /* tick */
};

struct wheel {
    uint64_t now;                    /* last tick passed to wheel_advance() */
    uint64_t occupied[WHEEL_LEVELS]; /* bit s: slot s is not empty */
    struct wheel_timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct wheel_timer *expired; /* due, not yet taken */
};

void wheel_init(struct wheel *w, uint64_t now);
/* Sets or moves the timer. An expiry at or before `now` is due at once. */
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t expires);
void wheel_unset(struct wheel *w, struct wheel_timer *t);
static inline bool wheel_timer_is_set(const struct wheel_timer *t)
{
    return t->link != 0;
}
/* Moves to `now` (never back); what is due then comes out of wheel_take(). */
void wheel_advance(struct wheel *w, uint64_t now);
/* One due timer, no longer set, or NULL. */
struct wheel_timer *wheel_take(struct wheel *w);
/*
 * Ticks from `now` until something may be due: 0 when something is, UINT64_MAX when no timer is
 * set; never too late, perhaps too early (the timer has to move down a level then).
 */
uint64_t wheel_wait(const struct wheel *w);
/* Every invariant, for tests. */
bool wheel_check(const struct wheel *w);

#endif
