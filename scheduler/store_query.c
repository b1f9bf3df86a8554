#include <assert.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/xmalloc.h"
#include "scheduler/store_error.h"
#include "scheduler/store_query.h"
#include "scheduler/store_sweep.h"

#define UNFINISHED "state IN ('PENDING', 'RUNNING')"

/* Those without a text come from the column lists of store_rows.c. */
static const char *const queries[N_QUERIES] = {
    [Q_BEGIN] = "BEGIN IMMEDIATE",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_EPOCH_RAISE] = "UPDATE meta SET epoch = epoch + 1, written_by = ?1 RETURNING epoch",
    [Q_EPOCH] = "SELECT epoch FROM meta",
    [Q_NAME_TAKEN] = "SELECT 1 FROM jobs WHERE name = ?1",
    [Q_JOB_DELETE] = "DELETE FROM jobs WHERE id = ?1",
    [Q_JOB_DELETE_TASKS] = "DELETE FROM tasks WHERE job_id = ?1",
    [Q_JOB_DELETE_BAD_FILES] = "DELETE FROM bad_files WHERE job_id = ?1",
    [Q_JOB_DELETE_FILES] = "UPDATE file_sets SET job_id = NULL WHERE job_id = ?1",
    [Q_JOB_UPDATE] = "UPDATE jobs SET state = ?2, fail_code = ?3, fail_msg = ?4, n_resumes = ?5, "
                     "n_failed = n_failed + ?6, n_canceled = n_canceled + ?7 WHERE id = ?1",
    [Q_JOB_ALTER] = "UPDATE jobs SET \"sql\" = ?2, properties = ?3, \"offset\" = ?4, "
                    "fail_code = ?5, fail_msg = ?6 WHERE id = ?1 AND state = 'PAUSED' "
                    "AND last_task_id = ?7 AND committed_task_id = ?8",
    [Q_TASK_GIVE_ID] = "UPDATE jobs SET last_task_id = ?2 WHERE id = ?1 AND last_task_id = ?2 - 1 "
                       "AND NOT EXISTS (SELECT 1 FROM tasks WHERE job_id = ?1 AND " UNFINISHED ")",
    /* The range of a task that is over is never looked at again, and may be a megabyte. */
    [Q_TASK_COMMIT] =
        "UPDATE tasks SET state = 'SUCCESS', start_ms = max(start_ms, ?4), finish_ms = ?5, "
        "txn_id = ?6, scanned_rows = ?7, load_bytes = ?8, file_number = ?9, file_size = ?10, "
        "filtered_rows = ?11, first_error = ?12, \"range\" = '' "
        "WHERE job_id = ?1 AND id = ?2 AND offset_after = ?3 AND is_retry = ?13 AND " UNFINISHED,
    [Q_JOB_COMMIT] = "UPDATE jobs SET \"offset\" = CASE ?11 WHEN 0 THEN ?3 ELSE \"offset\" END, "
                     "committed_task_id = ?2, n_succeeded = n_succeeded + 1, last_success_ms = ?4, "
                     "n_resumes = 0, "
                     /* A job that was paused meanwhile stays so, and keeps the reason. */
                     "fail_code = CASE state WHEN 'PAUSED' THEN fail_code ELSE '' END, "
                     "fail_msg = CASE state WHEN 'PAUSED' THEN fail_msg END, "
                     "scanned_rows = scanned_rows + ?5, load_bytes = load_bytes + ?6, "
                     "file_number = file_number + ?7, file_size = file_size + ?8, "
                     "filtered_rows = filtered_rows + ?9 "
                     "WHERE id = ?1 AND committed_task_id = ?10 AND last_task_id = ?2",
    [Q_TASK_END] = "UPDATE tasks SET state = ?3, error = ?4, first_error = ?5, tracking_url = ?6, "
                   "finish_ms = ?7, \"range\" = '' WHERE job_id = ?1 AND id = ?2 AND " UNFINISHED,
    [Q_TASK_KIND] = "SELECT is_retry FROM tasks WHERE job_id = ?1 AND id = ?2 AND " UNFINISHED,
    [Q_PRUNE] = "DELETE FROM tasks WHERE job_id = ?1 AND NOT " UNFINISHED " AND id <= "
                "(SELECT id FROM tasks WHERE job_id = ?1 AND NOT " UNFINISHED
                " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    [Q_OFFSET_PASS] = "UPDATE jobs SET \"offset\" = ?2 WHERE id = ?1",
    [Q_OFFSET_PASS_IDLE] =
        "UPDATE jobs SET \"offset\" = coalesce(?3, \"offset\") WHERE id = ?1 AND last_task_id = ?2 "
        "AND NOT EXISTS (SELECT 1 FROM tasks WHERE job_id = ?1 AND " UNFINISHED ")",
    [Q_SET_FIND] = "SELECT set_id FROM file_sets WHERE job_id = ?1",
    /* The lowest number that is free: small numbers are short, and there is one in every row. */
    [Q_SET_ADD] = "INSERT INTO file_sets (set_id, job_id) SELECT coalesce(min(n), 1), ?1 FROM "
                  "(SELECT set_id + 1 AS n FROM file_sets UNION ALL SELECT 1) "
                  "WHERE n NOT IN (SELECT set_id FROM file_sets) RETURNING set_id",
    [Q_FILE_ADD] = "INSERT INTO tracked_files (set_id, key, tag, size) VALUES (?1, ?2, ?3, ?4) "
                   "ON CONFLICT DO NOTHING",
    [Q_FILE_CHANGE] = "UPDATE tracked_files SET tag = ?3, size = ?4 WHERE set_id = ?1 AND key = ?2",
    [Q_FILES_COUNT] = "UPDATE jobs SET n_tracked = n_tracked + ?2 WHERE id = ?1",
    [Q_BAD_FILE_ID] = "SELECT coalesce(max(id), 0) + 1 FROM bad_files",
    [Q_BAD_FILE_DELETE] = "DELETE FROM bad_files WHERE job_id = ?1 AND key = ?2",
    [Q_BAD_FILE_RETRY] = "UPDATE bad_files SET is_retried = 1 WHERE job_id = ?1 AND key = ?2",
    [Q_BAD_FILES_RETRY] = "UPDATE bad_files SET is_retried = 1 WHERE job_id = ?1",
    [Q_N_TRACKED] = "SELECT n_tracked FROM jobs WHERE id = ?1",
    [Q_DEAD_SET] = "SELECT set_id FROM file_sets WHERE job_id IS NULL LIMIT 1",
    [Q_DEAD_SLICE] = "DELETE FROM tracked_files WHERE set_id = ?1 AND key <= (SELECT max(key) FROM "
                     "(SELECT key FROM tracked_files WHERE set_id = ?1 ORDER BY key LIMIT ?2))",
    [Q_DEAD_SET_DELETE] = "DELETE FROM file_sets WHERE set_id = ?1",
    [Q_EMPTY_LOG] = "PRAGMA wal_checkpoint(TRUNCATE)",
};

void store_query_doing(struct store *st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(st->doing, sizeof(st->doing), format, args); /* a long name is cut */
    va_end(args);
}

enum store_result store_query_fail(struct store *st, int rc, struct err *err)
{
    if (rc == STORE_ROWS_SEAL) {
        *err = st->seal.err;
        (void)err_prefix(err, "store %s: cannot %s: ", st->file.path, st->doing);
    } else {
        (void)store_error_say(st->db, rc, st->file.path, st->doing, err);
    }
    return STORE_FAIL;
}

enum store_result store_query_stale(struct store *st, struct err *err, const char *why)
{
    (void)err_say(err, "store %s: did not %s: %s; nothing was changed", st->file.path, st->doing,
                  why);
    return STORE_STALE;
}

static char *sql_of(enum store_query query)
{
    if (query == Q_JOB_INSERT) {
        return store_rows_insert_sql(&store_rows_jobs);
    }
    if (query == Q_TASK_INSERT) {
        return store_rows_insert_sql(&store_rows_tasks);
    }
    if (query == Q_BAD_FILE_INSERT) {
        return store_rows_insert_sql(&store_rows_bad_files);
    }
    if (query == Q_JOBS) {
        return store_rows_select_sql(&store_rows_jobs, "ORDER BY id");
    }
    if (query == Q_TASKS) {
        return store_rows_select_sql(&store_rows_tasks, "WHERE job_id = ?1 ORDER BY id");
    }
    if (query == Q_BAD_FILES) {
        return store_rows_select_sql(&store_rows_bad_files, "WHERE job_id = ?1 ORDER BY key");
    }
    assert(queries[query] != NULL);
    return xstrdup(queries[query]);
}

bool store_query_prepare(struct store *st, struct err *err)
{
    store_query_doing(st, "prepare its statements");
    for (size_t i = 0; i < N_QUERIES; i++) {
        _cleanup_free_ char *sql = sql_of((enum store_query)i);
        int rc =
            sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->stmts[i], NULL);
        if (rc != SQLITE_OK) {
            (void)store_query_fail(st, rc, err);
            return false;
        }
    }
    return true;
}

void store_query_finish(struct store *st)
{
    for (size_t i = 0; i < N_QUERIES; i++) {
        (void)sqlite3_finalize(st->stmts[i]); /* repeats the code of the last step */
        st->stmts[i] = NULL;
    }
}

static int bind_value(struct store *st, sqlite3_stmt *q, int at, const struct store_value *v)
{
    switch (v->type) {
    case STORE_INT: return sqlite3_bind_int64(q, at, v->i);
    /* A negative length is strlen(); a NULL text binds NULL. */
    case STORE_TEXT: return sqlite3_bind_text(q, at, v->text, -1, SQLITE_STATIC);
    case STORE_SEALED: return store_rows_bind_sealed(q, at, &st->seal, &v->place, v->text);
    case STORE_BYTES: return sqlite3_bind_blob64(q, at, v->text, strlen(v->text), SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

/* Leaves nothing borrowed and nothing open. */
static void rest(sqlite3_stmt *q)
{
    (void)sqlite3_reset(q); /* repeats the code of the step */
    (void)sqlite3_clear_bindings(q);
}

int store_query_run(struct store *st, enum store_query query, const struct store_value *values,
                    size_t n, int64_t *ret_int)
{
    sqlite3_stmt *q = st->stmts[query];
    int rc = SQLITE_OK;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        rc = bind_value(st, q, (int)i + 1, &values[i]);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    if (rc == SQLITE_ROW && ret_int != NULL) {
        *ret_int = sqlite3_column_int64(q, 0);
    }
    rest(q);
    return rc;
}

int store_query_record(struct store *st, enum store_query query,
                       const struct store_rows_table *table, const void *record)
{
    sqlite3_stmt *q = st->stmts[query];
    int rc = store_rows_bind(q, table, &st->seal, record);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    rest(q);
    return rc;
}

enum store_result store_query_one(struct store *st, enum store_query query,
                                  const struct store_value *values, size_t n, struct err *err)
{
    enum store_result result = store_query_any(st, query, values, n, err);
    if (result != STORE_OK) {
        return result;
    }
    return sqlite3_changes(st->db) == 1 ? STORE_OK : STORE_STALE;
}

enum store_result store_query_any(struct store *st, enum store_query query,
                                  const struct store_value *values, size_t n, struct err *err)
{
    int rc = store_query_run(st, query, values, n, NULL);
    return rc == SQLITE_DONE ? STORE_OK : store_query_fail(st, rc, err);
}

void store_query_rollback(struct store *st)
{
    /* SQLite has rolled back by itself after some errors. */
    if (sqlite3_get_autocommit(st->db) == 0) {
        (void)store_query_run(st, Q_ROLLBACK, NULL, 0, NULL);
    }
}

/* Writes to a file that was removed or replaced would go nowhere, and SQLite would not notice. */
static bool is_file_in_place(struct store *st)
{
    int has_moved = 0;
    int rc = sqlite3_file_control(st->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    return rc != SQLITE_OK || has_moved == 0;
}

enum store_result store_query_begin(struct store *st, struct err *err)
{
    int64_t epoch = 0;
    if (!is_file_in_place(st)) {
        (void)err_say(err,
                      "store %s: cannot %s: the file was moved or removed while in use; put it "
                      "back, or restart Sluice to begin with what is there",
                      st->file.path, st->doing);
        return STORE_FAIL;
    }
    store_query_rollback(st);
    int rc = store_query_run(st, Q_BEGIN, NULL, 0, NULL);
    if (rc != SQLITE_DONE) {
        return store_query_fail(st, rc, err);
    }
    rc = store_query_run(st, Q_EPOCH, NULL, 0, &epoch);
    if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT; /* the one row of meta is gone */
    }
    if (rc != SQLITE_ROW) {
        return store_query_fail(st, rc, err);
    }
    return epoch == st->epoch
               ? STORE_OK
               : store_query_stale(st, err, "another Sluice has taken over the store since");
}

enum store_result store_query_end(struct store *st, enum store_result result, struct err *err)
{
    if (result == STORE_OK) {
        result = store_query_any(st, Q_COMMIT, NULL, 0, err);
    }
    if (result != STORE_OK) {
        store_query_rollback(st);
        return result;
    }
    store_sweep_after_write(st);
    return result;
}
