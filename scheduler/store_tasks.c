#include <assert.h>
#include <sqlite3.h>

#include "base/xmalloc.h"
#include "scheduler/store_files.h"
#include "scheduler/store_jobs.h"
#include "scheduler/store_query.h"
#include "scheduler/store_tasks.h"

static enum store_result begin_rows(struct store *st, const struct task_record *task,
                                    struct err *err)
{
    enum store_result result =
        store_query_one(st, Q_TASK_GIVE_ID, VALUES(of_int(task->job_id), of_int(task->id)), err);
    if (result == STORE_STALE) {
        return store_query_stale(
            st, err, "the job is gone, has an unfinished task, or its last task is another one");
    }
    if (result != STORE_OK) {
        return result;
    }
    int rc = store_query_record(st, Q_TASK_INSERT, &store_rows_tasks, task);
    return rc == SQLITE_DONE ? STORE_OK : store_query_fail(st, rc, err);
}

enum store_result store_tasks_begin(struct store *st, const struct task_record *task,
                                    struct err *err)
{
    assert(!task_state_is_final(task->state));
    assert(task->range != NULL && task->offset_after != NULL && task->label != NULL);
    store_query_doing(st, "begin task %lld of job %lld", (long long)task->id,
                      (long long)task->job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = begin_rows(st, task, err);
    }
    return store_query_end(st, result, err);
}

static enum store_result prune(struct store *st, int64_t job_id, struct err *err)
{
    return store_query_any(st, Q_PRUNE, VALUES(of_int(job_id), of_int(STORE_TASKS_KEPT)), err);
}

static enum store_result commit_task_row(struct store *st, const struct task_record *t,
                                         struct err *err)
{
    const struct load_stat *s = &t->stat;
    enum store_result result = store_query_one(
        st, Q_TASK_COMMIT,
        VALUES(of_int(t->job_id), of_int(t->id), of_text(t->offset_after), of_int(t->start_ms),
               of_int(t->finish_ms), of_text(t->txn_id), of_int(s->scanned_rows),
               of_int(s->load_bytes), of_int(s->file_number), of_int(s->file_size),
               of_int(s->filtered_rows),
               of_task_secret(t->job_id, t->id, "first_error", t->first_error),
               of_int(t->is_retry)),
        err);
    return result == STORE_STALE
               ? store_query_stale(st, err, "it is not the job's unfinished task with that offset")
               : result;
}

static enum store_result commit_job_row(struct store *st, const struct task_record *t,
                                        int64_t expected_committed, struct err *err)
{
    const struct load_stat *s = &t->stat;
    enum store_result result = store_query_one(
        st, Q_JOB_COMMIT,
        VALUES(of_int(t->job_id), of_int(t->id), of_text(t->offset_after), of_int(t->finish_ms),
               of_int(s->scanned_rows), of_int(s->load_bytes), of_int(s->file_number),
               of_int(s->file_size), of_int(s->filtered_rows), of_int(expected_committed),
               of_int(t->is_retry)),
        err);
    return result == STORE_STALE
               ? store_query_stale(st, err, "another task was committed in between")
               : result;
}

static enum store_result commit_rows(struct store *st, const struct task_record *t,
                                     int64_t expected_committed, const struct file_marks *marks,
                                     struct err *err)
{
    enum store_result result = commit_task_row(st, t, err);
    if (result == STORE_OK) {
        result = commit_job_row(st, t, expected_committed, err);
    }
    if (result == STORE_OK) {
        result = store_files_mark_rows(st, t->job_id, marks, err);
    }
    return result == STORE_OK ? prune(st, t->job_id, err) : result;
}

enum store_result store_tasks_commit(struct store *st, const struct task_record *task,
                                     int64_t expected_committed, const struct file_marks *marks,
                                     struct err *err)
{
    assert(task->offset_after != NULL);
    store_query_doing(st, "commit task %lld of job %lld", (long long)task->id,
                      (long long)task->job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = commit_rows(st, task, expected_committed, marks, err);
    }
    return store_query_end(st, result, err);
}

static enum store_result end_rows(struct store *st, int64_t job_id, int64_t task_id,
                                  const struct task_end *end, struct err *err)
{
    enum store_result result = store_query_one(
        st, Q_TASK_END,
        VALUES(of_int(job_id), of_int(task_id), of_text(task_state_name(end->state)),
               of_task_secret(job_id, task_id, "error", end->error),
               of_task_secret(job_id, task_id, "first_error", end->first_error),
               of_task_secret(job_id, task_id, "tracking_url", end->tracking_url),
               of_int(end->finish_ms)),
        err);
    if (result == STORE_STALE) {
        return store_query_stale(st, err, "it is not the job's unfinished task");
    }
    if (result == STORE_OK) {
        result = store_jobs_update_row(st, job_id, &end->job, end->state, err);
    }
    return result == STORE_OK ? prune(st, job_id, err) : result;
}

enum store_result store_tasks_end(struct store *st, int64_t job_id, int64_t task_id,
                                  const struct task_end *end, struct err *err)
{
    assert(end->state == TASK_FAILED || end->state == TASK_CANCELED);
    assert(end->state != TASK_FAILED || end->error != NULL);
    store_query_doing(st, "end task %lld of job %lld", (long long)task_id, (long long)job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = end_rows(st, job_id, task_id, end, err);
    }
    return store_query_end(st, result, err);
}

/* Before the task ends: a retry was planned behind the job's offset and says nothing about it. */
static enum store_result pass_offset(struct store *st, int64_t job_id, int64_t task_id,
                                     const char *offset_after, struct err *err)
{
    int64_t is_retry = 0;
    if (offset_after == NULL) {
        return STORE_OK;
    }
    int rc = store_query_run(st, Q_TASK_KIND, VALUES(of_int(job_id), of_int(task_id)), &is_retry);
    if (rc == SQLITE_DONE) {
        return store_query_stale(st, err, "it is not the job's unfinished task");
    }
    if (rc != SQLITE_ROW) {
        return store_query_fail(st, rc, err);
    }
    if (is_retry != 0) {
        return store_query_stale(st, err, "a retry of a file does not move the job's offset");
    }
    return store_query_any(st, Q_OFFSET_PASS, VALUES(of_int(job_id), of_text(offset_after)), err);
}

static enum store_result aside_rows(struct store *st, int64_t job_id, int64_t task_id,
                                    const struct task_aside *aside, struct err *err)
{
    enum store_result result = pass_offset(st, job_id, task_id, aside->offset_after, err);
    if (result == STORE_OK) {
        result = end_rows(st, job_id, task_id, &aside->end, err);
    }
    if (result == STORE_OK) {
        result = store_files_mark_rows(st, job_id, aside->marks, err);
    }
    return result == STORE_OK ? store_files_bad_rows(st, job_id, aside->file, 1, err) : result;
}

enum store_result store_tasks_aside(struct store *st, int64_t job_id, int64_t task_id,
                                    const struct task_aside *aside, struct err *err)
{
    assert(aside->end.state == TASK_FAILED && aside->end.error != NULL);
    store_query_doing(st, "set the file of task %lld of job %lld aside", (long long)task_id,
                      (long long)job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = aside_rows(st, job_id, task_id, aside, err);
    }
    return store_query_end(st, result, err);
}
