#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "parser/lex.h"
#include "parser/stmt.h"
#include "parser/utf8.h"
#include "proxy/config.h"
#include "proxy/local_parts.h"
#include "proxy/worker.h"

static void on_sched_reply(void *receiver, struct msg_call *call);

const struct local_env *local_env_of(const struct local *l)
{
    return worker_local_env(session_worker(l->session));
}

struct msgq *local_queue(const struct local *l)
{
    return worker_msgq(session_worker(l->session));
}

/* Forgets the statement; the session's next one begins clean. */
void local_finish(struct local *l)
{
    if (l->is_busy) {
        stmt_fini(&l->stmt);
    }
    free(take_ptr(l->text));
    l->is_busy = false;
    l->i_step = 0;
    l->job_id = 0;
    local_keep_grants(l);
    free(take_ptr(l->database));
    job_record_fini(&l->job);
    snapshot_destroy(take_ptr(l->snapshot));
    explain_fini(&l->explain);
    l->is_checking = false;
    for (int table = 0; table < VIEW_TABLES; table++) {
        viewmerge_destroy(take_ptr(l->fe[table]));
    }
    free(take_ptr(l->time_zone));
    l->is_prepare = false;
}

void local_destroy(struct local *local)
{
    if (local != NULL) {
        local_explain_forget(local);
        local_finish(local);
        grants_fini(&local->grants);
        free(local);
    }
}

enum step_result local_end_ok(struct local *l)
{
    struct session *s = l->session;
    local_finish(l);
    session_reply_ok(s, 0, NULL);
    return STEP_END;
}

/* "Query OK, n rows affected". */
static void end_counted(struct local *l, size_t n)
{
    struct session *s = l->session;
    local_finish(l);
    session_reply_ok(s, n, NULL);
}

enum step_result local_end_err(struct local *l, const struct err *err)
{
    struct session *s = l->session;
    struct err copy = *err; /* it may be the local side's */
    local_finish(l);
    session_reply_err(s, &copy);
    return STEP_END;
}

struct local *local_find(struct worker *w, uint64_t id)
{
    struct session *s = worker_find_session(w, id);
    struct local *l = s != NULL ? *session_local(s) : NULL;
    return l != NULL && l->is_busy ? l : NULL;
}

struct sched_request *local_request(struct local *l, enum sched_op op)
{
    struct sched_request *r = sched_request_create(op, local_queue(l), session_id(l->session));
    r->call.run = on_sched_reply;
    r->user = session_who(l->session);
    return r;
}

/* --- the steps of each kind --------------------------------------------------------------------- */

enum { MAX_STEPS = 8 };

static const step_fn steps[][MAX_STEPS] = {
    [STMT_CREATE_JOB] = {local_ask_database, local_ask_grants, local_check_load, local_ask_tables,
                         local_find_existing, local_skip_if_existing, local_ask_fe_name,
                         local_send_create},
    [STMT_ALTER_JOB] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                        local_ask_tables, local_send_alter},
    [STMT_PAUSE_JOB] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                        local_send_change},
    [STMT_RESUME_JOB] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                         local_send_change},
    [STMT_DROP_JOB] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                       local_send_change},
    [STMT_RESOLVE_TASK] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                           local_send_change},
    [STMT_DECIDE_FILE] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                          local_send_change},
    [STMT_CANCEL_TASK] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                          local_send_change},
    [STMT_EXPLAIN_CREATE] = {local_ask_database, local_ask_grants, local_explain_rights,
                             local_ask_tables, local_explain_find, local_explain_name,
                             local_ask_fe_name_explain, local_explain_create},
    [STMT_EXPLAIN_JOB] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                          local_explain_job},
    [STMT_SHOW_CREATE_JOB] = {local_find_job, local_ask_fe_jobs, local_ask_grants, local_check_load,
                              local_show_create},
    [STMT_VIEW_QUERY] = {local_ask_grants, local_ask_own_jobs, local_ask_own_tasks,
                         local_ask_time_zone, local_take_snapshot, local_query_views},
};

void local_go_on(struct local *l)
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
            l->job = r->job;
            r->job = (struct job_record){0};
        }
        local_go_on(l);
        return;
    case SCHED_SNAPSHOT:
        l->snapshot = take_ptr(r->snapshot);
        local_go_on(l);
        return;
    case SCHED_CREATE:
    case SCHED_PAUSE:
    case SCHED_RESUME:
    case SCHED_DROP:
    case SCHED_RESOLVE:
    case SCHED_ALTER:
    case SCHED_CANCEL: (void)local_end_ok(l); return;
    case SCHED_FILE: end_counted(l, r->n_files); return;
    case SCHED_EXPLAIN: local_explained(l, &r->explain); return;
    case SCHED_CHECK: local_checked(l, &r->explain); return;
    case SCHED_FORGET: return; /* has no reply */
    }
}

static void on_sched_reply(void *receiver, struct msg_call *call)
{
    struct sched_request *r = (struct sched_request *)call;
    struct local *l = local_find(receiver, r->session_id);
    if (l != NULL && r->is_ok) {
        take_reply(l, r);
    } else if (l != NULL) {
        (void)local_end_err(l, &r->err);
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

/* CREATE JOB that proxy.on_streaming leaves to the FE, also one that it alone understands. */
static bool is_left_to_fe(struct session *s, struct span sql)
{
    struct lex lex = lex_of(sql);
    if (worker_config(session_worker(s))->on_streaming != CONFIG_STREAMING_FE) {
        return false;
    }
    struct tok create = lex_first(&lex);
    struct tok job = lex_next(&lex);
    return tok_is_word(&create, "CREATE") && tok_is_word(&job, "JOB");
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
        l->is_prepare = true; /* its columns may be some that only the FE has */
        local_go_on(l);
        return;
    }
    struct session *s = l->session;
    size_t n = 0;
    const char *const *names = local_explain_columns(l->stmt.kind, &n);
    local_finish(l);
    session_reply_prepared(s, names, n);
}

/* The packet is gone when the FE has answered our questions: point into the copy. */
static void keep_insert(struct local *l, struct span sql)
{
    struct stmt_insert *insert = stmt_insert(&l->stmt);
    if (insert != NULL && insert->text.p != NULL) {
        insert->text.p = l->text + (insert->text.p - sql.p);
    }
}

enum local_verdict local_accept(struct session *s, const struct local_text *text, struct err *err)
{
    struct stmt stmt = {0};
    enum local_verdict verdict = read_statement(text, &stmt, err);
    bool is_one = verdict == LOCAL_TAKEN || verdict == LOCAL_ERROR;
    if (is_one && is_left_to_fe(s, text->sql)) {
        if (verdict == LOCAL_TAKEN) {
            stmt_fini(&stmt);
        }
        return LOCAL_FOREIGN;
    }
    if (verdict != LOCAL_TAKEN) {
        return verdict;
    }
    struct local *l = get_local(s);
    l->stmt = stmt;
    l->text = span_dup(text->sql);
    keep_insert(l, text->sql);
    l->is_busy = true;
    if (text->use == LOCAL_PREPARE) {
        prepare(l);
    } else {
        local_go_on(l);
    }
    return LOCAL_TAKEN;
}
