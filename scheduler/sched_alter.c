/*
 * ALTER JOB: checked as CREATE JOB is, by the source and the FE, and meanwhile nothing is held: when
 * the check has ended the job must still be what the statement was made for. Then it changes in the
 * store, in one transaction, and in memory; or not at all.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/quote.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

enum { CHECK_TIMEOUT_MS = 60 * 1000 };

#define DETAIL "errCode = 2, detailMessage = "

static bool is_same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

/* Where the job stands matters to a statement that moves it or changes its rules, and to no other. */
static bool is_as_found(const struct job_record *now, const struct sched_request *r)
{
    const struct job_record *base = &r->base;
    return is_same_text(now->sql, base->sql) && is_same_text(now->properties, base->properties) &&
           ((!r->moves_offset && !r->changes_rules) ||
            (is_same_text(now->offset, base->offset) && now->last_task_id == base->last_task_id &&
             now->committed_task_id == base->committed_task_id));
}

/*
 * A task that is open has its range and label; loading it again with another INSERT, or committing
 * its offset over the one that was asked for, would not be what either statement meant; and what
 * became of its load is found out as its guarantee was then. A job whose statement is not understood
 * cannot load its task at all before it has another one.
 */
static bool may_change_under_task(const struct job *j, const struct sched_request *r,
                                  struct err *err)
{
    const char *name = j->rec.name;
    _cleanup_free_ char *quoted = quote_name(name);
    bool is_deep = r->moves_offset || r->changes_rules;
    bool is_repair = j->body == NULL && !is_deep;
    if (j->task.id == 0 || is_repair || (!is_deep && !r->changes_load)) {
        return true;
    }
    if (j->body == NULL) {
        (void)err_say(err, "give the job an INSERT that is understood first, without an offset "
                           "and without those");
    } else if (j->step.phase == PHASE_DOUBT) {
        (void)err_say(err,
                      "it may be in the table or not, and a person decides: EXPLAIN JOB %s shows "
                      "the statements for it",
                      quoted);
    } else {
        (void)err_say(err, "its load may yet end in the table. Wait until tasks() shows how it "
                           "ended, or let RESUME JOB take it up again");
    }
    return err_prefix(err,
                      DETAIL "Task %" PRId64 " of job %s, label %s, is still open, so neither the "
                             "offset nor the INSERT can be altered, but for its credentials, nor "
                             "guarantee, s3.discovery and s3.ingestion_mode: ",
                      j->task.id, name, j->task.label);
}

static struct job *find_alterable(struct sched *s, struct sched_request *r)
{
    struct job *j = sched_same_job(s, r);
    if (j == NULL) {
        return NULL;
    }
    if (j->step.state != JOB_PAUSED) {
        _cleanup_free_ char *quoted = quote_text(j->rec.name);
        (void)err_say(&r->err,
                      DETAIL "Only PAUSED job can be altered: job %s is %s by now. PAUSE JOB WHERE "
                             "jobName = %s and send the ALTER JOB again",
                      j->rec.name, job_state_name(j->step.state), quoted);
        return NULL;
    }
    if (!is_as_found(&j->rec, r)) {
        (void)err_say(&r->err,
                      DETAIL
                      "Job %s has changed while this ALTER JOB was being checked, by another "
                      "one or by a task that ended; nothing was done. Look at the job and "
                      "send it again",
                      j->rec.name);
        return NULL;
    }
    return may_change_under_task(j, r, &r->err) ? j : NULL;
}

static bool read_offset(const struct job_body *body, const struct sched_request *r,
                        char **ret_offset, struct err *err)
{
    const char *text = spec_prop_get(body->spec->props, body->spec->n_props, "offset");
    *ret_offset = NULL;
    return !r->moves_offset || text == NULL || body->ops->parse_offset(text, ret_offset, err);
}

static bool say_taken_over(const struct job *j, struct err *err)
{
    return err_say(err, "Job %s was not altered: another Sluice has taken over the store",
                   j->rec.name);
}

/*
 * The store may not know yet that the job is PAUSED: a write of that was refused, or its statement
 * was not understood when it was read. What would resume by itself waits for RESUME JOB from here
 * on, as does what was not understood, unless its task is in doubt.
 */
static bool prepare_store(struct job *j, struct job_record *to, struct err *err)
{
    const struct sched_options *o = &j->sched->options;
    struct job_update update = {JOB_PAUSED, j->rec.fail_code, j->rec.fail_msg, j->rec.n_resumes};
    switch (o->store_ops->job_update(o->store, j->rec.id, &update, err)) {
    case STORE_OK: break;
    case STORE_FAIL: return err_prefix(err, "Job %s was not altered: ", j->rec.name);
    case STORE_STALE:
    case STORE_DUPLICATE: return say_taken_over(j, err);
    }
    if (step_is_resumable(to->fail_code)) {
        to->fail_code = FAIL_MANUAL_PAUSE;
        sched_set_text(&to->fail_msg, sched_job_altered_text(j));
    }
    if (j->body == NULL && to->fail_code == FAIL_CANNOT_RESUME) {
        to->fail_code = FAIL_MANUAL_PAUSE;
        sched_set_text(&to->fail_msg, xstrdup("The statement was altered; RESUME JOB goes on"));
    }
    return true;
}

/* The job's record as it shall be: what the statement names, and all else as it is now. */
static void make_record(const struct job *j, const struct sched_request *r, struct job_record *ret)
{
    job_record_copy(&j->rec, ret);
    sched_set_text(&ret->sql, xstrdup(r->job.sql));
    sched_set_text(&ret->properties, xstrdup(r->job.properties));
    if (r->job.offset != NULL) {
        sched_set_text(&ret->offset, xstrdup(r->job.offset));
    }
}

static bool store_altered(struct job *j, const struct job_record *to, struct err *err)
{
    const struct sched_options *o = &j->sched->options;
    switch (o->store_ops->job_alter(o->store, to, err)) {
    case STORE_OK: return true;
    case STORE_FAIL: return err_prefix(err, "Job %s was not altered: ", j->rec.name);
    case STORE_STALE:
    case STORE_DUPLICATE: break;
    }
    return say_taken_over(j, err);
}

static bool alter(struct sched *s, struct sched_request *r, struct job_body *body)
{
    _cleanup_job_record_ struct job_record to = {0};
    struct job *j = find_alterable(s, r);
    if (j == NULL) {
        return false;
    }
    make_record(j, r, &to);
    if (!prepare_store(j, &to, &r->err) || !store_altered(j, &to, &r->err)) {
        return false;
    }
    log_info("job.altered", "job", j->rec.name, "id", LOG_FMT("%" PRId64, j->rec.id), "user",
             r->user, "offset", r->job.offset != NULL ? r->job.offset : "unchanged", "code",
             fail_code_name(to.fail_code), NULL);
    j->is_new_insert |= r->changes_load;
    sched_job_alter(j, &to, job_body_ref(body));
    return true;
}

bool sched_alter_begin(struct sched *s, struct sched_request *r)
{
    char *offset = NULL;
    const struct job *j = find_alterable(s, r);
    if (j == NULL) {
        return false;
    }
    struct job_body *body = sched_make_body(s, take_ptr(r->spec), &r->err);
    if (body == NULL || !read_offset(body, r, &offset, &r->err)) {
        job_body_unref(body);
        return false;
    }
    free(r->job.offset);
    r->job.offset = offset;
    if (r->only_paces) {
        r->is_ok = alter(s, r, body);
        job_body_unref(body);
        return false;
    }
    struct run *run = run_create(RUN_CHECK, body, s->options.sink_ops, s->options.sink);
    job_body_unref(body); /* the run has its own reference */
    run->owner = r;
    run->job_id = j->rec.id; /* whose files are tracked */
    run->timeout_ms = CHECK_TIMEOUT_MS;
    const char *from = offset != NULL ? offset : j->rec.offset;
    run->offset = from != NULL ? xstrdup(from) : NULL;
    sched_submit_asked(s, run);
    return true;
}

bool sched_alter_finish(struct sched *s, struct sched_request *r, struct run *run)
{
    if (!run->is_ok) {
        r->err = run->err;
        return err_prefix(&r->err, "ALTER JOB was not done: ");
    }
    return alter(s, r, run->body);
}
