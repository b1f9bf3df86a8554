#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/quote.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

enum { CHECK_TIMEOUT_MS = 60 * 1000 };

/* --- CREATE ----------------------------------------------------------------------------------- */

static bool may_create(const struct sched *s, const char *name, struct err *err)
{
    if ((int64_t)(s->n_jobs + s->n_checks) >= s->options.max_jobs) {
        return err_say(err,
                       "errCode = 2, detailMessage = Exceed max streaming job num limit in "
                       "fe.conf:%" PRId64 ". DROP a job, or raise scheduler.max_jobs of Sluice",
                       s->options.max_jobs);
    }
    if (sched_find_by_name(s, name) != NULL) {
        _cleanup_free_ char *quoted = quote_text(name);
        return err_say(err,
                       "errCode = 2, detailMessage = job name exist, jobName:%s. Choose another "
                       "name, or DROP JOB WHERE jobName = %s first",
                       name, quoted);
    }
    return true;
}

/*
 * Unique over all Sluices that may ever share a Doris, since labels are made of it: microseconds
 * since 1970 with the last three digits random, above every id that is known here. One of those may
 * be of a clock that was ahead: the next ones then lie some random minutes behind it, since counting
 * up would give the id, and so the labels, of a job that was dropped to another one.
 */
static int64_t new_job_id(const struct sched *s)
{
    static const uint64_t farthest = UINT64_C(1) << 40;
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
        random = (uint64_t)clock_mono_us();
    }
    int64_t id = clock_wall_us() * 1000 + (int64_t)(random % 1000);
    int64_t last = s->n_jobs > 0 ? s->jobs[s->n_jobs - 1]->rec.id : 0;
    return id > last ? id : last + 1 + (int64_t)(random % farthest);
}

static bool first_offset(const struct job_body *body, char **ret_offset, struct err *err)
{
    const char *text = spec_prop_get(body->spec->props, body->spec->n_props, "offset");
    *ret_offset = NULL;
    return text == NULL || body->ops->parse_offset(text, ret_offset, err);
}

static void begin_create(struct sched *s, struct sched_request *r)
{
    char *offset = NULL;
    if (!may_create(s, r->job.name, &r->err)) {
        sched_reply(r);
        return;
    }
    struct job_body *body = sched_make_body(s, take_ptr(r->spec), &r->err);
    if (body == NULL || !first_offset(body, &offset, &r->err)) {
        job_body_unref(body);
        sched_reply(r);
        return;
    }
    r->job.offset = offset;
    struct run *run = run_create(RUN_CHECK, body, s->options.sink_ops, s->options.sink);
    job_body_unref(body); /* the run has its own reference */
    run->owner = r;
    run->timeout_ms = CHECK_TIMEOUT_MS;
    run->offset = offset != NULL ? xstrdup(offset) : NULL;
    s->n_checks++;
    sched_submit_asked(s, run);
}

static bool finish_create(struct sched *s, struct sched_request *r, struct run *run)
{
    const struct sched_options *o = &s->options;
    if (!run->is_ok) {
        r->err = run->err;
        return false;
    }
    if (!may_create(s, r->job.name, &r->err)) { /* somebody was faster */
        return false;
    }
    r->job.id = new_job_id(s);
    r->job.state = JOB_PENDING;
    r->job.create_ms = clock_wall_ms();
    switch (o->store_ops->job_insert(o->store, &r->job, &r->err)) {
    case STORE_OK: break;
    case STORE_DUPLICATE:
        return err_say(&r->err, "errCode = 2, detailMessage = job name exist, jobName:%s",
                       r->job.name);
    case STORE_STALE:
        return err_say(&r->err, "Another Sluice has taken over the store; send the statement to "
                                "that one, or restart this one after stopping it");
    case STORE_FAIL: return err_prefix(&r->err, "The job was not created: ");
    }
    struct job *j = sched_job_create(s, &r->job, job_body_ref(run->body));
    sched_add_job(s, j);
    log_info("job.created", "job", r->job.name, "id", LOG_FMT("%" PRId64, r->job.id), "user",
             r->user != NULL ? r->user : r->job.definer, NULL);
    sched_job_start(j);
    return true;
}

void sched_check_done(struct sched *s, struct run *run)
{
    struct sched_request *r = run->owner;
    s->n_checks -= r->op == SCHED_CREATE;
    if (s->is_stopping) {
        (void)err_set(&r->err, ERR_SERVER_SHUTDOWN, "08S01", "Sluice is shutting down");
    } else {
        r->is_ok = r->op == SCHED_CREATE ? finish_create(s, r, run) : sched_alter_finish(s, r, run);
    }
    sched_reply(r);
}

/* --- the others ------------------------------------------------------------------------------- */

static bool status_error(struct err *err, const char *name, const char *why)
{
    return err_say(err,
                   "errCode = 2, detailMessage = Alter job status error, jobName is %s, errorMsg "
                   "is %s",
                   name, why);
}

static bool may_change(const struct job *j, enum sched_op op, struct err *err)
{
    enum job_state state = j->step.state;
    const char *name = j->rec.name;
    if (op == SCHED_PAUSE) {
        if (state == JOB_PAUSED && (j->body == NULL || !step_may_pause(&j->step))) {
            return status_error(err, name,
                                "Can't change job status to the same status: it is PAUSED already. "
                                "EXPLAIN JOB tells why and what resumes it");
        }
        if (state != JOB_PAUSED && !step_may_move(state, JOB_PAUSED)) {
            return status_error(
                err, name,
                LOG_FMT("Can't update job %s status to the PAUSED status: it will not run again",
                        job_state_name(state)));
        }
    }
    if (op == SCHED_RESUME) {
        if (state == JOB_RUNNING || state == JOB_PENDING) {
            return status_error(err, name,
                                state == JOB_RUNNING
                                    ? "Can't change job status to the same status, job already "
                                      "running. EXPLAIN JOB tells what it does"
                                    : "Can't change job status to the same status: it is PENDING, "
                                      "about to run. EXPLAIN JOB tells what it waits for");
        }
        if (!step_may_move(state, JOB_PENDING)) {
            return status_error(
                err, name,
                LOG_FMT("Can't update job %s status to the RUNNING status: it will not run again. "
                        "DROP it and CREATE another",
                        job_state_name(state)));
        }
        if (j->step.fail_code == FAIL_LABEL_TAKEN) {
            return err_say(err, "Job %s cannot be resumed before its task is decided. %s", name,
                           j->rec.fail_msg);
        }
        if (j->body == NULL) {
            _cleanup_free_ char *quoted = quote_name(name);
            return err_say(err,
                           "Job %s cannot be resumed: %s. Give it another one with ALTER JOB %s "
                           "INSERT ..., or DROP it",
                           name, j->rec.fail_msg, quoted);
        }
    }
    return true;
}

/* A state that the user asks for is acknowledged only when it is stored. */
static bool change(struct job *j, enum step_event_kind kind, struct err *err)
{
    enum store_result result = sched_job_change(j, kind, err);
    if (result == STORE_FAIL) {
        return err_prefix(err, "Job %s was not changed: ", j->rec.name);
    }
    sched_job_say(j, NULL); /* what it was waiting for is over */
    return result == STORE_OK ||
           err_say(err, "Job %s was not changed: another Sluice has taken over the store",
                   j->rec.name);
}

static bool drop(struct sched *s, struct job *j, struct sched_request *r)
{
    struct err *err = &r->err;
    const struct sched_options *o = &s->options;
    enum store_result result = o->store_ops->job_delete(o->store, j->rec.id, err);
    if (result == STORE_FAIL) {
        return err_prefix(err, "Job %s was not dropped: ", j->rec.name);
    }
    if (result != STORE_OK) {
        return err_say(err, "Job %s was not dropped: another Sluice has taken over the store",
                       j->rec.name);
    }
    log_info("job.dropped", "job", j->rec.name, "id", LOG_FMT("%" PRId64, j->rec.id), "user",
             r->user, NULL);
    sched_remove_job(s, j);
    return true;
}

/* That no answer of Doris's but a user decided is told with the task, for as long as it is kept. */
static bool decide(struct job *j, bool is_committed, struct err *err)
{
    const char *as = is_committed ? "COMMITTED" : "ABORTED";
    const char *who = j->actor != NULL ? j->actor : "the user";
    int64_t n_before = j->rec.n_succeeded + j->rec.n_failed;
    _cleanup_free_ char *first_error = j->task.first_error;
    log_warn("task.resolved", "job", j->rec.name, "label", j->task.label, "as", as, "user",
             j->actor, NULL);
    sched_set_text(&j->end_reason, NULL);
    (void)err_say(&j->last_err, "resolved as %s by %s", as, who); /* the ErrorMsg of one ABORTED */
    j->task.first_error = is_committed          ? xasprintf("resolved as %s by %s", as, who)
                          : first_error != NULL ? xstrdup(first_error)
                                                : NULL;
    sched_job_event(j, &(struct step_event){
                           .kind = EV_RESOLVE, .now = sched_now(), .u.is_committed = is_committed});
    if (j->rec.n_succeeded + j->rec.n_failed == n_before) {
        sched_set_text(&j->task.first_error, take_ptr(first_error)); /* it is in doubt as before */
        return err_say(err, "The decision was not stored: %s", j->last_err.msg);
    }
    return true;
}

static bool resolve(struct job *j, const struct sched_request *r, struct err *err)
{
    if (j->body == NULL && j->task.id != 0) {
        _cleanup_free_ char *quoted = quote_name(j->rec.name);
        return err_say(err,
                       "Task %" PRId64
                       " of job %s cannot be decided before the job has a statement "
                       "that is understood: give it one with ALTER JOB %s INSERT ... (%s)",
                       j->task.id, j->rec.name, quoted, j->rec.fail_msg);
    }
    if (j->step.phase != PHASE_DOUBT) {
        return err_say(err,
                       "Job %s has no task in doubt: its state is %s. Only a job that is PAUSED "
                       "with IN_DOUBT or LABEL_TAKEN has one",
                       j->rec.name, job_state_name(j->step.state));
    }
    if (j->task.id != r->task_id) {
        return err_say(err, "The task in doubt of job %s is %" PRId64 ", not %" PRId64, j->rec.name,
                       j->task.id, r->task_id);
    }
    return decide(j, r->is_committed, err);
}

/*
 * Asked for, not done: the statement is killed and its label decides. Doris's words for what it
 * refuses; it has them for jobs ON SCHEDULE, its streaming jobs cannot be canceled by task.
 */
static bool cancel(struct job *j, int64_t task_id, struct err *err)
{
    const char *state = job_state_name(j->step.state);
    bool is_active = j->step.state == JOB_PENDING || j->step.state == JOB_RUNNING;
    if (j->task.id == 0) {
        return err_say(err,
                       "errCode = 2, detailMessage = no running task: job %s is %s and loads "
                       "nothing at the moment. tasks() shows what became of task %" PRId64,
                       j->rec.name, state, task_id);
    }
    if (!is_active) {
        return err_say(err,
                       "errCode = 2, detailMessage = no running task: job %s is %s. Its last one, "
                       "label %s, is open until it is certain what became of it, see EXPLAIN JOB",
                       j->rec.name, state, j->task.label);
    }
    if (j->task.id != task_id) {
        return err_say(err,
                       "errCode = 2, detailMessage = Not found task id: %" PRId64 ". The running "
                       "task of job %s is %" PRId64,
                       task_id, j->rec.name, j->task.id);
    }
    log_info("task.cancel", "job", j->rec.name, "label", j->task.label, "user", j->actor, NULL);
    sched_job_say(j, xasprintf("Task %" PRId64 " is being canceled: its statement is stopped, then "
                               "Doris is asked whether it was loaded",
                               task_id));
    sched_job_event(j, &(struct step_event){.kind = EV_CANCEL, .now = sched_now()});
    return true;
}

static void find(const struct job *j, struct sched_request *r)
{
    r->is_ok = true;
    r->is_found = j != NULL;
    if (j != NULL) {
        r->job_id = j->rec.id;
        job_record_fini(&r->job);
        job_record_copy(&j->rec, &r->job);
    }
}

static void take_snapshot(struct sched *s, struct sched_request *r)
{
    struct snapshot *snap = xcalloc(1, sizeof(*snap));
    snap->jobs = xcalloc(s->n_jobs, sizeof(struct job_view *));
    for (size_t i = 0; i < s->n_jobs; i++) {
        snap->jobs[snap->n_jobs++] = sched_job_view(s->jobs[i]);
    }
    r->snapshot = snap;
    r->is_ok = true;
}

struct job *sched_same_job(struct sched *s, struct sched_request *r)
{
    struct job *j = sched_find_by_name(s, r->name);
    if (j == NULL || j->rec.id != r->job_id) {
        (void)err_say(&r->err, "errCode = 2, detailMessage = job not exist, jobName:%s%s",
                      r->op == SCHED_CANCEL ? "" : " ", r->name); /* Doris has it both ways */
        return NULL;
    }
    return j;
}

static bool carry_out(struct job *j, struct sched_request *r)
{
    switch (r->op) {
    case SCHED_PAUSE: return change(j, EV_PAUSE, &r->err);
    case SCHED_RESUME: return change(j, EV_RESUME, &r->err);
    case SCHED_RESOLVE: return resolve(j, r, &r->err);
    case SCHED_CANCEL: return cancel(j, r->task_id, &r->err);
    case SCHED_EXPLAIN: sched_explain_job(j, &r->explain); return true;
    case SCHED_FILE: return sched_file_decide(j, r);
    case SCHED_DROP:
    case SCHED_ALTER:
    case SCHED_CHECK:
    case SCHED_FORGET:
    case SCHED_CREATE:
    case SCHED_FIND:
    case SCHED_SNAPSHOT: break;
    }
    return false;
}

static bool change_job(struct sched *s, struct sched_request *r)
{
    struct job *j = sched_same_job(s, r);
    if (j == NULL || !may_change(j, r->op, &r->err)) {
        return false;
    }
    if (r->op == SCHED_DROP) {
        return drop(s, j, r);
    }
    j->actor = r->user;
    bool is_done = carry_out(j, r);
    j->actor = NULL;
    return is_done;
}

void sched_command(struct sched *s, struct sched_request *r)
{
    if (r->op == SCHED_FORGET) {
        sched_explain_forget(s, r->session_id);
        sched_request_destroy(r);
        return;
    }
    if (s->is_stopping) {
        (void)err_set(&r->err, ERR_SERVER_SHUTDOWN, "08S01", "Sluice is shutting down");
        sched_reply(r);
        return;
    }
    switch (r->op) {
    case SCHED_CREATE: begin_create(s, r); return; /* answered when the check has ended */
    case SCHED_ALTER:
        if (sched_alter_begin(s, r)) {
            return; /* likewise */
        }
        break;
    case SCHED_FIND: find(sched_find_by_name(s, r->name), r); break;
    case SCHED_SNAPSHOT: take_snapshot(s, r); break;
    case SCHED_CHECK: sched_explain_create(s, r); return; /* answered when its run has ended */
    case SCHED_FORGET: return;                            /* above */
    case SCHED_PAUSE:
    case SCHED_RESUME:
    case SCHED_DROP:
    case SCHED_CANCEL:
    case SCHED_EXPLAIN:
    case SCHED_FILE:
    case SCHED_RESOLVE: r->is_ok = change_job(s, r); break;
    }
    sched_reply(r);
}
