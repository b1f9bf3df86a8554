/*
 * One piece of blocking work for a job (run_work.c, run_explain.c), and the bounded pool of threads
 * that does it (run.c).
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
#include "scheduler/store.h"
#include "scheduler/view.h"

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
    bool is_proven;       /* LOAD: as in load_request */
    int64_t job_id;       /* 0: of no job yet */
    int64_t task_id;      /* LOAD; ASK of a transactional task, else 0 */
    int64_t succeeded_id; /* likewise: the job's newest task that succeeded, 0: none has */
    char *offset; /* plans: the committed one; LOAD, ASK with task_id: the one after the task */
    char *range;
    char *label;
    char *db;
    int64_t max_files;         /* PLAN: as in plan_request, and the two that follow */
    struct bad_view *bad;      /* a reference */
    struct task_view **passes; /* references to tasks that succeeded, oldest first */
    size_t n_passes;
    /* LOAD: monotonic, when the listing began that found it, or, out, it was checked; 0: unknown */
    int64_t listed_us;
    int64_t send_by_us;      /* LOAD: as in load_request */
    int64_t label_window_ms; /* EXPLAIN */
    int64_t start_ms;        /* wall clock, set when the work begins */
    int64_t start_us;        /* monotonic, likewise */

    /* Out. */
    enum plan_result plan_result;
    struct plan plan;
    enum load_result load_result;
    struct load_report load;
    bool is_source_down; /* LOAD_NOT_SENT: it was the source that could not be asked */
    struct err changed;  /* LOAD: it is loaded, and the source is not what was planned any more */
    struct fe_traits traits;
    bool has_traits;
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

/* What a runner's thread keeps from one run to the next. */
struct run_thread {
    const struct store_ops *store_ops; /* borrowed, as the store; NULL: no source tracks files */
    const struct store *store;
    struct file_reader *reader; /* opened when first needed */
};

/* Blocks; fills the outputs. Runner threads. */
void run_work(struct run *run, struct run_thread *thread);
/* run_explain.c: the work of RUN_EXPLAIN. */
void run_explain(struct run *run, struct run_thread *thread, int64_t deadline_us);
/*
 * run_work.c: all of a plan_request that the run knows. False: the source tracks files, and they
 * cannot be read. run_request_fini() in any case.
 */
bool run_request_init(struct run *run, struct run_thread *thread, const struct fe_traits *traits,
                      int64_t deadline_us, struct plan_request *ret, struct err *err);
void run_request_fini(struct plan_request *request);
void run_thread_fini(struct run_thread *thread);

struct run_pool;

/*
 * At most n_threads, made when they are needed first, but for one, which shows whether any can be.
 * Finished runs are sent to `done`. `store` is borrowed and must outlive the pool.
 */
struct run_pool *run_pool_create(size_t n_threads, struct msgq *done,
                                 const struct store_ops *store_ops, const struct store *store,
                                 struct err *err);
/* Ends and joins the threads; no run may be under way or waiting. NULL is accepted. */
void run_pool_destroy(struct run_pool *pool);
/*
 * Ownership moves to the pool until the run comes back. What may take long does not keep others from
 * a thread: loads have all but an eighth of them at most (all but 3, of a few), CHECK and EXPLAIN
 * together a half; one is always left for PLAN, ASK and FENCE, and one more for ASK and FENCE alone.
 * Those that have to wait do so in the order ASK and FENCE, LOAD with a time to be sent by, LOAD, the
 * rest.
 */
void run_pool_submit(struct run_pool *pool, struct run *run);
/* The scheduler calls it for every run that comes back, before anything else. */
void run_pool_done(struct run_pool *pool, const struct run *run);
size_t run_pool_n_busy(const struct run_pool *pool);    /* under way or waiting */
size_t run_pool_n_threads(const struct run_pool *pool); /* made so far */
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
