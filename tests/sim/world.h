/*
 * The outside of the scheduler, simulated from a seed: a source of numbered units, and a Doris with
 * labels, transactions and a memory that ends. Written from facts/ingest.md and doris-ports.md B and
 * C, not from what the scheduler hopes for.
 *
 *     a statement:  sent -> (waits) -> begins its transaction -> COMMITTED -> VISIBLE
 *                             |             |
 *                    refused: label used    aborted (error, timeout, kill, fence)
 *
 * A statement runs on when its client is gone, may begin late (a straggler), and may never end by
 * itself (its FE died: PREPARE until fenced or timed out).
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/sink.h"

enum { MAX_UNITS = 200, MAX_STATEMENTS = 64, MAX_TXNS = 256 };

struct range {
    int first; /* units first .. last, from 1 */
    int last;
};

struct statement {
    int64_t label;
    struct range range;
    int64_t begins_ms; /* when its transaction begins */
    int64_t ends_ms;   /* when it commits or fails */
    bool will_fail;
    bool is_orphan; /* never ends by itself */
    bool is_killed;
    bool has_client; /* somebody waits for the answer */
    int txn;         /* index, -1 before it begins */
};

struct txn {
    int64_t label;
    struct range range;
    enum label_state state;
    int64_t visible_ms;  /* when a COMMITTED one becomes VISIBLE */
    int64_t finished_ms; /* VISIBLE or ABORTED since; 0 before */
    bool is_forgotten;
};

struct world {
    uint64_t random;
    int64_t now_ms;          /* true time */
    int64_t skew_ms;         /* of the wall clock that the scheduler reads */
    int n_units;             /* at the source so far */
    int rows[MAX_UNITS + 1]; /* visible rows of each unit */
    struct statement statements[MAX_STATEMENTS];
    int n_statements;
    struct txn txns[MAX_TXNS];
    int n_txns;
    int64_t memory_ms; /* how long a finished transaction is remembered */
    bool is_down;      /* the FE: nothing answers, nothing moves */
    bool is_calm;      /* no more faults: the end of a schedule */
    const char *wrong; /* what the oracle found, NULL while all is well */
};

void world_init(struct world *w, uint64_t seed);
uint64_t world_random(struct world *w, uint64_t below);
static inline bool world_chance(struct world *w, unsigned percent)
{
    return world_random(w, 100) < percent;
}
/* Wall clock, as the scheduler sees it. */
int64_t world_wall_ms(const struct world *w);
/* Lets time pass: statements begin, commit, publish, are forgotten. */
void world_advance(struct world *w, int64_t ms);

/* An INSERT arrives. Returns its index; the client asks world_answer() later. */
int world_send(struct world *w, int64_t label, struct range range);
enum world_answer { ANSWER_NOT_YET, ANSWER_OK, ANSWER_COMMITTED, ANSWER_USED, ANSWER_ERROR };
enum world_answer world_answer(struct world *w, int statement);
void world_kill(struct world *w, int statement);
/* The FE dies; it is back when is_down is cleared. What had begun stays PREPARE. */
void world_die(struct world *w);
void world_leave(struct world *w); /* every client is gone: a crash, or cut links */
enum label_state world_label(const struct world *w, int64_t label);
void world_fence(struct world *w, int64_t label);
/* For the user's decision: will rows of this range ever be visible? */
bool world_has_rows(const struct world *w, struct range range);
bool world_is_running(const struct world *w, int64_t label);

#endif
