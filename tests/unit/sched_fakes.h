/*
 * What the scheduler's test puts around it: a source of numbered units, a Doris that keeps labels
 * and counts the rows of each unit, and a store that fails where it is told to, over the real one.
 */
#ifndef TESTS_UNIT_SCHED_FAKES_H
#define TESTS_UNIT_SCHED_FAKES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "scheduler/sink.h"
#include "scheduler/source.h"
#include "scheduler/spec.h"
#include "scheduler/store.h"

enum { FAKE_TABLES = 100, FAKE_UNITS = 300, FAKE_LABELS = 4096, FAKE_SCRIPT = 128 };

/* What becomes of a load. */
enum fake_load {
    FAKE_OK,
    FAKE_COMMITTED,     /* visible after some questions */
    FAKE_EMPTY,         /* no row, no label */
    FAKE_REFUSED,       /* label ABORTED */
    FAKE_REFUSED_EARLY, /* before there was a transaction: no label */
    FAKE_BAD_ROWS,
    FAKE_NOT_SENT,
    FAKE_LOST_LOADED,
    FAKE_LOST_COMMITTED,
    FAKE_LOST_PREPARED, /* until it is fenced */
    FAKE_LOST_ABORTED,
    FAKE_LOST_UNSEEN,             /* it never arrived */
    N_FAKE_RANDOM,                /* those above may be drawn at random */
    FAKE_BLOCKED = N_FAKE_RANDOM, /* until canceled (killed: ABORTED, lost) or let go (OK) */
    FAKE_ROLLED_BACK,             /* transactional: the link is gone before COMMIT */
};

struct fake_label {
    char name[64];
    enum label_state state;
    int n_asked;
    int table;
    int64_t first, last; /* units */
    int64_t txn;
    bool has_row; /* transactional: an offset row was written with it */
    bool is_forgotten;
};

/* The sink. Shared with the runners: everything under `lock`. */
struct fake_doris {
    pthread_mutex_t lock;
    struct fake_label labels[FAKE_LABELS];
    size_t n_labels;
    int rows[FAKE_TABLES][FAKE_UNITS + 1];      /* visible */
    bool is_empty[FAKE_TABLES][FAKE_UNITS + 1]; /* proved empty instead */
    bool is_bad[FAKE_TABLES][FAKE_UNITS + 1];   /* refused for its rows */
    int64_t n_txns;                             /* the newest id given out */
    int64_t n_loads;                            /* statements that were sent */
    int64_t label_keep_s, label_num;            /* as traits() tells; 0: not told */
    enum fake_load script[FAKE_SCRIPT];         /* the next loads; FAKE_OK after them */
    size_t n_script, i_script;
    const char *deaf_db; /* questions about its labels are not answered */
    bool is_check_stuck; /* check() waits until it is canceled */
    int n_traits_to_fail;
    int n_blocked;     /* loads and checks that wait now */
    int go_fd;         /* eventfd: readable once blocked loads may go on */
    const char *wrong; /* the first thing that must never happen, NULL */
};

void fake_doris_init(struct fake_doris *d);
void fake_doris_fini(struct fake_doris *d);
void fake_doris_script(struct fake_doris *d, const enum fake_load *loads, size_t n);
void fake_doris_let_go(struct fake_doris *d);
void fake_doris_set_deaf(struct fake_doris *d, const char *db);
void fake_doris_set_check_stuck(struct fake_doris *d, bool is_stuck);
void fake_doris_forget_labels(struct fake_doris *d);
/* The FE cannot be reached: so many times from now, and how many of them are left. */
void fake_doris_set_outage(struct fake_doris *d, int n);
static inline int fake_doris_outage(struct fake_doris *d)
{
    pthread_mutex_lock(&d->lock);
    int n = d->n_traits_to_fail;
    pthread_mutex_unlock(&d->lock);
    return n;
}
void fake_doris_set_bad(struct fake_doris *d, int table, int64_t unit, bool is_bad);
/* Others begin so many transactions. */
void fake_doris_skip_txns(struct fake_doris *d, int64_t n);
void fake_doris_set_memory(struct fake_doris *d, int64_t keep_s, int64_t num);
int64_t fake_doris_n_loads(struct fake_doris *d);
int fake_doris_n_blocked(struct fake_doris *d);
/* Units 1 .. n of the table are there once (or were empty), but bad ones, and no other is. */
bool fake_doris_has_exactly(struct fake_doris *d, int table, int64_t n);

extern const struct sink_ops fake_sink_ops;
extern const struct source_ops fake_source_ops;

/* What all fake sources look at; set while no run is under way. */
enum { FAKE_VERIFIES = 8 };
struct fake_bucket {
    enum verify_result verify[FAKE_VERIFIES]; /* what the next verify()s find; VERIFY_SAME after */
    _Atomic int i_verify;                     /* asked so often */
    _Atomic int n_read;                       /* tracked units that the last plan has read */
    _Atomic int n_passes;
    _Atomic int n_late;
};
extern struct fake_bucket fake_bucket;
bool fake_range(struct span range, int64_t *ret_first, int64_t *ret_last);

/* The job's properties are the words of sched_fake_source.c. */
bool fake_make_spec(const struct job_record *job, int64_t default_interval_s,
                    struct job_spec **ret_spec, struct err *err);

/*
 * The store under test. Writes are counted from 1; those from fail_from to fail_to are refused, or
 * are carried out and then refused when `is_late`, which no real store may do: that is a crash.
 */
struct fake_store {
    struct store *real;
    _Atomic int64_t n_writes;
    _Atomic int64_t fail_from, fail_to;
    _Atomic bool is_late;
    int64_t last_task_ids[FAKE_LABELS]; /* by job, in the order of their first task */
    int64_t job_ids[FAKE_LABELS];
    size_t n_jobs;
    bool is_wrong; /* a task id was used twice */
};

extern const struct store_ops fake_store_ops; /* open and close are not used */

#endif
