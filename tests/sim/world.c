#include <string.h>

#include "tests/sim/world.h"

void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->now_ms = INT64_C(1000000000);
    w->memory_ms = 12 * 3600 * 1000;
}

/* xorshift64*: the same everywhere, so that a seed replays exactly. */
uint64_t world_random(struct world *w, uint64_t below)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return (w->random * UINT64_C(0x2545f4914f6cdd1d) >> 16) % below;
}

int64_t world_wall_ms(const struct world *w)
{
    return w->now_ms + w->skew_ms;
}

static void fail(struct world *w, const char *wrong)
{
    if (w->wrong == NULL) {
        w->wrong = wrong;
    }
}

static void make_visible(struct world *w, struct txn *t)
{
    t->state = LABEL_VISIBLE;
    t->finished_ms = w->now_ms;
    for (int unit = t->range.first; unit <= t->range.last; unit++) {
        if (++w->rows[unit] > 1) {
            fail(w, "a unit was loaded twice");
        }
    }
}

/* The newest transaction of a label that the FE still knows; -1 when none. */
static int find_txn(const struct world *w, int64_t label)
{
    for (int i = w->n_txns - 1; i >= 0; i--) {
        if (w->txns[i].label == label && !w->txns[i].is_forgotten) {
            return i;
        }
    }
    return -1;
}

static void begin(struct world *w, struct statement *s)
{
    int known = find_txn(w, s->label);
    if (known >= 0 && w->txns[known].state != LABEL_ABORTED) {
        s->ends_ms = w->now_ms; /* refused: no transaction of its own */
        s->will_fail = true;
        s->begins_ms = INT64_MAX;
        return;
    }
    if (w->n_txns == MAX_TXNS) {
        fail(w, "the simulation ran out of transactions");
        return;
    }
    s->txn = w->n_txns;
    w->txns[w->n_txns++] =
        (struct txn){.label = s->label, .range = s->range, .state = LABEL_PREPARE};
}

static void end(struct world *w, struct statement *s)
{
    struct txn *t = &w->txns[s->txn];
    if (t->state != LABEL_PREPARE) {
        return; /* fenced meanwhile */
    }
    if (s->will_fail || s->is_killed) {
        t->state = LABEL_ABORTED;
        t->finished_ms = w->now_ms;
        return;
    }
    t->state = LABEL_COMMITTED;
    t->visible_ms = w->now_ms + (world_chance(w, 20) ? (int64_t)world_random(w, 90000) : 0);
}

static void move_statement(struct world *w, struct statement *s)
{
    if (s->txn < 0 && s->begins_ms <= w->now_ms) {
        if (s->is_killed) {
            s->begins_ms = INT64_MAX;
            s->ends_ms = w->now_ms;
            s->will_fail = true;
            return;
        }
        begin(w, s);
    }
    bool is_due = s->ends_ms <= w->now_ms || s->is_killed;
    if (s->txn >= 0 && is_due && !s->is_orphan) {
        end(w, s);
    }
}

static void move_txn(struct world *w, struct txn *t)
{
    if (t->state == LABEL_COMMITTED && t->visible_ms <= w->now_ms) {
        make_visible(w, t);
    }
    if (t->finished_ms != 0 && w->now_ms - t->finished_ms >= w->memory_ms) {
        t->is_forgotten = true;
    }
}

void world_advance(struct world *w, int64_t ms)
{
    w->now_ms += ms;
    if (w->is_down) {
        return;
    }
    for (int i = 0; i < w->n_statements; i++) {
        move_statement(w, &w->statements[i]);
    }
    for (int i = 0; i < w->n_txns; i++) {
        move_txn(w, &w->txns[i]);
    }
}

int world_send(struct world *w, int64_t label, struct range range)
{
    if (w->n_statements == MAX_STATEMENTS) {
        fail(w, "the simulation ran out of statements");
        return 0;
    }
    /* A straggler begins late, but before a label that was loaded instead can be forgotten. */
    uint64_t latest = w->memory_ms / 2 < 300000 ? (uint64_t)w->memory_ms / 2 : 300000;
    bool is_late = !w->is_calm && world_chance(w, 10);
    int64_t wait = is_late ? (int64_t)world_random(w, latest) : (int64_t)world_random(w, 50);
    struct statement *s = &w->statements[w->n_statements];
    *s = (struct statement){
        .label = label,
        .range = range,
        .begins_ms = w->now_ms + wait,
        .ends_ms = w->now_ms + wait + (int64_t)world_random(w, 5000),
        .will_fail = !w->is_calm && world_chance(w, 10),
        .is_orphan = !w->is_calm && world_chance(w, 5),
        .has_client = true,
        .txn = -1,
    };
    return w->n_statements++;
}

enum world_answer world_answer(struct world *w, int statement)
{
    const struct statement *s = &w->statements[statement];
    if (s->txn < 0) {
        if (s->begins_ms != INT64_MAX) {
            return ANSWER_NOT_YET;
        }
        return s->is_killed ? ANSWER_ERROR : ANSWER_USED;
    }
    switch (w->txns[s->txn].state) {
    case LABEL_VISIBLE: return ANSWER_OK;
    case LABEL_COMMITTED: return ANSWER_COMMITTED;
    case LABEL_ABORTED: return ANSWER_ERROR;
    case LABEL_PREPARE:
    case LABEL_PRECOMMITTED:
    case LABEL_UNKNOWN:
    case LABEL_ABSENT:
    case LABEL_UNREACHABLE: break;
    }
    return ANSWER_NOT_YET;
}

void world_die(struct world *w)
{
    w->is_down = true;
    for (int i = 0; i < w->n_statements; i++) {
        struct statement *s = &w->statements[i];
        if (s->txn < 0) {
            s->begins_ms = INT64_MAX; /* had not begun: gone with the FE */
        } else {
            s->is_orphan = true; /* PREPARE stays until it is fenced */
        }
    }
}

void world_kill(struct world *w, int statement)
{
    if (!w->is_down) {
        w->statements[statement].is_killed = true; /* best effort: it may have committed */
    }
}

void world_leave(struct world *w)
{
    for (int i = 0; i < w->n_statements; i++) {
        w->statements[i].has_client = false;
    }
}

enum label_state world_label(const struct world *w, int64_t label)
{
    int i = find_txn(w, label);
    if (w->is_down) {
        return LABEL_UNREACHABLE;
    }
    return i >= 0 ? w->txns[i].state : LABEL_UNKNOWN;
}

void world_fence(struct world *w, int64_t label)
{
    int i = find_txn(w, label);
    if (!w->is_down && i >= 0 && w->txns[i].state == LABEL_PREPARE) {
        w->txns[i].state = LABEL_ABORTED;
        w->txns[i].finished_ms = w->now_ms;
    }
}

bool world_has_rows(const struct world *w, struct range range)
{
    return w->rows[range.first] > 0;
}

bool world_is_running(const struct world *w, int64_t label)
{
    for (int i = 0; i < w->n_statements; i++) {
        const struct statement *s = &w->statements[i];
        bool may_begin = s->txn < 0 && s->begins_ms != INT64_MAX;
        bool may_end = s->txn >= 0 && (w->txns[s->txn].state == LABEL_PREPARE ||
                                       w->txns[s->txn].state == LABEL_COMMITTED);
        if (s->label == label && (may_begin || may_end)) {
            return true;
        }
    }
    return false;
}
