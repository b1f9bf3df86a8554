#include <assert.h>
#include <sqlite3.h>

#include "base/xmalloc.h"
#include "scheduler/store_files.h"
#include "scheduler/store_query.h"

/* The number of the job's set, made when it has none. */
static enum store_result find_set(struct store *st, int64_t job_id, int64_t *ret, struct err *err)
{
    int rc = store_query_run(st, Q_SET_FIND, VALUES(of_int(job_id)), ret);
    if (rc == SQLITE_DONE) {
        rc = store_query_run(st, Q_SET_ADD, VALUES(of_int(job_id)), ret);
    }
    return rc == SQLITE_ROW ? STORE_OK : store_query_fail(st, rc, err);
}

/* *n_new counts the files that were not tracked before. */
static enum store_result mark_row(struct store *st, int64_t set, const struct file_mark *m,
                                  int64_t *n_new, struct err *err)
{
    const struct store_value values[] = {of_int(set), of_bytes(m->key), of_int(m->tag),
                                         of_int(store_files_pack(m))};
    enum store_result result = store_query_one(st, Q_FILE_ADD, values, ARRAY_SIZE(values), err);
    if (result == STORE_STALE) {
        return store_query_one(st, Q_FILE_CHANGE, values, ARRAY_SIZE(values), err);
    }
    *n_new += result == STORE_OK;
    return result;
}

static enum store_result add_marks(struct store *st, int64_t job_id, const struct file_marks *marks,
                                   struct err *err)
{
    int64_t set = 0;
    int64_t n_new = 0;
    enum store_result result = find_set(st, job_id, &set, err);
    for (size_t i = 0; i < marks->n_marks && result == STORE_OK; i++) {
        assert(marks->marks[i].size >= 0);
        result = mark_row(st, set, &marks->marks[i], &n_new, err);
    }
    if (result == STORE_OK && n_new > 0) {
        result = store_query_one(st, Q_FILES_COUNT, VALUES(of_int(job_id), of_int(n_new)), err);
    }
    return result;
}

enum store_result store_files_mark_rows(struct store *st, int64_t job_id,
                                        const struct file_marks *marks, struct err *err)
{
    enum store_result result = STORE_OK;
    if (marks == NULL) {
        return STORE_OK;
    }
    if (marks->n_marks > 0) {
        result = add_marks(st, job_id, marks, err);
    }
    for (size_t i = 0; i < marks->n_settled && result == STORE_OK; i++) {
        /* One that the user decided to skip meanwhile is gone already. */
        result = store_query_any(st, Q_BAD_FILE_DELETE,
                                 VALUES(of_int(job_id), of_text(marks->settled[i])), err);
    }
    return result;
}

static enum store_result bad_row(struct store *st, int64_t job_id, const struct bad_file *file,
                                 struct err *err)
{
    struct store_bad_row row = {.job_id = job_id, .file = *file}; /* its texts are borrowed */
    enum store_result result =
        store_query_any(st, Q_BAD_FILE_DELETE, VALUES(of_int(job_id), of_text(file->key)), err);
    if (result != STORE_OK) {
        return result;
    }
    int rc = store_query_run(st, Q_BAD_FILE_ID, NULL, 0, &row.id);
    if (rc == SQLITE_ROW) {
        rc = store_query_record(st, Q_BAD_FILE_INSERT, &store_rows_bad_files, &row);
    }
    return rc == SQLITE_DONE ? STORE_OK : store_query_fail(st, rc, err);
}

enum store_result store_files_bad_rows(struct store *st, int64_t job_id,
                                       const struct bad_file *files, size_t n, struct err *err)
{
    enum store_result result = STORE_OK;
    for (size_t i = 0; i < n && result == STORE_OK; i++) {
        result = bad_row(st, job_id, &files[i], err);
    }
    return result;
}

static enum store_result aside_rows(struct store *st, const struct files_aside *aside,
                                    struct err *err)
{
    enum store_result result = store_query_one(
        st, Q_OFFSET_PASS_IDLE,
        VALUES(of_int(aside->job_id), of_int(aside->last_task_id), of_text(aside->offset_after)),
        err);
    if (result == STORE_STALE) {
        return store_query_stale(
            st, err, "the job is gone, has an unfinished task, or has had another task since");
    }
    if (result == STORE_OK) {
        result = store_files_mark_rows(st, aside->job_id, aside->marks, err);
    }
    return result == STORE_OK
               ? store_files_bad_rows(st, aside->job_id, aside->files, aside->n_files, err)
               : result;
}

enum store_result store_files_aside(struct store *st, const struct files_aside *aside,
                                    struct err *err)
{
    store_query_doing(st, "set %zu files of job %lld aside", aside->n_files,
                      (long long)aside->job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = aside_rows(st, aside, err);
    }
    return store_query_end(st, result, err);
}

/* Of one bad file, or of all of a job. At least one must be there. */
static enum store_result decide_rows(struct store *st, int64_t job_id, const char *key,
                                     enum file_decision decision, struct err *err)
{
    const struct store_value values[] = {of_int(job_id), of_text(key)};
    bool is_skip = decision == FILE_SKIP;
    enum store_query of_one = is_skip ? Q_BAD_FILE_DELETE : Q_BAD_FILE_RETRY;
    enum store_query of_all = is_skip ? Q_JOB_DELETE_BAD_FILES : Q_BAD_FILES_RETRY;
    enum store_result result = key != NULL ? store_query_any(st, of_one, values, 2, err)
                                           : store_query_any(st, of_all, values, 1, err);
    return result == STORE_OK && sqlite3_changes(st->db) == 0
               ? store_query_stale(st, err, "no such file of the job is set aside")
               : result;
}

enum store_result store_files_decide(struct store *st, int64_t job_id, const char *key,
                                     enum file_decision decision, struct err *err)
{
    store_query_doing(st, "%s %s of job %lld", decision == FILE_SKIP ? "skip" : "retry",
                      key != NULL ? key : "the files", (long long)job_id);
    enum store_result result = store_query_begin(st, err);
    if (result == STORE_OK) {
        result = decide_rows(st, job_id, key, decision, err);
    }
    return store_query_end(st, result, err);
}

int64_t store_files_n_tracked(struct store *st, int64_t job_id)
{
    int64_t n = 0;
    return store_query_run(st, Q_N_TRACKED, VALUES(of_int(job_id)), &n) == SQLITE_ROW ? n : -1;
}
