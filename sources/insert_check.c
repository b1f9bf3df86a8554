#include <string.h>

#include "base/quote.h"
#include "base/xmalloc.h"
#include "sources/fe_error.h"
#include "sources/fe_grants.h"
#include "sources/insert_check.h"
#include "sources/insert_offsets.h"

enum { FIRST_WITH_TRANSACTIONS = 3000 };

/* What is missing has one number, whichever the FE's version gives it. Returns false. */
static bool become(struct err *err, int code, const char *sqlstate)
{
    struct err old = *err;
    return err_set(err, code, sqlstate, "%s", old.msg);
}

bool insert_check_target(const struct insert_check *q, struct err *err)
{
    const struct fe_address *a = fe_conn_address(q->c);
    _cleanup_free_ char *db = quote_name(q->spec->insert.target_db);
    _cleanup_free_ char *table = quote_name(q->spec->insert.target_table);
    _cleanup_free_ char *sql = xasprintf("DESC %s.%s", db, table);
    enum fe_result result = fe_conn_run(q->c, sql, NULL, NULL, &q->wait, err);
    if (result == FE_OK) {
        return true;
    }
    struct span text = span_of(fe_conn_error_text(q->c));
    if (result == FE_REFUSED && fe_error_is_denied(err->code, text)) {
        return err_prefix(err,
                          "the service account '%s' may not use table %s.%s: GRANT LOAD_PRIV "
                          "ON %s.%s TO '%s'; the FE %s:%d says: ",
                          q->user, db, table, db, table, q->user, a->host, a->port);
    }
    if (result == FE_REFUSED && fe_error_is_missing_database(err->code, text)) {
        (void)err_prefix(err,
                         "database %s does not exist: CREATE DATABASE it first; the FE %s:%d "
                         "says: ",
                         db, a->host, a->port);
        return become(err, ERR_BAD_DB, "42000");
    }
    if (result == FE_REFUSED && fe_error_is_missing_table(err->code, text)) {
        (void)err_prefix(err,
                         "table %s.%s does not exist: CREATE TABLE it first; the FE %s:%d "
                         "says: ",
                         db, table, a->host, a->port);
        return become(err, ERR_NO_SUCH_TABLE, "42S02");
    }
    return err_prefix(err, "table %s.%s could not be looked up: ", db, table);
}

struct load_right {
    const struct insert_spec *insert; /* borrowed */
    bool is_told;
    bool is_there;
};

static bool cell_covers(const char *cell, const struct insert_spec *insert)
{
    struct span rest = span_of(cell);
    struct span scope = {0};
    while (fe_grants_next(&rest, &scope)) {
        if (fe_grants_covers(scope, insert->target_db, insert->target_table)) {
            return true;
        }
    }
    return false;
}

static void read_right(const struct fe_row *row, void *arg)
{
    static const char *const scoped[] = {"CatalogPrivs", "DatabasePrivs", "TablePrivs"};
    struct load_right *r = arg;
    r->is_told = r->is_told || fe_row_get(row, "UserIdentity") != NULL;
    r->is_there = r->is_there || fe_grants_has_global(fe_row_get(row, "GlobalPrivs"));
    for (size_t i = 0; i < ARRAY_SIZE(scoped); i++) {
        r->is_there = r->is_there || cell_covers(fe_row_get(row, scoped[i]), r->insert);
    }
}

bool insert_check_load(const struct insert_check *q, struct err *err)
{
    const struct fe_address *a = fe_conn_address(q->c);
    _cleanup_free_ char *db = quote_name(q->spec->insert.target_db);
    _cleanup_free_ char *table = quote_name(q->spec->insert.target_table);
    struct load_right r = {.insert = &q->spec->insert};
    enum fe_result result = fe_conn_run(q->c, "SHOW GRANTS", read_right, &r, &q->wait, err);
    if (result != FE_OK && result != FE_REFUSED) {
        return err_prefix(
            err, "the rights of the service account '%s' could not be asked for: ", q->user);
    }
    if (result == FE_REFUSED || !r.is_told || r.is_there) {
        return true; /* an FE that does not tell has the first load tell it */
    }
    return err_set(err, ERR_TABLEACCESS_DENIED, "42000",
                   "the service account '%s' (doris.user) has no LOAD on table %s.%s, says SHOW "
                   "GRANTS of the FE %s:%d: GRANT LOAD_PRIV ON %s.%s TO '%s'",
                   q->user, db, table, a->host, a->port, db, table, q->user);
}

bool insert_check_plan(const struct insert_check *q, const char *sql, struct err *err)
{
    const struct fe_address *a = fe_conn_address(q->c);
    _cleanup_free_ char *statement = xasprintf("EXPLAIN %s", sql);
    switch (fe_conn_run(q->c, statement, NULL, NULL, &q->wait, err)) {
    case FE_OK: return true;
    case FE_REFUSED:
        return err_prefix(err, "the FE %s:%d cannot plan the job's INSERT (EXPLAIN): ", a->host,
                          a->port);
    case FE_UNSENT:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    return err_prefix(err, "the job's INSERT could not be tried with EXPLAIN: ");
}

bool insert_check_has_transactions(int version)
{
    return version == 0 || version >= FIRST_WITH_TRANSACTIONS;
}

bool insert_check_guarantee(const struct insert_check *q, int version, struct err *err)
{
    static const struct offset_row nothing = {.range = ""}; /* no job and no task has number 0 */
    const struct fe_address *a = fe_conn_address(q->c);
    if (spec_guarantee(q->spec) != GUARANTEE_TRANSACTIONAL) {
        return true;
    }
    if (!insert_check_has_transactions(version)) {
        return err_say(err,
                       "\"guarantee\" = \"transactional\" needs Doris 3.0 or later, and the FE "
                       "%s:%d is %d.%d: leave the property out, or set it to \"label\"",
                       a->host, a->port, version / 1000, version % 1000);
    }
    struct offsets_question question = {
        .c = q->c,
        .user = q->user,
        .db = q->spec->insert.target_db,
        .row = &nothing,
        .wait = q->wait,
    };
    return insert_offsets_ensure(&question, q->spec->insert.target_table, err);
}
