/*
 * CANCEL TASK in step.h: canceled only when it is certain that nothing was or will be loaded. And
 * PAUSE of a job that is PAUSED already.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "tests/unit/step_help.h"

static void test_cancel_closes_the_task_and_the_job_runs_on(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(at(&job, EV_CANCEL, NOW).action, ACT_CANCEL_RUN);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);
    struct step_out out = stored(&job);
    assert_int_equal(out.action, ACT_ARM);
    assert_int_equal(out.delay_ms, 10000); /* the next tick */
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.task_id, 0);
    assert_false(job.is_canceled);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_PLAN);
}

static void test_cancel_too_late_is_success(void **state)
{
    struct step_job job = loading_job();
    (void)at(&job, EV_CANCEL, NOW);
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_COMMITTED, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(job.state, JOB_RUNNING);
}

/* In each phase that a user can meet; none sends the statement again. */
static void test_cancel_in_every_phase(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_NOT_SENT, NOW);
    assert_int_equal(job.phase, PHASE_RETRY);
    assert_int_equal(at(&job, EV_CANCEL, NOW).action, ACT_NONE);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_CANCELED);

    job = loading_job();
    (void)at(&job, EV_CANCEL, NOW);
    assert_int_equal(loaded(&job, LOAD_NOT_SENT, NOW).action, ACT_STORE_CANCELED);

    job = loading_job();
    (void)loaded(&job, LOAD_REFUSED, NOW);
    assert_int_equal(job.phase, PHASE_ASKING);
    assert_int_equal(at(&job, EV_CANCEL, NOW).action, ACT_NONE);
    assert_int_equal(label(&job, LABEL_PREPARE, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_CANCEL, NOW).action, ACT_NONE); /* twice is once */
    assert_int_equal(at(&job, EV_TIMER, NOW + 6000).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_PREPARE, NOW + 6000).action, ACT_FENCE);
    assert_int_equal(at(&job, EV_CANCEL, NOW).action, ACT_NONE);
    assert_int_equal(at(&job, EV_FENCED, NOW + 6000).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW + 6000).action, ACT_STORE_CANCELED);

    /* An error of its own ends a canceled task no other way. */
    job = loading_job();
    struct step_event bad = {.kind = EV_LOADED,
                             .now = {NOW, NOW},
                             .u.load = {.result = LOAD_REFUSED, .is_data_error = true}};
    (void)at(&job, EV_CANCEL, NOW);
    assert_int_equal(do_step(&job, bad).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);
    assert_int_equal(job.state, JOB_RUNNING);
}

static void test_cancel_waits_for_a_straggler(void **state)
{
    struct step_job job = loading_job();
    job.has_witness = true;
    (void)at(&job, EV_CANCEL, NOW);
    (void)loaded(&job, LOAD_LOST, NOW);
    for (int64_t ms = NOW; ms < NOW + 1800000; ms += 300000) {
        assert_int_equal(label(&job, LABEL_UNKNOWN, ms).action, ACT_ASK_WITNESS);
        assert_int_equal(label(&job, LABEL_VISIBLE, ms).action, ACT_ARM);
        assert_int_equal(job.phase, PHASE_WAITING);
        assert_int_equal(job.state, JOB_RUNNING);
        assert_int_equal(at(&job, EV_TIMER, ms + 300000).action, ACT_ASK);
    }
    struct step_job other = job;
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 1800000).action, ACT_ASK_WITNESS);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW + 1800000).action, ACT_STORE_CANCELED);

    /* PAUSE and RESUME take the cancellation back. */
    (void)at(&other, EV_PAUSE, NOW);
    (void)stored(&other);
    (void)at(&other, EV_RESUME, NOW);
    (void)stored(&other);
    assert_int_equal(label(&other, LABEL_UNKNOWN, NOW).action, ACT_ASK_WITNESS);
    assert_int_equal(label(&other, LABEL_VISIBLE, NOW).action, ACT_LOAD);
}

static void test_cancel_that_cannot_be_stored_is_carried_out_later(void **state)
{
    struct step_job job = loading_job();
    (void)at(&job, EV_CANCEL, NOW);
    (void)loaded(&job, LOAD_REFUSED, NOW);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);
    assert_int_equal(store_failed(&job).reason, WHY_STORE);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(job.state, JOB_RUNNING);
}

/* A PAUSED job that will not resume by itself asks on, and is rid of its task when that is safe. */
static void test_failed_with_a_straggler_is_closed_later(void **state)
{
    struct step_job job = loading_job();
    struct step_event bad = {.kind = EV_LOADED,
                             .now = {NOW, NOW},
                             .u.load = {.result = LOAD_REFUSED, .is_data_error = true}};
    (void)loaded(&job, LOAD_LOST, NOW);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    assert_int_equal(do_step(&job, bad).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_JOB);
    assert_int_equal(job.fail_code, FAIL_TOO_MANY_ROWS);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW + 5000).action, ACT_ASK);
    struct step_job other = job;
    assert_int_equal(label(&job, LABEL_ABORTED, NOW + 5000).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW + 1900000).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW + 1900000).action, ACT_STORE_CANCELED);
    assert_int_equal(stored(&job).action, ACT_NONE);
    assert_int_equal(job.state, JOB_PAUSED);
    assert_int_equal(job.task_id, 0);

    /* The one whose answer was lost was loaded after all. */
    assert_int_equal(label(&other, LABEL_VISIBLE, NOW + 5000).action, ACT_STORE_COMMIT);
}

/* PAUSED by an error that would resume it: PAUSE holds it, for this life and the next. */
static void test_pause_holds_what_would_resume(void **state)
{
    struct step_job job = new_job();
    (void)at(&job, EV_START, NOW);
    (void)at(&job, EV_TIMER, NOW);
    (void)planned(&job, PLAN_FAIL);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_true(step_may_pause(&job));
    struct step_out out = at(&job, EV_PAUSE, NOW);
    assert_int_equal(out.action, ACT_STORE_JOB);
    assert_int_equal(out.reason, WHY_MANUAL);
    assert_int_equal(stored(&job).action, ACT_NONE);
    assert_int_equal(job.fail_code, FAIL_MANUAL_PAUSE);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_NONE); /* the one that was set before */
    assert_int_equal(job.state, JOB_PAUSED);
    assert_false(step_may_pause(&job)); /* it is */
    assert_int_equal(at(&job, EV_START, NOW).action, ACT_NONE);
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_true(step_may_pause(&job));

    job.state = JOB_FINISHED;
    assert_false(step_may_pause(&job));
    job.state = JOB_PAUSED;
    job.fail_code = FAIL_IN_DOUBT;
    assert_false(step_may_pause(&job));
    job.fail_code = FAIL_LABEL_TAKEN;
    assert_false(step_may_pause(&job));
}

/* With a task open, which would have been taken up again: it is closed as with any PAUSE. */
static void test_pause_holds_an_open_task(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
    job.n_tries = config.n_tries;
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_FAILED);
    assert_int_equal(store_failed(&job).action, ACT_ARM); /* its end is not stored: it is open */
    struct step_job other = job;
    assert_int_equal(job.fail_code, FAIL_INTERNAL);
    assert_int_equal(at(&job, EV_PAUSE, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);
    assert_int_equal(stored(&job).action, ACT_NONE);
    assert_int_equal(job.fail_code, FAIL_MANUAL_PAUSE);

    (void)at(&other, EV_PAUSE, NOW);
    (void)stored(&other);
    (void)at(&other, EV_TIMER, NOW);
    assert_int_equal(label(&other, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT); /* after all */
    assert_int_equal(stored(&other).action, ACT_STORE_JOB);
    assert_int_equal(other.fail_code, FAIL_MANUAL_PAUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_closes_the_task_and_the_job_runs_on),
        cmocka_unit_test(test_cancel_too_late_is_success),
        cmocka_unit_test(test_cancel_in_every_phase),
        cmocka_unit_test(test_cancel_waits_for_a_straggler),
        cmocka_unit_test(test_failed_with_a_straggler_is_closed_later),
        cmocka_unit_test(test_cancel_that_cannot_be_stored_is_carried_out_later),
        cmocka_unit_test(test_pause_holds_what_would_resume),
        cmocka_unit_test(test_pause_holds_an_open_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
