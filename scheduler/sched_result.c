/* What a job's run brought back, as an event for step(). */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

static void note_error(struct job *j, struct run *run)
{
    if (err_is_set(&run->err)) {
        j->last_err = run->err;
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
        log_info("job.waiting", "job", j->rec.name, "reason", run->err.msg, NULL);
        sched_set_text(&j->runtime_msg, xasprintf("Waiting for the FE: %s", run->err.msg));
        return event;
    }
    if (run->plan.end_offset != NULL) {
        sched_set_text(&j->end_offset, take_ptr(run->plan.end_offset));
    }
    sched_set_text(&j->runtime_msg, NULL);
    if (run->plan_result == PLAN_EMPTY) {
        sched_set_text(
            &j->runtime_msg,
            xasprintf("No data available for consumption at the moment, will retry after "
                      "%" PRId64,
                      clock_wall_ms() + j->step.max_interval_ms));
    }
    plan_fini(&j->plan);
    j->plan = run->plan;
    run->plan = (struct plan){0};
    return event;
}

static void take_report(struct job *j, struct run *run)
{
    struct load_report *r = &run->load;
    j->task.start_ms = run->start_ms;
    j->task.stat.scanned_rows = r->stat.scanned_rows;
    j->task.stat.filtered_rows = r->stat.filtered_rows;
    sched_set_text(&j->task.txn_id, take_ptr(r->txn_id));
    sched_set_text(&j->task.tracking_url, take_ptr(r->tracking_url));
    sched_set_text(&j->task.first_error, take_ptr(r->first_error));
}

static struct step_event load_event(struct job *j, struct run *run)
{
    struct step_event event = {
        .kind = EV_LOADED,
        .u.load = {.result = run->load_result, .is_data_error = run->load.is_data_error},
    };
    sched_set_text(&j->runtime_msg, NULL);
    if (run->load_result == LOAD_NOT_SENT) {
        sched_set_text(&j->runtime_msg, xasprintf("Waiting for the FE: %s", run->err.msg));
    } else {
        take_report(j, run);
    }
    if (run->load_result != LOAD_VISIBLE) {
        log_info("task.answer", "job", j->rec.name, "label", j->task.label, "result",
                 load_result_name(run->load_result), "reason", run->err.msg, NULL);
    }
    return event;
}

static struct step_event label_event(struct job *j, struct run *run)
{
    struct step_event event = {.kind = EV_LABEL, .u.label = run->label_state};
    bool is_witness = j->step.phase == PHASE_WITNESS;
    log_info("task.label", "job", j->rec.name, "label", run->label, "state",
             label_state_name(run->label_state), "reason", run->err.msg, NULL);
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
    if (run->kind == RUN_PLAN || run->kind == RUN_LOAD) {
        j->last_err = (struct err){0};
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
