#include <event2/event.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "proxy/result.h"
#include "proxy/viewfunc.h"
#include "proxy/views.h"
#include "proxy/viewtab.h"

enum {
    RESULT_MAX_BYTES = 64 * 1024 * 1024,
    TIME_MAX_MS = 10 * 1000,
    VALUE_MAX_BYTES = 4 * 1024 * 1024, /* a text a query makes: one step may copy or search it */
    COLUMNS_MAX = 200,                 /* each may be such a text */
    /* The query gives up well before SQLite's limit, which the store's connection shares. */
    MEMORY_MAX_BYTES = 256 * 1024 * 1024,
    MEMORY_HARD_BYTES = MEMORY_MAX_BYTES + 128 * 1024 * 1024,
    PATTERN_MAX_BYTES = 500,    /* of LIKE: a step takes the product of both */
    STEPS_BETWEEN_CHECKS = 100, /* of SQLite's machine */
    ERR_BAD_FIELD = 1054,       /* ER_BAD_FIELD_ERROR of MySQL and Doris */
};

struct views {
    struct event_base *base;
    struct msgq *queue;
    pthread_t thread;
    bool is_started;
};

static void destroy_request(struct msg *m)
{
    view_request_destroy((struct view_request *)m);
}

struct view_request *view_request_create(struct msgq *reply_to, uint64_t session_id)
{
    struct view_request *r = xcalloc(1, sizeof(*r));
    r->call.m.destroy = destroy_request;
    r->reply_to = reply_to;
    r->session_id = session_id;
    r->packets = buf_with_max(RESULT_MAX_BYTES);
    return r;
}

void view_request_destroy(struct view_request *r)
{
    if (r == NULL) {
        return;
    }
    snapshot_destroy(r->snapshot);
    grants_fini(&r->grants);
    buf_fini(&r->packets);
    for (size_t i = 0; i < r->n_names; i++) {
        free(r->names[i]);
    }
    free(r->names);
    free(r->sql);
    free(r);
}

/* --- one query -------------------------------------------------------------------------------- */

struct query {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t deadline_ms; /* monotonic */
    bool is_too_large;
    struct viewtab tab;
    const struct job_view **visible; /* owned */
};

static int on_progress(void *arg)
{
    struct query *q = arg;
    q->is_too_large = sqlite3_memory_used() > MEMORY_MAX_BYTES;
    return q->is_too_large || clock_mono_ms() > q->deadline_ms;
}

/* Only reading: no ATTACH, no PRAGMA, no write, whatever the parser let through. */
static int authorize(void *arg, int action, const char *a, const char *b, const char *c,
                     const char *d)
{
    (void)arg;
    (void)a;
    (void)c;
    (void)d;
    switch (action) {
    case SQLITE_FUNCTION: return viewfunc_is_denied(b) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    default: return SQLITE_DENY;
    }
}

static void choose_visible(struct query *q, const struct view_request *r)
{
    static const struct snapshot nothing = {0};
    const struct snapshot *snap = r->snapshot != NULL ? r->snapshot : &nothing; /* is_prepare */
    q->visible = xcalloc(snap->n_jobs, sizeof(const struct job_view *));
    for (size_t i = 0; i < snap->n_jobs; i++) {
        const struct job_record *rec = &snap->jobs[i]->rec;
        if (grants_may_load(&r->grants, rec->target_db, rec->target_table)) {
            q->visible[q->tab.n_visible++] = snap->jobs[i];
        }
    }
    q->tab.snapshot = snap;
    q->tab.visible = q->visible;
}

/* SQLite says it in no other way than by its text: "no such column: t.Nam". */
static bool fail_column(const char *name, struct err *err)
{
    _cleanup_buf_ struct buf columns = buf_with_max(ERR_MSG_SIZE);
    viewtab_list_columns(&columns);
    return err_set(err, ERR_BAD_FIELD, "42S22",
                   "Unknown column '%s' in the query over jobs() or tasks(). %s", name,
                   buf_text(&columns));
}

static bool fail_sql(const struct query *q, struct err *err)
{
    static const char no_column[] = "no such column: ";
    const char *why = sqlite3_errmsg(q->db);
    if (strncmp(why, no_column, sizeof(no_column) - 1) == 0) {
        return fail_column(why + sizeof(no_column) - 1, err);
    }
    if (strstr(why, "not authorized") != NULL) { /* by authorize(), or load_extension() */
        why = "it uses something that only reading these two tables does not need";
    }
    if (sqlite3_errcode(q->db) == SQLITE_INTERRUPT && !q->is_too_large) {
        return err_set(err, ERR_QUERY_INTERRUPTED, "70100",
                       "The query over jobs() or tasks() took longer than %d s. Add a WHERE, or "
                       "join fewer tables",
                       TIME_MAX_MS / 1000);
    }
    if (sqlite3_errcode(q->db) == SQLITE_NOMEM || q->is_too_large) {
        return err_say(err,
                       "The query over jobs() or tasks() needs more than the %d MB of memory that "
                       "Sluice has for them. Select fewer columns, or shorter texts",
                       MEMORY_MAX_BYTES / 1024 / 1024);
    }
    const char *advice = strstr(why, "no such function") != NULL
                             ? ": || is its CONCAT, datetime('now', 'localtime') its NOW(), "
                               "strftime() its DATE_FORMAT()"
                             : "";
    return err_set(err, ERR_PARSE, "42000",
                   "The query over jobs() or tasks() is not understood: %s. Sluice answers it "
                   "itself, with SQLite's functions%s",
                   why, advice);
}

static bool open_query(struct query *q, const struct view_request *r, struct err *err)
{
    const char *tail = NULL;
    q->deadline_ms = clock_mono_ms() + TIME_MAX_MS;
    if (sqlite3_open(":memory:", &q->db) != SQLITE_OK) {
        return err_say(err, "cannot open an in-memory database for jobs()");
    }
    /* A bare word that names no column is a text: where ExecuteType = streaming (stmt.h). */
    (void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_DQS_DML, 1, NULL); /* the default anyway */
    /* Of the whole process: else one row of long texts could end it. */
    (void)sqlite3_hard_heap_limit64(MEMORY_HARD_BYTES);
    (void)sqlite3_limit(q->db, SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES);
    (void)sqlite3_limit(q->db, SQLITE_LIMIT_COLUMN, COLUMNS_MAX);
    (void)sqlite3_limit(q->db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_MAX_BYTES);
    if (!viewfunc_attach(q->db)) {
        return err_say(err, "there is no memory for a query over jobs()");
    }
    choose_visible(q, r);
    if (!viewtab_attach(q->db, &q->tab, err)) {
        return false;
    }
    sqlite3_progress_handler(q->db, STEPS_BETWEEN_CHECKS, on_progress, q);
    (void)sqlite3_set_authorizer(q->db, authorize, NULL); /* only fails on misuse */
    if (sqlite3_prepare_v2(q->db, r->sql, -1, &q->stmt, &tail) != SQLITE_OK) {
        return fail_sql(q, err);
    }
    return true;
}

static void close_query(struct query *q)
{
    (void)sqlite3_finalize(q->stmt); /* repeats the error of the last step */
    (void)sqlite3_close(q->db);      /* every statement is finalized */
    free(q->visible);
}

static enum result_type type_of_value(sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER: return RESULT_INT;
    case SQLITE_FLOAT: return RESULT_DOUBLE;
    default: return RESULT_TEXT;
    }
}

/* The type that both can be shown as. */
static enum result_type join_types(enum result_type a, enum result_type b)
{
    if (a == b) {
        return a;
    }
    return a == RESULT_TEXT || b == RESULT_TEXT ? RESULT_TEXT : RESULT_DOUBLE;
}

/*
 * A column of the views is a text, as in Doris; of an expression the values tell, all of them: a
 * column has one type on the wire. So a query with expressions runs twice. Returns SQLite's code of
 * the last step.
 */
static int find_types(sqlite3_stmt *stmt, struct result_column *columns, int n)
{
    int n_unknown = 0;
    _cleanup_free_ bool *is_known = xcalloc((size_t)n, sizeof(*is_known));
    for (int i = 0; i < n; i++) {
        n_unknown += sqlite3_column_decltype(stmt, i) == NULL;
        columns[i].type = RESULT_TEXT;
    }
    int rc = SQLITE_DONE;
    while (n_unknown > 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < n; i++) {
            bool is_open = sqlite3_column_decltype(stmt, i) == NULL &&
                           sqlite3_column_type(stmt, i) != SQLITE_NULL;
            if (is_open) {
                enum result_type type = type_of_value(stmt, i);
                columns[i].type = is_known[i] ? join_types(columns[i].type, type) : type;
                is_known[i] = true;
            }
        }
    }
    (void)sqlite3_reset(stmt); /* repeats the error of the last step */
    return rc;
}

static void put_row(struct result *out, sqlite3_stmt *stmt, const struct result_column *columns,
                    struct result_cell *cells, int n)
{
    for (int i = 0; i < n; i++) {
        cells[i] = (struct result_cell){.type = columns[i].type};
        if (columns[i].type == RESULT_INT) {
            cells[i].integer = sqlite3_column_int64(stmt, i);
        } else if (columns[i].type == RESULT_DOUBLE) {
            cells[i].number = sqlite3_column_double(stmt, i);
        }
        /* text first: the length is that of the converted value */
        const char *text = (const char *)sqlite3_column_text(stmt, i);
        cells[i].text.p = text;
        cells[i].text.n = text != NULL ? (size_t)sqlite3_column_bytes(stmt, i) : 0;
    }
    result_row(out, cells, (size_t)n);
}

static void put_rows(sqlite3_stmt *stmt, const struct result_column *columns, int n,
                     struct view_request *r, int *ret_rc)
{
    struct result out;
    _cleanup_free_ struct result_cell *cells = xcalloc((size_t)n, sizeof(*cells));
    result_begin(&out, &r->packets, &r->form);
    result_columns(&out, columns, (size_t)n);
    int rc = sqlite3_step(stmt);
    while (rc == SQLITE_ROW && buf_ok(&r->packets)) {
        put_row(&out, stmt, columns, cells, n);
        rc = sqlite3_step(stmt);
    }
    result_end(&out);
    *ret_rc = rc;
}

static bool run_query(struct query *q, struct view_request *r)
{
    int n = sqlite3_column_count(q->stmt);
    _cleanup_free_ struct result_column *columns = xcalloc((size_t)n, sizeof(*columns));
    int rc = find_types(q->stmt, columns, n);
    for (int i = 0; i < n; i++) {
        columns[i].name = sqlite3_column_name(q->stmt, i);
    }
    if (rc == SQLITE_DONE) {
        put_rows(q->stmt, columns, n, r, &rc);
    }
    if (!buf_ok(&r->packets)) {
        return err_say(&r->err,
                       "The result of the query over jobs() or tasks() is larger than "
                       "%d MB. Select fewer columns or rows",
                       RESULT_MAX_BYTES / 1024 / 1024);
    }
    return rc == SQLITE_DONE || fail_sql(q, &r->err);
}

static bool name_columns(struct query *q, struct view_request *r)
{
    size_t n = (size_t)sqlite3_column_count(q->stmt);
    r->names = xcalloc(n, sizeof(*r->names));
    for (r->n_names = 0; r->n_names < n; r->n_names++) {
        r->names[r->n_names] = xstrdup(sqlite3_column_name(q->stmt, (int)r->n_names));
    }
    return true;
}

void views_answer(struct view_request *r)
{
    struct query q = {0};
    r->is_ok =
        open_query(&q, r, &r->err) && (r->is_prepare ? name_columns(&q, r) : run_query(&q, r));
    close_query(&q);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void destroy_quit(struct msg *m)
{
    free(m);
}

static void on_message(struct msg *m, void *arg)
{
    struct views *v = arg;
    if (m->destroy == destroy_quit) {
        free(m);
        (void)event_base_loopbreak(v->base); /* only fails without a base */
        return;
    }
    struct view_request *r = (struct view_request *)m;
    views_answer(r);
    (void)msgq_send(r->reply_to, m); /* a queue that is closed destroys it */
}

static void *views_main(void *arg)
{
    struct views *v = arg;
    (void)event_base_loop(v->base, EVLOOP_NO_EXIT_ON_EMPTY); /* ends by the quit message */
    return NULL;
}

struct views *views_create(struct err *err)
{
    struct views *v = xcalloc(1, sizeof(*v));
    v->base = event_base_new();
    v->queue = v->base != NULL ? msgq_create(v->base, on_message, v, err) : NULL;
    if (v->queue == NULL) {
        (void)err_say(err, "cannot create the event loop for jobs() queries");
        views_destroy(v);
        return NULL;
    }
    int rc = pthread_create(&v->thread, NULL, views_main, v);
    if (rc != 0) {
        (void)err_errno(err, rc, "cannot start the thread for jobs() queries");
        views_destroy(v);
        return NULL;
    }
    v->is_started = true;
    return v;
}

void views_destroy(struct views *v)
{
    if (v == NULL) {
        return;
    }
    if (v->is_started) {
        struct msg *quit = xcalloc(1, sizeof(*quit));
        quit->destroy = destroy_quit;
        (void)msgq_send(v->queue, quit); /* open until it is destroyed below */
        pthread_join(v->thread, NULL);
    }
    msgq_destroy(v->queue);
    if (v->base != NULL) {
        event_base_free(v->base);
    }
    free(v);
}

void views_send(struct views *v, struct view_request *r)
{
    (void)msgq_send(v->queue, &r->call.m); /* open as long as there is a thread */
}
