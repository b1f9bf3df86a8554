#include <sqlite3.h>
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "scheduler/store_crypt.h"
#include "scheduler/store_error.h"
#include "scheduler/store_rows.h"
#include "scheduler/store_schema.h"

/*
 * meta.key_check     a known text, encrypted: which key it is, and whether ours is the right one;
 *                    NULL while nothing is encrypted
 * meta.is_scrubbed   1 when no text from before the last encryption can be left in the file
 */
enum { FIRST_ENCRYPTED_VERSION = 2 };
static const char CHECK_TEXT[] = "sluice store";
static const struct store_place CHECK_PLACE = {.table = "meta", .column = "key_check"};

struct crypt {
    struct sqlite3 *db;
    const char *path;     /* of the store */
    int64_t version;      /* of its tables, as found */
    const char *key_file; /* borrowed */
    struct store_seal *seal;
    char *check; /* owned; NULL: nothing is encrypted */
    bool is_scrubbed;
    bool is_new;  /* never opened before: there is nothing to wipe */
    int n_sealed; /* rows that were encrypted, or encrypted anew */
};

static void crypt_fini(struct crypt *c)
{
    free(c->check);
}

/* `rc` as a sentence; false. */
static bool fail(const struct crypt *c, int rc, const char *doing, struct err *err)
{
    if (rc == STORE_ROWS_SEAL) {
        *err = c->seal->err;
        return err_prefix(err, "store %s: cannot %s: ", c->path, doing);
    }
    return store_error_say(c->db, rc, c->path, doing, err);
}

static bool execute(const struct crypt *c, const char *sql, const char *doing, struct err *err)
{
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || fail(c, rc, doing, err);
}

static bool read_meta(struct crypt *c, struct err *err)
{
    sqlite3_stmt *q = NULL;
    const char *sql = c->version < FIRST_ENCRYPTED_VERSION
                          ? "SELECT NULL, 0, epoch FROM meta"
                          : "SELECT key_check, is_scrubbed, epoch FROM meta";
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
        rc = rc == SQLITE_DONE ? SQLITE_CORRUPT : rc; /* the one row of meta is gone */
    }
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(q, 0);
        bool is_short = text == NULL && sqlite3_column_type(q, 0) != SQLITE_NULL;
        c->check = text != NULL ? xstrdup(text) : NULL;
        c->is_scrubbed = sqlite3_column_int(q, 1) != 0;
        c->is_new = sqlite3_column_int64(q, 2) == 0;
        rc = is_short ? SQLITE_NOMEM : SQLITE_ROW;
    }
    (void)sqlite3_finalize(q); /* repeats the code of the step */
    return rc == SQLITE_ROW || fail(c, rc, "read how it is encrypted", err);
}

/* --- the key ---------------------------------------------------------------------------------- */

static bool make_key(struct crypt *c, struct err *err)
{
    if (c->check != NULL) {
        return err_say(err,
                       "store %s is encrypted, and its key file %s is missing: restore it from a "
                       "copy, or set store.key_file to where it is now. Without it the jobs in "
                       "the store cannot run; to begin without them, move the store away",
                       c->path, c->key_file);
    }
    if (!store_key_create(c->key_file, err)) {
        return err_prefix(err, "store %s: ", c->path);
    }
    return store_key_read(c->key_file, &c->seal->keys, err) == STORE_KEY_OK ||
           err_prefix(err, "store %s: the key file was made, but: ", c->path);
}

static bool get_key(struct crypt *c, struct err *err)
{
    switch (store_key_read(c->key_file, &c->seal->keys, err)) {
    case STORE_KEY_OK: return true;
    case STORE_KEY_ABSENT: return make_key(c, err);
    case STORE_KEY_FAIL: break;
    }
    return err_prefix(err, "store %s: ", c->path);
}

/* Can we read what is encrypted in the store? */
static bool try_key(struct crypt *c, struct err *err)
{
    struct span id = store_seal_key_id(span_of(c->check));
    _cleanup_free_ char *text = store_seal_open(c->seal, &CHECK_PLACE, span_of(c->check));
    _cleanup_free_ char *ours = store_key_list(&c->seal->keys);
    if (text != NULL && strcmp(text, CHECK_TEXT) == 0) {
        return true;
    }
    if (id.n == 0) {
        return err_say(err,
                       "store %s is damaged (meta.key_check is nothing that Sluice wrote); restore "
                       "it from a backup",
                       c->path);
    }
    return err_say(err,
                   "store %s is encrypted with key %.*s, but the key file %s holds key %s: it is "
                   "the key of another store, or an older copy. Restore the right file, or set "
                   "store.key_file to it; nothing was changed",
                   c->path, SPAN_ARG(id), c->key_file, ours);
}

/* --- encrypting ------------------------------------------------------------------------------- */

static bool write_check(const struct crypt *c, struct err *err)
{
    static const char sql[] = "UPDATE meta SET key_check = ?1, is_scrubbed = ?2";
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK) {
        rc = store_rows_bind_sealed(q, 1, c->seal, &CHECK_PLACE, CHECK_TEXT);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int(q, 2, c->is_new);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(q);
    }
    (void)sqlite3_finalize(q); /* repeats the code of the step */
    return rc == SQLITE_DONE || fail(c, rc, "note its key", err);
}

static bool seal_rows(struct crypt *c, struct err *err)
{
    int n_before = sqlite3_total_changes(c->db);
    const struct store_rows_table *const tables[] = {&store_rows_jobs, &store_rows_tasks,
                                                     &store_rows_bad_files};
    enum store_rows_from from = c->check != NULL ? STORE_ROWS_SEALED : STORE_ROWS_PLAIN;
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        int rc = store_rows_seal_all(c->db, tables[i], from, c->seal);
        if (rc != SQLITE_DONE) {
            return fail(c, rc, "encrypt it", err);
        }
    }
    c->n_sealed = sqlite3_total_changes(c->db) - n_before;
    return write_check(c, err) && execute(c, "COMMIT", "encrypt it", err);
}

/* In one transaction: the store is encrypted as a whole, or as it was. */
static bool seal_store(struct crypt *c, struct err *err)
{
    if (!execute(c, "BEGIN IMMEDIATE", "encrypt it", err)) {
        return false;
    }
    if (!seal_rows(c, err)) {
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL); /* the first error is told */
        return false;
    }
    c->is_scrubbed = c->is_new;
    return true;
}

static bool is_current(const struct crypt *c)
{
    return c->check != NULL &&
           span_eq_text(store_seal_key_id(span_of(c->check)), c->seal->keys.items[0].id);
}

/* Copies the log back and empties it. */
static bool empty_log(const struct crypt *c, struct err *err)
{
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return rc == SQLITE_OK || fail(c, rc, "wipe its log", err);
}

/* What was in clear, or under an old key, is in the log and in unused room of the file. */
static bool scrub(const struct crypt *c, struct err *err)
{
    return execute(c, "VACUUM", "wipe what was there before it was encrypted", err) &&
           empty_log(c, err) &&
           execute(c, "UPDATE meta SET is_scrubbed = 1", "note that it was wiped", err);
}

/*
 * That the whole store is under the first key now is what whoever removes an old one waits for. Also
 * when an earlier start did it, and died before it was sure that nothing is left of the old.
 */
static void tell(const struct crypt *c)
{
    struct span old = store_seal_key_id(span_of(c->check != NULL ? c->check : ""));
    _cleanup_free_ char *former = old.n > 0 ? span_dup(old) : xstrdup("none");
    log_info("store.rekeyed", "n", LOG_FMT("%d", c->n_sealed), "key", c->seal->keys.items[0].id,
             "former", former, "store", c->path, NULL);
}

static bool run(struct crypt *c, struct err *err)
{
    if (!read_meta(c, err) || !get_key(c, err) || (c->check != NULL && !try_key(c, err)) ||
        !store_schema_migrate(c->db, c->path, c->version, err)) {
        return false;
    }
    bool is_changed = !is_current(c) || !c->is_scrubbed;
    if ((!is_current(c) && !seal_store(c, err)) || (!c->is_scrubbed && !scrub(c, err))) {
        return false;
    }
    if (is_changed && !c->is_new) {
        tell(c);
    }
    return true;
}

bool store_crypt_open(struct sqlite3 *db, const char *path, int64_t version, const char *key_file,
                      struct store_seal *seal, struct err *err)
{
    _cleanup_free_ char *beside = xasprintf("%s.key", path);
    _cleanup_(crypt_fini) struct crypt c = {
        .db = db,
        .path = path,
        .version = version,
        .key_file = key_file[0] != '\0' ? key_file : beside,
        .seal = seal,
    };
    *seal = (struct store_seal){0};
    if (!run(&c, err)) {
        store_seal_fini(seal);
        return false;
    }
    return true;
}
