/* EXPLAIN CREATE JOB: the scheduler's part, around the run that asks the source and the FE. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

enum { EXPLAIN_TIMEOUT_MS = 60 * 1000 };

/* Half of the runners at most: the others load. */
static struct run **free_slot(struct sched *s)
{
    size_t most = s->options.n_runners / 2;
    most = most > SCHED_MOST_EXPLAINS ? SCHED_MOST_EXPLAINS : most;
    for (size_t i = 0; i == 0 || i < most; i++) {
        if (s->explains[i] == NULL) {
            return &s->explains[i];
        }
    }
    return NULL;
}

static void give_back(struct sched *s, const struct run *run)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->explains); i++) {
        if (s->explains[i] == run) {
            s->explains[i] = NULL;
        }
    }
}

/* With a source where there can be one: what is wrong with it is a line, and the FE is asked still. */
static struct job_body *make_body(const struct sched *s, struct job_spec *spec, struct explain *e)
{
    struct err err = {0};
    const struct source_ops *ops = sched_find_source(s, spec->insert.tvf);
    struct source *source = ops != NULL ? ops->create(spec, &err) : NULL;
    e->section = EXPLAIN_SOURCE;
    if (ops == NULL) {
        explain_fail(e, "source",
                     "Unsupported tvf type: %s. Sluice has streaming jobs from S3(...)",
                     spec->insert.tvf);
    } else if (source == NULL) {
        explain_fail(e, "source", "%s", err.msg);
    }
    return job_body_create(spec, source != NULL ? ops : NULL, source);
}

static char *read_offset(const struct job_body *b, struct explain *e)
{
    const char *text = spec_prop_get(b->spec->props, b->spec->n_props, "offset");
    char *offset = NULL;
    struct err err = {0};
    if (text == NULL || b->ops == NULL) {
        return NULL;
    }
    e->section = EXPLAIN_PROPERTIES;
    if (!b->ops->parse_offset(text, &offset, &err)) {
        explain_fail(e, "offset", "%s", err.msg);
        return NULL;
    }
    explain_add(e, "offset", "%s: what comes behind it is loaded, it and what comes before is not",
                offset);
    return offset;
}

static void look_at_limit(const struct sched *s, struct explain *e)
{
    if ((int64_t)(s->n_jobs + s->n_checks) >= s->options.max_jobs) {
        e->section = EXPLAIN_NAME;
        explain_fail(e, "number of jobs",
                     "%zu of %" PRId64 " are there already: DROP a job, or raise "
                     "scheduler.max_jobs of Sluice",
                     s->n_jobs, s->options.max_jobs);
    }
}

void sched_explain_create(struct sched *s, struct sched_request *r)
{
    struct run **slot = free_slot(s);
    if (slot == NULL) {
        (void)err_say(&r->err,
                      "Other EXPLAIN CREATE JOB statements are being worked on, as many as "
                      "there may be at a time. Try again in a minute");
        sched_reply(r);
        return;
    }
    look_at_limit(s, &r->explain);
    struct job_body *body = make_body(s, take_ptr(r->spec), &r->explain);
    struct run *run = run_create(RUN_EXPLAIN, body, s->options.sink_ops, s->options.sink);
    job_body_unref(body); /* the run has its own reference */
    run->owner = r;
    run->timeout_ms = EXPLAIN_TIMEOUT_MS;
    run->statement_timeout_s = sched_job_timeout_s(s, run->body);
    run->label_window_ms = s->options.step.label_window_ms;
    run->offset = read_offset(run->body, &r->explain);
    *slot = run;
    sched_submit_asked(s, run);
}

void sched_explain_done(struct sched *s, struct run *run)
{
    struct sched_request *r = run->owner;
    give_back(s, run);
    if (s->is_stopping) {
        (void)err_set(&r->err, ERR_SERVER_SHUTDOWN, "08S01", "Sluice is shutting down");
    } else {
        explain_move(&r->explain, &run->explain);
        r->is_ok = true;
    }
    sched_reply(r);
}

void sched_explain_drop(struct sched *s, struct run *run)
{
    struct sched_request *r = run->owner;
    give_back(s, run);
    (void)err_set(&r->err, ERR_SERVER_SHUTDOWN, "08S01", "Sluice is shutting down");
    sched_reply(r);
}

void sched_explain_late(struct sched *s, struct run *run)
{
    struct sched_request *r = run->owner;
    give_back(s, run);
    r->err = run->err;
    sched_reply(r);
}

/* Its run ends soon, and its answer finds nobody. */
void sched_explain_forget(struct sched *s, uint64_t session_id)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->explains); i++) {
        struct run *run = s->explains[i];
        if (run != NULL && ((struct sched_request *)run->owner)->session_id == session_id) {
            cancel_raise(&run->cancel);
        }
    }
}
