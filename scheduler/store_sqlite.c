/*
 * The store in one SQLite file. Every write goes
 *
 *     write_begin   BEGIN IMMEDIATE; is the epoch still ours?
 *     change_one    UPDATE/INSERT/DELETE whose WHERE names what must be there; one row or STALE
 *     write_end     COMMIT, or ROLLBACK of everything
 *
 * and with synchronous=FULL the COMMIT is on the disk when it returns.
 */
#include <assert.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/xmalloc.h"
#include "scheduler/store.h"
#include "scheduler/store_crypt.h"
#include "scheduler/store_error.h"
#include "scheduler/store_file.h"
#include "scheduler/store_rows.h"
#include "scheduler/store_schema.h"

enum query {
    Q_BEGIN,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_EPOCH_RAISE,
    Q_EPOCH,
    Q_JOBS,
    Q_TASKS,
    Q_NAME_TAKEN,
    Q_JOB_INSERT,
    Q_JOB_DELETE,
    Q_JOB_DELETE_TASKS,
    Q_JOB_UPDATE,
    Q_JOB_ALTER,
    Q_TASK_INSERT,
    Q_TASK_GIVE_ID,
    Q_TASK_COMMIT,
    Q_JOB_COMMIT,
    Q_TASK_END,
    Q_PRUNE,
    Q_FORGET,
    N_QUERIES
};

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
    [Q_JOB_UPDATE] = "UPDATE jobs SET state = ?2, fail_code = ?3, fail_msg = ?4, n_resumes = ?5, "
                     "n_failed = n_failed + ?6, n_canceled = n_canceled + ?7 WHERE id = ?1",
    [Q_TASK_GIVE_ID] = "UPDATE jobs SET last_task_id = ?2 WHERE id = ?1 AND last_task_id = ?2 - 1 "
                       "AND NOT EXISTS (SELECT 1 FROM tasks WHERE job_id = ?1 AND " UNFINISHED ")",
    [Q_TASK_COMMIT] =
        "UPDATE tasks SET state = 'SUCCESS', start_ms = max(start_ms, ?4), finish_ms = ?5, "
        "txn_id = ?6, scanned_rows = ?7, load_bytes = ?8, file_number = ?9, file_size = ?10, "
        "filtered_rows = ?11, first_error = ?12 "
        "WHERE job_id = ?1 AND id = ?2 AND offset_after = ?3 AND " UNFINISHED,
    [Q_JOB_COMMIT] =
        "UPDATE jobs SET \"offset\" = ?3, committed_task_id = ?2, n_succeeded = n_succeeded + 1, "
        "last_success_ms = ?4, n_resumes = 0, "
        /* A job that was paused meanwhile stays so, and keeps the reason. */
        "fail_code = CASE state WHEN 'PAUSED' THEN fail_code ELSE '' END, "
        "fail_msg = CASE state WHEN 'PAUSED' THEN fail_msg END, "
        "scanned_rows = scanned_rows + ?5, load_bytes = load_bytes + ?6, "
        "file_number = file_number + ?7, file_size = file_size + ?8, "
        "filtered_rows = filtered_rows + ?9 "
        "WHERE id = ?1 AND committed_task_id = ?10 AND last_task_id = ?2",
    [Q_TASK_END] = "UPDATE tasks SET state = ?3, error = ?4, first_error = ?5, tracking_url = ?6, "
                   "finish_ms = ?7 WHERE job_id = ?1 AND id = ?2 AND " UNFINISHED,
    [Q_PRUNE] = "DELETE FROM tasks WHERE job_id = ?1 AND NOT " UNFINISHED " AND id <= "
                "(SELECT id FROM tasks WHERE job_id = ?1 AND NOT " UNFINISHED
                " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    [Q_FORGET] = "PRAGMA wal_checkpoint(TRUNCATE)",
};

struct store {
    struct store_file file;
    sqlite3 *db;                    /* owned */
    sqlite3_stmt *stmts[N_QUERIES]; /* owned; prepared by open, so that ROLLBACK needs no memory */
    struct store_seal seal;         /* the keys */
    int64_t epoch;
    char doing[160]; /* completes "cannot ", for errors of the call under way */
};

/* A parameter of a query; texts are borrowed for the step. */
struct value {
    bool is_int;
    int64_t i;
    const char *text;          /* NULL is NULL */
    struct store_place sealed; /* the column when the text is to be encrypted */
};

static struct value of_int(int64_t i)
{
    return (struct value){.is_int = true, .i = i};
}

static struct value of_text(const char *text)
{
    return (struct value){.text = text};
}

static struct value of_job_secret(int64_t job_id, const char *column, const char *text)
{
    return (struct value){.text = text,
                          .sealed = {.table = "jobs", .column = column, .job_id = job_id}};
}

static struct value of_task_secret(int64_t job_id, int64_t task_id, const char *column,
                                   const char *text)
{
    return (struct value){
        .text = text,
        .sealed = {.table = "tasks", .column = column, .job_id = job_id, .task_id = task_id},
    };
}

#define VALUES(...)                                                                                \
    (const struct value[]){__VA_ARGS__}, ARRAY_SIZE(((const struct value[]){__VA_ARGS__}))

static void doing(struct store *st, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void doing(struct store *st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(st->doing, sizeof(st->doing), format, args); /* a long name is cut */
    va_end(args);
}

static enum store_result fail(struct store *st, int rc, struct err *err)
{
    if (rc == STORE_ROWS_SEAL) {
        *err = st->seal.err;
        (void)err_prefix(err, "store %s: cannot %s: ", st->file.path, st->doing);
    } else {
        (void)store_error_say(st->db, rc, st->file.path, st->doing, err);
    }
    return STORE_FAIL;
}

static enum store_result stale(struct store *st, struct err *err, const char *why)
{
    (void)err_say(err, "store %s: did not %s: %s; nothing was changed", st->file.path, st->doing,
                  why);
    return STORE_STALE;
}

static char *sql_of(enum query query)
{
    if (query == Q_JOB_INSERT) {
        return store_rows_insert_sql(&store_rows_jobs);
    }
    if (query == Q_JOB_ALTER) {
        return store_rows_update_sql(&store_rows_jobs,
                                     "WHERE id = :id AND state = 'PAUSED' AND last_task_id = "
                                     ":last_task_id AND committed_task_id = :committed_task_id");
    }
    if (query == Q_TASK_INSERT) {
        return store_rows_insert_sql(&store_rows_tasks);
    }
    if (query == Q_JOBS) {
        return store_rows_select_sql(&store_rows_jobs, "ORDER BY id");
    }
    if (query == Q_TASKS) {
        return store_rows_select_sql(&store_rows_tasks, "WHERE job_id = ?1 ORDER BY id");
    }
    assert(queries[query] != NULL);
    return xstrdup(queries[query]);
}

static int bind_values(struct store *st, sqlite3_stmt *q, const struct value *values, size_t n)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        const struct value *v = &values[i];
        int at = (int)i + 1;
        if (v->is_int) {
            rc = sqlite3_bind_int64(q, at, v->i);
        } else if (v->sealed.column != NULL) {
            rc = store_rows_bind_sealed(q, at, &st->seal, &v->sealed, v->text);
        } else {
            /* A negative length is strlen(); a NULL text binds NULL. */
            rc = sqlite3_bind_text(q, at, v->text, -1, SQLITE_STATIC);
        }
    }
    return rc;
}

/* Leaves nothing borrowed and nothing open. */
static void rest(sqlite3_stmt *q)
{
    (void)sqlite3_reset(q); /* repeats the code of the step */
    (void)sqlite3_clear_bindings(q);
}

/* Runs a query to its first row. DONE, ROW (with the first column in *ret_int) or an error. */
static int run(struct store *st, enum query query, const struct value *values, size_t n,
               int64_t *ret_int)
{
    sqlite3_stmt *q = st->stmts[query];
    int rc = bind_values(st, q, values, n);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    if (rc == SQLITE_ROW && ret_int != NULL) {
        *ret_int = sqlite3_column_int64(q, 0);
    }
    rest(q);
    return rc;
}

static int insert(struct store *st, enum query query, const struct store_rows_table *table,
                  const void *record)
{
    sqlite3_stmt *q = st->stmts[query];
    int rc = store_rows_bind(q, table, &st->seal, record);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    rest(q);
    return rc;
}

/* Runs a change of exactly one row; no row means that the store holds something else. */
static enum store_result change_one(struct store *st, enum query query, const struct value *values,
                                    size_t n, struct err *err)
{
    int rc = run(st, query, values, n, NULL);
    if (rc != SQLITE_DONE) {
        return fail(st, rc, err);
    }
    return sqlite3_changes(st->db) == 1 ? STORE_OK : STORE_STALE;
}

static void rollback(struct store *st)
{
    /* SQLite has rolled back by itself after some errors. */
    if (sqlite3_get_autocommit(st->db) == 0) {
        (void)run(st, Q_ROLLBACK, NULL, 0, NULL);
    }
}

/* Writes to a file that was removed or replaced would go nowhere, and SQLite would not notice. */
static bool is_file_in_place(struct store *st)
{
    int has_moved = 0;
    int rc = sqlite3_file_control(st->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    return rc != SQLITE_OK || has_moved == 0;
}

static enum store_result write_begin(struct store *st, struct err *err)
{
    int64_t epoch = 0;
    if (!is_file_in_place(st)) {
        (void)err_say(err,
                      "store %s: cannot %s: the file was moved or removed while in use; put it "
                      "back, or restart Sluice to begin with what is there",
                      st->file.path, st->doing);
        return STORE_FAIL;
    }
    rollback(st);
    int rc = run(st, Q_BEGIN, NULL, 0, NULL);
    if (rc != SQLITE_DONE) {
        return fail(st, rc, err);
    }
    rc = run(st, Q_EPOCH, NULL, 0, &epoch);
    if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT; /* the one row of meta is gone */
    }
    if (rc != SQLITE_ROW) {
        return fail(st, rc, err);
    }
    return epoch == st->epoch ? STORE_OK
                              : stale(st, err, "another Sluice has taken over the store since");
}

static enum store_result write_end(struct store *st, enum store_result result, struct err *err)
{
    if (result == STORE_OK) {
        int rc = run(st, Q_COMMIT, NULL, 0, NULL);
        if (rc != SQLITE_DONE) {
            result = fail(st, rc, err);
        }
    }
    if (result != STORE_OK) {
        rollback(st);
    }
    return result;
}

static bool prepare_queries(struct store *st, struct err *err)
{
    doing(st, "prepare its statements");
    for (size_t i = 0; i < N_QUERIES; i++) {
        _cleanup_free_ char *sql = sql_of((enum query)i);
        int rc =
            sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->stmts[i], NULL);
        if (rc != SQLITE_OK) {
            (void)fail(st, rc, err);
            return false;
        }
    }
    return true;
}

static bool raise_epoch(struct store *st, struct err *err)
{
    doing(st, "take it over");
    int rc = run(st, Q_BEGIN, NULL, 0, NULL);
    if (rc == SQLITE_DONE) {
        rc = run(st, Q_EPOCH_RAISE, VALUES(of_text("sluice " SLUICE_VERSION)), &st->epoch);
        if (rc == SQLITE_DONE) {
            rc = SQLITE_CORRUPT; /* meta has no row */
        }
    }
    if (rc != SQLITE_ROW) {
        (void)fail(st, rc, err);
        rollback(st);
        return false;
    }
    return write_end(st, STORE_OK, err) == STORE_OK;
}

static void close_store(struct store *st)
{
    if (st == NULL) {
        return;
    }
    for (size_t i = 0; i < N_QUERIES; i++) {
        (void)sqlite3_finalize(st->stmts[i]); /* repeats the code of the last step */
    }
    /* The last connection copies the log back and removes it. When that fails the log stays, and
     * the next open finds everything in it. */
    int rc = sqlite3_close(st->db);
    assert(rc == SQLITE_OK); /* BUSY would be a statement that we forgot */
    store_seal_fini(&st->seal);
    store_file_close(&st->file);
    free(st);
}

DEFINE_CLEANUP(struct store *, close_store)

static struct store *open_store(const char *location, const char *key_file, struct err *err)
{
    _cleanup_(close_store_p) struct store *st = xcalloc(1, sizeof(*st));
    int64_t version = 0;
    st->file.lock_fd = -1;
    if (!store_file_open(location, &st->file, err) ||
        !store_schema_connect(st->file.path, &st->db, err) ||
        !store_schema_prepare(st->db, st->file.path, &version, err) ||
        !store_crypt_open(st->db, st->file.path, version, key_file, &st->seal, err) ||
        !prepare_queries(st, err) || !raise_epoch(st, err)) {
        return NULL;
    }
    return take_ptr(st);
}

static int64_t get_epoch(const struct store *st)
{
    return st->epoch;
}

static bool load(struct store *st, store_load_fn each, void *arg, struct err *err)
{
    doing(st, "read its jobs");
    int rc = store_rows_load(st->stmts[Q_JOBS], st->stmts[Q_TASKS], &st->seal, each, arg);
    if (rc != SQLITE_DONE) {
        (void)fail(st, rc, err);
    }
    return rc == SQLITE_DONE;
}

static enum store_result insert_job_row(struct store *st, const struct job_record *job,
                                        struct err *err)
{
    int rc = run(st, Q_NAME_TAKEN, VALUES(of_text(job->name)), NULL);
    if (rc == SQLITE_ROW) {
        (void)err_say(err, "job %s already exists", job->name);
        return STORE_DUPLICATE;
    }
    if (rc == SQLITE_DONE) {
        rc = insert(st, Q_JOB_INSERT, &store_rows_jobs, job);
    }
    return rc == SQLITE_DONE ? STORE_OK : fail(st, rc, err);
}

static enum store_result job_insert(struct store *st, const struct job_record *job, struct err *err)
{
    assert(job->name != NULL && job->sql != NULL);
    doing(st, "create job %s", job->name);
    enum store_result result = write_begin(st, err);
    if (result == STORE_OK) {
        result = insert_job_row(st, job, err);
    }
    return write_end(st, result, err);
}

static enum store_result delete_job_rows(struct store *st, int64_t job_id, struct err *err)
{
    int rc = run(st, Q_JOB_DELETE_TASKS, VALUES(of_int(job_id)), NULL);
    if (rc != SQLITE_DONE) {
        return fail(st, rc, err);
    }
    enum store_result result = change_one(st, Q_JOB_DELETE, VALUES(of_int(job_id)), err);
    return result == STORE_STALE ? stale(st, err, "there is no such job") : result;
}

static enum store_result job_delete(struct store *st, int64_t job_id, struct err *err)
{
    doing(st, "delete job %lld", (long long)job_id);
    enum store_result result = write_begin(st, err);
    if (result == STORE_OK) {
        result = delete_job_rows(st, job_id, err);
    }
    return write_end(st, result, err);
}

/* `ended`: how a task of the job ended with it, TASK_RUNNING when none did. */
static enum store_result update_job_row(struct store *st, int64_t job_id,
                                        const struct job_update *u, enum task_state ended,
                                        struct err *err)
{
    enum store_result result =
        change_one(st, Q_JOB_UPDATE,
                   VALUES(of_int(job_id), of_text(job_state_name(u->state)),
                          of_text(fail_code_name(u->fail_code)),
                          of_job_secret(job_id, "fail_msg", u->fail_msg), of_int(u->n_resumes),
                          of_int(ended == TASK_FAILED), of_int(ended == TASK_CANCELED)),
                   err);
    return result == STORE_STALE ? stale(st, err, "there is no such job") : result;
}

static enum store_result job_update(struct store *st, int64_t job_id, const struct job_update *u,
                                    struct err *err)
{
    doing(st, "update job %lld", (long long)job_id);
    enum store_result result = write_begin(st, err);
    if (result == STORE_OK) {
        result = update_job_row(st, job_id, u, TASK_RUNNING, err);
    }
    return write_end(st, result, err);
}

/* Writes the whole record, which differs in what job_alter() is for, and in nothing else. */
static enum store_result job_alter(struct store *st, const struct job_record *job, struct err *err)
{
    assert(job->state == JOB_PAUSED && job->sql != NULL);
    doing(st, "alter job %s", job->name);
    enum store_result result = write_begin(st, err);
    if (result == STORE_OK) {
        int rc = insert(st, Q_JOB_ALTER, &store_rows_jobs, job);
        result = rc == SQLITE_DONE ? STORE_OK : fail(st, rc, err);
    }
    if (result == STORE_OK && sqlite3_changes(st->db) != 1) {
        result = stale(st, err, "the job is gone, is not PAUSED, or has had another task since");
    }
    result = write_end(st, result, err);
    if (result == STORE_OK) {
        /* The log keeps what was taken out until it is copied back; when somebody who reads the
         * store is in the way, the next one does it. */
        (void)run(st, Q_FORGET, NULL, 0, NULL);
    }
    return result;
}

static enum store_result begin_rows(struct store *st, const struct task_record *task,
                                    struct err *err)
{
    enum store_result result =
        change_one(st, Q_TASK_GIVE_ID, VALUES(of_int(task->job_id), of_int(task->id)), err);
    if (result == STORE_STALE) {
        return stale(st, err,
                     "the job is gone, has an unfinished task, or its last task is another one");
    }
    if (result != STORE_OK) {
        return result;
    }
    int rc = insert(st, Q_TASK_INSERT, &store_rows_tasks, task);
    return rc == SQLITE_DONE ? STORE_OK : fail(st, rc, err);
}

static enum store_result task_begin(struct store *st, const struct task_record *task,
                                    struct err *err)
{
    assert(!task_state_is_final(task->state));
    assert(task->range != NULL && task->offset_after != NULL && task->label != NULL);
    doing(st, "begin task %lld of job %lld", (long long)task->id, (long long)task->job_id);
    enum store_result result = write_begin(st, err);
    if (result == STORE_OK) {
        result = begin_rows(st, task, err);
    }
    return write_end(st, result, err);
}

static enum store_result prune(struct store *st, int64_t job_id, struct err *err)
{
    int rc = run(st, Q_PRUNE, VALUES(of_int(job_id), of_int(STORE_TASKS_KEPT)), NULL);
    return rc == SQLITE_DONE ? STORE_OK : fail(st, rc, err);
}

static enum store_result commit_rows(struct store *st, const struct task_record *t,
                                     int64_t expected_committed, struct err *err)
{
    const struct load_stat *s = &t->stat;
    enum store_result result =
        change_one(st, Q_TASK_COMMIT,
                   VALUES(of_int(t->job_id), of_int(t->id), of_text(t->offset_after),
                          of_int(t->start_ms), of_int(t->finish_ms), of_text(t->txn_id),
                          of_int(s->scanned_rows), of_int(s->load_bytes), of_int(s->file_number),
                          of_int(s->file_size), of_int(s->filtered_rows),
                          of_task_secret(t->job_id, t->id, "first_error", t->first_error)),
                   err);
    if (result == STORE_STALE) {
        return stale(st, err, "it is not the job's unfinished task with that offset");
    }
    if (result == STORE_OK) {
        result = change_one(
            st, Q_JOB_COMMIT,
            VALUES(of_int(t->job_id), of_int(t->id), of_text(t->offset_after), of_int(t->finish_ms),
                   of_int(s->scanned_rows), of_int(s->load_bytes), of_int(s->file_number),
                   of_int(s->file_size), of_int(s->filtered_rows), of_int(expected_committed)),
            err);
    }
    if (result == STORE_STALE) {
        return stale(st, err, "another task was committed in between");
    }
    return result == STORE_OK ? prune(st, t->job_id, err) : result;
}

static enum store_result task_commit(struct store *st, const struct task_record *task,
                                     int64_t expected_committed, const struct file_marks *marks,
                                     struct err *err)
{
    (void)marks;
    assert(task->offset_after != NULL);
    doing(st, "commit task %lld of job %lld", (long long)task->id, (long long)task->job_id);
    enum store_result result = write_begin(st, err);
    if (result == STORE_OK) {
        result = commit_rows(st, task, expected_committed, err);
    }
    return write_end(st, result, err);
}

static enum store_result end_rows(struct store *st, int64_t job_id, int64_t task_id,
                                  const struct task_end *end, struct err *err)
{
    enum store_result result =
        change_one(st, Q_TASK_END,
                   VALUES(of_int(job_id), of_int(task_id), of_text(task_state_name(end->state)),
                          of_task_secret(job_id, task_id, "error", end->error),
                          of_task_secret(job_id, task_id, "first_error", end->first_error),
                          of_task_secret(job_id, task_id, "tracking_url", end->tracking_url),
                          of_int(end->finish_ms)),
                   err);
    if (result == STORE_STALE) {
        return stale(st, err, "it is not the job's unfinished task");
    }
    if (result == STORE_OK) {
        result = update_job_row(st, job_id, &end->job, end->state, err);
    }
    return result == STORE_OK ? prune(st, job_id, err) : result;
}

static enum store_result task_end(struct store *st, int64_t job_id, int64_t task_id,
                                  const struct task_end *end, struct err *err)
{
    assert(end->state == TASK_FAILED || end->state == TASK_CANCELED);
    assert(end->state != TASK_FAILED || end->error != NULL);
    doing(st, "end task %lld of job %lld", (long long)task_id, (long long)job_id);
    enum store_result result = write_begin(st, err);
    if (result == STORE_OK) {
        result = end_rows(st, job_id, task_id, end, err);
    }
    return write_end(st, result, err);
}

const struct store_ops store_sqlite_ops = {
    .scheme = "sqlite",
    .open = open_store,
    .close = close_store,
    .epoch = get_epoch,
    .load = load,
    .job_insert = job_insert,
    .job_delete = job_delete,
    .job_update = job_update,
    .job_alter = job_alter,
    .task_begin = task_begin,
    .task_commit = task_commit,
    .task_end = task_end,
};
