#include <sqlite3.h>

#include "scheduler/store_gate.h"
#include "scheduler/store_query.h"
#include "scheduler/store_schema.h"
#include "scheduler/store_sweep.h"

enum {
    SLICE = 1000,       /* rows a transaction: 1 to 5 ms on a disk with ten million */
    SLICES_AT_ONCE = 8, /* of store_sweep_look() */
    LONG_LOG_BYTES = 64 << 20,
};

/* Removes the next rows of a set that belongs to no job, and the set itself behind the last one. */
static int sweep_rows(struct store *st)
{
    int64_t set = 0;
    int rc = store_query_run(st, Q_DEAD_SET, NULL, 0, &set);
    if (rc != SQLITE_ROW) {
        st->has_dead = rc != SQLITE_DONE;
        return rc;
    }
    rc = store_query_run(st, Q_DEAD_SLICE, VALUES(of_int(set), of_int(SLICE)), NULL);
    if (rc == SQLITE_DONE && sqlite3_changes(st->db) < SLICE) {
        rc = store_query_run(st, Q_DEAD_SET_DELETE, VALUES(of_int(set)), NULL);
    }
    return rc;
}

/* In a transaction of its own, which an older owner of the store is refused as any other. */
static void sweep_slice(struct store *st)
{
    struct err ignored = {
        0}; /* the next call tries again, and says so when it is its own trouble */
    store_query_doing(st, "remove the tracked files of a deleted job");
    if (store_query_begin(st, &ignored) != STORE_OK || sweep_rows(st) != SQLITE_DONE ||
        store_query_run(st, Q_COMMIT, NULL, 0, NULL) != SQLITE_DONE) {
        store_query_rollback(st);
    }
}

/* Does not wait for readers: they may be at it for a second, and so would the scheduler be. */
static bool empty_log(struct store *st)
{
    int64_t is_busy = 1;
    (void)sqlite3_busy_timeout(st->db, 0);
    int rc = store_query_run(st, Q_EMPTY_LOG, NULL, 0, &is_busy);
    (void)sqlite3_busy_timeout(st->db, STORE_SCHEMA_BUSY_MS);
    return rc == SQLITE_ROW && is_busy == 0;
}

static int64_t log_size(struct store *st)
{
    sqlite3_file *log = NULL;
    sqlite3_int64 size = 0;
    (void)sqlite3_file_control(st->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log == NULL || log->pMethods == NULL || log->pMethods->xFileSize(log, &size) != SQLITE_OK) {
        return 0;
    }
    return size;
}

static void shorten_log(struct store *st)
{
    if (store_gate_close(st->gate) && empty_log(st)) {
        store_gate_open(st->gate);
    }
}

void store_sweep_after_write(struct store *st)
{
    if (st->has_dead) {
        sweep_slice(st);
    }
    if (st->has_traces) {
        st->has_traces = !empty_log(st);
    }
    if (log_size(st) > LONG_LOG_BYTES) {
        shorten_log(st);
    }
}

void store_sweep_look(struct store *st)
{
    int rc = store_query_run(st, Q_DEAD_SET, NULL, 0, NULL);
    st->has_dead = rc != SQLITE_DONE;
    for (int i = 0; i < SLICES_AT_ONCE && st->has_dead; i++) {
        sweep_slice(st);
    }
}
