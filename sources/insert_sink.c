#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/quote.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "scheduler/spec.h"
#include "sources/fe_error.h"
#include "sources/fe_grants.h"
#include "sources/fe_http.h"
#include "sources/fe_pool.h"
#include "sources/fe_session.h"
#include "sources/fe_text.h"
#include "sources/insert_explain.h"
#include "sources/insert_info.h"
#include "sources/insert_label.h"
#include "sources/insert_sink.h"

enum {
    KILL_TIMEOUT_US = 3000000, /* for KILL QUERY, from connecting on */
    LAST_ANSWER_US = 5000000,  /* for the statement's own answer after it */
    LONGEST_TEXT = 16 << 10,   /* of a first error or a tracking URL */
};

struct sink {
    struct fe_login login;
    struct fe_http http;
    struct fe_pool *pool; /* owned */
};

struct sink *insert_sink_create(const struct insert_sink_options *o)
{
    struct sink *k = xcalloc(1, sizeof(*k));
    k->login = (struct fe_login){
        .user = o->user,
        .password = o->password,
        .connect_timeout_ms = o->connect_timeout_ms,
        .announces = o->announces,
        .tls = o->tls,
        .tls_ca = o->tls_ca,
    };
    k->http = (struct fe_http){
        .host = o->http_host,
        .port = o->http_port,
        .user = o->user,
        .password = o->password,
    };
    k->pool = fe_pool_create(o->addresses, o->n_addresses, &k->login);
    return k;
}

void insert_sink_destroy(struct sink *k)
{
    if (k != NULL) {
        fe_pool_destroy(k->pool);
        free(k);
    }
}

/*
 * An FE may quote the statement in an error, and with it the keys of the object store; or a row, and
 * with it any bytes.
 */
static void blacken_all(const struct sink *k, const struct job_spec *spec, char *text)
{
    fe_text_make_utf8(text);
    for (size_t i = 0; i < spec->insert.n_tvf_props; i++) {
        if (secret_is_key(span_of(spec->insert.tvf_props[i].key))) {
            secret_blacken(text, spec->insert.tvf_props[i].value);
        }
    }
    secret_blacken(text, k->login.password);
}

static void make_err_fit_to_show(const struct sink *k, const struct job_spec *spec, struct err *err)
{
    if (!err_is_set(err)) {
        return;
    }
    blacken_all(k, spec, err->msg);
    struct err old = *err;
    _cleanup_free_ char *masked = secret_mask(span_of(old.msg));
    (void)err_set(err, old.code, old.sqlstate, "%s", masked);
}

/* A URL keeps its signature: it is Doris's own, and made to be followed. */
static void make_report_fit_to_show(const struct sink *k, const struct job_spec *spec,
                                    struct load_report *report)
{
    if (report->tracking_url != NULL) {
        blacken_all(k, spec, report->tracking_url);
    }
    if (report->first_error != NULL) {
        blacken_all(k, spec, report->first_error);
        char *masked = secret_mask(span_of(report->first_error));
        free(report->first_error);
        report->first_error = masked;
    }
}

static char *text_or_null(struct span s)
{
    s.n = s.n < LONGEST_TEXT ? s.n : LONGEST_TEXT;
    return s.n > 0 ? span_dup(s) : NULL;
}

static void fill_report(struct load_report *ret, const struct fe_error_parts *parts)
{
    ret->is_data_error = parts->is_data_error;
    ret->tracking_url = text_or_null(parts->tracking_url);
    ret->first_error = text_or_null(parts->first_error);
    if (ret->txn_id == NULL) {
        ret->txn_id = text_or_null(parts->txn_id);
    }
}

static enum load_result lost(struct err *err, const struct fe_conn *c, const char *label,
                             const char *what)
{
    (void)err_set(err, ERR_FE_LOST, "08S01", "the FE %s:%d answered the load %s with %s",
                  fe_conn_address(c)->host, fe_conn_address(c)->port, label, what);
    return LOAD_LOST;
}

/* Status ABORTED: the FE failed after the load and says so in an OK packet. */
static enum load_result aborted(const struct load_request *request, const struct insert_info *info,
                                struct load_report *ret, struct err *err)
{
    struct fe_error_parts parts = fe_error_read(info->error, request->label);
    fill_report(ret, &parts);
    ret->stat = (struct load_stat){0};
    (void)err_say(err, "%.*s",
                  SPAN_ARG(info->error.n > 0
                               ? info->error
                               : SPAN_LIT("the FE aborted the load without a reason")));
    return LOAD_REFUSED;
}

static enum load_result read_ok(const struct load_request *request, const struct fe_conn *c,
                                struct load_report *ret, struct err *err)
{
    struct insert_info info = {0};
    const char *text = fe_conn_info(c);
    uint64_t affected = fe_conn_affected(c);
    uint64_t filtered = fe_conn_warnings(c);
    if (text == NULL) {
        return affected == 0 ? LOAD_EMPTY
                             : lost(err, c, request->label, "loaded rows but without a label");
    }
    if (!insert_info_parse(span_of(text), &info)) {
        return lost(err, c, request->label, "a text that is not the outcome of an INSERT");
    }
    if (!span_eq_text(info.label, request->label)) {
        return lost(err, c, request->label, "the outcome of another label");
    }
    ret->txn_id = text_or_null(info.txn_id);
    if (affected <= INT64_MAX - filtered) {
        ret->stat.scanned_rows = (int64_t)(affected + filtered);
        ret->stat.filtered_rows = (int64_t)filtered;
    }
    switch (info.status) {
    case INSERT_STATUS_VISIBLE: return LOAD_VISIBLE;
    case INSERT_STATUS_COMMITTED: return LOAD_COMMITTED;
    case INSERT_STATUS_ABORTED: return aborted(request, &info, ret, err);
    case INSERT_STATUS_PREPARE:
        return lost(err, c, request->label, "status PREPARE, as inside an explicit transaction");
    case INSERT_STATUS_OTHER: break;
    }
    return lost(err, c, request->label, "a status that is not known");
}

static enum load_result read_refusal(const struct load_request *request, const struct fe_conn *c,
                                     struct load_report *ret, struct err *err)
{
    struct fe_error_parts parts = fe_error_read(span_of(fe_conn_error_text(c)), request->label);
    fill_report(ret, &parts);
    switch (parts.kind) {
    case FE_ERROR_LABEL_USED: return LOAD_LABEL_USED;
    case FE_ERROR_COMMITTED: *err = (struct err){0}; return LOAD_COMMITTED;
    case FE_ERROR_OTHER: break;
    }
    return LOAD_REFUSED;
}

/* Stops the statement if that is still possible, and gives its own answer a last chance. */
static enum fe_result kill_and_wait(struct fe_conn *c, struct err *err)
{
    struct err why = *err;
    struct err ignored = {0}; /* KILL is best effort: the answer decides, else the label */
    struct fe_wait kill = {.deadline_us = clock_mono_us() + KILL_TIMEOUT_US};
    (void)fe_conn_kill(c, &kill, &ignored);
    struct fe_wait last = {.deadline_us = clock_mono_us() + LAST_ANSWER_US};
    enum fe_result result = fe_conn_receive(c, &last, err);
    if (result == FE_STOPPED) {
        *err = why;
    } else if (result == FE_OK) {
        *err = (struct err){0};
    }
    return result;
}

/* The statement is on its way. */
static enum load_result await(struct sink *k, const struct load_request *request, struct fe_conn *c,
                              struct load_report *ret, struct err *err)
{
    struct fe_wait wait = {.deadline_us = request->deadline_us, .cancel = request->cancel};
    enum fe_result result = fe_conn_receive(c, &wait, err);
    if (result == FE_STOPPED) {
        result = kill_and_wait(c, err);
    }
    switch (result) {
    case FE_OK: return read_ok(request, c, ret, err);
    case FE_REFUSED: return read_refusal(request, c, ret, err);
    case FE_UNSENT:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    fe_pool_avoid(k->pool, c);
    (void)err_prefix(err, "the load %s was sent and its outcome is not known: ", request->label);
    return LOAD_LOST;
}

static enum load_result load_on(struct sink *k, const struct load_request *request,
                                struct fe_conn *c, struct load_report *ret, struct err *err)
{
    struct fe_wait wait = {.deadline_us = request->deadline_us, .cancel = request->cancel};
    switch (fe_conn_send(c, span_of(request->sql), &wait, err)) {
    case FE_OK: return await(k, request, c, ret, err);
    case FE_UNSENT:
        (void)err_prefix(err, "the load %s was not sent: ", request->label);
        return LOAD_NOT_SENT;
    case FE_REFUSED:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    (void)err_prefix(err, "the load %s may have been sent: ", request->label);
    return LOAD_LOST;
}

static enum load_result insert_load(struct sink *k, const struct load_request *request,
                                    struct load_report *ret, struct err *err)
{
    struct fe_wait wait = {.deadline_us = request->deadline_us, .cancel = request->cancel};
    *ret = (struct load_report){0};
    _cleanup_fe_recipe_ struct fe_recipe *recipe =
        fe_recipe_create(request->spec, request->timeout_s, err);
    _cleanup_fe_conn_ struct fe_conn *c =
        recipe != NULL ? fe_pool_take(k->pool, recipe, &wait, err) : NULL;
    if (c == NULL) {
        (void)err_prefix(err, "the load %s was not sent: ", request->label);
        make_err_fit_to_show(k, request->spec, err);
        return LOAD_NOT_SENT;
    }
    enum load_result result = load_on(k, request, c, ret, err);
    make_err_fit_to_show(k, request->spec, err);
    make_report_fit_to_show(k, request->spec, ret);
    if (result == LOAD_VISIBLE) {
        fe_pool_put(k->pool, recipe, take_ptr(c));
    }
    return result;
}

static enum label_state insert_label(struct sink *k, const struct label_request *request,
                                     struct label_report *ret, struct err *err)
{
    struct label_question q = {
        .pool = k->pool,
        .http = &k->http,
        .user = k->login.user,
        .db = request->db,
        .label = request->label,
        .wait = {.deadline_us = request->deadline_us, .cancel = request->cancel},
    };
    enum label_state state = insert_label_ask(&q, ret, err);
    fe_text_make_utf8(ret->reason);
    fe_text_make_utf8(err->msg);
    return state;
}

static bool insert_fence(struct sink *k, const char *db, const char *label, int64_t deadline_us,
                         const struct cancel *cancel, struct err *err)
{
    struct fe_wait wait = {.deadline_us = deadline_us, .cancel = cancel};
    if (k->http.host == NULL) {
        return err_say(err,
                       "label %s of database %s cannot be aborted: that needs an FE's HTTP "
                       "address, set doris.http",
                       label, db);
    }
    bool is_ok = fe_http_cancel(&k->http, db, label, &wait, err);
    fe_text_make_utf8(err->msg);
    return is_ok;
}

static bool insert_traits(struct sink *k, int64_t deadline_us, const struct cancel *cancel,
                          struct fe_traits *ret, struct err *err)
{
    struct fe_wait wait = {.deadline_us = deadline_us, .cancel = cancel};
    _cleanup_fe_recipe_ struct fe_recipe *plain = fe_recipe_create(NULL, 0, err);
    _cleanup_fe_conn_ struct fe_conn *c = fe_pool_take(k->pool, plain, &wait, err);
    int version = 0;
    if (c == NULL) {
        return false;
    }
    if (fe_pool_version(k->pool, c, &wait, &version, err) != FE_OK) {
        return err_prefix(err,
                          "the version of the FE %s:%d is not known: ", fe_conn_address(c)->host,
                          fe_conn_address(c)->port);
    }
    ret->version = version;
    fe_pool_put(k->pool, plain, take_ptr(c));
    return true;
}

/* What is missing has one number, whichever the FE's version gives it. Returns false. */
static bool become(struct err *err, int code, const char *sqlstate)
{
    struct err old = *err;
    return err_set(err, code, sqlstate, "%s", old.msg);
}

/* DESC shows a table to whoever has any privilege on it, LOAD included, in every version. */
static bool check_target(const struct sink *k, struct fe_conn *c, const struct job_spec *spec,
                         const struct fe_wait *wait, struct err *err)
{
    const struct fe_address *a = fe_conn_address(c);
    _cleanup_free_ char *db = quote_name(spec->insert.target_db);
    _cleanup_free_ char *table = quote_name(spec->insert.target_table);
    _cleanup_free_ char *sql = xasprintf("DESC %s.%s", db, table);
    enum fe_result result = fe_conn_run(c, sql, NULL, NULL, wait, err);
    if (result == FE_OK) {
        return true;
    }
    struct span text = span_of(fe_conn_error_text(c));
    if (result == FE_REFUSED && fe_error_is_denied(err->code, text)) {
        return err_prefix(err,
                          "the service account '%s' may not use table %s.%s: GRANT LOAD_PRIV "
                          "ON %s.%s TO '%s'; the FE %s:%d says: ",
                          k->login.user, db, table, db, table, k->login.user, a->host, a->port);
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

/* DESC needs any right and EXPLAIN, from 2.1 on, none of LOAD: without this the first load fails. */
static bool check_load(const struct sink *k, struct fe_conn *c, const struct job_spec *spec,
                       const struct fe_wait *wait, struct err *err)
{
    const struct fe_address *a = fe_conn_address(c);
    _cleanup_free_ char *db = quote_name(spec->insert.target_db);
    _cleanup_free_ char *table = quote_name(spec->insert.target_table);
    struct load_right r = {.insert = &spec->insert};
    enum fe_result result = fe_conn_run(c, "SHOW GRANTS", read_right, &r, wait, err);
    if (result != FE_OK && result != FE_REFUSED) {
        return err_prefix(
            err, "the rights of the service account '%s' could not be asked for: ", k->login.user);
    }
    if (result == FE_REFUSED || !r.is_told || r.is_there) {
        return true; /* an FE that does not tell has the first load tell it */
    }
    return err_set(err, ERR_TABLEACCESS_DENIED, "42000",
                   "the service account '%s' (doris.user) has no LOAD on table %s.%s, says SHOW "
                   "GRANTS of the FE %s:%d: GRANT LOAD_PRIV ON %s.%s TO '%s'",
                   k->login.user, db, table, a->host, a->port, db, table, k->login.user);
}

static bool explain(struct fe_conn *c, const char *sql, const struct fe_wait *wait, struct err *err)
{
    const struct fe_address *a = fe_conn_address(c);
    _cleanup_free_ char *statement = xasprintf("EXPLAIN %s", sql);
    switch (fe_conn_run(c, statement, NULL, NULL, wait, err)) {
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

static int64_t seconds_left(int64_t deadline_us)
{
    int64_t left_s = (deadline_us - clock_mono_us()) / 1000000;
    return left_s > 1 ? left_s : 1;
}

static bool insert_check(struct sink *k, const struct job_spec *spec, const char *sql,
                         int64_t deadline_us, const struct cancel *cancel,
                         struct fe_traits *ret_traits, struct err *err)
{
    struct fe_wait wait = {.deadline_us = deadline_us, .cancel = cancel};
    /* A wrong session.* property or database must fail here, not in the first load. */
    _cleanup_fe_recipe_ struct fe_recipe *recipe =
        fe_recipe_create(spec, seconds_left(deadline_us), err);
    _cleanup_fe_conn_ struct fe_conn *c =
        recipe != NULL ? fe_pool_take(k->pool, recipe, &wait, err) : NULL;
    int version = 0;
    bool is_ok = c != NULL && check_target(k, c, spec, &wait, err) &&
                 check_load(k, c, spec, &wait, err) &&
                 (sql == NULL || explain(c, sql, &wait, err)) &&
                 fe_pool_version(k->pool, c, &wait, &version, err) == FE_OK;
    if (!is_ok) {
        make_err_fit_to_show(k, spec, err);
        return false;
    }
    ret_traits->version = version;
    return true;
}

static void insert_explain_op(struct sink *k, const struct sink_explain *request, struct explain *e)
{
    struct explain_question q = {
        .pool = k->pool,
        .http = &k->http,
        .user = k->login.user,
        .request = request,
    };
    size_t first = e->n;
    insert_explain(&q, e);
    for (size_t i = first; i < e->n; i++) {
        blacken_all(k, request->spec, e->lines[i].text);
    }
}

const struct sink_ops insert_sink_ops = {
    .name = "insert",
    .load = insert_load,
    .label = insert_label,
    .fence = insert_fence,
    .check = insert_check,
    .explain = insert_explain_op,
    .traits = insert_traits,
};
