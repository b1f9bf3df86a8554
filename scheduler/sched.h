/*
 * The scheduler: one thread, one event loop, one timing wheel. It alone changes jobs and calls the
 * store; decisions come from step.h, blocking work goes to the runners (run.h), other threads talk
 * to it through requests and see snapshots (view.h).
 *
 *     worker, admin --sched_send(request)--> queue --> sched.c --> step() --> store
 *           ^                                            |  ^
 *           +---- the same request, answered ------------+  +---- runs that ended
 */
#ifndef SCHEDULER_SCHED_H
#define SCHEDULER_SCHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/msgq.h"
#include "scheduler/explain.h"
#include "scheduler/record.h"
#include "scheduler/sink.h"
#include "scheduler/source.h"
#include "scheduler/spec.h"
#include "scheduler/step.h"
#include "scheduler/store.h"
#include "scheduler/view.h"

struct sched;

/* Written by the scheduler's thread, read by anyone. */
struct sched_counters {
    _Atomic int64_t jobs[5];              /* by enum job_state */
    _Atomic int64_t paused[N_FAIL_CODES]; /* of the PAUSED ones: by enum fail_code */
    _Atomic int64_t files_aside; /* bad ones of all jobs; late and overwritten as far as known */
    _Atomic int64_t files_late;
    _Atomic int64_t files_overwritten;
    _Atomic int64_t tasks_succeeded; /* since the start of the process, as all below */
    _Atomic int64_t tasks_failed;
    _Atomic int64_t tasks_canceled;
    _Atomic int64_t rows_loaded;
    _Atomic int64_t stale_writes; /* refused by the store's compare-and-set */
    _Atomic int64_t failed_writes;
    _Atomic int64_t in_doubt; /* times a job was paused with IN_DOUBT */
};

/* Makes the spec of a stored job; injected, since only the proxy knows SQL. */
typedef bool (*sched_make_spec_fn)(const struct job_record *job, int64_t default_interval_s,
                                   struct job_spec **ret_spec, struct err *err);

struct sched_options {
    const struct store_ops *store_ops;
    struct store *store;                     /* open; stays the caller's to close afterwards */
    const struct source_ops *const *sources; /* NULL-terminated */
    const struct sink_ops *sink_ops;
    struct sink *sink; /* borrowed */
    sched_make_spec_fn make_spec;
    struct step_config step;
    size_t n_runners;
    int64_t max_jobs;
    int64_t default_interval_s;
    int64_t task_timeout_s;
};

enum sched_op {
    SCHED_CREATE, /* in: job (name … properties), spec. The source and the FE are asked first */
    SCHED_FIND,   /* in: name. Out: is_found, job_id, job: a copy */
    /*
     * in: name, job_id; job: sql, properties and targets as they shall be; spec made of them; base:
     * the record as found, refused when somebody else changed it meanwhile; moves_offset,
     * changes_load, changes_rules, only_paces. Only when PAUSED; it waits for RESUME then, whatever
     * PAUSED it. The source and the FE are asked first, unless it only_paces.
     */
    SCHED_ALTER,
    SCHED_PAUSE, /* in: name, job_id as found */
    SCHED_RESUME,
    SCHED_DROP,
    SCHED_RESOLVE, /* and task_id, is_committed */
    SCHED_CANCEL,  /* and task_id. Asked for, not done: tasks() shows what came of it */
    /*
     * RETRY FILE (is_retry), SKIP FILE. in: name, job_id, file_key (NULL: all of the job), is_retry.
     * Out: n_files: how many bad files that was. An unknown key is an error, no files at all with
     * NULL, too.
     */
    SCHED_FILE,
    SCHED_EXPLAIN, /* in: name, job_id. Out: explain: why it is or is not moving */
    /*
     * in: job, spec as for CREATE, perhaps lines in explain. Out: explain: those and what CREATE
     * would do. SCHED_FORGET ends it early.
     */
    SCHED_CHECK,
    SCHED_FORGET,   /* in: session_id, which waits no longer for its SCHED_CHECK. No reply */
    SCHED_SNAPSHOT, /* out: snapshot */
};

/* Owned by whoever has it; sent to the scheduler, it comes back to reply_to with the outputs. */
struct sched_request {
    struct msg_call call; /* first; the sender sets call.run for the way back */
    enum sched_op op;
    struct msgq *reply_to; /* borrowed: outlives the scheduler */
    uint64_t session_id;   /* the sender's */
    char *user;            /* who sends it, as logs shall tell: user@host; NULL: not known */

    struct job_record job;
    struct job_record base;
    bool moves_offset;  /* PROPERTIES of the ALTER JOB had an offset */
    bool changes_load;  /* its INSERT differs from the job's in more than credentials */
    bool changes_rules; /* its guarantee, or how its files are found */
    bool only_paces;    /* ALTER: nothing that the source or the FE would have to be asked about */
    struct job_spec *spec;
    char *name;
    int64_t job_id;
    int64_t task_id;
    bool is_committed;
    char *file_key;
    bool is_retry;

    bool is_ok; /* false: err says why, nothing was changed */
    struct err err;
    bool is_found;
    struct snapshot *snapshot;
    struct explain explain;
    size_t n_files;
};

struct sched_request *sched_request_create(enum sched_op op, struct msgq *reply_to,
                                           uint64_t session_id);
void sched_request_destroy(struct sched_request *r); /* NULL is accepted */

/* Reads all jobs from the store; a job whose SQL cannot be understood any more is PAUSED. */
struct sched *sched_create(const struct sched_options *options, struct err *err);
bool sched_start(struct sched *s, struct err *err);
/* From any thread; ownership of the request moves. */
void sched_send(struct sched *s, struct sched_request *r);
/*
 * Plans nothing new, lets running loads end for at most drain_ms, then cancels them (the next start
 * resolves what is in doubt). Blocks until the thread has ended. Once, from the main thread.
 */
void sched_stop(struct sched *s, int64_t drain_ms);
void sched_destroy(struct sched *s); /* NULL is accepted */
const struct sched_counters *sched_counters(const struct sched *s);

#endif
