/*
 * Tracked and bad files in SQLite: the calls of struct store_ops about them, and the rows that go
 * with a task's end. A job's tracked files are a set with a small number of its own: there may be
 * ten million rows with it, and they may outlive the job (store_sweep.h). Used by the parts of the
 * SQLite store only.
 */
#ifndef SCHEDULER_STORE_FILES_H
#define SCHEDULER_STORE_FILES_H

#include "scheduler/store.h"

enum store_result store_files_aside(struct store *st, const struct files_aside *aside,
                                    struct err *err);
enum store_result store_files_decide(struct store *st, int64_t job_id, const char *key,
                                     enum file_decision decision, struct err *err);
int64_t store_files_n_tracked(struct store *st, int64_t job_id);

/* In the transaction under way: `marks`, NULL for none, of a job that is there. */
enum store_result store_files_mark_rows(struct store *st, int64_t job_id,
                                        const struct file_marks *marks, struct err *err);
/* Likewise, rows of bad files in the place of those with the same keys. */
enum store_result store_files_bad_rows(struct store *st, int64_t job_id,
                                       const struct bad_file *files, size_t n, struct err *err);

/* How a size and "is it bad" share a column, which saves a byte in each of millions of rows. */
static inline int64_t store_files_pack(const struct file_mark *m)
{
    return m->is_bad ? -1 - m->size : m->size;
}

static inline void store_files_unpack(int64_t packed, struct file_mark *ret)
{
    ret->is_bad = packed < 0;
    ret->size = packed < 0 ? -1 - packed : packed;
}

#endif
