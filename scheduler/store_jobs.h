/*
 * The calls of struct store_ops that change jobs, in SQLite; store.h says what they promise. Used by
 * the parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_JOBS_H
#define SCHEDULER_STORE_JOBS_H

#include "scheduler/store.h"

enum store_result store_jobs_insert(struct store *st, const struct job_record *job,
                                    struct err *err);
enum store_result store_jobs_delete(struct store *st, int64_t job_id, struct err *err);
enum store_result store_jobs_update(struct store *st, int64_t job_id, const struct job_update *u,
                                    struct err *err);
enum store_result store_jobs_alter(struct store *st, const struct job_record *job, struct err *err);

/*
 * The row alone, in the transaction under way. `ended`: how a task of the job ended with it,
 * TASK_RUNNING when none did.
 */
enum store_result store_jobs_update_row(struct store *st, int64_t job_id,
                                        const struct job_update *u, enum task_state ended,
                                        struct err *err);

#endif
