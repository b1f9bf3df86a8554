/*
 * The open SQLite store: its connection, its statements, and how a write is made of them. Every one
 * goes
 *
 *     store_query_begin   BEGIN IMMEDIATE; is the epoch still ours?
 *     store_query_one     UPDATE/INSERT/DELETE whose WHERE names what must be there; one row or STALE
 *     store_query_end     COMMIT, or ROLLBACK of everything
 *
 * and with synchronous=FULL the COMMIT is on the disk when it returns. Used by the parts of the
 * SQLite store only, on the scheduler's thread.
 */
#ifndef SCHEDULER_STORE_QUERY_H
#define SCHEDULER_STORE_QUERY_H

#include "scheduler/store.h"
#include "scheduler/store_file.h"
#include "scheduler/store_rows.h"
#include "scheduler/store_seal.h"

enum store_query {
    Q_BEGIN,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_EPOCH_RAISE,
    Q_EPOCH,
    Q_JOBS,
    Q_TASKS,
    Q_BAD_FILES,
    Q_NAME_TAKEN,
    Q_JOB_INSERT,
    Q_JOB_DELETE,
    Q_JOB_DELETE_TASKS,
    Q_JOB_DELETE_BAD_FILES,
    Q_JOB_DELETE_FILES,
    Q_JOB_UPDATE,
    Q_JOB_ALTER,
    Q_TASK_INSERT,
    Q_TASK_GIVE_ID,
    Q_TASK_COMMIT,
    Q_JOB_COMMIT,
    Q_TASK_END,
    Q_TASK_KIND,
    Q_PRUNE,
    Q_OFFSET_PASS,
    Q_OFFSET_PASS_IDLE,
    Q_SET_FIND,
    Q_SET_ADD,
    Q_FILE_ADD,
    Q_FILE_CHANGE,
    Q_FILES_COUNT,
    Q_BAD_FILE_ID,
    Q_BAD_FILE_INSERT,
    Q_BAD_FILE_DELETE,
    Q_BAD_FILE_RETRY,
    Q_BAD_FILES_RETRY,
    Q_N_TRACKED,
    Q_DEAD_SET,
    Q_DEAD_SLICE,
    Q_DEAD_SET_DELETE,
    Q_EMPTY_LOG,
    N_QUERIES
};

struct store {
    struct store_file file;
    struct sqlite3 *db;                    /* owned */
    struct sqlite3_stmt *stmts[N_QUERIES]; /* owned; prepared by open: ROLLBACK needs no memory */
    struct store_seal seal;                /* the keys */
    struct store_gate *gate;               /* shared with the readers */
    int64_t epoch;
    bool has_dead;   /* tracked files of deleted jobs are still there: store_sweep.h */
    bool has_traces; /* the log may hold texts that job_alter() took out */
    char doing[160]; /* completes "cannot ", for errors of the call under way */
};

enum store_value_type { STORE_INT, STORE_TEXT, STORE_SEALED, STORE_BYTES };

/* A parameter of a query; texts are borrowed for the step. */
struct store_value {
    enum store_value_type type;
    int64_t i;
    const char *text;         /* NULL is NULL */
    struct store_place place; /* of a text that is encrypted */
};

static inline struct store_value of_int(int64_t i)
{
    return (struct store_value){.type = STORE_INT, .i = i};
}

static inline struct store_value of_text(const char *text)
{
    return (struct store_value){.type = STORE_TEXT, .text = text};
}

/* A key of a tracked file: any bytes but NUL, compared as bytes. */
static inline struct store_value of_bytes(const char *key)
{
    return (struct store_value){.type = STORE_BYTES, .text = key};
}

static inline struct store_value of_job_secret(int64_t job_id, const char *column, const char *text)
{
    return (struct store_value){
        .type = STORE_SEALED,
        .text = text,
        .place = {.table = "jobs", .column = column, .job_id = job_id},
    };
}

static inline struct store_value of_task_secret(int64_t job_id, int64_t task_id, const char *column,
                                                const char *text)
{
    return (struct store_value){
        .type = STORE_SEALED,
        .text = text,
        .place = {.table = "tasks", .column = column, .job_id = job_id, .task_id = task_id},
    };
}

#define VALUES(...)                                                                                \
    (const struct store_value[]){__VA_ARGS__},                                                     \
        ARRAY_SIZE(((const struct store_value[]){__VA_ARGS__}))

/* What the call under way does, for its errors; completes "cannot " and "did not ". */
void store_query_doing(struct store *st, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `rc` is SQLite's, or STORE_ROWS_SEAL. STORE_FAIL. */
enum store_result store_query_fail(struct store *st, int rc, struct err *err);
/* STORE_STALE. */
enum store_result store_query_stale(struct store *st, struct err *err, const char *why);

/* All statements. What was prepared is dropped by store_query_finish(), also after a failure. */
bool store_query_prepare(struct store *st, struct err *err);
void store_query_finish(struct store *st);

/* Runs a query to its first row. DONE, ROW (with the first column in *ret_int) or an error. */
int store_query_run(struct store *st, enum store_query query, const struct store_value *values,
                    size_t n, int64_t *ret_int);
/* Runs a query whose parameters are the columns of a record. */
int store_query_record(struct store *st, enum store_query query,
                       const struct store_rows_table *table, const void *record);
/* Runs a change of exactly one row; STALE, and err untouched, when there was none. */
enum store_result store_query_one(struct store *st, enum store_query query,
                                  const struct store_value *values, size_t n, struct err *err);
/* Runs a change of any number of rows. */
enum store_result store_query_any(struct store *st, enum store_query query,
                                  const struct store_value *values, size_t n, struct err *err);

enum store_result store_query_begin(struct store *st, struct err *err);
/* Commits when `result` is OK; says how it went. Then does what is left to do: store_sweep.h. */
enum store_result store_query_end(struct store *st, enum store_result result, struct err *err);
void store_query_rollback(struct store *st);

#endif
