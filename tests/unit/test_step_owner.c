/* Who sends a task again has to own the store still: PHASE_OWNER of step.h. */
#include "tests/unit/step_help.h"

enum { LATER = NOW + 5000 };

static struct step_out write_ended(struct step_job *job, int64_t now_ms, bool is_stale)
{
    return do_step(job, (struct step_event){.kind = EV_STORED,
                                            .now = {now_ms, now_ms},
                                            .u.stored = is_stale ? STORED_STALE : STORED_FAIL});
}

/* Refused, not loaded, and waiting to be sent again. */
static struct step_job waiting_job(void)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_REFUSED, NOW);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_RETRY);
    return job;
}

static void test_a_write_of_a_moment_ago_will_do(void **state)
{
    (void)state;
    struct step_job job = waiting_job();
    assert_int_equal(at(&job, EV_TIMER, NOW + 999).action, ACT_LOAD);
    job = waiting_job();
    assert_int_equal(at(&job, EV_TIMER, NOW + 1000).action, ACT_STORE_JOB);
    job = waiting_job(); /* a clock that went back proves nothing */
    assert_int_equal(at(&job, EV_TIMER, NOW - 1).action, ACT_STORE_JOB);
}

static void test_the_owner_sends_again(void **state)
{
    (void)state;
    struct step_job job = waiting_job();
    loads_again(&job, at(&job, EV_TIMER, LATER));
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.n_tries, 2);
}

static void test_one_that_was_taken_over_sends_nothing(void **state)
{
    (void)state;
    struct step_job job = waiting_job();
    assert_int_equal(at(&job, EV_TIMER, LATER).action, ACT_STORE_JOB);
    struct step_out out = write_ended(&job, LATER, true);
    assert_int_equal(out.action, ACT_NONE);
    assert_int_equal(out.reason, WHY_STALE);
    assert_int_equal(job.state, JOB_PAUSED);
    assert_int_equal(job.fail_code, FAIL_CANNOT_RESUME);
    assert_int_equal(at(&job, EV_TIMER, LATER + 3600 * 1000).action, ACT_NONE);
}

/* A store that refuses is none that was taken over: paused, and up again by itself. */
static void test_a_store_that_refuses(void **state)
{
    (void)state;
    struct step_job job = waiting_job();
    assert_int_equal(at(&job, EV_TIMER, LATER).action, ACT_STORE_JOB);
    assert_int_equal(write_ended(&job, LATER, false).action, ACT_STORE_JOB);
    assert_int_equal(job.state, JOB_PAUSED);
    assert_int_equal(job.fail_code, FAIL_STORE);
    assert_int_equal(write_ended(&job, LATER, false).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, LATER + 10000).action, ACT_STORE_JOB);
    assert_int_equal(job.state, JOB_PENDING);
    assert_int_equal(stored(&job).action, ACT_ASK);
}

/* After a restart, too: the task is sent again long after the store was opened. */
static void test_a_task_of_an_earlier_life(void **state)
{
    (void)state;
    struct step_job job = new_job();
    job.task_id = 7;
    job.intent_ms = NOW - 100;
    assert_int_equal(at(&job, EV_START, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNREACHABLE, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, LATER).action, ACT_ASK);
    loads_again(&job, label(&job, LABEL_ABORTED, LATER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_write_of_a_moment_ago_will_do),
        cmocka_unit_test(test_the_owner_sends_again),
        cmocka_unit_test(test_one_that_was_taken_over_sends_nothing),
        cmocka_unit_test(test_a_store_that_refuses),
        cmocka_unit_test(test_a_task_of_an_earlier_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
