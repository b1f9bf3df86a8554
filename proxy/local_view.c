/*
 * SELECT ... FROM jobs() and tasks().
 *
 *     grants ──> the FE's own jobs, and tasks ──> the session's time zone ──> snapshot
 *                                                                               │
 *             the FE runs the text with the rows in it <── only it can ── the views' thread ──> answer
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "parser/lex.h"
#include "proxy/local_parts.h"
#include "proxy/viewmerge.h"
#include "proxy/views.h"
#include "proxy/worker.h"

enum {
    CONVERTED_MAX = 64 << 20,
    QUESTION_MAX = 1000, /* of what is not copied from the statement */
};

/* --- questions ---------------------------------------------------------------------------------- */

static void take_fe_rows(struct local *l, enum view_table table, const struct answer *answer)
{
    struct err err = {0};
    if (!viewmerge_read(table, answer, &l->fe[table], &err)) {
        (void)local_end_err(l, &err);
        return;
    }
    local_go_on(l);
}

static void on_fe_jobs(struct session *s, const struct answer *answer, void *arg)
{
    (void)s;
    take_fe_rows(arg, VIEW_JOBS, answer);
}

static void on_fe_tasks(struct session *s, const struct answer *answer, void *arg)
{
    (void)s;
    take_fe_rows(arg, VIEW_TASKS, answer);
}

static enum step_result ask_fe_rows(struct local *l, enum view_table table, answer_fn on_answer)
{
    const struct stmt_view *view = &l->stmt.u.view;
    _cleanup_buf_ struct buf question = buf_with_max(strlen(view->text) + QUESTION_MAX);
    viewmerge_question(table, view, &question);
    session_ask(l->session, buf_text(&question), on_answer, l);
    return STEP_WAIT;
}

enum step_result local_ask_own_jobs(struct local *l)
{
    return l->stmt.u.view.uses_jobs ? ask_fe_rows(l, VIEW_JOBS, on_fe_jobs) : STEP_NEXT;
}

enum step_result local_ask_own_tasks(struct local *l)
{
    return l->stmt.u.view.uses_tasks ? ask_fe_rows(l, VIEW_TASKS, on_fe_tasks) : STEP_NEXT;
}

static void on_time_zone(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    (void)s;
    if (!answer->is_error && answer->n_rows == 1 && answer->n_columns == 1 &&
        answer->cells[0] != NULL) {
        l->time_zone = xstrdup(answer->cells[0]);
    }
    local_go_on(l); /* without an answer it is the process's */
}

/* Of a column of times, or of a function that knows the clock. */
static bool is_about_time(struct span word)
{
    static const char *const PARTS[] = {"time", "date", "now", "day", "hour", "zone", "quarantine"};
    for (size_t i = 0; i < ARRAY_SIZE(PARTS); i++) {
        size_t n = strlen(PARTS[i]);
        for (size_t at = 0; at + n <= word.n; at++) {
            if (span_ieq_text((struct span){word.p + at, n}, PARTS[i])) {
                return true;
            }
        }
    }
    return false;
}

/* A question less for what shows no time: SELECT Name, Status FROM jobs(). */
static bool may_show_times(const char *text)
{
    struct lex lex = lex_of(span_of(text));
    struct tok prev = {.kind = TOK_END};
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END && t.kind != TOK_ERROR) {
        bool is_star = tok_is_op(&t, "*") && !tok_is_op(&prev, "("); /* of COUNT(*) */
        if (is_star || (tok_is_name(&t) && is_about_time(t.text))) {
            return true;
        }
        prev = t;
        t = lex_next(&lex);
    }
    return false;
}

enum step_result local_ask_time_zone(struct local *l)
{
    if (!may_show_times(l->stmt.u.view.text)) {
        return STEP_NEXT;
    }
    session_ask(l->session, "SELECT @@time_zone LIMIT 1", on_time_zone, l);
    return STEP_WAIT;
}

enum step_result local_take_snapshot(struct local *l)
{
    sched_send(local_env_of(l)->sched, local_request(l, SCHED_SNAPSHOT));
    return STEP_WAIT;
}

/* --- what the FE runs --------------------------------------------------------------------------- */

static struct result_cell read_cell(enum result_type type, const char *text)
{
    struct result_cell cell = {.type = type, .text = span_of(text)};
    if (text != NULL && type == RESULT_INT) {
        if (!span_to_int64(cell.text, INT64_MIN, INT64_MAX, &cell.integer)) {
            cell.text = (struct span){0}; /* no BIGINT: the FE's own columns of that type fit */
        }
    } else if (text != NULL && type == RESULT_DOUBLE) {
        cell.number = strtod(text, NULL);
    }
    return cell;
}

/* The FE's answer in the form that the client asked for, a binary one. */
static void convert(const struct answer *answer, const struct result_form *form, struct buf *out)
{
    struct result result;
    size_t n = answer->n_columns;
    _cleanup_free_ struct result_column *columns = xcalloc(n, sizeof(*columns));
    _cleanup_free_ struct result_cell *cells = xcalloc(n, sizeof(*cells));
    for (size_t i = 0; i < n; i++) {
        columns[i] = (struct result_column){.name = answer->columns[i], .type = answer->types[i]};
    }
    result_begin(&result, out, form);
    result_columns(&result, columns, n);
    for (size_t row = 0; row < answer->n_rows && buf_ok(out); row++) {
        for (size_t i = 0; i < n; i++) {
            cells[i] = read_cell(columns[i].type, answer->cells[row * n + i]);
        }
        result_row(&result, cells, n);
    }
    result_end(&result);
}

static void on_derived(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = {0};
    struct result_form form = session_form(s);
    _cleanup_buf_ struct buf packets = buf_with_max(CONVERTED_MAX);
    if (answer->is_error) {
        (void)local_end_err(l, &answer->err);
    } else if (answer->n_columns == 0) {
        (void)local_end_ok(l); /* INTO OUTFILE of some version */
    } else {
        convert(answer, &form, &packets);
        if (buf_ok(&packets)) {
            local_finish(l);
            session_reply_packets(s, &packets);
        } else {
            (void)err_say(&err,
                          "The result of the prepared query is larger than %d MB. Select fewer "
                          "columns or rows, or run it as a plain text, which has no such bound",
                          CONVERTED_MAX >> 20);
            (void)local_end_err(l, &err);
        }
    }
}

/*
 * A text goes to the FE in the statement's place, and the answer is relayed. An EXECUTE's answer has
 * another form: it is collected and converted.
 */
static void run_derived(struct local *l, const char *text)
{
    struct session *s = l->session;
    if (session_form(s).format == RESULT_FORMAT_TEXT) {
        local_finish(l);
        session_reply_query(s, span_of(text));
    } else {
        session_ask(s, text, on_derived, l);
    }
}

/* --- the views' thread -------------------------------------------------------------------------- */

static void on_view_reply(void *receiver, struct msg_call *call)
{
    struct view_request *r = (struct view_request *)call;
    struct local *l = local_find(receiver, r->session_id);
    struct session *s = l != NULL ? l->session : NULL;
    if (l == NULL) {
        /* the session is gone */
    } else if (!r->is_ok) {
        (void)local_end_err(l, &r->err);
    } else if (r->is_prepare) { /* of the FE's columns nothing is known: the EXECUTE tells */
        local_finish(l);
        session_reply_prepared(s, (const char *const *)r->names, r->n_names);
    } else if (r->derived != NULL) {
        run_derived(l, r->derived);
    } else {
        local_finish(l);
        session_reply_packets(s, &r->packets);
    }
    view_request_destroy(r);
}

enum step_result local_query_views(struct local *l)
{
    struct view_request *r = view_request_create(local_queue(l), session_id(l->session));
    struct stmt_view *view = &l->stmt.u.view;
    r->call.run = on_view_reply;
    r->snapshot = take_ptr(l->snapshot);
    r->grants = grants_copy(&l->grants);
    for (int table = 0; table < VIEW_TABLES; table++) {
        r->fe[table] = take_ptr(l->fe[table]);
    }
    r->sql = take_ptr(view->sql);
    r->view = *view;
    *view = (struct stmt_view){0};
    r->time_zone = take_ptr(l->time_zone);
    r->form = session_form(l->session);
    r->is_prepare = l->is_prepare;
    views_send(local_env_of(l)->views, r);
    return STEP_WAIT;
}
