/* What a job's run brought back, as an event for step(). */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

enum {
    OUTAGE_NEWS_MS = 5 * 1000, /* no more often, however many jobs wait and whatever they find */
    OUTAGE_AGAIN_MS = 60 * 1000,
};

static void note_error(struct job *j, struct run *run)
{
    if (err_is_set(&run->err)) {
        j->last_err = run->err;
    }
}

/* --- what is logged ---------------------------------------------------------------------------- */

/* The last one ends the outage. */
static void leave_outage(struct job *j, const char *because)
{
    struct outage *o = &j->sched->outage;
    if (!j->is_waiting) {
        return;
    }
    j->is_waiting = false;
    o->n_waiting--;
    if (o->n_waiting == 0 && !j->sched->is_stopping) {
        log_info("job.waiting_over", "jobs", LOG_FMT("%zu", o->n_most), "s",
                 LOG_FMT("%" PRId64, (clock_mono_ms() - o->since_ms) / 1000), "because", because,
                 NULL);
    }
}

void sched_job_forget_news(struct job *j)
{
    leave_outage(j, "no job waits any more");
    for (int i = 0; i < N_JOB_NEWS; i++) {
        sched_set_text(&j->news[i], NULL);
    }
}

/* Found again and again, while a job waits with its task open, say: INFO once, then DEBUG. */
static enum log_level news_level(struct job *j, enum job_news kind, const char *label,
                                 const char *found, const char *why)
{
    _cleanup_free_ char *text = xasprintf("%s %s %s", label, found, why);
    if (j->news[kind] != NULL && strcmp(j->news[kind], text) == 0) {
        return LOG_DEBUG;
    }
    sched_set_text(&j->news[kind], take_ptr(text));
    return LOG_INFO;
}

static void join_outage(struct job *j, int64_t now_ms)
{
    struct outage *o = &j->sched->outage;
    if (j->is_waiting) {
        return;
    }
    if (o->n_waiting == 0) {
        o->since_ms = now_ms;
        o->n_most = 0;
        o->n_told = 0;
    }
    j->is_waiting = true;
    o->n_waiting++;
    o->n_most = o->n_waiting > o->n_most ? o->n_waiting : o->n_most;
}

/* All jobs ask the same FEs: one line for all that wait, when it begins, changes, and each minute. */
static void log_outage(struct job *j, const struct run *run)
{
    struct outage *o = &j->sched->outage;
    int64_t now_ms = clock_mono_ms();
    join_outage(j, now_ms);
    bool is_news =
        o->n_waiting > o->n_told || o->reason == NULL || strcmp(o->reason, run->err.msg) != 0;
    int64_t pause_ms = is_news ? OUTAGE_NEWS_MS : OUTAGE_AGAIN_MS;
    bool is_due = o->n_told == 0 || now_ms - o->told_ms >= pause_ms;
    enum log_level level = is_due ? LOG_INFO : LOG_DEBUG;
    if (is_due) {
        o->told_ms = now_ms;
        o->n_told = o->n_waiting;
        sched_set_text(&o->reason, xstrdup(run->err.msg));
    }
    if (log_is_on(level)) {
        log_event(level, "job.waiting", "job", j->rec.name, "jobs", LOG_FMT("%zu", o->n_waiting),
                  "s", LOG_FMT("%" PRId64, (now_ms - o->since_ms) / 1000), "reason", run->err.msg,
                  NULL);
    }
}

/* Every statement that Doris may have begun is told of; that it could not be sent only once. */
static void log_answer(struct job *j, const struct run *run)
{
    const char *found = load_result_name(run->load_result);
    enum log_level level = news_level(j, NEWS_ANSWER, run->label, found, run->err.msg);
    level = run->load_result == LOAD_NOT_SENT ? level : LOG_INFO;
    if (log_is_on(level)) {
        log_event(level, "task.answer", "job", j->rec.name, "label", run->label, "result", found,
                  "reason", run->err.msg, NULL);
    }
}

static void log_label(struct job *j, const struct run *run)
{
    enum job_news kind = j->step.phase == PHASE_WITNESS ? NEWS_WITNESS : NEWS_LABEL;
    const char *found = label_state_name(run->label_state);
    enum log_level level = news_level(j, kind, run->label, found, run->err.msg);
    if (log_is_on(level)) {
        log_event(level, "task.label", "job", j->rec.name, "label", run->label, "state", found,
                  "reason", run->err.msg, NULL);
    }
}

/* --- the events -------------------------------------------------------------------------------- */

/* May the files of this plan, or the one file of the open task, be set aside? */
static void set_aside_rule(struct job *j, size_t n_files)
{
    bool is_wanted = sched_files_wants_aside(j);
    j->step.sets_aside = is_wanted && sched_files_has_room(j, n_files);
    if (is_wanted && !j->step.sets_aside) {
        (void)err_prefix(&j->last_err,
                         "%zu files of job %s are set aside already, and Sluice keeps %d at most. "
                         "Decide about them by ALTER JOB ... RETRY FILE or SKIP FILE, then RESUME. "
                         "The next one: ",
                         j->n_bad, j->rec.name, SCHED_MOST_BAD);
    }
}

static void take_plan(struct job *j, struct run *run)
{
    j->listed_us = run->start_us;
    if (run->plan_result != PLAN_FAIL && run->plan_result != PLAN_REFUSED) {
        sched_files_watch(j, &run->plan.watch);
    }
    plan_fini(&j->plan);
    j->plan = run->plan;
    run->plan = (struct plan){0};
    if (run->plan_result == PLAN_ASIDE) {
        assert(j->plan.n_bad > 0);
        if (!err_is_set(&j->last_err)) {
            (void)err_say(&j->last_err, "file \"%s\": %s", j->plan.bad[0].key,
                          j->plan.bad[0].reason);
        }
        set_aside_rule(j, j->plan.n_bad);
    }
}

static struct step_event plan_event(struct job *j, struct run *run)
{
    struct step_event event = {.kind = EV_PLANNED, .u.plan = run->plan_result};
    if (cancel_is_raised(&run->cancel)) {
        event.kind = EV_PLAN_CANCELED;
        return event;
    }
    sched_trace_plan(j, run);
    if (!run->is_ok) {
        event.kind = EV_NO_FE;
        log_outage(j, run);
        sched_set_text(&j->runtime_msg, xasprintf("Waiting for the FE: %s", run->err.msg));
        return event;
    }
    leave_outage(j, "the FE answers");
    if (run->plan.end_offset != NULL) {
        sched_set_text(&j->end_offset, take_ptr(run->plan.end_offset));
    }
    sched_set_text(&j->runtime_msg, NULL);
    if (run->plan_result == PLAN_EMPTY) {
        sched_set_text(
            &j->runtime_msg,
            xasprintf("No data available for consumption at the moment, will retry after "
                      "%" PRId64,
                      clock_wall_ms() + sched_idle_ms(j)));
    }
    take_plan(j, run);
    return event;
}

static void take_report(struct job *j, struct run *run)
{
    struct load_report *r = &run->load;
    j->task.start_ms = run->start_ms;
    sched_txn_see_own(j, r->txn_id);
    j->task.stat.scanned_rows = r->stat.scanned_rows;
    j->task.stat.filtered_rows = r->stat.filtered_rows;
    sched_set_text(&j->task.txn_id, take_ptr(r->txn_id));
    sched_set_text(&j->task.tracking_url, take_ptr(r->tracking_url));
    sched_set_text(&j->task.first_error, take_ptr(r->first_error));
}

/* Found before the load, which was not made then; or after it: it is loaded as it was read. */
static void log_changed(struct job *j, const struct run *run)
{
    bool is_loaded = err_is_set(&run->changed);
    if (is_loaded || run->load.is_changed) {
        j->n_changed++;
        log_warn("task.source_changed", "job", j->rec.name, "label", run->label, "loaded",
                 is_loaded ? "yes" : "no", "reason", is_loaded ? run->changed.msg : run->err.msg,
                 NULL);
    }
}

static struct step_event load_event(struct job *j, struct run *run)
{
    struct step_event event = {
        .kind = EV_LOADED,
        .u.load = {.result = run->load_result,
                   .is_data_error = run->load.is_data_error,
                   .is_changed = run->load.is_changed},
    };
    sched_set_text(&j->runtime_msg, NULL);
    log_changed(j, run);
    if (run->load.is_data_error) {
        set_aside_rule(j, 1);
    }
    j->listed_us = run->listed_us;
    if (run->load_result == LOAD_NOT_SENT && run->load.is_changed) {
        sched_set_text(&j->runtime_msg, xstrdup(run->err.msg));
    } else if (run->load_result == LOAD_NOT_SENT) {
        sched_set_text(&j->runtime_msg,
                       xasprintf("Waiting for the %s: %s", run->is_source_down ? "source" : "FE",
                                 run->err.msg));
    } else {
        take_report(j, run);
    }
    if (run->load_result != LOAD_VISIBLE) {
        log_answer(j, run);
    }
    return event;
}

static struct step_event label_event(struct job *j, struct run *run)
{
    struct step_event event = {.kind = EV_LABEL, .u.label = run->label_state};
    bool is_witness = j->step.phase == PHASE_WITNESS;
    log_label(j, run);
    sched_answer_set(is_witness ? &j->witness_answer : &j->task_answer, run);
    if (!is_witness) {
        j->step.n_remembered = run->label_report.n_remembered;
    }
    if (is_witness || j->step.n_sent == 0) {
        sched_txn_see(j->sched, run->label_report.txn_id); /* not of a statement of this task */
    } else {
        sched_txn_see_own(j, run->label_report.txn_id);
    }
    sched_set_text(&j->runtime_msg, sched_job_label_text(j, run));
    if (!is_witness && run->label_report.txn_id != NULL) {
        sched_set_text(&j->task.txn_id, take_ptr(run->label_report.txn_id));
    }
    if (!is_witness && run->label_state == LABEL_ABORTED && run->label_report.reason != NULL &&
        !err_is_set(&j->last_err)) {
        (void)err_say(&j->last_err, "Doris aborted the transaction: %s", run->label_report.reason);
    }
    return event;
}

void sched_job_run_done(struct job *j, struct run *run)
{
    struct step_event event = {0};
    assert(j->run == run);
    j->run = NULL;
    sched_txn_see_traits(j->sched, run);
    if (run->kind == RUN_PLAN || run->kind == RUN_LOAD) {
        j->last_err = (struct err){0};
        sched_set_text(&j->end_reason, NULL);
        note_error(j, run);
    }
    switch (run->kind) {
    case RUN_PLAN: event = plan_event(j, run); break;
    case RUN_LOAD: event = load_event(j, run); break;
    case RUN_ASK: event = label_event(j, run); break;
    case RUN_FENCE:
        event.kind = EV_FENCED;
        if (!run->is_ok) {
            log_warn("task.fence", "job", j->rec.name, "label", run->label, "reason", run->err.msg,
                     NULL);
        }
        break;
    case RUN_EXPLAIN:
    case RUN_CHECK: assert(!"not a job's run"); break;
    }
    event.now = sched_now();
    sched_job_event(j, &event);
}
