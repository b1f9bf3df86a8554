/*
 * From the parsed statement to what the scheduler keeps: checks the job's properties (messages as
 * in Doris's StreamingJobProperties.java), resolves the target's database, and makes spec and
 * record. Also the way back: the spec of a job read from the store. Pure; any thread.
 */
#ifndef PROXY_JOBSPEC_H
#define PROXY_JOBSPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/record.h"
#include "scheduler/spec.h"

struct stmt_alter;
struct stmt_create;

/*
 * `current_db` may be NULL, which is an error when the target is unqualified. On success the caller
 * owns both: *ret_spec (job_spec_destroy) and the texts of *ret_job (job_record_fini).
 */
bool jobspec_from_create(const struct stmt_create *create, const char *definer,
                         const char *current_db, int64_t default_interval_s,
                         struct job_spec **ret_spec, struct job_record *ret_job, struct err *err);
struct jobspec_alter {
    struct job_spec *spec;
    struct job_record job; /* the job as it shall be, but for its offset */
    bool moves_offset;     /* the statement has property "offset" */
    bool changes_load;     /* a task loaded again would not load the same: see sched.h */
    bool changes_rules;    /* the guarantee, or how files are found: see sched.h */
    bool only_paces;       /* only when and how much is loaded changes: nothing is to be asked */
};

/*
 * The rules of Doris's AlterJobCommand.java: only a PAUSED job, the same target, the same table
 * function and uri, something changed; properties are merged. `base` is the job as found; one whose
 * SQL is not understood any more needs an INSERT. On success the caller owns ret->spec and ret->job.
 */
bool jobspec_from_alter(const struct stmt_alter *alter, const struct job_record *base,
                        int64_t default_interval_s, struct jobspec_alter *ret, struct err *err);
/* A sched_make_spec_fn. */
bool jobspec_from_record(const struct job_record *job, int64_t default_interval_s,
                         struct job_spec **ret_spec, struct err *err);

#endif
