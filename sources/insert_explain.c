#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/quote.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "scheduler/spec.h"
#include "sources/fe_error.h"
#include "sources/fe_grants.h"
#include "sources/fe_session.h"
#include "sources/fe_traits.h"
#include "sources/insert_check.h"
#include "sources/insert_columns.h"
#include "sources/insert_explain.h"
#include "sources/insert_guarantee.h"
#include "sources/insert_offsets.h"

/* What the offset table takes, where it is to be made: as SHOW GRANTS spells it, and as GRANT does. */
enum { N_OFFSETS_RIGHTS = 3 };
static const struct {
    const char *shown;
    const char *granted;
} offsets_rights[N_OFFSETS_RIGHTS] = {
    {"Create_priv", "CREATE_PRIV"}, {"Select_priv", "SELECT_PRIV"}, {"Load_priv", "LOAD_PRIV"}};

/* What was learnt, and how the talk goes on. */
struct talk {
    const struct explain_question *q;
    const struct insert_spec *insert;
    struct fe_conn *c; /* owned */
    struct fe_wait wait;
    struct explain *e;
    bool is_over; /* the link is lost or the time is up: said already */
    int version;
    struct insert_columns columns;
    bool has_target;
    bool is_unique;  /* a UNIQUE KEY table: the same rows again change nothing */
    bool has_rights; /* SHOW GRANTS told */
    bool may_load;   /* on the table */
    bool may_load_db;
    bool may_use_offsets[N_OFFSETS_RIGHTS];
    char *replication; /* the target's, or NULL; owned */
};

static void talk_fini(struct talk *t)
{
    fe_conn_destroy(t->c);
    insert_columns_fini(&t->columns);
    free(t->replication);
}

/* A cell has no room for what stands before nearly every text of Doris. */
static const char *words_of(const struct err *err)
{
    static const char before[] = "errCode = 2, detailMessage = ";
    return strncmp(err->msg, before, sizeof(before) - 1) == 0 ? err->msg + sizeof(before) - 1
                                                              : err->msg;
}

/* FE_OK and FE_REFUSED are the caller's; all else ends the talk, with a line. */
static enum fe_result run(struct talk *t, const char *sql, fe_row_fn each, void *arg,
                          struct err *err)
{
    enum fe_result result = fe_conn_run(t->c, sql, each, arg, &t->wait, err);
    if (result != FE_OK && result != FE_REFUSED) {
        t->is_over = true;
        explain_fail(t->e, "FE", "%s; what would follow here was not asked", err->msg);
    }
    return result;
}

/* --- the account ------------------------------------------------------------------------------ */

static bool log_in(struct talk *t)
{
    struct err err = {0};
    _cleanup_fe_recipe_ struct fe_recipe *plain = fe_recipe_create(NULL, 0, &err);
    t->e->section = EXPLAIN_RIGHTS;
    t->c = fe_pool_take(t->q->pool, plain, &t->wait, &err);
    struct fe_traits traits = {0};
    if (t->c == NULL || fe_pool_traits(t->q->pool, t->c, &t->wait, &traits, &err) != FE_OK) {
        explain_fail(t->e, "service account", "%s", err.msg);
        return false;
    }
    t->version = traits.version;
    explain_add(t->e, "service account", "'%s' (doris.user) is let in by the FE %s:%d", t->q->user,
                fe_conn_address(t->c)->host, fe_conn_address(t->c)->port);
    return true;
}

static void read_scopes(struct talk *t, const char *cell)
{
    struct span rest = span_of(cell);
    struct span scope = {0};
    while (fe_grants_next(&rest, &scope)) {
        t->may_load |= fe_grants_covers(scope, t->insert->target_db, t->insert->target_table);
        t->may_load_db |= fe_grants_covers(scope, t->insert->target_db, "");
    }
}

static void read_offsets_rights(struct talk *t, const struct fe_row *row)
{
    static const char *const scoped[] = {"CatalogPrivs", "DatabasePrivs", "TablePrivs"};
    const char *db = t->insert->target_db;
    for (size_t i = 0; i < N_OFFSETS_RIGHTS; i++) {
        const char *right = offsets_rights[i].shown;
        bool may = fe_grants_has_global_of(fe_row_get(row, "GlobalPrivs"), right);
        for (size_t k = 0; k < ARRAY_SIZE(scoped); k++) {
            may = may || fe_grants_give(fe_row_get(row, scoped[k]), right, db, OFFSETS_TABLE);
        }
        t->may_use_offsets[i] = t->may_use_offsets[i] || may;
    }
}

static void read_grants(const struct fe_row *row, void *arg)
{
    struct talk *t = arg;
    read_offsets_rights(t, row);
    t->has_rights = t->has_rights || fe_row_get(row, "UserIdentity") != NULL;
    if (fe_grants_has_global(fe_row_get(row, "GlobalPrivs"))) {
        t->may_load = true;
        t->may_load_db = true;
    }
    read_scopes(t, fe_row_get(row, "CatalogPrivs"));
    read_scopes(t, fe_row_get(row, "DatabasePrivs"));
    read_scopes(t, fe_row_get(row, "TablePrivs"));
}

static void explain_rights(struct talk *t)
{
    const char *db = t->insert->target_db;
    const char *table = t->insert->target_table;
    const char *user = t->q->user;
    if (!t->has_rights) {
        explain_add(t->e, "service account",
                    "its rights are not told by SHOW GRANTS: the first load tells");
    } else if (!t->may_load) {
        explain_fail(t->e, "service account",
                     "'%s' has no LOAD on %s.%s: GRANT LOAD_PRIV ON %s.%s TO '%s'", user, db, table,
                     db, table, user);
    } else {
        explain_add(t->e, "service account", "has LOAD on %s.%s", db, table);
    }
    if (t->has_rights && !t->may_load_db) {
        explain_warn(t->e, "service account",
                     "has no LOAD on the database %s, which SHOW TRANSACTION asks for%s: GRANT "
                     "LOAD_PRIV ON %s.* TO '%s'",
                     db,
                     t->q->http->host != NULL
                         ? "; interrupted loads are looked up through doris.http only"
                         : ", and doris.http is not set: nothing can tell what became of an "
                           "interrupted load",
                     db, user);
    }
}

static void ask_rights(struct talk *t)
{
    struct err err = {0};
    t->e->section = EXPLAIN_RIGHTS;
    (void)run(t, "SHOW GRANTS", read_grants, t, &err);
    if (!t->is_over) {
        explain_rights(t);
    }
}

/* --- the target and its columns --------------------------------------------------------------- */

static void read_target(const struct fe_row *row, void *arg)
{
    struct talk *t = arg;
    const char *name = fe_row_get(row, "Field");
    if (name != NULL) {
        insert_columns_add_target(&t->columns, name, fe_row_get(row, "Type"),
                                  fe_row_get(row, "Null"), fe_row_get(row, "Default"),
                                  fe_row_get(row, "Extra"));
    }
}

static void read_create(const struct fe_row *row, void *arg)
{
    struct talk *t = arg;
    const char *text = fe_row_get(row, "Create Table");
    t->is_unique = text != NULL && strstr(text, "UNIQUE KEY(") != NULL;
    free(t->replication);
    t->replication = insert_offsets_replication(text);
}

static void explain_no_target(struct talk *t, const struct err *err)
{
    const char *db = t->insert->target_db;
    const char *table = t->insert->target_table;
    struct span text = span_of(fe_conn_error_text(t->c));
    if (fe_error_is_denied(err->code, text)) {
        bool is_told = t->has_rights && !t->may_load; /* one cause is one problem */
        (is_told ? explain_add : explain_fail)(
            t->e, "target",
            "the service account '%s' may not see %s.%s: GRANT LOAD_PRIV ON %s.%s TO '%s'; "
            "the FE says: %s",
            t->q->user, db, table, db, table, t->q->user, words_of(err));
    } else if (fe_error_is_missing_database(err->code, text)) {
        explain_fail(t->e, "target",
                     "database %s does not exist: CREATE DATABASE it first; the FE says: %s", db,
                     words_of(err));
    } else if (fe_error_is_missing_table(err->code, text)) {
        explain_fail(t->e, "target", "%s.%s does not exist: CREATE TABLE it first; the FE says: %s",
                     db, table, words_of(err));
    } else {
        explain_fail(t->e, "target", "%s.%s could not be looked up; the FE says: %s", db, table,
                     words_of(err));
    }
}

static void ask_target(struct talk *t)
{
    struct err err = {0};
    struct err ignored = {0}; /* who may load may not always see this */
    _cleanup_free_ char *db = quote_name(t->insert->target_db);
    _cleanup_free_ char *table = quote_name(t->insert->target_table);
    _cleanup_free_ char *sql = xasprintf("DESC %s.%s", db, table);
    _cleanup_free_ char *create = xasprintf("SHOW CREATE TABLE %s.%s", db, table);
    t->e->section = EXPLAIN_TARGET;
    enum fe_result result = run(t, sql, read_target, t, &err);
    if (result == FE_OK) {
        t->has_target = true;
        (void)run(t, create, read_create, t, &ignored);
        explain_add(t->e, "target", "%s.%s, %zu columns", t->insert->target_db,
                    t->insert->target_table, t->columns.n_targets);
    } else if (result == FE_REFUSED) {
        explain_no_target(t, &err);
    }
}

static void read_select(const struct fe_field *field, void *arg)
{
    struct insert_columns *columns = arg;
    insert_columns_add_select(columns, field->name, field->type, field->decimals);
}

/* Where the rewrite replaced the literal of a property of the table function. */
static size_t place_of_edit(const struct insert_spec *insert, const char *sql)
{
    size_t at = 0;
    while (at < insert->sql_len && sql[at] != '\0' && sql[at] == insert->sql[at]) {
        at++;
    }
    for (size_t i = 0; i < insert->n_tvf_props; i++) {
        const struct spec_prop *p = &insert->tvf_props[i];
        if (p->value_at <= at && at < p->value_end) {
            return p->value_at;
        }
    }
    return at;
}

char *insert_explain_query(const struct insert_spec *insert, const char *sql)
{
    size_t len = strlen(sql);
    size_t edit_at = place_of_edit(insert, sql);
    /* Unsigned arithmetic wraps back when the text became shorter. */
    size_t more = len - insert->sql_len;
    size_t insert_at = insert->insert_at + (edit_at < insert->insert_at ? more : 0);
    size_t query_at = insert->query_at + (edit_at < insert->insert_at ? more : 0);
    return xasprintf("%.*s%s", (int)insert_at, sql, sql + query_at);
}

/*
 * The types of the query's columns, without its rows: an FE plans LIMIT 0 as nothing. The second
 * form is for a query two columns of which have one name.
 */
static void ask_select(struct talk *t, struct err *err)
{
    _cleanup_free_ char *query = insert_explain_query(t->insert, t->q->request->sql);
    for (int i = 0; i < 2 && !t->is_over && !t->columns.has_selects; i++) {
        _cleanup_free_ char *sql = i == 0 ? xasprintf("SELECT * FROM (\n%s\n) AS sluice_explain "
                                                      "LIMIT 0",
                                                      query)
                                          : xasprintf("(\n%s\n) LIMIT 0", query);
        *err = (struct err){0};
        enum fe_result result =
            fe_conn_describe(t->c, sql, read_select, &t->columns, &t->wait, err);
        t->columns.has_selects = result == FE_OK;
        t->is_over = result != FE_OK && result != FE_REFUSED;
    }
}

/* Without the target, LOAD or enough columns there is no plan: one cause is one problem. */
static void explain_no_plan(struct talk *t, const struct err *err)
{
    bool is_denied = fe_error_is_denied(err->code, span_of(fe_conn_error_text(t->c)));
    bool is_told = !t->has_target || !insert_columns_are_as_many(&t->columns, t->insert) ||
                   (is_denied && t->has_rights && !t->may_load);
    (is_told ? explain_add
             : explain_fail)(t->e, "plan", "the FE cannot plan the INSERT (EXPLAIN)%s: %s",
                             is_told ? ", for what is marked ERROR above" : "", words_of(err));
}

static void ask_plan(struct talk *t)
{
    struct err why = {0};
    struct err err = {0};
    if (t->q->request->sql == NULL || t->is_over) {
        return;
    }
    t->e->section = EXPLAIN_STATEMENT;
    ask_select(t, &why);
    if (t->is_over) {
        explain_fail(t->e, "FE", "%s; what would follow here was not asked", why.msg);
        return;
    }
    _cleanup_free_ char *sql = xasprintf("EXPLAIN %s", t->q->request->sql);
    enum fe_result result = run(t, sql, NULL, NULL, &err);
    if (result == FE_REFUSED) {
        explain_no_plan(t, &err);
        return;
    }
    if (result == FE_OK) {
        explain_add(t->e, "plan", "the FE plans the INSERT of the first batch (EXPLAIN)");
    }
    if (result == FE_OK && !t->columns.has_selects) {
        explain_add(t->e, "SELECT columns", "not known: %s", words_of(&why));
    }
}

/* --- the guarantee ---------------------------------------------------------------------------- */

static void read_config(const struct fe_row *row, void *arg)
{
    fe_traits_read(fe_row_get(row, "Key"), fe_row_get(row, "Value"), arg);
}

static enum fe_result look_for_offsets(struct talk *t, struct err *err)
{
    struct offsets_question q = {
        .c = t->c,
        .user = t->q->user,
        .db = t->insert->target_db,
        .wait = t->wait,
    };
    enum fe_result result = insert_offsets_look(&q, err);
    t->is_over = result != FE_OK && result != FE_REFUSED;
    return result;
}

/* NULL: nothing, or not told. The caller owns the result. */
static char *lacking(const struct talk *t)
{
    char *lacks = NULL;
    for (size_t i = 0; i < N_OFFSETS_RIGHTS && t->has_rights; i++) {
        if (!t->may_use_offsets[i]) {
            char *before = lacks;
            lacks = xasprintf("%s%s%s", before != NULL ? before : "", before != NULL ? ", " : "",
                              offsets_rights[i].granted);
            free(before);
        }
    }
    return lacks;
}

static void ask_memory(struct talk *t)
{
    _cleanup_free_ char *lacks = lacking(t);
    struct err ignored = {0}; /* who may not read it is told so */
    struct err err = {0};
    struct insert_guarantee g = {
        .request = t->q->request,
        .http = t->q->http,
        .fe = fe_conn_address(t->c),
        .user = t->q->user,
        .traits = {.version = t->version},
        .is_unique = t->is_unique,
        .offsets = FE_OK,
        .offsets_err = &err,
        .lacks = lacks,
        .replication = t->replication,
    };
    bool is_label = spec_guarantee(t->q->request->spec) == GUARANTEE_LABEL;
    t->e->section = EXPLAIN_GUARANTEE;
    (void)run(t, "ADMIN SHOW FRONTEND CONFIG LIKE '%label%'", read_config, &g.traits, &ignored);
    if (!t->is_over && !is_label && insert_check_has_transactions(t->version)) {
        g.offsets = look_for_offsets(t, &err);
    }
    insert_guarantee_explain(&g, t->e);
}

/* --- the session of a load -------------------------------------------------------------------- */

static void explain_session(struct talk *t)
{
    const struct job_spec *spec = t->q->request->spec;
    t->e->section = EXPLAIN_PROPERTIES;
    explain_add(t->e, "insert_timeout, query_timeout",
                "%" PRId64 " s for one load (scheduler.task_timeout, unless a session.* says "
                "otherwise)",
                t->q->request->timeout_s);
    for (size_t i = 0; i < spec->n_props; i++) {
        if (span_istarts_with(span_of(spec->props[i].key), "session.")) {
            bool is_secret = secret_is_key(span_of(spec->props[i].key));
            explain_add(t->e, spec->props[i].key, "%s, for every load of the job",
                        is_secret ? SECRET_MASK : spec->props[i].value);
        }
    }
    explain_add(t->e, "group_commit", "off_mode, always: it would make Doris ignore the label");
}

static void set_session(struct talk *t)
{
    struct err err = {0};
    const struct sink_explain *request = t->q->request;
    explain_session(t);
    _cleanup_fe_recipe_ struct fe_recipe *recipe =
        fe_recipe_create(request->spec, request->timeout_s, &err);
    if (recipe == NULL) {
        explain_fail(t->e, "session", "%s", err.msg);
        return;
    }
    enum fe_result result = fe_recipe_apply(recipe, t->c, &t->wait, &err);
    if (result != FE_OK) {
        explain_fail(t->e, "session", "%s", err.msg);
        t->is_over = result != FE_REFUSED;
    }
}

void insert_explain(const struct explain_question *q, struct explain *e)
{
    __attribute__((cleanup(talk_fini))) struct talk t = {
        .q = q,
        .insert = &q->request->spec->insert,
        .wait = {.deadline_us = q->request->deadline_us, .cancel = q->request->cancel},
        .e = e,
    };
    static void (*const parts[])(struct talk *) = {ask_rights, ask_target, ask_memory, set_session,
                                                   ask_plan};
    if (!log_in(&t)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(parts) && !t.is_over; i++) {
        parts[i](&t);
    }
    if (t.has_target) {
        e->section = EXPLAIN_COLUMNS;
        insert_columns_explain(&t.columns, t.insert, e);
    }
}
