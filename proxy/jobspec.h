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

struct stmt_create;

/*
 * `current_db` may be NULL, which is an error when the target is unqualified. On success the caller
 * owns both: *ret_spec (job_spec_destroy) and the texts of *ret_job (job_record_fini).
 */
bool jobspec_from_create(const struct stmt_create *create, const char *definer,
                         const char *current_db, int64_t default_interval_s,
                         struct job_spec **ret_spec, struct job_record *ret_job, struct err *err);
/* A sched_make_spec_fn. */
bool jobspec_from_record(const struct job_record *job, int64_t default_interval_s,
                         struct job_spec **ret_spec, struct err *err);

#endif
