/*
 * The calls of struct store_ops that begin and end tasks, in SQLite; store.h says what they promise.
 * Used by the parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_TASKS_H
#define SCHEDULER_STORE_TASKS_H

#include "scheduler/store.h"

enum store_result store_tasks_begin(struct store *st, const struct task_record *task,
                                    struct err *err);
enum store_result store_tasks_commit(struct store *st, const struct task_record *task,
                                     int64_t expected_committed, const struct file_marks *marks,
                                     struct err *err);
enum store_result store_tasks_end(struct store *st, int64_t job_id, int64_t task_id,
                                  const struct task_end *end, struct err *err);
enum store_result store_tasks_aside(struct store *st, int64_t job_id, int64_t task_id,
                                    const struct task_aside *aside, struct err *err);

#endif
