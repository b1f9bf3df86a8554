#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "parser/lex.h"
#include "proxy/result.h"
#include "proxy/viewderive.h"
#include "proxy/viewfunc.h"
#include "proxy/viewmerge.h"
#include "proxy/viewrows.h"
#include "proxy/views.h"
#include "proxy/viewsql.h"
#include "proxy/viewtab.h"
#include "proxy/viewtime.h"

enum {
    RESULT_MAX_BYTES = 64 * 1024 * 1024,
    TIME_MAX_MS = 10 * 1000,
    TIME_FIRST_MS = 250, /* then a query makes way for others, and begins again in the slow lane */
    VALUE_MAX_BYTES = 4 * 1024 * 1024, /* a text a query makes: one step may copy or search it */
    COLUMNS_MAX = 200,                 /* each may be such a text */
    /* The query gives up well before SQLite's limit, which the store's connection shares. */
    MEMORY_MAX_BYTES = 256 * 1024 * 1024,
    MEMORY_HARD_BYTES = MEMORY_MAX_BYTES + 128 * 1024 * 1024,
    PATTERN_MAX_BYTES = 500,    /* of LIKE: a step takes the product of both */
    STEPS_BETWEEN_CHECKS = 100, /* of SQLite's machine */
    ERR_BAD_FIELD = 1054,       /* ER_BAD_FIELD_ERROR of MySQL and Doris */
};

/* The database of the tables, which is empty but for them: it is kept from one query to the next. */
struct viewdb {
    sqlite3 *db;                   /* NULL: not open */
    struct viewtab tab;            /* what its tables show */
    struct viewfunc_env env;       /* what its functions look at */
    struct buf extra[VIEW_TABLES]; /* the FE's extra columns, which it was made with */
    const atomic_bool *is_ending;  /* borrowed; nobody waits for the answer any more; NULL: never */
};

/*
 * A thread and its queue. Every query begins in the first lane and gets little time there: a session
 * has one query at once, so that those who ask much wait for each other in the slow lane, and those
 * who ask little do not wait for them.
 */
struct lane {
    struct lane *slower; /* borrowed; NULL: this is the slow one */
    atomic_bool is_ending;
    struct event_base *base;
    struct msgq *queue;
    pthread_t thread;
    bool is_started;
    struct viewdb kept; /* the thread's */
};

enum { LANE_FIRST, LANE_SLOW, N_LANES };

struct views {
    struct lane lanes[N_LANES];
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
    for (int table = 0; table < VIEW_TABLES; table++) {
        viewmerge_destroy(r->fe[table]);
    }
    free(r->names);
    free(r->sql);
    free(r->view.sql);
    free(r->view.text);
    free(r->view.places);
    free(r->derived);
    free(r->time_zone);
    free(r);
}

/* --- one query -------------------------------------------------------------------------------- */

struct query {
    sqlite3 *db; /* borrowed from `in` */
    struct viewdb *in;
    sqlite3_stmt *stmt;
    int64_t time_max_ms;
    int64_t deadline_ms; /* monotonic */
    bool is_too_large;
    bool uses[VIEW_TABLES];
    const struct job_view **visible; /* owned */
    struct viewzone *zone;           /* owned */
};

static int on_progress(void *arg)
{
    struct query *q = arg;
    q->is_too_large = sqlite3_memory_used() > MEMORY_MAX_BYTES;
    const atomic_bool *is_ending = q->in->is_ending;
    return q->is_too_large || clock_mono_ms() > q->deadline_ms ||
           (is_ending != NULL && atomic_load(is_ending));
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
    struct viewtab *tab = &q->in->tab;
    q->visible = xcalloc(snap->n_jobs > 0 ? snap->n_jobs : 1, sizeof(const struct job_view *));
    *tab = (struct viewtab){.visible = q->visible};
    for (size_t i = 0; i < snap->n_jobs; i++) {
        const struct job_record *rec = &snap->jobs[i]->rec;
        if (grants_may_load(&r->grants, rec->target_db, rec->target_table)) {
            q->visible[tab->n_visible++] = snap->jobs[i];
        }
    }
    for (int table = 0; table < VIEW_TABLES; table++) {
        tab->fe[table] = r->fe[table];
    }
}

/*
 * SQLite says it in no other way than by its text: "no such column: t.Nam". The columns of the table
 * that is not used are left out: clients of libmariadb cut an error after 512 bytes.
 */
static bool fail_column(const struct query *q, const char *name, struct err *err)
{
    _cleanup_buf_ struct buf columns = buf_with_max(ERR_MSG_SIZE);
    bool uses_both = q->uses[VIEW_JOBS] == q->uses[VIEW_TASKS];
    for (int table = 0; table < VIEW_TABLES; table++) {
        if (uses_both || q->uses[table]) {
            buf_append_text(&columns, buf_span(&columns).n > 0 ? "; " : "");
            viewtab_list_columns(&q->in->tab, table, &columns);
        }
    }
    const char *view = uses_both ? "jobs() or tasks()" : q->uses[VIEW_JOBS] ? "jobs()" : "tasks()";
    return err_set(err, ERR_BAD_FIELD, "42S22", "Unknown column '%s' in the query over %s. %s",
                   name, view, buf_text(&columns));
}

static bool fail_sql(const struct query *q, struct err *err)
{
    static const char no_column[] = "no such column: ";
    const char *why = sqlite3_errmsg(q->db);
    if (strncmp(why, no_column, sizeof(no_column) - 1) == 0) {
        return fail_column(q, why + sizeof(no_column) - 1, err);
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
    return err_set(err, ERR_PARSE, "42000",
                   "The query over jobs() or tasks() is not understood: %s. Sluice answers it "
                   "itself",
                   why);
}

/* --- the database ----------------------------------------------------------------------------- */

static void viewdb_close(struct viewdb *in)
{
    (void)sqlite3_close(in->db); /* every statement is finalized; NULL is fine */
    in->db = NULL;
    viewfunc_env_fini(&in->env);
    for (int table = 0; table < VIEW_TABLES; table++) {
        buf_fini(&in->extra[table]);
    }
}

static bool fill_database(struct viewdb *in, struct err *err)
{
    /* A bare word that names no column is a text: where ExecuteType = streaming (stmt.h). */
    (void)sqlite3_db_config(in->db, SQLITE_DBCONFIG_DQS_DML, 1, NULL); /* the default anyway */
    /* Of the whole process: else one row of long texts could end it. */
    (void)sqlite3_hard_heap_limit64(MEMORY_HARD_BYTES);
    (void)sqlite3_limit(in->db, SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES);
    (void)sqlite3_limit(in->db, SQLITE_LIMIT_COLUMN, COLUMNS_MAX);
    (void)sqlite3_limit(in->db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_MAX_BYTES);
    if (!viewfunc_attach(in->db, &in->env)) {
        return err_say(err, "there is no memory for a query over jobs()");
    }
    if (!viewtab_attach(in->db, &in->tab, err)) {
        return false;
    }
    (void)sqlite3_set_authorizer(in->db, authorize, NULL); /* only fails on misuse */
    return true;
}

static struct buf list_extra(const struct viewmerge *m)
{
    struct buf list = buf_with_max(1 << 20);
    for (size_t i = 0; i < viewmerge_n_extra(m); i++) {
        const char *name = viewmerge_extra_name(m, i);
        buf_append(&list, name, strlen(name) + 1);
    }
    return list;
}

/* Another FE may have other columns; of a table that the query does not use nothing is known. */
static bool has_its_columns(const struct viewdb *in)
{
    bool has_all = true;
    for (int table = 0; table < VIEW_TABLES; table++) {
        _cleanup_buf_ struct buf list = list_extra(in->tab.fe[table]);
        bool is_same = span_eq(buf_span(&list), buf_span(&in->extra[table]));
        has_all = has_all && (in->tab.fe[table] == NULL || is_same);
    }
    return has_all;
}

static bool viewdb_open(struct viewdb *in, struct err *err)
{
    if (in->db != NULL && has_its_columns(in)) {
        return true;
    }
    viewdb_close(in);
    for (int table = 0; table < VIEW_TABLES; table++) {
        in->extra[table] = list_extra(in->tab.fe[table]);
    }
    if (sqlite3_open(":memory:", &in->db) != SQLITE_OK) {
        return err_say(err, "cannot open an in-memory database for jobs()");
    }
    return fill_database(in, err);
}

static bool open_query(struct query *q, const struct view_request *r, struct err *err)
{
    q->deadline_ms = clock_mono_ms() + q->time_max_ms;
    q->zone = viewzone_create(r->time_zone);
    choose_visible(q, r);
    if (!viewdb_open(q->in, err)) {
        viewdb_close(q->in);
        return false;
    }
    q->db = q->in->db;
    q->in->env.now_us = clock_wall_ms() * 1000;
    q->in->env.deadline_ms = q->deadline_ms;
    q->in->env.memory_max = MEMORY_MAX_BYTES;
    q->in->env.zone = q->zone;
    q->in->tab.zone = q->zone;
    sqlite3_progress_handler(q->db, STEPS_BETWEEN_CHECKS, on_progress, q);
    return true;
}

static bool prepare_query(struct query *q, const struct view_request *r,
                          enum viewsql_trust *ret_trust, struct err *err)
{
    _cleanup_free_ char *sql = viewsql_adapt(r->sql, ret_trust);
    return sqlite3_prepare_v2(q->db, sql, -1, &q->stmt, NULL) == SQLITE_OK || fail_sql(q, err);
}

static void close_query(struct query *q)
{
    (void)sqlite3_finalize(q->stmt); /* repeats the error of the last step */
    if (q->db != NULL) {
        sqlite3_progress_handler(q->db, 0, NULL, NULL);
        (void)sqlite3_db_release_memory(q->db); /* never fails */
    }
    viewtab_reset(&q->in->tab);
    q->in->tab = (struct viewtab){0}; /* the next query's, from then on */
    q->in->env.zone = NULL;
    viewzone_destroy(q->zone);
    free(q->visible);
}

static bool run_query(struct query *q, struct view_request *r)
{
    int rc = viewrows_put(q->stmt, &r->form, &r->packets);
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

/* --- for the FE --------------------------------------------------------------------------------- */

/*
 * SQLite does not understand it: the FE may. But a column that is not there, and what only reading
 * does not need, it would refuse as well, and say less.
 */
static bool is_for_fe(const struct query *q, const struct view_request *r)
{
    const char *why = sqlite3_errmsg(q->db);
    return r->view.text != NULL && sqlite3_errcode(q->db) == SQLITE_ERROR &&
           strncmp(why, "no such column", strlen("no such column")) != 0 &&
           strncmp(why, "ambiguous column", strlen("ambiguous column")) != 0 &&
           strcmp(why, "incomplete input") != 0 &&
           (strstr(why, "not authorized") == NULL || strstr(why, "to use function") != NULL);
}

static bool derive(struct query *q, struct view_request *r)
{
    struct buf text = buf_with_max(VIEWDERIVE_MAX_BYTES);
    bool is_ok = viewderive_text(q->db, &q->in->tab, &r->view, &text, &r->err);
    if (is_ok) {
        r->derived = buf_take_text(&text);
    }
    buf_fini(&text);
    return is_ok;
}

/* `a || b`: whether it is OR, as the parser took it, or joins texts, the session's sql_mode says. */
static bool depends_on_mode(const char *text)
{
    struct lex lex = lex_of(span_of(text));
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END && t.kind != TOK_ERROR && !tok_is_op(&t, "||")) {
        t = lex_next(&lex);
    }
    return tok_is_op(&t, "||");
}

/* Has the FE to run it although SQLite understands it? */
static bool prefers_fe(struct query *q, struct view_request *r, enum viewsql_trust trust,
                       bool *ret_is_ok)
{
    if (r->view.text == NULL) {
        return false;
    }
    bool is_other = trust == VIEWSQL_OTHER || depends_on_mode(r->view.text);
    if (!is_other && trust == VIEWSQL_SAME) {
        return false;
    }
    *ret_is_ok = derive(q, r);
    if (*ret_is_ok || is_other || r->err.code != ERR_NET_PACKET_TOO_LARGE) {
        return true;
    }
    r->err = (struct err){0};
    return false; /* the right values in another form are better than none */
}

static bool answer_query(struct query *q, struct view_request *r)
{
    if (!open_query(q, r, &r->err)) {
        return false;
    }
    if (r->sql == NULL) {
        return derive(q, r);
    }
    enum viewsql_trust trust = VIEWSQL_OTHER;
    bool is_ok = false;
    if (!prepare_query(q, r, &trust, &r->err)) {
        return is_for_fe(q, r) && derive(q, r);
    }
    if (r->is_prepare) {
        return name_columns(q, r);
    }
    if (prefers_fe(q, r, trust, &is_ok)) {
        return is_ok;
    }
    if (!run_query(q, r)) { /* a function may have said that it does not know its arguments */
        buf_reset(&r->packets);
        return is_for_fe(q, r) && derive(q, r);
    }
    return true;
}

/* False: it needs more time, or memory that another query has. */
static bool answer_in(struct viewdb *in, struct view_request *r, int64_t time_max_ms)
{
    struct query q = {
        .in = in,
        .time_max_ms = time_max_ms,
        .uses = {[VIEW_JOBS] = r->view.uses_jobs, [VIEW_TASKS] = r->view.uses_tasks},
    };
    assert(r->sql != NULL || r->view.text != NULL);
    r->is_ok = answer_query(&q, r);
    bool is_late = clock_mono_ms() > q.deadline_ms;
    bool lacks_memory = q.is_too_large || sqlite3_errcode(q.db) == SQLITE_NOMEM;
    close_query(&q);
    return r->is_ok || !(is_late || lacks_memory);
}

void views_answer(struct view_request *r)
{
    struct viewdb in = {0};
    (void)answer_in(&in, r, TIME_MAX_MS); /* there is no more */
    viewdb_close(&in);
}

/* --- the threads ------------------------------------------------------------------------------ */

static void destroy_quit(struct msg *m)
{
    free(m);
}

static void on_message(struct msg *m, void *arg)
{
    struct lane *l = arg;
    if (m->destroy == destroy_quit) {
        free(m);
        (void)event_base_loopbreak(l->base); /* only fails without a base */
        return;
    }
    struct view_request *r = (struct view_request *)m;
    if (atomic_load(&l->is_ending)) {
        view_request_destroy(r);
        return;
    }
    if (l->slower == NULL) {
        (void)answer_in(&l->kept, r, TIME_MAX_MS); /* there is no more */
    } else if (!answer_in(&l->kept, r, TIME_FIRST_MS)) {
        buf_reset(&r->packets);
        r->err = (struct err){0};
        (void)msgq_send(l->slower->queue, m); /* open as long as this thread runs */
        return;
    }
    (void)msgq_send(r->reply_to, m); /* a queue that is closed destroys it */
}

static void *lane_main(void *arg)
{
    struct lane *l = arg;
    (void)event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY); /* ends by the quit message */
    return NULL;
}

static bool lane_start(struct lane *l, struct err *err)
{
    l->base = event_base_new();
    l->queue = l->base != NULL ? msgq_create(l->base, on_message, l, err) : NULL;
    if (l->queue == NULL) {
        return err_say(err, "cannot create the event loop for jobs() queries");
    }
    l->kept.is_ending = &l->is_ending;
    int rc = pthread_create(&l->thread, NULL, lane_main, l);
    if (rc != 0) {
        return err_errno(err, rc, "cannot start the thread for jobs() queries");
    }
    l->is_started = true;
    return true;
}

static void lane_stop(struct lane *l)
{
    if (l->is_started) {
        struct msg *quit = xcalloc(1, sizeof(*quit));
        quit->destroy = destroy_quit;
        atomic_store(&l->is_ending, true); /* what is queued is not waited for */
        (void)msgq_send(l->queue, quit);   /* open until it is destroyed below */
        pthread_join(l->thread, NULL);
    }
    viewdb_close(&l->kept);
    msgq_destroy(l->queue);
    if (l->base != NULL) {
        event_base_free(l->base);
    }
}

struct views *views_create(struct err *err)
{
    struct views *v = xcalloc(1, sizeof(*v));
    v->lanes[LANE_FIRST].slower = &v->lanes[LANE_SLOW];
    if (!lane_start(&v->lanes[LANE_SLOW], err) || !lane_start(&v->lanes[LANE_FIRST], err)) {
        views_destroy(v);
        return NULL;
    }
    return v;
}

void views_destroy(struct views *v)
{
    if (v != NULL) {
        lane_stop(&v->lanes[LANE_FIRST]); /* which sends to the other */
        lane_stop(&v->lanes[LANE_SLOW]);
        free(v);
    }
}

void views_send(struct views *v, struct view_request *r)
{
    (void)msgq_send(v->lanes[LANE_FIRST].queue, &r->call.m); /* open as long as there is a thread */
}
