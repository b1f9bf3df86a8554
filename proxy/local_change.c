/* The statements that make or change a job. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/jobspec.h"
#include "proxy/local_parts.h"

/* --- CREATE JOB -------------------------------------------------------------------------------- */

enum step_result local_send_create(struct local *l)
{
    const struct stmt_create *create = &l->stmt.u.create;
    struct err err = {0};
    struct job_spec *spec = NULL;
    _cleanup_job_record_ struct job_record job = {0};
    if (!jobspec_from_create(create, session_user(l->session), l->database,
                             local_env_of(l)->default_interval_s, &spec, &job, &err)) {
        return local_end_err(l, &err);
    }
    if (!local_may_load(l, job.target_db, job.target_table, &err)) {
        job_spec_destroy(spec);
        return local_end_err(l, &err);
    }
    struct sched_request *r = local_request(l, SCHED_CREATE);
    r->job = job;
    job = (struct job_record){0};
    r->spec = spec;
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

/* With IF NOT EXISTS a job that is there already is no error. */
enum step_result local_find_existing(struct local *l)
{
    if (!l->stmt.u.create.if_not_exists) {
        return STEP_NEXT;
    }
    struct sched_request *r = local_request(l, SCHED_FIND);
    r->name = xstrdup(l->stmt.u.create.name);
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

enum step_result local_skip_if_existing(struct local *l)
{
    return l->job_id != 0 ? local_end_ok(l) : STEP_NEXT;
}

/* --- PAUSE, RESUME, DROP JOB, RESOLVE TASK ------------------------------------------------------ */

enum step_result local_find_job(struct local *l)
{
    struct sched_request *r = local_request(l, SCHED_FIND);
    r->name = xstrdup(l->stmt.u.job.name);
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

static enum step_result end_unknown_job(struct local *l)
{
    struct err err = {0};
    const struct stmt_job_ref *ref = &l->stmt.u.job;
    if (ref->if_exists) {
        return local_end_ok(l);
    }
    (void)err_say(&err,
                  "errCode = 2, detailMessage = job not exist, jobName: %s. Neither Sluice nor the "
                  "FE has a job of this name; names are case-sensitive, SELECT Name FROM "
                  "jobs(\"type\"=\"insert\") lists those you may see",
                  ref->name);
    return local_end_err(l, &err);
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
        local_finish(l);
        session_reply_forward(s);
        return;
    }
    (void)end_unknown_job(l);
}

/*
 * A job that is not ours may be the FE's own, an ON SCHEDULE one, say. All names are asked for:
 * how a name would have to be quoted depends on the session's sql_mode, which we do not know.
 */
enum step_result local_ask_fe_jobs(struct local *l)
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
    case STMT_CANCEL_TASK: return SCHED_CANCEL;
    case STMT_CREATE_JOB:
    case STMT_ALTER_JOB:
    case STMT_EXPLAIN_CREATE:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB:
    case STMT_VIEW_QUERY: break;
    }
    assert(!"no statement about one job");
    return SCHED_FIND;
}

enum step_result local_send_change(struct local *l)
{
    struct err err = {0};
    if (!local_may_load(l, l->job.target_db, l->job.target_table, &err)) {
        return local_end_err(l, &err);
    }
    struct sched_request *r = local_request(l, op_of(l->stmt.kind));
    r->name = xstrdup(l->stmt.u.job.name);
    r->job_id = l->job_id;
    r->task_id = l->stmt.u.job.task_id;
    r->is_committed = l->stmt.u.job.is_committed;
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

/* --- ALTER JOB ---------------------------------------------------------------------------------- */

enum step_result local_send_alter(struct local *l)
{
    struct err err = {0};
    (void)err_say(&err, "ALTER JOB of job %s: not yet (issue 4)", l->job.name);
    return local_end_err(l, &err);
}
