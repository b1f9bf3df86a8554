/*
 * The outside of the scheduler, simulated from a seed: time and chance (here), a Doris (world_doris.c)
 * and a source of files (world_source.c). Written from the facts about Doris and S3 that README.md
 * names, not from what the scheduler hopes for; where a draw is limited, step.h says why it may be.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/sink.h"

enum {
    MAX_UNITS = 32,    /* files; their keys are 1 .. MAX_UNITS, in the order of the listing */
    MAX_RANGE = 4,     /* files of one task */
    MAX_VERSIONS = 60, /* of one file */
    MAX_STATEMENTS = 96,
    MAX_TXNS = 128,
    MAX_OWNERS = 2,
    MAX_PAST = 72,
    MAX_JOBS = 3,  /* of one name, one after the other */
    LABELS = 1000, /* of one job; a label is the number of its job, then that of the task */
    SECOND = 1000,
    STATEMENT_LIFE_MS = 1860 * SECOND,
};

/* What a task loads: files, each as it was when it was listed. */
struct range {
    int n;
    int8_t units[MAX_RANGE];
    int8_t versions[MAX_RANGE];
    int offset_after;
    int64_t listed_ms;
    bool is_retry;
    bool is_overwritten; /* set aside because of that */
    int64_t label;       /* oracle: of which job, and task */
};

/* The oracle's: what a job has made visible of a file. */
struct seen {
    int rows;         /* how often */
    uint64_t planned; /* bit n: as version n, when it was planned */
    int8_t version;   /* as it was read last */
};

/* One file of the source. What it holds has a version, which is its ETag, and rises. */
struct unit {
    bool is_there;
    bool is_unreadable; /* its name: Doris cannot be given it */
    int8_t version;
    uint64_t bad_versions; /* bit n: version n has rows that Doris refuses */
    int64_t changed_ms;    /* put, replaced or deleted */
    /* The oracle's, of the present job but for `seen`: */
    struct seen seen[MAX_JOBS];
    int64_t passed_ms; /* when the range was listed with which the offset passed it, 0 = not yet */
    bool is_skipped;   /* by the user */
};

enum txn_state { TXN_PREPARE, TXN_COMMITTED, TXN_VISIBLE, TXN_ABORTED };

struct txn {
    int64_t id; /* one sequence for all clients and databases */
    int64_t label;
    enum txn_state state;
    int64_t visible_ms;  /* when a COMMITTED one becomes VISIBLE */
    int64_t finished_ms; /* VISIBLE or ABORTED since */
    int64_t serial;      /* how many of the database had finished then */
    bool has_row;        /* it writes an offset row: of its label */
    int job;             /* oracle: whose */
    bool is_forgotten;
    int n; /* files it has read */
    int8_t units[MAX_RANGE];
    int8_t versions[MAX_RANGE];
    int8_t planned[MAX_RANGE]; /* what the versions were when it was planned */
};

/*
 *     sent -> (waits) -> its transaction begins -> reads -> COMMITTED -> VISIBLE
 *               |             |                      |
 *      refused: label used    aborted: error, timeout, kill, fence, the link of a session closed
 *
 * It runs on when its client is gone, may begin late (a straggler), and may not end by itself for
 * half an hour (its FE died). The statements of an explicit transaction end with COMMIT only when
 * that was sent: the link closed before means rollback.
 */
struct statement {
    int64_t label;
    struct range range;
    int owner;
    int64_t begins_ms; /* INT64_MAX: never */
    int64_t ends_ms;
    int64_t
        commit_ms; /* explicit transaction: when a COMMIT that was sent arrives, 0 = none sent */
    bool has_row;  /* explicit transaction with an offset row; else a single INSERT */
    bool will_fail;
    bool is_orphan;
    bool is_killed;
    bool is_closed; /* nobody waits for the answer: the owner or the link is gone */
    bool is_over;   /* nothing comes of it any more */
    bool is_read;   /* explicit transaction: the INSERT has ended */
    bool is_empty;
    bool is_data_error;
    int txn; /* index, -1 before it begins */
};

/* Up to `serial`, the first of them at `ms` or later. */
struct past {
    int64_t ms;
    int64_t serial;
};

struct doris {
    struct statement statements[MAX_STATEMENTS];
    int n_statements;
    int active[MAX_STATEMENTS]; /* those that are not over */
    int n_active;
    struct txn txns[MAX_TXNS];
    int n_txns;
    int n_committed;         /* that are not yet visible */
    bool is_down;            /* the FE: nothing answers, nothing moves */
    int64_t silent_until_ms; /* nobody answers for labels, though it loads: its HTTP port, say */
    bool is_readable;        /* the service account may read the FE's configuration */
    int64_t keep_ms;         /* how long a finished transaction is remembered */
    int64_t keep_n;          /* and how many of a database at most */
    int64_t rate;            /* other clients' transactions in the database, in 1000 seconds */
    int64_t rate_rest;
    int64_t next_id;
    int64_t n_finished; /* in the database, by anybody */
    int64_t n_running;  /* of other clients */
    int64_t next_clean_ms;
    int64_t forgotten_serial; /* everything up to it */
    int64_t forgotten_ms;     /* everything that finished by then */
    bool is_countable; /* finished transactions can be listed: not over HTTP, nor in cloud mode */
    struct past past[MAX_PAST]; /* what finished within keep_ms, oldest first */
    int n_past;
    int64_t past_serial;        /* everything up to it is older */
    int64_t aged_serial;        /* and, when it was cleaned last, was dropped for its age */
    int64_t unsent[MAX_OWNERS]; /* label that an owner is about to send, 0 = none */
    int64_t owned[MAX_OWNERS];  /* label that it may send again, for a second after a write */
    int64_t owned_until_ms[MAX_OWNERS];
    uint64_t rows_written[MAX_JOBS][4]; /* bit of each task whose offset row is visible */
};

struct world {
    uint64_t random;
    int64_t now_ms; /* true time */
    bool is_calm;   /* no more faults: the end of a schedule */
    bool is_told;
    int job;                  /* the present one, or the last; the first is 0 */
    bool is_reload[MAX_JOBS]; /* it may load a file again that has another content */
    const char *wrong;        /* what the oracle found, NULL while all is well */
    int n_units;
    struct unit units[MAX_UNITS + 1];
    struct doris doris;
};

void world_init(struct world *w, uint64_t seed);
/* xorshift64*: the same everywhere, so that a seed replays exactly. */
static inline uint64_t world_random(struct world *w, uint64_t below)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return (w->random * UINT64_C(0x2545f4914f6cdd1d) >> 16) % below;
}
static inline bool world_chance(struct world *w, unsigned percent)
{
    return world_random(w, 100) < percent;
}
/* A fault may happen: never in the calm end. */
static inline bool world_fault(struct world *w, unsigned percent)
{
    return !w->is_calm && world_chance(w, percent);
}
void world_wrong(struct world *w, const char *what);
void world_tell(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_advance(struct world *w, int64_t ms);

/* --- world_source.c --- */
void source_init(struct world *w);
/* The next file is put, or a name is left out, to be put late. */
void source_grow(struct world *w);
/* A file is replaced, deleted, or put late. */
void source_change(struct world *w);
/* Replaces it by a version without bad rows; puts it when it is not there. */
void source_mend(struct world *w, int unit);
void source_delete(struct world *w, int unit);
/* Are the files what they were when they were listed? */
bool source_is_same(const struct world *w, const struct range *r);
/* Is the file, as it is now, in the target for the present job? */
static inline bool source_is_loaded(const struct world *w, int unit)
{
    const struct unit *u = &w->units[unit];
    const struct seen *seen = &u->seen[w->job];
    return w->is_reload[w->job] ? (seen->planned >> u->version & 1) != 0 : seen->rows > 0;
}
static inline bool source_is_bad(const struct unit *u, int version)
{
    return (u->bad_versions >> version & 1) != 0;
}

/* --- world_doris.c --- */
void doris_init(struct world *w);
void doris_advance(struct world *w, int64_t ms);
/* An INSERT arrives, or the first of an explicit transaction. Returns its index. */
int doris_send(struct world *w, int owner, int64_t label, const struct range *range, bool has_row);
enum answer {
    ANSWER_NOT_YET,
    ANSWER_OK,
    ANSWER_COMMITTED,
    ANSWER_EMPTY, /* no file was there: OK without a label, no transaction */
    ANSWER_USED,
    ANSWER_ERROR,
    ANSWER_DATA_ERROR,
    ANSWER_READ, /* explicit transaction: the INSERT has ended, COMMIT may be sent */
};
enum answer doris_answer(const struct world *w, int statement);
void doris_commit(struct world *w, int statement);
void doris_kill(struct world *w, int statement);
/* The client has gone: a session that has not sent COMMIT is rolled back, when the FE sees it. */
void doris_close(struct world *w, int statement);
/* Could the statement not answer any more? */
bool doris_is_stuck(const struct world *w, int statement);
void doris_die(struct world *w);
enum label_state doris_label(const struct world *w, int64_t label);
/* SELECT from the offset table. */
bool doris_has_row(const struct world *w, int64_t label);
/* Somebody empties the offset table. */
void doris_empty_rows(struct world *w);
void doris_fence(struct world *w, int64_t label);
/* Id of the newest transaction of the label that is remembered, 0 = none. */
int64_t doris_txn_id(const struct world *w, int64_t label);
/* A success of another job, `serial` and `ms` being when it finished: is its label remembered? */
bool doris_remembers(const struct world *w, int64_t serial, int64_t ms);
/* Finished transactions of the database that can be listed; 0: they cannot. */
int64_t doris_n_remembered(const struct world *w);
/* Other clients' transactions come in a burst; or those that run all end. */
void doris_burst(struct world *w);
/* For the user's decision, and the oracle: */
bool doris_was_loaded(const struct world *w, int64_t label);
bool doris_may_load(const struct world *w, int64_t label);

#endif
