#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "parser/utf8.h"
#include "proxy/grants.h"
#include "proxy/jobspec.h"
#include "proxy/local.h"
#include "proxy/local_env.h"
#include "proxy/views.h"
#include "proxy/worker.h"
#include "scheduler/sched.h"

/*
 * A statement is a list of steps. A step is done at once (STEP_NEXT), or waits for the FE or for
 * another thread and continues from there (STEP_WAIT), or has replied (STEP_END).
 */
enum step_result { STEP_NEXT, STEP_WAIT, STEP_END };

struct local {
    struct session *session; /* borrowed: owns us */
    bool is_busy;
    char *text; /* the statement; stmt has spans into it */
    struct stmt stmt;
    size_t i_step;
    struct grants grants; /* of this statement; asked anew for each */
    char *database;       /* SELECT DATABASE(), NULL when none is selected */
    int64_t job_id;       /* of the job the statement names, 0 = not ours */
    char *target_db;      /* its target */
    char *target_table;
    struct snapshot *snapshot;
};

typedef enum step_result (*step_fn)(struct local *l);

static void go_on(struct local *l);

static const struct local_env *env_of(const struct local *l)
{
    return worker_local_env(session_worker(l->session));
}

static struct msgq *queue_of(const struct local *l)
{
    return worker_msgq(session_worker(l->session));
}

/* Forgets the statement; the session's next one begins clean. */
static void finish(struct local *l)
{
    if (l->is_busy) {
        stmt_fini(&l->stmt);
    }
    free(take_ptr(l->text));
    l->is_busy = false;
    l->i_step = 0;
    l->job_id = 0;
    grants_fini(&l->grants);
    free(take_ptr(l->database));
    free(take_ptr(l->target_db));
    free(take_ptr(l->target_table));
    snapshot_destroy(take_ptr(l->snapshot));
}

void local_destroy(struct local *local)
{
    if (local != NULL) {
        finish(local);
        free(local);
    }
}

static enum step_result end_ok(struct local *l)
{
    struct session *s = l->session;
    finish(l);
    session_reply_ok(s, 0, NULL);
    return STEP_END;
}

static enum step_result end_err(struct local *l, const struct err *err)
{
    struct session *s = l->session;
    struct err copy = *err;
    _cleanup_free_ char *masked = stmt_mask_secrets(span_of(err->msg));
    if (masked != NULL) {
        (void)err_set(&copy, err->code, err->sqlstate, "%s", masked);
    }
    finish(l);
    session_reply_err(s, &copy);
    return STEP_END;
}

/* --- questions to the FE, on the client's own connection --------------------------------------- */

static void on_grants(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = {0};
    (void)s;
    if (!grants_read(answer, &l->grants, &err)) {
        (void)end_err(l, &err); /* refuse, never allow */
        return;
    }
    go_on(l);
}

static enum step_result ask_grants(struct local *l)
{
    session_ask(l->session, "SHOW GRANTS", on_grants, l);
    return STEP_WAIT;
}

static void on_database(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    (void)s;
    if (answer->is_error) {
        (void)end_err(l, &answer->err);
        return;
    }
    if (answer->n_rows == 1 && answer->n_columns == 1 && answer->cells[0] != NULL) {
        l->database = xstrdup(answer->cells[0]);
    }
    go_on(l);
}

static enum step_result ask_database(struct local *l)
{
    session_ask(l->session, "SELECT DATABASE()", on_database, l);
    return STEP_WAIT;
}

/* --- CREATE JOB -------------------------------------------------------------------------------- */

static bool may_load(const struct local *l, const char *db, const char *table, struct err *err)
{
    return grants_may_load(&l->grants, db, table) || grants_deny_load(&l->grants, db, table, err);
}

static void on_sched_reply(void *receiver, struct msg_call *call);

static struct sched_request *make_request(struct local *l, enum sched_op op)
{
    struct sched_request *r = sched_request_create(op, queue_of(l), session_id(l->session));
    r->call.run = on_sched_reply;
    return r;
}

static enum step_result send_create(struct local *l)
{
    const struct stmt_create *create = &l->stmt.u.create;
    struct err err = {0};
    struct job_spec *spec = NULL;
    _cleanup_job_record_ struct job_record job = {0};
    if (!jobspec_from_create(create, session_user(l->session), l->database,
                             env_of(l)->default_interval_s, &spec, &job, &err)) {
        return end_err(l, &err);
    }
    if (!may_load(l, job.target_db, job.target_table, &err)) {
        job_spec_destroy(spec);
        return end_err(l, &err);
    }
    struct sched_request *r = make_request(l, SCHED_CREATE);
    r->job = job;
    job = (struct job_record){0};
    r->spec = spec;
    sched_send(env_of(l)->sched, r);
    return STEP_WAIT;
}

/* With IF NOT EXISTS a job that is there already is no error. */
static enum step_result find_existing(struct local *l)
{
    if (!l->stmt.u.create.if_not_exists) {
        return STEP_NEXT;
    }
    struct sched_request *r = make_request(l, SCHED_FIND);
    r->name = xstrdup(l->stmt.u.create.name);
    sched_send(env_of(l)->sched, r);
    return STEP_WAIT;
}

static enum step_result skip_if_existing(struct local *l)
{
    return l->job_id != 0 ? end_ok(l) : STEP_NEXT;
}

/* --- PAUSE, RESUME, DROP JOB, RESOLVE TASK ------------------------------------------------------ */

static enum step_result find_job(struct local *l)
{
    struct sched_request *r = make_request(l, SCHED_FIND);
    r->name = xstrdup(l->stmt.u.job.name);
    sched_send(env_of(l)->sched, r);
    return STEP_WAIT;
}

static enum step_result end_unknown_job(struct local *l)
{
    struct err err = {0};
    const struct stmt_job_ref *ref = &l->stmt.u.job;
    if (ref->if_exists) {
        return end_ok(l);
    }
    (void)err_say(&err,
                  "errCode = 2, detailMessage = job not exist, jobName: %s. Neither Sluice nor the "
                  "FE has a job of this name; names are case-sensitive, SELECT Name FROM "
                  "jobs(\"type\"=\"insert\") lists those you may see",
                  ref->name);
    return end_err(l, &err);
}

static bool has_cell(const struct answer *answer, const char *text)
{
    for (size_t i = 0; i < answer->n_rows * answer->n_columns; i++) {
        if (answer->cells[i] != NULL && strcmp(answer->cells[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void on_fe_jobs(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    /* An FE before 2.1 has no jobs(): its error means that it has no such job either. */
    if (!answer->is_error && l->stmt.kind != STMT_RESOLVE_TASK &&
        has_cell(answer, l->stmt.u.job.name)) {
        finish(l);
        session_reply_forward(s);
        return;
    }
    (void)end_unknown_job(l);
}

/*
 * A job that is not ours may be the FE's own, an ON SCHEDULE one, say. All names are asked for:
 * how a name would have to be quoted depends on the session's sql_mode, which we do not know.
 */
static enum step_result ask_fe_jobs(struct local *l)
{
    if (l->job_id != 0) {
        return STEP_NEXT;
    }
    session_ask(l->session, "SELECT Name FROM jobs(\"type\"=\"insert\")", on_fe_jobs, l);
    return STEP_WAIT;
}

static enum sched_op op_of(enum stmt_kind kind)
{
    switch (kind) {
    case STMT_PAUSE_JOB: return SCHED_PAUSE;
    case STMT_RESUME_JOB: return SCHED_RESUME;
    case STMT_DROP_JOB: return SCHED_DROP;
    case STMT_RESOLVE_TASK: return SCHED_RESOLVE;
    case STMT_CREATE_JOB:
    case STMT_VIEW_QUERY: break;
    }
    assert(!"no statement about one job");
    return SCHED_FIND;
}

static enum step_result send_change(struct local *l)
{
    struct err err = {0};
    if (!may_load(l, l->target_db, l->target_table, &err)) {
        return end_err(l, &err);
    }
    struct sched_request *r = make_request(l, op_of(l->stmt.kind));
    r->name = xstrdup(l->stmt.u.job.name);
    r->job_id = l->job_id;
    r->task_id = l->stmt.u.job.task_id;
    r->is_committed = l->stmt.u.job.is_committed;
    sched_send(env_of(l)->sched, r);
    return STEP_WAIT;
}

/* --- SELECT … FROM jobs() ----------------------------------------------------------------------- */

static enum step_result take_snapshot(struct local *l)
{
    sched_send(env_of(l)->sched, make_request(l, SCHED_SNAPSHOT));
    return STEP_WAIT;
}

static struct local *find_local(struct worker *w, uint64_t id)
{
    struct session *s = worker_find_session(w, id);
    struct local *l = s != NULL ? *session_local(s) : NULL;
    return l != NULL && l->is_busy ? l : NULL;
}

static void on_view_reply(void *receiver, struct msg_call *call)
{
    struct view_request *r = (struct view_request *)call;
    struct local *l = find_local(receiver, r->session_id);
    if (l != NULL) {
        struct session *s = l->session;
        if (r->is_ok && r->is_prepare) {
            finish(l);
            session_reply_prepared(s, (const char *const *)r->names, r->n_names);
        } else if (r->is_ok) {
            finish(l);
            session_reply_packets(s, &r->packets);
        } else {
            (void)end_err(l, &r->err);
        }
    }
    view_request_destroy(r);
}

/* With no snapshot it is only prepared. */
static enum step_result query_views(struct local *l)
{
    struct view_request *r = view_request_create(queue_of(l), session_id(l->session));
    r->call.run = on_view_reply;
    r->snapshot = take_ptr(l->snapshot);
    r->grants = l->grants;
    l->grants = (struct grants){0};
    r->sql = take_ptr(l->stmt.u.view.sql);
    r->form = session_form(l->session);
    r->is_prepare = r->snapshot == NULL;
    views_send(env_of(l)->views, r);
    return STEP_WAIT;
}

/* --- the steps of each kind --------------------------------------------------------------------- */

enum { MAX_STEPS = 5 };

static const step_fn steps[][MAX_STEPS] = {
    [STMT_CREATE_JOB] = {ask_grants, ask_database, find_existing, skip_if_existing, send_create},
    [STMT_PAUSE_JOB] = {find_job, ask_fe_jobs, ask_grants, send_change},
    [STMT_RESUME_JOB] = {find_job, ask_fe_jobs, ask_grants, send_change},
    [STMT_DROP_JOB] = {find_job, ask_fe_jobs, ask_grants, send_change},
    [STMT_RESOLVE_TASK] = {find_job, ask_fe_jobs, ask_grants, send_change},
    [STMT_VIEW_QUERY] = {ask_grants, take_snapshot, query_views},
};

static void go_on(struct local *l)
{
    enum step_result result = STEP_NEXT;
    while (result == STEP_NEXT) {
        assert(l->i_step < MAX_STEPS);
        step_fn next = steps[l->stmt.kind][l->i_step++];
        result = next(l);
    }
}

static void take_reply(struct local *l, struct sched_request *r)
{
    switch (r->op) {
    case SCHED_FIND:
        if (r->is_found) {
            l->job_id = r->job_id;
            l->target_db = take_ptr(r->job.target_db);
            l->target_table = take_ptr(r->job.target_table);
        }
        go_on(l);
        return;
    case SCHED_SNAPSHOT:
        l->snapshot = take_ptr(r->snapshot);
        go_on(l);
        return;
    case SCHED_CREATE:
    case SCHED_PAUSE:
    case SCHED_RESUME:
    case SCHED_DROP:
    case SCHED_RESOLVE: (void)end_ok(l); return;
    }
}

static void on_sched_reply(void *receiver, struct msg_call *call)
{
    struct sched_request *r = (struct sched_request *)call;
    struct local *l = find_local(receiver, r->session_id);
    if (l != NULL && r->is_ok) {
        take_reply(l, r);
    } else if (l != NULL) {
        (void)end_err(l, &r->err);
    }
    sched_request_destroy(r);
}

/* --- which statement ---------------------------------------------------------------------------- */

static enum local_verdict fail_prepare(const char *what, struct err *err)
{
    (void)err_set(
        err, ERR_UNSUPPORTED_PS, "HY000",
        "Job statements and queries over jobs() and tasks() are prepared and executed one "
        "by one; %s",
        what);
    return LOCAL_ERROR;
}

static enum local_verdict fail_encoding(struct span whole, size_t at, struct err *err)
{
    size_t line = 1;
    size_t line_at = 0;
    for (size_t i = 0; i < at; i++) {
        if (whole.p[i] == '\n') {
            line++;
            line_at = i + 1;
        }
    }
    (void)err_set(err, ERR_INVALID_CHARACTER_STRING, "HY000",
                  "Invalid utf8 character string: the byte 0x%02x at (line %zu, pos %zu), byte %zu "
                  "of the text, is no UTF-8. Sluice and Doris read statements as UTF-8, whatever "
                  "character set the client has chosen: send it in utf8mb4",
                  (unsigned char)whole.p[at], line, at - line_at, at + 1);
    return LOCAL_ERROR;
}

/* STMT_OURS: *ret is filled, and the text is one that a job may keep. */
static enum local_verdict read_statement(const struct local_text *text, struct stmt *ret,
                                         struct err *err)
{
    bool is_part = text->use == LOCAL_PART;
    enum stmt_verdict verdict = is_part ? stmt_parse_part(text->whole, text->sql, ret, err)
                                        : stmt_parse(text->sql, ret, err);
    switch (verdict) {
    case STMT_FOREIGN:
        return text->use == LOCAL_BOUND
                   ? fail_prepare("with these parameters it is none of these", err)
                   : LOCAL_FOREIGN;
    case STMT_SCRIPT:
        return text->use == LOCAL_WHOLE ? LOCAL_SCRIPT
                                        : fail_prepare("this is a text of several", err);
    case STMT_BAD:
    case STMT_OURS: break;
    }
    size_t n_valid = utf8_valid(text->sql);
    if (n_valid < text->sql.n) {
        if (verdict == STMT_OURS) {
            stmt_fini(ret);
        }
        return fail_encoding(text->whole, (size_t)(text->sql.p - text->whole.p) + n_valid, err);
    }
    return verdict == STMT_BAD ? LOCAL_ERROR : LOCAL_TAKEN;
}

bool local_claims(struct span sql)
{
    return stmt_claims(sql);
}

static struct local *get_local(struct session *s)
{
    struct local **slot = session_local(s);
    if (*slot == NULL) {
        *slot = xcalloc(1, sizeof(**slot));
        (*slot)->session = s;
    }
    assert(!(*slot)->is_busy);
    return *slot;
}

static void prepare(struct local *l)
{
    if (l->stmt.kind == STMT_VIEW_QUERY) {
        (void)query_views(l); /* which waits */
        return;
    }
    struct session *s = l->session;
    finish(l);
    session_reply_prepared(s, NULL, 0);
}

enum local_verdict local_accept(struct session *s, const struct local_text *text, struct err *err)
{
    struct stmt stmt = {0};
    enum local_verdict verdict = read_statement(text, &stmt, err);
    if (verdict != LOCAL_TAKEN) {
        return verdict;
    }
    struct local *l = get_local(s);
    l->stmt = stmt;
    l->text = span_dup(text->sql);
    if (stmt.kind == STMT_CREATE_JOB) {
        /* The packet is gone when the FE has answered our questions: point into the copy. */
        l->stmt.u.create.insert.text.p = l->text + (stmt.u.create.insert.text.p - text->sql.p);
    }
    l->is_busy = true;
    if (text->use == LOCAL_PREPARE) {
        prepare(l);
    } else {
        go_on(l);
    }
    return LOCAL_TAKEN;
}
