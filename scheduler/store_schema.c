#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/xmalloc.h"
#include "scheduler/store_error.h"
#include "scheduler/store_schema.h"

enum { LARGEST_VALUE_BYTES = 64 << 20 };

static_assert(STORE_SCHEMA_ID > 0, "application_id is a positive 32-bit number");

/*
 * meta   one row; epoch is raised by every open; the key's check is store_crypt.c's
 * jobs   a row a job; "offset" is the committed one
 * tasks  a row a task; at most one unfinished task a job, which the partial index enforces
 *
 * bad_files      a row a file that was set aside
 * tracked_files  a row a file, in the order of the keys' bytes; ten million of them are no surprise,
 *                so the job is a small number, and a size below zero says "bad" (store_files.h)
 * file_sets      which number is which job's; NULL: the job is gone, its rows are being removed, and
 *                until they are the number is not given to another job
 *
 * Enums are stored under the names users see, so that a store can be read with the sqlite3 shell.
 * Columns that may hold secrets (store_rows.c says which) are encrypted, store_seal.h says how.
 */
#define COUNTER(name) name " INTEGER NOT NULL CHECK (" name " >= 0), "
/* What Doris reports is not worth refusing a commit for: no CHECK. */
#define STATISTICS                                                                                 \
    "scanned_rows INTEGER NOT NULL, load_bytes INTEGER NOT NULL, file_number INTEGER NOT NULL, "   \
    "file_size INTEGER NOT NULL, filtered_rows INTEGER NOT NULL, "

static const char version_1[] =
    "CREATE TABLE meta ("
    "one INTEGER PRIMARY KEY CHECK (one = 1), "
    "epoch INTEGER NOT NULL CHECK (epoch >= 0), "
    "written_by TEXT NOT NULL) STRICT; "
    "INSERT INTO meta VALUES (1, 0, 'sluice " SLUICE_VERSION "'); "

    "CREATE TABLE jobs ("
    "id INTEGER PRIMARY KEY, "
    "name TEXT NOT NULL UNIQUE CHECK (name <> ''), "
    "definer TEXT NOT NULL, "
    "current_db TEXT, "
    "target_db TEXT NOT NULL, "
    "target_table TEXT NOT NULL, "
    "\"sql\" TEXT NOT NULL, "
    "properties TEXT NOT NULL, "
    "comment TEXT NOT NULL, "
    "create_ms INTEGER NOT NULL, "
    "state TEXT NOT NULL "
    "CHECK (state IN ('PENDING', 'RUNNING', 'PAUSED', 'STOPPED', 'FINISHED')), "
    "fail_code TEXT NOT NULL "
    "CHECK (fail_code IN ('', 'INTERNAL_ERR', 'MANUAL_PAUSE_ERR', 'TOO_MANY_FAILURE_ROWS_ERR', "
    "'GET_REMOTE_DATA_ERROR', 'CANNOT_RESUME_ERR', 'IN_DOUBT', 'LABEL_TAKEN', 'STORE_ERR')), "
    "fail_msg TEXT, "
    "\"offset\" TEXT, "
    "last_success_ms INTEGER NOT NULL, " COUNTER("n_resumes") COUNTER("last_task_id")
        COUNTER("committed_task_id") COUNTER("n_succeeded") COUNTER("n_failed")
            COUNTER("n_canceled") STATISTICS
    "CHECK (committed_task_id <= last_task_id)) STRICT; "

    "CREATE TABLE tasks ("
    "job_id INTEGER NOT NULL REFERENCES jobs (id), "
    "id INTEGER NOT NULL CHECK (id > 0), "
    "label TEXT NOT NULL, "
    "state TEXT NOT NULL "
    "CHECK (state IN ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'CANCELED')), "
    "\"range\" TEXT NOT NULL, "
    "offset_after TEXT NOT NULL, "
    "running_offset TEXT, "
    "create_ms INTEGER NOT NULL, "
    "start_ms INTEGER NOT NULL, "
    "finish_ms INTEGER NOT NULL, "
    "error TEXT, "
    "first_error TEXT, "
    "tracking_url TEXT, "
    "txn_id TEXT, " STATISTICS "PRIMARY KEY (job_id, id)) STRICT; "
    "CREATE UNIQUE INDEX tasks_unfinished ON tasks (job_id) "
    "WHERE state IN ('PENDING', 'RUNNING');";

/* From here on columns with secrets are encrypted: store_crypt.c. */
static const char version_2[] =
    "ALTER TABLE meta ADD COLUMN key_check TEXT; "
    "ALTER TABLE meta ADD COLUMN is_scrubbed INTEGER NOT NULL DEFAULT 0 "
    "CHECK (is_scrubbed IN (0, 1));";

static const char version_3[] =
    "ALTER TABLE jobs ADD COLUMN n_tracked INTEGER NOT NULL DEFAULT 0 CHECK (n_tracked >= 0); "
    "ALTER TABLE tasks ADD COLUMN txn_before INTEGER NOT NULL DEFAULT 0; "
    "ALTER TABLE tasks ADD COLUMN is_retry INTEGER NOT NULL DEFAULT 0 CHECK (is_retry IN (0, 1)); "

    "CREATE TABLE bad_files ("
    "id INTEGER PRIMARY KEY, " /* says to the encryption where the reason stands */
    "job_id INTEGER NOT NULL REFERENCES jobs (id), "
    "key TEXT NOT NULL, "
    "etag TEXT NOT NULL, "
    "size INTEGER NOT NULL, "
    "reason TEXT NOT NULL, "
    "task_id INTEGER NOT NULL, "
    "at_ms INTEGER NOT NULL, "
    "is_retried INTEGER NOT NULL CHECK (is_retried IN (0, 1)), "
    "UNIQUE (job_id, key)) STRICT; "

    "CREATE TABLE file_sets ("
    "set_id INTEGER PRIMARY KEY CHECK (set_id > 0), "
    "job_id INTEGER UNIQUE REFERENCES jobs (id)) STRICT; "

    /* A BLOB is compared as memcmp() does, and a key need not be UTF-8. */
    "CREATE TABLE tracked_files ("
    "set_id INTEGER NOT NULL, "
    "key BLOB NOT NULL, "
    "tag INTEGER NOT NULL, "
    "size INTEGER NOT NULL, "
    "PRIMARY KEY (set_id, key)) STRICT, WITHOUT ROWID;";

/* steps[v] takes a file from version v to v + 1. Released steps are never edited. */
static const char *const steps[] = {version_1, version_2, version_3};

static_assert(ARRAY_SIZE(steps) == STORE_SCHEMA_VERSION, "one step a version");

bool store_schema_check(const char *path, int64_t id, int64_t version, struct err *err)
{
    if (id != STORE_SCHEMA_ID) {
        return err_say(err,
                       "store %s is an SQLite database of another program (application id 0x%08x, "
                       "a store of Sluice has 0x%08x); nothing was changed in it, set store.url "
                       "to another file",
                       path, (unsigned)id, (unsigned)STORE_SCHEMA_ID);
    }
    if (version > STORE_SCHEMA_VERSION) {
        return err_say(err,
                       "store %s was written by a newer Sluice (its schema version is %lld, this "
                       "Sluice knows versions up to %d); nothing was changed in it, run the newer "
                       "Sluice or set store.url to another file",
                       path, (long long)version, STORE_SCHEMA_VERSION);
    }
    if (version < 1) {
        return err_say(err,
                       "store %s is damaged (its schema version is %lld, expected 1 to %d); "
                       "nothing was changed in it, restore it from a backup",
                       path, (long long)version, STORE_SCHEMA_VERSION);
    }
    return true;
}

static bool connect_with(int mode, const char *path, struct sqlite3 **ret, struct err *err)
{
    /* NOMUTEX: one thread at a time uses a connection. */
    const int flags = mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    sqlite3 *db = NULL;
    assert(path[0] == '/'); /* anything else may be a URI or ":memory:" to SQLite */
    int rc = sqlite3_open_v2(path, &db, flags, NULL);
    if (rc != SQLITE_OK) {
        (void)store_error_say(db, rc, path, "open it", err);
        (void)sqlite3_close(db); /* nothing was begun */
        return false;
    }
    /* These calls only fail on a programmer's mistake. */
    (void)sqlite3_busy_timeout(db, STORE_SCHEMA_BUSY_MS);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LARGEST_VALUE_BYTES);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    /* Until we know that the file is ours, even a log left behind by a crash stays as it is. */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    *ret = db;
    return true;
}

bool store_schema_connect(const char *path, struct sqlite3 **ret, struct err *err)
{
    return connect_with(SQLITE_OPEN_READWRITE, path, ret, err);
}

bool store_schema_connect_reader(const char *path, struct sqlite3 **ret, struct err *err)
{
    return connect_with(SQLITE_OPEN_READONLY, path, ret, err);
}

static bool execute(struct sqlite3 *db, const char *path, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || store_error_say(db, rc, path, "prepare it", err);
}

static bool read_int(struct sqlite3 *db, const char *path, const char *sql, int64_t *ret,
                     struct err *err)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    if (rc == SQLITE_ROW) {
        *ret = sqlite3_column_int64(q, 0);
    }
    (void)sqlite3_finalize(q); /* repeats the code of the step */
    return rc == SQLITE_ROW || store_error_say(db, rc, path, "read it", err);
}

static bool run_steps(struct sqlite3 *db, const char *path, int64_t version, struct err *err)
{
    assert(version >= 0 && version < STORE_SCHEMA_VERSION);
    for (size_t i = (size_t)version; i < ARRAY_SIZE(steps); i++) {
        char sql[64];
        (void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", i + 1); /* fits */
        if (!execute(db, path, steps[i], err) || !execute(db, path, sql, err)) {
            return false;
        }
    }
    return execute(db, path, "COMMIT", err);
}

/* All steps and the version in one transaction. */
bool store_schema_migrate(struct sqlite3 *db, const char *path, int64_t version, struct err *err)
{
    if (version == STORE_SCHEMA_VERSION) {
        return true;
    }
    if (!execute(db, path, "BEGIN IMMEDIATE", err)) {
        return false;
    }
    if (!run_steps(db, path, version, err)) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the first error is the one told */
        return false;
    }
    return true;
}

bool store_schema_create(const char *path, struct err *err)
{
    struct sqlite3 *db = NULL;
    char sql[64];
    if (!store_schema_connect(path, &db, err)) {
        return false;
    }
    (void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", STORE_SCHEMA_ID); /* fits */
    bool is_made = execute(db, path, "PRAGMA synchronous = FULL", err) &&
                   execute(db, path, sql, err) && store_schema_migrate(db, path, 0, err);
    int rc = sqlite3_close(db);
    return is_made && (rc == SQLITE_OK || store_error_say(NULL, rc, path, "close it", err));
}

static bool use_wal(struct sqlite3 *db, const char *path, struct err *err)
{
    sqlite3_stmt *q = NULL;
    bool is_wal = false;
    int rc = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &q, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    if (rc == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(q, 0);
        is_wal = mode != NULL && strcmp(mode, "wal") == 0;
    }
    (void)sqlite3_finalize(q); /* repeats the code of the step */
    if (rc != SQLITE_ROW) {
        return store_error_say(db, rc, path, "switch to write-ahead logging", err);
    }
    return is_wal || err_say(err,
                             "store %s: its file system cannot do write-ahead logging (no shared "
                             "memory files); set store.url to a file on a local disk",
                             path);
}

bool store_schema_prepare(struct sqlite3 *db, const char *path, int64_t *ret_version,
                          struct err *err)
{
    /*
     * 256 pages (1 MB) of log before it is copied back, cut to 4 MB when it has grown under a long
     * reader; secure_delete wipes the secrets of a dropped job. No auto_vacuum: what is deleted is
     * room for what comes next, and giving it back would move pages with every write.
     */
    static const char settings[] =
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 256; "
        "PRAGMA journal_size_limit = 4194304; PRAGMA cache_size = -2000; "
        "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA secure_delete = ON;";
    int64_t id = 0;
    int64_t version = 0;
    if (!read_int(db, path, "PRAGMA application_id", &id, err) ||
        !read_int(db, path, "PRAGMA user_version", &version, err) ||
        !store_schema_check(path, id, version, err)) {
        return false;
    }
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL); /* it is ours */
    *ret_version = version;
    return use_wal(db, path, err) && execute(db, path, settings, err);
}
