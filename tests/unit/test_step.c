/*
 * The decisions of step.h: each line of its diagram, each piece of evidence, and a random walk
 * through all events that checks the invariants after every step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "tests/unit/step_help.h"

static void test_success_plans_the_next_at_once(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_VISIBLE, NOW).action, ACT_STORE_COMMIT);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(job.task_id, 0);
    struct step_out out = planned(&job, PLAN_EMPTY);
    assert_int_equal(out.action, ACT_ARM);
    assert_int_equal(out.delay_ms, 10000);
}

static void test_committed_is_waited_for_never_sent_again(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_COMMITTED, NOW).action, ACT_ARM);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
        struct step_out out = label(&job, LABEL_COMMITTED, NOW + 3600 * 1000 * i);
        assert_int_equal(out.action, ACT_ARM);
        assert_in_range(out.delay_ms, 1, 5000);
    }
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT);
}

static void test_lost_answer_asks_before_anything(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNREACHABLE, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT);
}

static void test_aborted_is_tried_four_times_then_failed(void **state)
{
    struct step_job job = loading_job();
    for (int i = 1; i < 4; i++) {
        assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
        assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_ARM);
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    }
    assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
    struct step_out out = label(&job, LABEL_ABORTED, NOW);
    assert_int_equal(out.action, ACT_STORE_FAILED);
    assert_int_equal(out.reason, WHY_RUN_ERROR);
    assert_int_equal(job.state, JOB_PAUSED);
    assert_int_equal(job.fail_code, FAIL_INTERNAL);
    out = stored(&job);
    assert_int_equal(out.action, ACT_ARM);
    assert_int_equal(out.delay_ms, 10000);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
    assert_int_equal(job.n_resumes, 1);
    assert_int_equal(stored(&job).action, ACT_PLAN);
}

static void test_bad_rows_are_not_tried_again(void **state)
{
    struct step_job job = loading_job();
    struct step_event bad = {.kind = EV_LOADED,
                             .now = {NOW, NOW},
                             .u.load = {.result = LOAD_REFUSED, .is_data_error = true}};
    assert_int_equal(do_step(&job, bad).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_FAILED);
    assert_int_equal(job.fail_code, FAIL_TOO_MANY_ROWS);
    assert_int_equal(stored(&job).action, ACT_NONE); /* and never resumes by itself */
}

static void test_outage_costs_no_try(void **state)
{
    struct step_job job = loading_job();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(loaded(&job, LOAD_NOT_SENT, NOW).action, ACT_ARM);
        assert_int_equal(job.state, JOB_RUNNING);
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    }
    assert_int_equal(job.n_tries, 1);
}

static void test_fresh_label_that_exists_is_in_doubt(void **state)
{
    struct step_job job = loading_job();
    struct step_out out = loaded(&job, LOAD_LABEL_USED, NOW);
    assert_int_equal(out.reason, WHY_LABEL_TAKEN);
    assert_int_equal(out.action, ACT_STORE_JOB);
    assert_int_equal(job.fail_code, FAIL_LABEL_TAKEN);
    assert_int_equal(stored(&job).action, ACT_NONE);
}

static void test_label_used_after_a_lost_answer_is_ours(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    assert_int_equal(loaded(&job, LOAD_LABEL_USED, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT);
}

/* After a restart with an open task. */
static struct step_job restarted_job(bool has_witness, int64_t witness_ms)
{
    struct step_job job = new_job();
    job.state = JOB_RUNNING;
    job.task_id = 7;
    job.intent_ms = NOW;
    job.has_witness = has_witness;
    job.witness_ms = witness_ms;
    assert_int_equal(at(&job, EV_START, NOW + 1000).action, ACT_ASK);
    assert_true(job.is_recovering);
    return job;
}

static void test_unknown_with_witness(void **state)
{
    struct step_job job = restarted_job(true, NOW - 1);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 24 * 3600000).action, ACT_ASK_WITNESS);
    assert_true(job.is_recovering); /* others must not load before the witness was asked */
    loads_again(&job, label(&job, LABEL_VISIBLE, NOW + 24 * 3600000));
    assert_false(job.is_recovering);
}

static void test_unknown_with_forgotten_witness(void **state)
{
    struct step_job job = restarted_job(true, NOW - 1);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 2000).action, ACT_ASK_WITNESS);
    struct step_out out = label(&job, LABEL_UNKNOWN, NOW + 2000);
    assert_int_equal(out.action, ACT_STORE_JOB); /* the memory is shorter than two seconds */
    assert_int_equal(out.reason, WHY_LABEL_FORGOTTEN);
    assert_int_equal(job.phase, PHASE_DOUBT);
    assert_int_equal(stored(&job).action, ACT_NONE);

    job = restarted_job(true, NOW - 13 * 3600000); /* forgotten in the ordinary way */
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 2000).action, ACT_ASK_WITNESS);
    loads_again(&job, label(&job, LABEL_UNKNOWN, NOW + 2000));
}

static void test_unknown_without_witness(void **state)
{
    struct step_job job = restarted_job(false, 0);
    loads_again(&job, label(&job, LABEL_UNKNOWN, NOW + 59000));
    job = restarted_job(false, 0);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 61000).reason, WHY_LABEL_FORGOTTEN);
    job = restarted_job(false, 0);
    /* A clock that went back tells nothing about the age. */
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW - 3600000).reason, WHY_LABEL_FORGOTTEN);
}

/* After a restart no newer transaction has been seen, but that it has dropped labels can be seen. */
static void test_unknown_of_an_fe_that_keeps_no_more(void **state)
{
    struct step_job job = restarted_job(false, 0);
    job.fe_max_txns = 500;
    job.n_remembered = 1497;
    loads_again(&job, label(&job, LABEL_UNKNOWN, NOW + 59000));
    job = restarted_job(false, 0);
    job.fe_max_txns = 500;
    job.n_remembered = 1498;
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 1000).reason, WHY_LABEL_FORGOTTEN);
    job = restarted_job(false, 0);
    job.fe_max_txns = 1; /* it keeps one to seven */
    job.n_remembered = 1;
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 1000).reason, WHY_LABEL_FORGOTTEN);
    job = restarted_job(false, 0);
    job.n_remembered = 2000; /* the default's */
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 1000).reason, WHY_LABEL_FORGOTTEN);
}

static void test_doubt_is_resolved_by_user_or_asked_again(void **state)
{
    struct step_job job = restarted_job(false, 0);
    (void)label(&job, LABEL_UNKNOWN, NOW + 61000);
    (void)stored(&job);
    struct step_job other = job;
    struct step_event yes = {.kind = EV_RESOLVE, .u.is_committed = true};
    assert_int_equal(do_step(&job, yes).action, ACT_STORE_COMMIT);
    assert_int_equal(stored(&job).action, ACT_STORE_JOB);
    assert_int_equal(job.state, JOB_PAUSED);
    assert_int_equal(job.fail_code, FAIL_MANUAL_PAUSE);

    job = other;
    struct step_event no = {.kind = EV_RESOLVE, .u.is_committed = false};
    assert_int_equal(do_step(&job, no).action, ACT_STORE_FAILED);
    (void)stored(&job);
    assert_int_equal(job.task_id, 0);

    job = other;
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ASK);
}

static void test_prepare_is_fenced_after_a_while(void **state)
{
    struct step_job job = restarted_job(false, 0);
    assert_int_equal(label(&job, LABEL_PREPARE, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_PREPARE, NOW + 4999).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_PREPARE, NOW + 5000).action, ACT_FENCE);
    assert_int_equal(at(&job, EV_FENCED, NOW).action, ACT_ASK);
    loads_again(&job, label(&job, LABEL_ABORTED, NOW));
}

static void test_pause_cancels_and_closes(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(at(&job, EV_PAUSE, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_CANCEL_RUN);
    assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);
    assert_int_equal(stored(&job).action, ACT_NONE);
    assert_int_equal(job.state, JOB_PAUSED);
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_PLAN);
}

static void test_pause_too_late_still_commits(void **state)
{
    struct step_job job = loading_job();
    (void)at(&job, EV_PAUSE, NOW);
    (void)stored(&job);
    assert_int_equal(loaded(&job, LOAD_VISIBLE, NOW).action, ACT_STORE_COMMIT);
    assert_int_equal(stored(&job).action, ACT_STORE_JOB);
    assert_int_equal(job.state, JOB_PAUSED);
}

static void test_straggler_keeps_the_task_open(void **state)
{
    struct step_job job = loading_job();
    (void)at(&job, EV_PAUSE, NOW);
    (void)stored(&job);
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 10).action, ACT_ARM); /* and asks again */
    assert_int_equal(job.task_id, 1); /* a new task would have another label */
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ASK);
    /* Once it must be dead, the task may be closed: by what was asked then, not before. */
    (void)at(&job, EV_PAUSE, NOW);
    (void)stored(&job);
    job.has_witness = true;
    assert_int_equal(label(&job, LABEL_UNREACHABLE, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW + 1799999).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 1900000).action, ACT_ASK_WITNESS);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW + 1900000).action, ACT_ARM);
    assert_int_equal(job.task_id, 1); /* alive when the label was asked */
    assert_int_equal(at(&job, EV_RESUME, NOW + 1900000).action, ACT_STORE_JOB);
    assert_int_equal(
        do_step(&job, (struct step_event){.kind = EV_STORED, .now = {NOW + 1900000, NOW + 1900000}})
            .action,
        ACT_ASK);
    (void)at(&job, EV_PAUSE, NOW);
    (void)stored(&job);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 1900000).action, ACT_ASK_WITNESS);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW + 1900000).action, ACT_STORE_CANCELED);
}

static void test_store_failure_pauses_and_comes_back(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_VISIBLE, NOW).action, ACT_STORE_COMMIT);
    struct step_out out = store_failed(&job);
    assert_int_equal(out.action, ACT_STORE_JOB);
    assert_int_equal(out.reason, WHY_STORE);
    assert_int_equal(job.fail_code, FAIL_STORE);
    assert_int_equal(store_failed(&job).action, ACT_ARM);
    assert_int_equal(job.task_id, 1); /* visible, but its offset is not durable: still open */
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
    assert_int_equal(job.n_resumes, 0); /* costs no part of the budget */
    /* The label is not asked: Doris has said VISIBLE, and may have forgotten it since. */
    assert_int_equal(stored(&job).action, ACT_STORE_COMMIT);
    assert_int_equal(stored(&job).action, ACT_PLAN);
}

static void test_intent_that_was_not_stored_is_not_sent(void **state)
{
    struct step_job job = new_job();
    (void)at(&job, EV_START, NOW);
    (void)at(&job, EV_TIMER, NOW);
    assert_int_equal(planned(&job, PLAN_RANGE).action, ACT_STORE_INTENT);
    assert_int_equal(store_failed(&job).action, ACT_STORE_JOB);
    assert_int_equal(job.task_id, 0);
    assert_int_equal(job.state, JOB_PAUSED);
}

static void test_stale_stops_for_good(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_VISIBLE, NOW);
    struct step_event stale = {.kind = EV_STORED, .u.stored = STORED_STALE};
    struct step_out out = do_step(&job, stale);
    assert_int_equal(out.action, ACT_NONE);
    assert_int_equal(out.reason, WHY_STALE);
    assert_int_equal(job.fail_code, FAIL_CANNOT_RESUME);
}

static void test_budget(void **state)
{
    static const int64_t delays[] = {10, 20, 40, 80, 160, 300, 300, 300, 300, 300};
    struct step_job job = new_job();
    (void)at(&job, EV_START, NOW);
    (void)at(&job, EV_TIMER, NOW);
    for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
        assert_int_equal(planned(&job, PLAN_FAIL).action, ACT_STORE_JOB);
        assert_int_equal(job.fail_code, FAIL_GET_REMOTE_DATA);
        struct step_out out = stored(&job);
        assert_int_equal(out.action, ACT_ARM);
        assert_int_equal(out.delay_ms, delays[i] * 1000);
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
        assert_int_equal(stored(&job).action, ACT_PLAN);
    }
    assert_int_equal(planned(&job, PLAN_FAIL).reason, WHY_BUDGET_SPENT);
    assert_int_equal(job.fail_code, FAIL_CANNOT_RESUME);
    assert_int_equal(stored(&job).action, ACT_NONE);
}

static void test_end_of_source(void **state)
{
    struct step_job job = new_job();
    (void)at(&job, EV_START, NOW);
    (void)at(&job, EV_TIMER, NOW);
    assert_int_equal(planned(&job, PLAN_END).action, ACT_STORE_JOB);
    assert_int_equal(job.state, JOB_FINISHED);
    assert_int_equal(stored(&job).action, ACT_NONE);
    assert_false(step_may_move(JOB_FINISHED, JOB_PENDING));
}

static void test_committed_and_forgotten_is_in_doubt(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_COMMITTED, NOW);
    (void)at(&job, EV_TIMER, NOW + 50);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 60).reason, WHY_LABEL_FORGOTTEN);
    assert_int_equal(job.phase, PHASE_DOUBT);
}

static void test_label_that_is_not_ours_is_never_success(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_LABEL_USED, NOW);
    (void)stored(&job);
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).reason, WHY_LABEL_TAKEN);
    (void)stored(&job);
    /* Nor after a restart, which has forgotten that nothing was sent. */
    assert_int_equal(at(&job, EV_START, NOW).action, ACT_NONE);
    assert_int_equal(job.phase, PHASE_DOUBT);
    assert_false(job.is_recovering);
}

/* The user's word counts when it is stored; until then the task is in doubt as it was. */
static void test_decision_that_was_not_stored(void **state)
{
    for (int is_committed = 0; is_committed < 2; is_committed++) {
        struct step_job job = loading_job();
        (void)loaded(&job, LOAD_LABEL_USED, NOW);
        (void)stored(&job);
        assert_int_equal(at(&job, EV_START, NOW).action, ACT_NONE);
        struct step_event event = {.kind = EV_RESOLVE, .now = {NOW, NOW}};
        event.u.is_committed = is_committed != 0;
        assert_int_equal(do_step(&job, event).action,
                         is_committed ? ACT_STORE_COMMIT : ACT_STORE_FAILED);
        struct step_out out = store_failed(&job);
        /* Not asked: somebody else's VISIBLE would be taken for ours. */
        assert_int_equal(out.action, ACT_NONE);
        assert_int_equal(out.reason, WHY_LABEL_TAKEN);
        assert_int_equal(job.phase, PHASE_DOUBT);
        assert_int_equal(job.fail_code, FAIL_LABEL_TAKEN);
        assert_int_equal(at(&job, EV_TIMER, NOW + 5000).action, ACT_NONE);
        (void)do_step(&job, event);
        (void)stored(&job);
        assert_int_equal(job.task_id, 0);
        assert_int_equal(job.fail_code, FAIL_MANUAL_PAUSE);
    }
}

static void test_label_that_was_not_ours_and_is_gone(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_LABEL_USED, NOW);
    (void)stored(&job);
    (void)at(&job, EV_RESUME, NOW);
    (void)stored(&job);
    loads_again(&job, label(&job, LABEL_UNKNOWN, NOW + 3600 * 1000));
}

static void test_resume_tries_an_open_task_again(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ARM);
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
        assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
    }
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(job.task_id, 1); /* the lost one may still come */
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_LOAD);
}

static void test_resume_forgets_bad_rows(void **state)
{
    struct step_job job = loading_job();
    struct step_event bad = {
        .kind = EV_LOADED, .now = {NOW, NOW}, .u.load = {LOAD_REFUSED, .is_data_error = true}};
    (void)loaded(&job, LOAD_LOST, NOW);
    (void)label(&job, LABEL_UNKNOWN, NOW);
    (void)at(&job, EV_TIMER, NOW);
    assert_int_equal(do_step(&job, bad).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_STORE_JOB);
    assert_int_equal(job.fail_code, FAIL_TOO_MANY_ROWS);
    (void)stored(&job);
    (void)at(&job, EV_RESUME, NOW);
    assert_int_equal(stored(&job).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_LOAD);
}

/* With no lost statement about, what was proved once stays true through any outage. */
static void test_long_outage_after_a_refusal(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_REFUSED, NOW);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ARM);
    for (int64_t t = NOW + 5000; t < NOW + 3600 * 1000; t += 5000) {
        loads_again(&job, at(&job, EV_TIMER, t));
        assert_int_equal(loaded(&job, LOAD_NOT_SENT, t).action, ACT_ARM);
    }
    /* Paused, the task may be closed although nobody remembers its label. */
    (void)at(&job, EV_PAUSE, NOW + 3600 * 1000);
    (void)stored(&job);
    (void)at(&job, EV_TIMER, NOW + 3600 * 1000);
    assert_int_equal(job.phase, PHASE_END);
}

static void test_store_failure_costs_no_budget(void **state)
{
    struct step_job job = new_job();
    job.n_resumes = config.max_resumes;
    (void)at(&job, EV_START, NOW);
    (void)at(&job, EV_TIMER, NOW);
    (void)planned(&job, PLAN_RANGE);
    assert_int_equal(store_failed(&job).reason, WHY_STORE);
    assert_int_equal(job.fail_code, FAIL_STORE);
}

static void test_finished_job_survives_a_stale_write(void **state)
{
    struct step_job job = new_job();
    (void)at(&job, EV_START, NOW);
    (void)at(&job, EV_TIMER, NOW);
    assert_int_equal(planned(&job, PLAN_END).action, ACT_STORE_JOB);
    struct step_event stale = {.kind = EV_STORED, .u.stored = STORED_STALE};
    assert_int_equal(do_step(&job, stale).action, ACT_NONE);
    assert_int_equal(job.state, JOB_FINISHED);
}

/* What may happen next, given what the shell was told to do. */
static struct step_event random_event(const struct step_job *job, struct step_out last,
                                      unsigned *seed)
{
    int64_t wall_ms = NOW + rand_r(seed) % 100000;
    bool is_active = job->state == JOB_PENDING || job->state == JOB_RUNNING;
    struct step_event event = {.kind = EV_TIMER, .now = {wall_ms, wall_ms}};
    if (last.action >= ACT_STORE_COMMIT && last.action <= ACT_STORE_JOB) {
        event.kind = EV_STORED;
        event.u.stored = rand_r(seed) % 8 == 0 ? STORED_FAIL : STORED_OK;
    } else if (last.action == ACT_STORE_INTENT) {
        event.kind = EV_STORED;
        event.u.stored = rand_r(seed) % 8 == 0 ? STORED_FAIL : STORED_OK;
    } else if (rand_r(seed) % 10 == 0 && step_may_pause(job)) {
        event.kind = EV_PAUSE;
    } else if (rand_r(seed) % 10 == 0 && is_active && job->task_id != 0) {
        event.kind = EV_CANCEL;
    } else if (rand_r(seed) % 4 == 0 && job->state == JOB_PAUSED) {
        event.kind = EV_RESUME;
    } else if (job->phase == PHASE_PLANNING) {
        event.kind = EV_PLANNED;
        event.u.plan = (enum plan_result)(rand_r(seed) % 4);
        event.u.plan = event.u.plan == PLAN_END ? PLAN_RANGE : event.u.plan;
    } else if (job->phase == PHASE_LOADING) {
        event.kind = EV_LOADED;
        event.u.load.result = (enum load_result)(rand_r(seed) % 7);
    } else if (job->phase == PHASE_ASKING || job->phase == PHASE_WITNESS) {
        event.kind = EV_LABEL;
        event.u.label = (enum label_state)(rand_r(seed) % 7);
    } else if (job->phase == PHASE_FENCING) {
        event.kind = EV_FENCED;
    } else if (job->phase == PHASE_DOUBT) {
        event.kind = EV_RESOLVE;
        event.u.is_committed = rand_r(seed) % 2 == 0;
    }
    return event;
}

static void test_random_walk(void **state)
{
    for (unsigned seed = 1; seed <= 2000; seed++) {
        unsigned s = seed;
        struct step_job job = new_job();
        struct step_out out = at(&job, EV_START, NOW);
        for (int i = 0; i < 300; i++) {
            struct step_event event = random_event(&job, out, &s);
            if (out.action == ACT_STORE_INTENT && event.u.stored == STORED_OK) {
                job.task_id++;
                job.intent_ms = NOW;
            }
            bool was_resumed = event.kind == EV_RESUME;
            out = do_step(&job, event);
            /* A user's pause never ends by itself. */
            if (job.fail_code == FAIL_MANUAL_PAUSE && !was_resumed) {
                assert_int_equal(job.state, JOB_PAUSED);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success_plans_the_next_at_once),
        cmocka_unit_test(test_committed_is_waited_for_never_sent_again),
        cmocka_unit_test(test_lost_answer_asks_before_anything),
        cmocka_unit_test(test_aborted_is_tried_four_times_then_failed),
        cmocka_unit_test(test_bad_rows_are_not_tried_again),
        cmocka_unit_test(test_outage_costs_no_try),
        cmocka_unit_test(test_fresh_label_that_exists_is_in_doubt),
        cmocka_unit_test(test_label_used_after_a_lost_answer_is_ours),
        cmocka_unit_test(test_unknown_with_witness),
        cmocka_unit_test(test_unknown_with_forgotten_witness),
        cmocka_unit_test(test_unknown_without_witness),
        cmocka_unit_test(test_unknown_of_an_fe_that_keeps_no_more),
        cmocka_unit_test(test_doubt_is_resolved_by_user_or_asked_again),
        cmocka_unit_test(test_prepare_is_fenced_after_a_while),
        cmocka_unit_test(test_pause_cancels_and_closes),
        cmocka_unit_test(test_pause_too_late_still_commits),
        cmocka_unit_test(test_straggler_keeps_the_task_open),
        cmocka_unit_test(test_store_failure_pauses_and_comes_back),
        cmocka_unit_test(test_intent_that_was_not_stored_is_not_sent),
        cmocka_unit_test(test_stale_stops_for_good),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_end_of_source),
        cmocka_unit_test(test_committed_and_forgotten_is_in_doubt),
        cmocka_unit_test(test_label_that_is_not_ours_is_never_success),
        cmocka_unit_test(test_decision_that_was_not_stored),
        cmocka_unit_test(test_label_that_was_not_ours_and_is_gone),
        cmocka_unit_test(test_resume_tries_an_open_task_again),
        cmocka_unit_test(test_resume_forgets_bad_rows),
        cmocka_unit_test(test_long_outage_after_a_refusal),
        cmocka_unit_test(test_store_failure_costs_no_budget),
        cmocka_unit_test(test_finished_job_survives_a_stale_write),
        cmocka_unit_test(test_random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
