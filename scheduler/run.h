/*
 * One piece of blocking work for a job, and the bounded pool of threads that does it.
 *
 *     scheduler thread                                     runner thread
 *     run_pool_submit(pool, run) -> idle runner's queue -> run_work(run): source and sink calls
 *     on_done(run) <------------- scheduler's queue <----- the same struct, outputs filled
 *
 * A run belongs to the runner between submit and done; the scheduler keeps a borrowed pointer only
 * to raise its cancel flag. At most one run per job is under way.
 */
#ifndef SCHEDULER_RUN_H
#define SCHEDULER_RUN_H

#include "base/msgq.h"
#include "scheduler/cancel.h"
#include "scheduler/record.h"
#include "scheduler/sink.h"
#include "scheduler/source.h"
#include "scheduler/spec.h"

enum run_kind { RUN_CHECK, RUN_PLAN, RUN_LOAD, RUN_ASK, RUN_FENCE, RUN_EXPLAIN };

/* What a job's runs share; counted by the scheduler's thread, immutable but for the source's own. */
struct job_body {
    int n_refs;
    struct job_spec *spec;        /* owned */
    const struct source_ops *ops; /* NULL: the source could not be made (RUN_EXPLAIN only) */
    struct source *source;        /* owned */
};

struct job_body *job_body_create(struct job_spec *spec, const struct source_ops *ops,
                                 struct source *source);
struct job_body *job_body_ref(struct job_body *b);
void job_body_unref(struct job_body *b); /* NULL is accepted */

struct run {
    struct msg m; /* first: a run travels as a message */
    enum run_kind kind;
    struct cancel cancel;
    struct job_body *body; /* a reference, dropped by the scheduler's thread */
    const struct sink_ops *sink_ops;
    struct sink *sink;
    void *owner;    /* the scheduler's: job or request, NULL when gone meanwhile */
    size_t runner;  /* the pool's: which thread has it */
    int64_t due_ms; /* CHECK, EXPLAIN: monotonic, no thread begins with it later than that */

    /* In; owned texts. */
    int64_t timeout_ms;
    int64_t statement_timeout_s;
    char *offset;
    char *range;
    char *label;
    char *db;
    int64_t label_window_ms; /* EXPLAIN */
    int64_t start_ms;        /* wall clock, set when the work begins */

    /* Out. */
    enum plan_result plan_result;
    struct plan plan;
    enum load_result load_result;
    struct load_report load;
    enum label_state label_state;
    struct label_report label_report;
    bool is_ok; /* CHECK, FENCE; PLAN: the FE could be reached */
    struct err err;
    struct explain explain; /* EXPLAIN */
};

struct run *run_create(enum run_kind kind, struct job_body *body, const struct sink_ops *sink_ops,
                       struct sink *sink);
/* On the scheduler's thread. NULL is accepted. */
void run_destroy(struct run *run);
/* Blocks; fills the outputs. Runner threads. */
void run_work(struct run *run);
/* run_explain.c: the work of RUN_EXPLAIN. */
void run_explain(struct run *run, int64_t deadline_us);

struct run_pool;

/* Finished runs are sent to `done`. */
struct run_pool *run_pool_create(size_t n_threads, struct msgq *done, struct err *err);
/* Ends and joins the threads; no run may be under way or waiting. NULL is accepted. */
void run_pool_destroy(struct run_pool *pool);
/*
 * Ownership moves to the pool until the run comes back. RUN_CHECK and RUN_EXPLAIN together have half
 * of the threads at most: however many statements wait for a source that is silent, the jobs go on.
 */
void run_pool_submit(struct run_pool *pool, struct run *run);
/* The scheduler calls it for every run that comes back, before anything else. */
void run_pool_done(struct run_pool *pool, const struct run *run);
size_t run_pool_n_busy(const struct run_pool *pool); /* under way or waiting */
/* Has a thread begun with it, or does it wait for one? */
bool run_pool_has_begun(const struct run_pool *pool, const struct run *run);
/*
 * Of the CHECKs and EXPLAINs that no thread has begun: the one that has waited longest, NULL when
 * there is none. run_pool_give_up() takes it back.
 */
struct run *run_pool_oldest_asked(const struct run_pool *pool);
void run_pool_give_up(struct run_pool *pool, struct run *run);
/* The runs that threads have; `each` may raise their cancel flags, the rest is the runner's. */
void run_pool_each_busy(const struct run_pool *pool, void (*each)(struct run *run, void *arg),
                        void *arg);
/* Takes back the runs that no thread has begun; `drop` gets each. */
void run_pool_drop_waiting(struct run_pool *pool, void (*drop)(struct run *run, void *arg),
                           void *arg);

#endif
