/*
 * The local side that the session targets have in place of proxy/local.c: it does each thing that a
 * local side may do, in the statements of tests/unit/relay_main.c.
 */
#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"
#include "parser/script.h"
#include "proxy/local.h"
#include "proxy/result.h"
#include "proxy/worker.h"

enum { ANSWER_MAX = 64 << 20 };

static const char prefix[] = "SHOW SLUICE JOB ";

struct local {
    char *sql; /* owned: the last question */
};

void local_destroy(struct local *local)
{
    free(local->sql);
    free(local);
}

bool local_knows_rights(const struct local *local)
{
    (void)local;
    return true; /* so that every text is looked at */
}

bool local_claims(struct span sql)
{
    return span_istarts_with(sql, prefix);
}

static void put_answer(struct session *s, const struct answer *answer)
{
    struct result r;
    struct buf out = buf_with_max(ANSWER_MAX);
    struct result_form form = session_form(s);
    size_t n = answer->n_columns;
    struct result_column *columns = xcalloc(n, sizeof(*columns));
    struct result_cell *cells = xcalloc(n, sizeof(*cells));
    for (size_t i = 0; i < n; i++) {
        columns[i] = (struct result_column){.name = answer->columns[i], .type = RESULT_TEXT};
    }
    result_begin(&r, &out, &form);
    result_columns(&r, columns, n);
    for (size_t row = 0; row < answer->n_rows; row++) {
        for (size_t i = 0; i < n; i++) {
            cells[i].text = span_of(answer->cells[row * n + i]);
        }
        result_row(&r, cells, n);
    }
    result_end(&r);
    session_reply_packets(s, &out);
    free(columns);
    free(cells);
}

static void on_answer(struct session *s, const struct answer *answer, void *arg)
{
    assert(arg == *session_local(s));
    if (answer->is_error) {
        session_reply_err(s, &answer->err);
    } else if (answer->n_columns == 0) {
        session_reply_ok(s, 0, "the FE said OK");
    } else {
        put_answer(s, answer);
    }
}

static void on_answer_forward(struct session *s, const struct answer *answer, void *arg)
{
    (void)answer;
    (void)arg;
    session_reply_forward(s);
}

/* A second question after the first. */
static void on_first_answer(struct session *s, const struct answer *answer, void *arg)
{
    if (answer->is_error) {
        session_reply_err(s, &answer->err);
    } else {
        session_ask(s, "SELECT 2", on_answer, arg);
    }
}

struct late {
    struct msg_call base;
    uint64_t id;
};

static void destroy_late(struct msg *m)
{
    free(m);
}

static void run_late(void *receiver, struct msg_call *m)
{
    struct session *s = worker_find_session(receiver, ((struct late *)m)->id);
    free(m);
    if (s != NULL) {
        session_reply_ok(s, 7, "late");
    }
}

static void start_late(struct session *s)
{
    struct late *late = xcalloc(1, sizeof(*late));
    late->base = (struct msg_call){.m.destroy = destroy_late, .run = run_late};
    late->id = session_id(s);
    (void)msgq_send(worker_msgq(session_worker(s)), &late->base.m); /* never closed here */
}

/* Two rows of three types. */
static void put_rows(struct session *s)
{
    static const struct result_column columns[] = {
        {"id", RESULT_INT}, {"name", RESULT_TEXT}, {"share", RESULT_DOUBLE}};
    static const struct result_cell rows[][3] = {
        {{.type = RESULT_INT, .text = {"1", 1}, .integer = 1},
         {.type = RESULT_TEXT, .text = {"a", 1}},
         {.type = RESULT_DOUBLE, .text = {"0.5", 3}, .number = 0.5}},
        {{.type = RESULT_INT, .text = {"2", 1}, .integer = 2},
         {.type = RESULT_TEXT},
         {.type = RESULT_DOUBLE}},
    };
    struct result r;
    struct buf out = buf_with_max(ANSWER_MAX);
    struct result_form form = session_form(s);
    result_begin(&r, &out, &form);
    result_columns(&r, columns, ARRAY_SIZE(columns));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        result_row(&r, rows[i], ARRAY_SIZE(rows[i]));
    }
    result_end(&r);
    session_reply_packets(s, &out);
}

static struct local *state_of(struct session *s)
{
    struct local **local = session_local(s);
    if (*local == NULL) {
        *local = xcalloc(1, sizeof(**local));
    }
    return *local;
}

static enum local_verdict run(struct session *s, struct span rest)
{
    if (span_eq_text(rest, "PING")) {
        session_reply_ok(s, 3, session_user(s));
    } else if (span_eq_text(rest, "LATE")) {
        start_late(s);
    } else if (span_eq_text(rest, "TWICE")) {
        session_ask(s, "SELECT 1", on_first_answer, state_of(s));
    } else if (span_eq_text(rest, "FORWARD")) {
        session_ask(s, "SELECT 1", on_answer_forward, NULL);
    } else if (span_starts_with(rest, "ROWS")) { /* it may have parameters */
        put_rows(s);
    } else if (span_starts_with(rest, "ASK ")) {
        struct local *local = state_of(s);
        free(local->sql);
        local->sql = xmemdup0(rest.p + 4, rest.n - 4);
        session_ask(s, local->sql, on_answer, local);
    } else {
        return LOCAL_FOREIGN;
    }
    return LOCAL_TAKEN;
}

static enum local_verdict prepare(struct session *s, struct span rest)
{
    const char *names[] = {"id", "name", "share"};
    session_reply_prepared(s, names, span_starts_with(rest, "ROWS") ? ARRAY_SIZE(names) : 0);
    return LOCAL_TAKEN;
}

/* Several statements with one of ours among them? */
static bool is_script(struct span text)
{
    struct script script = script_of(text, local_claims);
    struct script_part part = {0};
    while (script_next(&script, &part)) {
        if (part.is_ours) {
            return !part.is_last || part.text.p != text.p;
        }
    }
    return false;
}

enum local_verdict local_accept(struct session *s, const struct local_text *text, struct err *err)
{
    struct span sql = text->sql;
    if (text->use == LOCAL_WHOLE && is_script(sql)) {
        return LOCAL_SCRIPT;
    }
    if (!local_claims(sql)) {
        return LOCAL_FOREIGN;
    }
    struct span rest = {sql.p + sizeof(prefix) - 1, sql.n - (sizeof(prefix) - 1)};
    if (span_starts_with(rest, "ERROR")) {
        (void)err_set(err, ERR_PARSE, "42000", "this statement is wrong");
        return LOCAL_ERROR;
    }
    return text->use == LOCAL_PREPARE ? prepare(s, rest) : run(s, rest);
}
