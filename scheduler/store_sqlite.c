/*
 * The store in one SQLite file: opening it, and the table of what it can. The calls are in
 * store_jobs.c, store_tasks.c and store_files.c, what they share in store_query.c.
 */
#include <assert.h>
#include <sqlite3.h>

#include "base/xmalloc.h"
#include "scheduler/store_crypt.h"
#include "scheduler/store_files.h"
#include "scheduler/store_gate.h"
#include "scheduler/store_jobs.h"
#include "scheduler/store_query.h"
#include "scheduler/store_reader.h"
#include "scheduler/store_schema.h"
#include "scheduler/store_sweep.h"
#include "scheduler/store_tasks.h"

static bool raise_epoch(struct store *st, struct err *err)
{
    store_query_doing(st, "take it over");
    int rc = store_query_run(st, Q_BEGIN, NULL, 0, NULL);
    if (rc == SQLITE_DONE) {
        rc = store_query_run(st, Q_EPOCH_RAISE, VALUES(of_text("sluice " SLUICE_VERSION)),
                             &st->epoch);
        if (rc == SQLITE_DONE) {
            rc = SQLITE_CORRUPT; /* meta has no row */
        }
    }
    if (rc != SQLITE_ROW) {
        (void)store_query_fail(st, rc, err);
        store_query_rollback(st);
        return false;
    }
    return store_query_end(st, STORE_OK, err) == STORE_OK;
}

static void close_store(struct store *st)
{
    if (st == NULL) {
        return;
    }
    store_query_finish(st);
    /* The last connection copies the log back and removes it. When that fails the log stays, and
     * the next open finds everything in it. */
    int rc = sqlite3_close(st->db);
    assert(rc == SQLITE_OK); /* BUSY would be a statement that we forgot */
    store_gate_put(st->gate);
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
    st->gate = store_gate_create();
    if (!store_file_open(location, &st->file, err) ||
        !store_schema_connect(st->file.path, &st->db, err) ||
        !store_schema_prepare(st->db, st->file.path, &version, err) ||
        !store_crypt_open(st->db, st->file.path, version, key_file, &st->seal, err) ||
        !store_query_prepare(st, err) || !raise_epoch(st, err)) {
        return NULL;
    }
    store_sweep_look(st);
    return take_ptr(st);
}

static int64_t get_epoch(const struct store *st)
{
    return st->epoch;
}

static bool load(struct store *st, store_load_fn each, void *arg, struct err *err)
{
    const struct store_rows_queries queries = {
        .jobs = st->stmts[Q_JOBS],
        .tasks = st->stmts[Q_TASKS],
        .bad_files = st->stmts[Q_BAD_FILES],
    };
    store_query_doing(st, "read its jobs");
    int rc = store_rows_load(&queries, &st->seal, each, arg);
    if (rc != SQLITE_DONE) {
        (void)store_query_fail(st, rc, err);
    }
    return rc == SQLITE_DONE;
}

/* Path and gate are the same as long as the store is open: safe on any thread. */
static struct file_reader *open_reader(const struct store *st, struct err *err)
{
    return store_reader_open(st->file.path, st->gate, err);
}

const struct store_ops store_sqlite_ops = {
    .scheme = "sqlite",
    .open = open_store,
    .close = close_store,
    .epoch = get_epoch,
    .load = load,
    .job_insert = store_jobs_insert,
    .job_delete = store_jobs_delete,
    .job_update = store_jobs_update,
    .job_alter = store_jobs_alter,
    .task_begin = store_tasks_begin,
    .task_commit = store_tasks_commit,
    .task_end = store_tasks_end,
    .task_aside = store_tasks_aside,
    .files_aside = store_files_aside,
    .file_decide = store_files_decide,
    .n_tracked = store_files_n_tracked,
    .reader_open = open_reader,
    .reader_ops = &store_reader_ops,
};
