#include <assert.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

#include "base/xmalloc.h"
#include "scheduler/store_error.h"
#include "scheduler/store_files.h"
#include "scheduler/store_gate.h"
#include "scheduler/store_reader.h"
#include "scheduler/store_schema.h"

enum read_query { R_BEGIN, R_END, R_SET, R_FILES, N_READ_QUERIES };

static const char *const queries[N_READ_QUERIES] = {
    [R_BEGIN] = "BEGIN",
    [R_END] = "ROLLBACK",
    [R_SET] = "SELECT set_id FROM file_sets WHERE job_id = ?1",
    [R_FILES] = ("SELECT key, tag, size FROM tracked_files WHERE set_id = ?1 AND key >= ?2 "
                 "ORDER BY key"),
};

struct file_reader {
    char *path;                          /* owned */
    sqlite3 *db;                         /* owned */
    sqlite3_stmt *stmts[N_READ_QUERIES]; /* owned */
    struct store_gate *gate;             /* shared with the store */
    bool is_inside;                      /* the gate: between begin() and end() */
    bool has_files;                      /* R_FILES stands before a row or the end */
    char *key;                           /* owned; what next() lends */
    size_t key_size;
};

static bool fail(const struct file_reader *r, int rc, struct err *err)
{
    return store_error_say(r->db, rc, r->path, "read the files that a job tracks", err);
}

static int run(struct file_reader *r, enum read_query query)
{
    int rc = sqlite3_step(r->stmts[query]);
    (void)sqlite3_reset(r->stmts[query]); /* repeats the code of the step */
    return rc;
}

static void reader_end(struct file_reader *r)
{
    if (!r->is_inside) {
        return;
    }
    (void)sqlite3_reset(r->stmts[R_FILES]); /* repeats the code of the step */
    (void)sqlite3_clear_bindings(r->stmts[R_FILES]);
    r->has_files = false;
    if (sqlite3_get_autocommit(r->db) == 0) {
        (void)run(r, R_END); /* nothing was written: there is nothing to fail */
    }
    store_gate_leave(r->gate);
    r->is_inside = false;
}

static void reader_close(struct file_reader *r)
{
    if (r == NULL) {
        return;
    }
    reader_end(r);
    for (size_t i = 0; i < N_READ_QUERIES; i++) {
        (void)sqlite3_finalize(r->stmts[i]); /* repeats the code of the last step */
    }
    int rc = sqlite3_close(r->db);
    assert(rc == SQLITE_OK); /* BUSY would be a statement that we forgot */
    store_gate_put(r->gate);
    free(r->key);
    free(r->path);
    free(r);
}

DEFINE_CLEANUP(struct file_reader *, reader_close)

struct file_reader *store_reader_open(const char *path, struct store_gate *gate, struct err *err)
{
    _cleanup_(reader_close_p) struct file_reader *r = xcalloc(1, sizeof(*r));
    r->path = xstrdup(path);
    r->gate = store_gate_use(gate);
    if (!store_schema_connect_reader(path, &r->db, err)) {
        return NULL;
    }
    /* A walk needs no page twice, and every runner may have a reader. */
    (void)sqlite3_exec(r->db, "PRAGMA cache_size = -256", NULL, NULL, NULL); /* as it was, else */
    for (size_t i = 0; i < N_READ_QUERIES; i++) {
        int rc = sqlite3_prepare_v3(r->db, queries[i], -1, SQLITE_PREPARE_PERSISTENT, &r->stmts[i],
                                    NULL);
        if (rc != SQLITE_OK) {
            (void)fail(r, rc, err);
            return NULL;
        }
    }
    return take_ptr(r);
}

/* ROW, with the job's set, or DONE when it has none. The snapshot is that of this look. */
static int find_set(struct file_reader *r, int64_t job_id, int64_t *ret)
{
    sqlite3_stmt *q = r->stmts[R_SET];
    int rc = run(r, R_BEGIN);
    if (rc != SQLITE_DONE) {
        return rc;
    }
    rc = sqlite3_bind_int64(q, 1, job_id);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    if (rc == SQLITE_ROW) {
        *ret = sqlite3_column_int64(q, 0);
    }
    (void)sqlite3_reset(q); /* repeats the code of the step */
    return rc;
}

static bool reader_begin(struct file_reader *r, int64_t job_id, const char *from, struct err *err)
{
    sqlite3_stmt *q = r->stmts[R_FILES];
    int64_t set = 0;
    const char *first = from != NULL ? from : "";
    reader_end(r);
    store_gate_enter(r->gate);
    r->is_inside = true;
    int rc = find_set(r, job_id, &set);
    if (rc == SQLITE_DONE) {
        return true;
    }
    if (rc == SQLITE_ROW) {
        rc = sqlite3_bind_int64(q, 1, set);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_blob64(q, 2, first, strlen(first), SQLITE_TRANSIENT);
    }
    r->has_files = rc == SQLITE_OK;
    return rc == SQLITE_OK || fail(r, rc, err);
}

/* Keys hold no NUL, but a file may have been meddled with: what follows one is not seen. */
static int lend_key(struct file_reader *r, struct file_mark *ret)
{
    sqlite3_stmt *q = r->stmts[R_FILES];
    const void *bytes = sqlite3_column_blob(q, 0);
    size_t n = (size_t)sqlite3_column_bytes(q, 0);
    if (bytes == NULL && n > 0) {
        return SQLITE_NOMEM;
    }
    if (n >= r->key_size) {
        r->key_size = n + 1 > 256 ? (n + 1) * 2 : 256;
        r->key = xrealloc_array(r->key, r->key_size, 1);
    }
    if (n > 0) {
        memcpy(r->key, bytes, n);
    }
    r->key[n] = '\0';
    ret->key = r->key;
    return SQLITE_OK;
}

static int reader_next(struct file_reader *r, struct file_mark *ret, struct err *err)
{
    sqlite3_stmt *q = r->stmts[R_FILES];
    if (!r->has_files) {
        return 0;
    }
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        rc = lend_key(r, ret);
        ret->tag = sqlite3_column_int64(q, 1);
        store_files_unpack(sqlite3_column_int64(q, 2), ret);
    }
    if (rc == SQLITE_OK) {
        return 1;
    }
    r->has_files = false;
    if (rc == SQLITE_DONE) {
        return 0;
    }
    (void)fail(r, rc, err);
    return -1;
}

const struct file_reader_ops store_reader_ops = {
    .begin = reader_begin,
    .next = reader_next,
    .end = reader_end,
    .close = reader_close,
};
