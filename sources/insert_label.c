#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/quote.h"
#include "base/xmalloc.h"
#include "sources/fe_error.h"
#include "sources/insert_label.h"
#include "sources/insert_offsets.h"

/* What SHOW TRANSACTION came to. */
enum answer {
    ANSWER_STATE,
    ANSWER_NO_LABEL, /* the FE says that there is no such label */
    ANSWER_NONE,     /* err says why */
    ANSWER_LOST,     /* likewise; the FE could tell, but for this moment */
};

struct transaction {
    const char *label; /* borrowed: the one asked for */
    bool is_found;
    enum label_state state;
    int64_t id;
    struct label_report report;
};

static bool state_from_name(const char *name, enum label_state *ret)
{
    for (enum label_state s = LABEL_PREPARE; s <= LABEL_ABORTED; s++) {
        if (strcasecmp(name, label_state_name(s)) == 0) {
            *ret = s;
            return true;
        }
    }
    return false;
}

/* Of several transactions of one label the newest counts: only an aborted one lets a next begin. */
static void read_transaction(const struct fe_row *row, void *arg)
{
    struct transaction *t = arg;
    const char *label = fe_row_get(row, "Label");
    const char *status = fe_row_get(row, "TransactionStatus");
    const char *id = fe_row_get(row, "TransactionId");
    const char *reason = fe_row_get(row, "Reason");
    const char *detail = fe_row_get(row, "ErrMsg");
    enum label_state state = LABEL_UNREACHABLE;
    int64_t number = 0;
    if (label == NULL || status == NULL || id == NULL || strcmp(label, t->label) != 0 ||
        !state_from_name(status, &state) || !span_to_int64(span_of(id), 0, INT64_MAX, &number)) {
        return;
    }
    if (t->is_found && number <= t->id) {
        return;
    }
    label_report_fini(&t->report);
    t->is_found = true;
    t->state = state;
    t->id = number;
    t->report.txn_id = xstrdup(id);
    if (reason == NULL || reason[0] == '\0') {
        reason = detail;
    }
    if (reason != NULL && reason[0] != '\0') {
        t->report.reason = xstrdup(reason);
    }
}

static enum answer explain_refusal(const struct label_question *q, const struct fe_conn *c,
                                   struct err *err)
{
    const struct fe_address *a = fe_conn_address(c);
    struct span text = span_of(fe_conn_error_text(c));
    if (fe_error_is_unknown_label(text, q->label)) {
        return ANSWER_NO_LABEL;
    }
    if (fe_error_is_denied(err->code, text)) {
        (void)err_set(err, ERR_DBACCESS_DENIED, "42000",
                      "the service account '%s' may not ask for transactions of database %s (the "
                      "FE %s:%d says: %.*s): GRANT LOAD_PRIV ON `%s`.* TO '%s'",
                      q->user, q->db, a->host, a->port, SPAN_ARG(text), q->db, q->user);
        return ANSWER_NONE;
    }
    (void)err_prefix(err,
                     "the FE %s:%d cannot tell the state of label %s of database %s: ", a->host,
                     a->port, q->label, q->db);
    return ANSWER_NONE;
}

static enum answer show_on(const struct label_question *q, struct fe_conn *c, struct transaction *t,
                           struct err *err)
{
    _cleanup_free_ char *db = quote_name(q->db);
    _cleanup_free_ char *label = quote_text(q->label);
    _cleanup_free_ char *sql = xasprintf("SHOW TRANSACTION FROM %s WHERE LABEL = %s", db, label);
    switch (fe_conn_run(c, sql, read_transaction, t, &q->wait, err)) {
    case FE_OK: break;
    case FE_REFUSED: return explain_refusal(q, c, err);
    case FE_UNSENT:
    case FE_LOST:
    case FE_STOPPED:
        (void)err_prefix(err, "the state of label %s of database %s is not known: ", q->label,
                         q->db);
        return ANSWER_LOST;
    }
    if (t->is_found) {
        t->report.evidence =
            xasprintf("the FE %s:%d says by SHOW TRANSACTION: label %s of database %s is %s, "
                      "transaction %s",
                      fe_conn_address(c)->host, fe_conn_address(c)->port, q->label, q->db,
                      label_state_name(t->state), t->report.txn_id);
        return ANSWER_STATE;
    }
    (void)err_say(err,
                  "the FE %s:%d answered SHOW TRANSACTION for label %s of database %s "
                  "without a row that names the label and a known status",
                  fe_conn_address(c)->host, fe_conn_address(c)->port, q->label, q->db);
    return ANSWER_NONE;
}

static void count_row(const struct fe_row *row, void *arg)
{
    int64_t *n = arg;
    (void)row;
    (*n)++;
}

/*
 * label_report.n_remembered; 0 when the FE does not tell (in cloud mode it keeps labels by age only).
 * False: it was not heard, which must not pass for that; err says why.
 */
static bool count_remembered(const struct label_question *q, struct fe_conn *c, int64_t *ret,
                             struct err *err)
{
    static const char *const finished[] = {"VISIBLE", "ABORTED"};
    _cleanup_free_ char *db = quote_name(q->db);
    int64_t n = 0;
    *ret = 0;
    for (size_t i = 0; i < ARRAY_SIZE(finished); i++) {
        _cleanup_free_ char *sql =
            xasprintf("SHOW TRANSACTION FROM %s WHERE STATUS = '%s'", db, finished[i]);
        switch (fe_conn_run(c, sql, count_row, &n, &q->wait, err)) {
        case FE_OK: break;
        case FE_REFUSED: *err = (struct err){0}; return true;
        case FE_UNSENT:
        case FE_LOST:
        case FE_STOPPED:
            return err_prefix(err,
                              "how many transactions of database %s are remembered is not "
                              "known: ",
                              q->db);
        }
    }
    *ret = n;
    return true;
}

/* *ret_host: host of the FE that answered, borrowed from the pool; NULL when none did. */
static enum answer show(const struct label_question *q, struct transaction *t,
                        const char **ret_host, struct err *err)
{
    _cleanup_fe_recipe_ struct fe_recipe *plain = fe_recipe_create(NULL, 0, err);
    _cleanup_fe_conn_ struct fe_conn *c = fe_pool_take(q->pool, plain, &q->wait, err);
    if (c == NULL) {
        (void)err_prefix(err, "the state of label %s of database %s is not known: ", q->label,
                         q->db);
        return ANSWER_LOST;
    }
    enum answer answer = show_on(q, c, t, err);
    *ret_host = fe_conn_address(c)->host;
    /* Where a row tells, nobody asks how good the FE's memory is. */
    if (answer == ANSWER_NO_LABEL && q->row == NULL &&
        !count_remembered(q, c, &t->report.n_remembered, err)) {
        answer = ANSWER_LOST;
    }
    if (answer == ANSWER_STATE) {
        fe_pool_put(q->pool, plain, take_ptr(c));
    } else if (answer != ANSWER_NO_LABEL) {
        fe_pool_avoid(q->pool, c);
    }
    return answer;
}

/* get_load_state, of an FE that is ready. */
static enum label_state ask_http(const struct label_question *q, struct label_report *ret,
                                 struct err *err)
{
    if (!fe_http_is_ready(q->http, &q->wait, err)) {
        return LABEL_UNREACHABLE;
    }
    enum label_state state = fe_http_label(q->http, q->db, q->label, &q->wait, err);
    if (state != LABEL_UNREACHABLE) {
        ret->evidence =
            xasprintf("the FE %s:%d says by get_load_state: label %s of database %s is %s",
                      q->http->host, q->http->port, q->label, q->db, label_state_name(state));
    }
    return state;
}

/* An FE says that the label does not exist; `host` is its own. */
static enum label_state believe_unknown(const struct label_question *q, const char *host,
                                        struct label_report *ret, struct err *err)
{
    *err = (struct err){0};
    if (q->http->host != NULL && strcasecmp(q->http->host, host) != 0) {
        return ask_http(q, ret, err);
    }
    if (q->http->host != NULL && !fe_http_is_ready(q->http, &q->wait, err)) {
        (void)err_prefix(err,
                         "label %s of database %s is unknown to the FE %s, which cannot be "
                         "believed yet: ",
                         q->label, q->db, host);
        return LABEL_UNREACHABLE;
    }
    ret->evidence =
        xasprintf("the FE %s says by SHOW TRANSACTION: label %s of database %s does not "
                  "exist (never begun, or forgotten)",
                  host, q->label, q->db);
    return LABEL_UNKNOWN;
}

/* SHOW TRANSACTION has failed and says why in *err. */
static enum label_state try_http(const struct label_question *q, enum answer why,
                                 struct label_report *ret, struct err *err)
{
    struct err over_http = {0};
    if (q->http->host == NULL) {
        return LABEL_UNREACHABLE;
    }
    enum label_state state = ask_http(q, ret, &over_http);
    if (state == LABEL_UNKNOWN && why == ANSWER_LOST && q->row == NULL) {
        return LABEL_UNREACHABLE; /* how good its memory is can be asked when it answers again */
    }
    if (state != LABEL_UNREACHABLE) {
        *err = (struct err){0};
        return state;
    }
    /* Both roads failed. The first tells what to do, so it stays in front, and keeps its number. */
    struct err first = *err;
    (void)err_set(err, first.code, first.sqlstate, "%.1200s; over HTTP: %s", first.msg,
                  over_http.msg);
    return LABEL_UNREACHABLE;
}

static enum label_state ask_label(const struct label_question *q, struct label_report *ret,
                                  struct err *err)
{
    struct transaction t = {.label = q->label};
    const char *host = NULL;
    enum answer answer = show(q, &t, &host, err);
    if (answer == ANSWER_STATE) {
        *ret = t.report;
        return t.state;
    }
    ret->n_remembered = t.report.n_remembered;
    label_report_fini(&t.report); /* of an answer that broke off */
    return answer == ANSWER_NO_LABEL ? believe_unknown(q, host, ret, err)
                                     : try_http(q, answer, ret, err);
}

static enum offsets_answer find_row(const struct label_question *q, struct err *err)
{
    _cleanup_fe_recipe_ struct fe_recipe *plain = fe_recipe_create(NULL, 0, err);
    _cleanup_fe_conn_ struct fe_conn *c = fe_pool_take(q->pool, plain, &q->wait, err);
    struct offsets_question question = {
        .c = c,
        .user = q->user,
        .db = q->db,
        .row = q->row,
        .wait = q->wait,
    };
    return c != NULL ? insert_offsets_find(&question, err) : OFFSETS_NONE;
}

static void add_evidence(const struct label_question *q, const char *what, struct label_report *ret)
{
    char *label = ret->evidence;
    ret->evidence =
        xasprintf("%s%s%s.`" OFFSETS_TABLE "` has %s of task %" PRId64 " of job %" PRId64,
                  label != NULL ? label : "", label != NULL ? "; " : "", q->db, what,
                  q->row->task_id, q->row->job_id);
    free(label);
}

/* The table is no proof: as with guarantee "label", the FE's memory has to be good enough. */
static enum label_state fall_back(const struct label_question *q, struct label_report *ret,
                                  struct err *err)
{
    _cleanup_fe_recipe_ struct fe_recipe *plain = fe_recipe_create(NULL, 0, err);
    _cleanup_fe_conn_ struct fe_conn *c = fe_pool_take(q->pool, plain, &q->wait, err);
    if (c == NULL || !count_remembered(q, c, &ret->n_remembered, err)) {
        return LABEL_UNREACHABLE;
    }
    _cleanup_free_ char *found = take_ptr(ret->evidence);
    ret->evidence =
        xasprintf("%s, nor one of task %" PRId64 ", which succeeded before: that one was "
                  "not transactional, or the table was emptied, and proves nothing",
                  found, q->row->succeeded_id);
    return LABEL_UNKNOWN;
}

/*
 * The label was asked first, so whatever could still have committed then was under way and known.
 * Not known, and no row: it never committed. Not answered, and no row: it may yet.
 */
static enum label_state ask_row(const struct label_question *q, enum label_state state,
                                struct label_report *ret, struct err *err)
{
    struct err why = {0};
    switch (find_row(q, &why)) {
    case OFFSETS_THERE:
        add_evidence(q, "the row", ret);
        *err = (struct err){0};
        return LABEL_VISIBLE;
    case OFFSETS_ABSENT:
        add_evidence(q, "no row", ret);
        return state == LABEL_UNKNOWN ? LABEL_ABSENT : LABEL_UNREACHABLE;
    case OFFSETS_UNSURE:
        add_evidence(q, "no row", ret);
        return state == LABEL_UNKNOWN ? fall_back(q, ret, err) : LABEL_UNREACHABLE;
    case OFFSETS_OTHER:
    case OFFSETS_NONE: break;
    }
    if (state == LABEL_UNKNOWN) {
        *err = why;
        return LABEL_UNREACHABLE;
    }
    struct err first = *err;
    (void)err_set(err, first.code, first.sqlstate, "%.1200s; and the offset table: %s", first.msg,
                  why.msg);
    return LABEL_UNREACHABLE;
}

/*
 * A label that is loaded may be that of another range: a restored store gives numbers out again. One
 * that is aborted may have been loaded before, and forgotten before it was begun once more.
 */
static enum label_state check_row(const struct label_question *q, enum label_state state,
                                  struct label_report *ret, struct err *err)
{
    struct err why = {0};
    switch (find_row(q, &why)) {
    case OFFSETS_THERE: break;
    case OFFSETS_OTHER: *err = why; return LABEL_UNREACHABLE;
    case OFFSETS_UNSURE:
    case OFFSETS_ABSENT: return state;
    case OFFSETS_NONE:
        if (state == LABEL_ABORTED && why.code == ERR_FE_LOST) {
            *err = why;
            return LABEL_UNREACHABLE;
        }
        return state; /* who may not read the table has the label to go by */
    }
    if (state == LABEL_ABORTED) {
        add_evidence(q, "the row", ret);
        free(take_ptr(ret->txn_id)); /* of another one than the row's */
        free(take_ptr(ret->reason));
    }
    return LABEL_VISIBLE;
}

enum label_state insert_label_ask(const struct label_question *q, struct label_report *ret,
                                  struct err *err)
{
    *ret = (struct label_report){0};
    enum label_state state = ask_label(q, ret, err);
    if (q->row != NULL && (state == LABEL_UNKNOWN || state == LABEL_UNREACHABLE)) {
        state = ask_row(q, state, ret, err);
    } else if (q->row != NULL && (state == LABEL_VISIBLE || state == LABEL_ABORTED)) {
        state = check_row(q, state, ret, err);
    }
    if (ret->evidence == NULL) {
        ret->evidence =
            xasprintf("nobody answered for label %s of database %s: %s", q->label, q->db, err->msg);
    }
    return state;
}
