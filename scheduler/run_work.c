/* What a runner does: calls of the source and of the sink, in the order that each kind of run has. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "scheduler/run.h"

enum {
    FRESH_US = 1000 * 1000, /* a listing that is younger is the check before the load */
    VERIFY_MAX_US = 60 * 1000 * 1000,
};

static int64_t sooner(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* --- plans ------------------------------------------------------------------------------------ */

static bool open_reader(struct run_thread *t, struct err *err)
{
    if (t->reader != NULL) {
        return true;
    }
    if (t->store_ops == NULL || t->store_ops->reader_open == NULL) {
        return err_say(err, "this store cannot tell which files were loaded, which property "
                            "s3.discovery = tracked needs");
    }
    t->reader = t->store_ops->reader_open(t->store, err);
    return t->reader != NULL;
}

static void close_reader(struct run_thread *t)
{
    if (t->reader != NULL) {
        t->store_ops->reader_ops->close(take_ptr(t->reader));
    }
}

void run_thread_fini(struct run_thread *t)
{
    close_reader(t);
}

bool run_request_init(struct run *run, struct run_thread *t, const struct fe_traits *traits,
                      int64_t deadline_us, struct plan_request *ret, struct err *err)
{
    const struct job_body *b = run->body;
    struct plan_pass *passes = xcalloc(run->n_passes, sizeof(*passes));
    for (size_t i = 0; i < run->n_passes; i++) {
        const struct task_record *task = &run->passes[i]->rec;
        passes[i] = (struct plan_pass){.offset = task->offset_after, .at_ms = task->create_ms};
    }
    *ret = (struct plan_request){
        .offset = run->offset,
        .fe = traits,
        .job_id = run->job_id,
        .max_files = run->max_files,
        .bad = run->bad != NULL ? run->bad->files : NULL,
        .n_bad = run->bad != NULL ? run->bad->n_files : 0,
        .passes = passes,
        .n_passes = run->n_passes,
        .deadline_us = deadline_us,
        .cancel = &run->cancel,
    };
    if (b->ops == NULL || b->ops->is_tracking == NULL || !b->ops->is_tracking(b->source)) {
        return true;
    }
    if (!open_reader(t, err)) {
        return err_prefix(err, "The job's files cannot be compared with those loaded: ");
    }
    ret->reader = t->reader;
    ret->reader_ops = t->store_ops->reader_ops;
    return true;
}

void run_request_fini(struct plan_request *request)
{
    free((void *)request->passes); /* const for the source only */
    request->passes = NULL;
}

/* A reader that has failed may have lost its file: the next plan opens another. */
static enum plan_result plan_with(struct run *run, struct run_thread *t,
                                  const struct plan_request *request)
{
    const struct job_body *b = run->body;
    enum plan_result result = b->ops->plan(b->source, request, &run->plan, &run->err);
    if (result == PLAN_FAIL) {
        close_reader(t);
    }
    return result;
}

/* A range to try the statement with: the next one, or else, for an ALTER JOB, the first of all. */
static enum plan_result plan_to_try(struct run *run, struct run_thread *t,
                                    const struct fe_traits *traits, int64_t deadline_us)
{
    struct plan_request request = {0};
    enum plan_result result = PLAN_FAIL;
    if (run_request_init(run, t, traits, deadline_us, &request, &run->err)) {
        result = plan_with(run, t, &request);
        if (run->offset != NULL && (result == PLAN_EMPTY || result == PLAN_END)) {
            plan_fini(&run->plan);
            request.offset = NULL;
            result = plan_with(run, t, &request);
        }
    }
    run_request_fini(&request);
    return result;
}

/* The order in which a user wants to hear of mistakes: source, then FE, then the two together. */
static bool check(struct run *run, struct run_thread *t, int64_t deadline_us)
{
    const struct job_body *b = run->body;
    struct fe_traits traits = {0};
    bool is_empty = false;
    _cleanup_free_ char *sql = NULL;

    if (!b->ops->check(b->source, deadline_us, &run->cancel, &is_empty, &run->err) ||
        !run->sink_ops->check(run->sink, b->spec, NULL, deadline_us, &run->cancel, &traits,
                              &run->err)) {
        return false;
    }
    if (is_empty) {
        return true;
    }
    enum plan_result result = plan_to_try(run, t, &traits, deadline_us);
    if (result != PLAN_RANGE) {
        return result != PLAN_FAIL;
    }
    sql = b->ops->rewrite(b->source, run->plan.range, NULL, &run->err);
    return sql != NULL && run->sink_ops->check(run->sink, b->spec, sql, deadline_us, &run->cancel,
                                               &traits, &run->err);
}

static enum plan_result plan(struct run *run, struct run_thread *t, int64_t deadline_us)
{
    struct plan_request request = {0};
    enum plan_result result = PLAN_FAIL;
    run->is_ok =
        run->sink_ops->traits(run->sink, deadline_us, &run->cancel, &run->traits, &run->err);
    run->has_traits = run->is_ok;
    if (!run->is_ok) {
        return PLAN_FAIL;
    }
    if (run_request_init(run, t, &run->traits, deadline_us, &request, &run->err)) {
        result = plan_with(run, t, &request);
    }
    run_request_fini(&request);
    return result;
}

/* --- loads ------------------------------------------------------------------------------------ */

static struct offset_row row_of(const struct run *run)
{
    return (struct offset_row){
        .job_id = run->job_id,
        .task_id = run->task_id,
        .range = run->range,
        .offset = run->offset,
        .succeeded_id = run->succeeded_id,
    };
}

static enum verify_result verify(struct run *run, int64_t deadline_us, struct err *err)
{
    const struct job_body *b = run->body;
    int64_t limit_us = sooner(deadline_us, clock_mono_us() + VERIFY_MAX_US);
    return b->ops->verify(b->source, run->range, limit_us, &run->cancel, err);
}

static bool verify_before(struct run *run, int64_t deadline_us)
{
    if (run->listed_us != 0 && clock_mono_us() - run->listed_us < FRESH_US) {
        return true;
    }
    enum verify_result result = verify(run, deadline_us, &run->err);
    run->load.is_changed = result == VERIFY_CHANGED;
    run->is_source_down = result == VERIFY_FAIL;
    return result == VERIFY_SAME;
}

/* Of the sink, before COMMIT. */
struct commit_check {
    struct run *run;
    int64_t deadline_us;
    enum verify_result result; /* as long as it was not asked: VERIFY_SAME */
};

static enum verify_result verify_commit(void *arg, struct err *err)
{
    struct commit_check *c = arg;
    c->result = verify(c->run, c->deadline_us, err);
    return c->result;
}

/* Refused, and the file is another one by now: that may be why, and says nothing of its rows. */
static void look_at_refusal(struct run *run, int64_t deadline_us)
{
    struct err found = {0};
    enum verify_result result = verify(run, deadline_us, &found);
    if (result == VERIFY_FAIL) {
        run->load.is_data_error = false; /* perhaps not of the file that was planned: once more */
    }
    if (result != VERIFY_CHANGED) {
        return;
    }
    run->load.is_changed = true;
    run->load.is_data_error = false;
    struct err refusal = run->err;
    (void)err_say(&run->err, "%s (Doris refused the load: %s)", found.msg, refusal.msg);
}

static void verify_after(struct run *run, const struct commit_check *c)
{
    enum load_result result = run->load_result;
    bool is_loaded = result == LOAD_VISIBLE || result == LOAD_COMMITTED;
    bool is_transactional = spec_guarantee(run->body->spec) == GUARANTEE_TRANSACTIONAL;
    if (cancel_is_raised(&run->cancel)) {
        /* Who stops waits for no listing, so nobody knows whether the planned file was refused. */
        run->load.is_data_error = false;
        return;
    }
    if (result == LOAD_ROLLED_BACK) {
        run->load.is_changed = c->result == VERIFY_CHANGED;
    } else if (result == LOAD_REFUSED) {
        look_at_refusal(run, c->deadline_us);
    } else if (is_loaded && !is_transactional) {
        struct err found = {0};
        if (verify(run, c->deadline_us, &found) == VERIFY_CHANGED) {
            run->changed = found;
        }
    }
}

static enum load_result load(struct run *run, struct commit_check *c)
{
    const struct job_body *b = run->body;
    bool is_transactional = spec_guarantee(b->spec) == GUARANTEE_TRANSACTIONAL;
    if (!verify_before(run, c->deadline_us)) {
        return LOAD_NOT_SENT;
    }
    const char *label = is_transactional ? "" : run->label;
    _cleanup_free_ char *sql = b->ops->rewrite(b->source, run->range, label, &run->err);
    if (sql == NULL) {
        return LOAD_REFUSED; /* by ourselves, and it would be again: a failure of the task */
    }
    if (load_is_late(run->send_by_us, run->label, &run->err)) {
        /* So that a slow source does not make the next one late, too. */
        run->listed_us = clock_mono_us();
        return LOAD_NOT_SENT;
    }
    struct load_request request = {
        .spec = b->spec,
        .label = run->label,
        .sql = sql,
        .row = row_of(run),
        .verify = is_transactional ? verify_commit : NULL,
        .verify_arg = c,
        .is_proven = run->is_proven,
        .timeout_s = run->statement_timeout_s,
        .send_by_us = run->send_by_us,
        .deadline_us = c->deadline_us,
        .cancel = &run->cancel,
    };
    return run->sink_ops->load(run->sink, &request, &run->load, &run->err);
}

static void load_and_verify(struct run *run, int64_t deadline_us)
{
    struct commit_check c = {.run = run, .deadline_us = deadline_us, .result = VERIFY_SAME};
    run->load_result = load(run, &c);
    verify_after(run, &c);
}

/* --- labels ----------------------------------------------------------------------------------- */

static enum label_state ask(struct run *run, int64_t deadline_us)
{
    struct offset_row row = row_of(run);
    struct label_request request = {
        .db = run->db,
        .label = run->label,
        .row = run->task_id != 0 ? &row : NULL,
        .deadline_us = deadline_us,
        .cancel = &run->cancel,
    };
    enum label_state state =
        run->sink_ops->label(run->sink, &request, &run->label_report, &run->err);
    if (state == LABEL_UNKNOWN || state == LABEL_ABORTED || state == LABEL_ABSENT) {
        /*
         * How long the FE remembers decides what UNKNOWN means, and for how long it is a proof that
         * the task was not loaded. What may not be read is 0 there.
         */
        run->has_traits =
            run->sink_ops->traits(run->sink, deadline_us, &run->cancel, &run->traits, &run->err);
        return run->has_traits ? state : LABEL_UNREACHABLE;
    }
    return state;
}

void run_work(struct run *run, struct run_thread *thread)
{
    int64_t deadline_us = clock_mono_us() + run->timeout_ms * 1000;
    run->start_ms = clock_wall_ms();
    run->start_us = clock_mono_us();
    switch (run->kind) {
    case RUN_CHECK: run->is_ok = check(run, thread, deadline_us); return;
    case RUN_PLAN: run->plan_result = plan(run, thread, deadline_us); return;
    case RUN_LOAD: load_and_verify(run, deadline_us); return;
    case RUN_ASK: run->label_state = ask(run, deadline_us); return;
    case RUN_EXPLAIN: run_explain(run, thread, deadline_us); return;
    case RUN_FENCE:
        run->is_ok = run->sink_ops->fence(run->sink, run->db, run->label, deadline_us, &run->cancel,
                                          &run->err);
        return;
    }
}
