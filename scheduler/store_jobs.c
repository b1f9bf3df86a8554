#include <assert.h>
#include <sqlite3.h>

#include "base/xmalloc.h"
#include "scheduler/store_jobs.h"
#include "scheduler/store_query.h"
#include "scheduler/store_sweep.h"

static enum store_result insert_row(struct store *st, const struct job_record *job, struct err *err)
{
    int rc = store_query_run(st, Q_NAME_TAKEN, VALUES(of_text(job->name)), NULL);
    if (rc == SQLITE_ROW) {
        (void)err_say(err, "job %s already exists", job->name);
        return STORE_DUPLICATE;
    }
    if (rc == SQLITE_DONE) {
        rc = store_query_record(st, Q_JOB_INSERT, &store_rows_jobs, job);
    }
    return rc == SQLITE_DONE ? STORE_OK : store_query_fail(st, rc, err);
}

enum store_result store_jobs_insert(struct store *st, const struct job_record *job, struct err *err)
{
    assert(job->name != NULL && job->sql != NULL);
    store_query_doing(st, "create job %s", job->name);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = insert_row(st, job, err);
    }
    return store_query_end(st, result, err);
}

/*
 * Its tracked files lose their job here and their rows later: nothing finds them any more, also
 * after a crash, and a job that is made later has another set.
 */
static enum store_result delete_rows(struct store *st, int64_t job_id, struct err *err)
{
    static const enum store_query what_it_has[] = {Q_JOB_DELETE_TASKS, Q_JOB_DELETE_BAD_FILES,
                                                   Q_JOB_DELETE_FILES};
    for (size_t i = 0; i < ARRAY_SIZE(what_it_has); i++) {
        enum store_result result = store_query_any(st, what_it_has[i], VALUES(of_int(job_id)), err);
        if (result != STORE_OK) {
            return result;
        }
    }
    enum store_result result = store_query_one(st, Q_JOB_DELETE, VALUES(of_int(job_id)), err);
    return result == STORE_STALE ? store_query_stale(st, err, "there is no such job") : result;
}

enum store_result store_jobs_delete(struct store *st, int64_t job_id, struct err *err)
{
    store_query_doing(st, "delete job %lld", (long long)job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = delete_rows(st, job_id, err);
    }
    result = store_query_end(st, result, err);
    if (result == STORE_OK) {
        store_sweep_look(st);
    }
    return result;
}

enum store_result store_jobs_update_row(struct store *st, int64_t job_id,
                                        const struct job_update *u, enum task_state ended,
                                        struct err *err)
{
    enum store_result result =
        store_query_one(st, Q_JOB_UPDATE,
                        VALUES(of_int(job_id), of_text(job_state_name(u->state)),
                               of_text(fail_code_name(u->fail_code)),
                               of_job_secret(job_id, "fail_msg", u->fail_msg), of_int(u->n_resumes),
                               of_int(ended == TASK_FAILED), of_int(ended == TASK_CANCELED)),
                        err);
    return result == STORE_STALE ? store_query_stale(st, err, "there is no such job") : result;
}

enum store_result store_jobs_update(struct store *st, int64_t job_id, const struct job_update *u,
                                    struct err *err)
{
    store_query_doing(st, "update job %lld", (long long)job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = store_jobs_update_row(st, job_id, u, TASK_RUNNING, err);
    }
    return store_query_end(st, result, err);
}

static enum store_result alter_row(struct store *st, const struct job_record *job, struct err *err)
{
    const char *properties = job->properties != NULL ? job->properties : "";
    enum store_result result =
        store_query_one(st, Q_JOB_ALTER,
                        VALUES(of_int(job->id), of_job_secret(job->id, "\"sql\"", job->sql),
                               of_job_secret(job->id, "properties", properties),
                               of_text(job->offset), of_text(fail_code_name(job->fail_code)),
                               of_job_secret(job->id, "fail_msg", job->fail_msg),
                               of_int(job->last_task_id), of_int(job->committed_task_id)),
                        err);
    return result == STORE_STALE
               ? store_query_stale(st, err,
                                   "the job is gone, is not PAUSED, or has had another task since")
               : result;
}

enum store_result store_jobs_alter(struct store *st, const struct job_record *job, struct err *err)
{
    assert(job->state == JOB_PAUSED && job->sql != NULL);
    store_query_doing(st, "alter job %s", job->name);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = alter_row(st, job, err);
        /* The log keeps what was taken out until it is copied back and emptied. */
        st->has_traces = st->has_traces || result == STORE_OK;
    }
    return store_query_end(st, result, err);
}
