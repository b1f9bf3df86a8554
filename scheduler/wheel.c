#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "scheduler/wheel.h"

enum { SLOT_BITS = 6 };

static unsigned digit_of(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * SLOT_BITS)) & (WHEEL_SLOTS - 1);
}

static void push(struct wheel_timer **head, struct wheel_timer *t)
{
    t->next = *head;
    t->link = head;
    if (t->next != NULL) {
        t->next->link = &t->next;
    }
    *head = t;
}

static void unlink_timer(struct wheel_timer *t)
{
    *t->link = t->next;
    if (t->next != NULL) {
        t->next->link = t->link;
    }
    t->next = NULL;
    t->link = NULL;
}

/* The level of the highest digit in which the two ticks differ; the last level for all beyond. */
static unsigned level_of(uint64_t now, uint64_t expires)
{
    uint64_t differ = now ^ expires;
    assert(differ != 0);
    unsigned level = (63U - (unsigned)__builtin_clzll(differ)) / SLOT_BITS;
    return level < WHEEL_LEVELS ? level : WHEEL_LEVELS - 1;
}

/* The last level goes round: it reaches 64 of its slots ahead, whatever the digits above it. */
static unsigned slot_of(uint64_t now, uint64_t expires, unsigned level)
{
    unsigned shift = level * SLOT_BITS;
    bool is_beyond = (expires >> shift) - (now >> shift) > WHEEL_SLOTS;
    return is_beyond ? digit_of(now, level) : digit_of(expires, level);
}

static void place(struct wheel *w, struct wheel_timer *t)
{
    if (t->expires <= w->now) {
        push(&w->expired, t);
        return;
    }
    unsigned level = level_of(w->now, t->expires);
    unsigned slot = slot_of(w->now, t->expires, level);
    push(&w->slots[level][slot], t);
    w->occupied[level] |= UINT64_C(1) << slot;
}

void wheel_init(struct wheel *w, uint64_t now)
{
    *w = (struct wheel){.now = now};
}

static void forget_if_empty(struct wheel *w, struct wheel_timer **head)
{
    ptrdiff_t i = head - &w->slots[0][0];
    if (i >= 0 && i < (ptrdiff_t)WHEEL_LEVELS * WHEEL_SLOTS && *head == NULL) {
        w->occupied[i / WHEEL_SLOTS] &= ~(UINT64_C(1) << (i % WHEEL_SLOTS));
    }
}

void wheel_unset(struct wheel *w, struct wheel_timer *t)
{
    if (!wheel_timer_is_set(t)) {
        return;
    }
    struct wheel_timer **head = t->link;
    unlink_timer(t);
    forget_if_empty(w, head);
}

void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t expires)
{
    wheel_unset(w, t);
    t->expires = expires;
    place(w, t);
}

/* Ticks until slot's turn at this level, counted from the slot of `now`; 1 to 64. */
static uint64_t turns_until(unsigned from, unsigned slot)
{
    return ((slot + WHEEL_SLOTS - from - 1) % WHEEL_SLOTS) + 1;
}

/* The tick at which the first occupied slot of a level has its turn; UINT64_MAX when none. */
static uint64_t next_turn(const struct wheel *w, unsigned level)
{
    uint64_t bits = w->occupied[level];
    unsigned from = digit_of(w->now, level);
    unsigned shift = level * SLOT_BITS;
    if (bits == 0) {
        return UINT64_MAX;
    }
    unsigned turn = (from + 1) % WHEEL_SLOTS;
    uint64_t rotated = turn == 0 ? bits : (bits >> turn) | (bits << (WHEEL_SLOTS - turn));
    unsigned slot = (turn + (unsigned)__builtin_ctzll(rotated)) % WHEEL_SLOTS;
    return ((w->now >> shift) + turns_until(from, slot)) << shift;
}

static uint64_t next_event(const struct wheel *w)
{
    uint64_t first = UINT64_MAX;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t turn = next_turn(w, level);
        first = turn < first ? turn : first;
    }
    return first;
}

/* Places again everything in the slots whose turn has come with w->now. */
static void cascade(struct wheel *w)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * SLOT_BITS;
        if ((w->now & ((UINT64_C(1) << shift) - 1)) != 0) {
            return; /* not at the beginning of a slot of this level */
        }
        unsigned slot = digit_of(w->now, level);
        struct wheel_timer *t = w->slots[level][slot];
        w->slots[level][slot] = NULL;
        w->occupied[level] &= ~(UINT64_C(1) << slot);
        while (t != NULL) {
            struct wheel_timer *next = t->next;
            t->next = NULL;
            t->link = NULL;
            place(w, t);
            t = next;
        }
    }
}

void wheel_advance(struct wheel *w, uint64_t now)
{
    assert(now >= w->now);
    uint64_t next = next_event(w);
    while (next <= now) {
        w->now = next;
        cascade(w);
        next = next_event(w);
    }
    w->now = now;
}

struct wheel_timer *wheel_take(struct wheel *w)
{
    struct wheel_timer *t = w->expired;
    if (t != NULL) {
        unlink_timer(t);
    }
    return t;
}

uint64_t wheel_wait(const struct wheel *w)
{
    if (w->expired != NULL) {
        return 0;
    }
    uint64_t next = next_event(w);
    return next == UINT64_MAX ? UINT64_MAX : next - w->now;
}

static bool list_is_sound(struct wheel_timer *const *head)
{
    for (const struct wheel_timer *t = *head; t != NULL; t = t->next) {
        if (*t->link != t || (t->next != NULL && t->next->link != &t->next)) {
            return false;
        }
    }
    return true;
}

bool wheel_check(const struct wheel *w)
{
    for (const struct wheel_timer *t = w->expired; t != NULL; t = t->next) {
        if (t->expires > w->now) {
            return false;
        }
    }
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
            bool is_marked = (w->occupied[level] >> slot & 1) != 0;
            if (is_marked != (w->slots[level][slot] != NULL) ||
                !list_is_sound(&w->slots[level][slot])) {
                return false;
            }
            for (const struct wheel_timer *t = w->slots[level][slot]; t != NULL; t = t->next) {
                if (t->expires <= w->now) {
                    return false; /* overdue, yet not in the list of what is due */
                }
            }
        }
    }
    return list_is_sound(&w->expired);
}
