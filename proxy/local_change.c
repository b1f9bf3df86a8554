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

/* --- PAUSE, RESUME, DROP JOB, tasks, files ------------------------------------------------------ */

/* What the statement says of the job it is about. */
static struct stmt_job_ref job_of(const struct local *l)
{
    return l->stmt.kind == STMT_ALTER_JOB ? (struct stmt_job_ref){.name = l->stmt.u.alter.name}
                                          : l->stmt.u.job;
}

enum step_result local_find_job(struct local *l)
{
    struct sched_request *r = local_request(l, SCHED_FIND);
    r->name = xstrdup(job_of(l).name);
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

static enum sched_op op_of(enum stmt_kind kind)
{
    switch (kind) {
    case STMT_PAUSE_JOB: return SCHED_PAUSE;
    case STMT_RESUME_JOB: return SCHED_RESUME;
    case STMT_DROP_JOB: return SCHED_DROP;
    case STMT_RESOLVE_TASK: return SCHED_RESOLVE;
    case STMT_DECIDE_FILE: return SCHED_FILE;
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
    r->file_key = take_ptr(l->stmt.u.job.file);
    r->is_retry = l->stmt.kind == STMT_DECIDE_FILE && !l->stmt.u.job.is_skip;
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

/* --- ALTER JOB ---------------------------------------------------------------------------------- */

enum step_result local_send_alter(struct local *l)
{
    struct err err = {0};
    struct jobspec_alter alter = {0};
    if (!local_may_load(l, l->job.target_db, l->job.target_table, &err) ||
        !jobspec_from_alter(&l->stmt.u.alter, &l->job, local_env_of(l)->default_interval_s, &alter,
                            &err)) {
        return local_end_err(l, &err);
    }
    struct sched_request *r = local_request(l, SCHED_ALTER);
    r->name = xstrdup(l->stmt.u.alter.name);
    r->job_id = l->job_id;
    r->base = l->job;
    l->job = (struct job_record){0};
    r->job = alter.job;
    r->spec = alter.spec;
    r->moves_offset = alter.moves_offset;
    r->changes_load = alter.changes_load;
    r->changes_rules = alter.changes_rules;
    r->only_paces = alter.only_paces;
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}
