#include "base/clock.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "scheduler/spec.h"
#include "sources/fe_http.h"
#include "sources/fe_pool.h"
#include "sources/fe_session.h"
#include "sources/fe_text.h"
#include "sources/insert_check.h"
#include "sources/insert_explain.h"
#include "sources/insert_label.h"
#include "sources/insert_load.h"
#include "sources/insert_sink.h"
#include "sources/insert_transaction.h"

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
    struct insert_attempt attempt = {
        .pool = k->pool,
        .user = k->login.user,
        .request = request,
        .c = c,
        .report = ret,
    };
    enum load_result result = spec_guarantee(request->spec) == GUARANTEE_TRANSACTIONAL
                                  ? insert_transaction_run(&attempt, err)
                                  : insert_load_run(&attempt, err);
    make_err_fit_to_show(k, request->spec, err);
    make_report_fit_to_show(k, request->spec, ret);
    if (attempt.is_clean) {
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
        .row = request->row,
        .wait = {.deadline_us = request->deadline_us, .cancel = request->cancel},
    };
    enum label_state state = insert_label_ask(&q, ret, err);
    fe_text_make_utf8(ret->reason);
    fe_text_make_utf8(ret->evidence);
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
    if (fe_pool_recall(k->pool, ret)) {
        return true;
    }
    struct fe_wait wait = {.deadline_us = deadline_us, .cancel = cancel};
    _cleanup_fe_recipe_ struct fe_recipe *plain = fe_recipe_create(NULL, 0, err);
    _cleanup_fe_conn_ struct fe_conn *c = fe_pool_take(k->pool, plain, &wait, err);
    if (c == NULL && fe_pool_recall(k->pool, ret)) {
        *err = (struct err){0}; /* it serves: loads have all connections that it lets us have */
        return true;
    }
    if (c == NULL) {
        return false;
    }
    enum fe_result result = fe_pool_traits(k->pool, c, &wait, ret, err);
    if (ret->version < 0) {
        return err_prefix(err,
                          "the version of the FE %s:%d is not known: ", fe_conn_address(c)->host,
                          fe_conn_address(c)->port);
    }
    *err = (struct err){0}; /* the version is what matters, the rest may be 0 */
    if (result == FE_OK) {
        fe_pool_put(k->pool, plain, take_ptr(c));
    }
    return true;
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
    struct insert_check q = {.c = c, .user = k->login.user, .spec = spec, .wait = wait};
    struct fe_traits traits = {0};
    bool is_ok = c != NULL && insert_check_target(&q, err) && insert_check_load(&q, err) &&
                 fe_pool_traits(k->pool, c, &wait, &traits, err) == FE_OK &&
                 (sql != NULL ? insert_check_plan(&q, sql, err)
                              : insert_check_guarantee(&q, traits.version, err));
    if (!is_ok) {
        make_err_fit_to_show(k, spec, err);
        return false;
    }
    *ret_traits = traits;
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
