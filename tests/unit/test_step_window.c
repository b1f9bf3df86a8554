/* The label window of step.h by time and by count, and what needs none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/step_help.h"

/* Lost, and its label is asked; `n` transactions later than the INTENT. */
static struct step_out unknown_after(struct step_job *job, int64_t n_txns, int64_t ms)
{
    (void)loaded(job, LOAD_LOST, NOW);
    job->newest_txn += n_txns;
    return label(job, LABEL_UNKNOWN, NOW + ms);
}

static void test_window_by_count(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(unknown_after(&job, 499, 0).action,
                     ACT_ARM); /* 2000 / 4, unless it is known */
    assert_int_equal(job.phase, PHASE_RETRY);

    job = loading_job();
    assert_int_equal(unknown_after(&job, 500, 0).action, ACT_STORE_JOB);
    assert_int_equal(job.phase, PHASE_DOUBT);

    job = loading_job();
    job.fe_max_txns = 2;
    assert_int_equal(unknown_after(&job, 1, 0).action, ACT_ARM);
    job = loading_job();
    job.fe_max_txns = 2;
    (void)unknown_after(&job, 2, 0);
    assert_int_equal(job.phase, PHASE_DOUBT);

    job = loading_job();
    job.fe_max_txns = 5000;
    assert_int_equal(unknown_after(&job, 4999, 0).action, ACT_ARM);
}

/* The FE came back from an older image: nothing is known of what it has seen. */
static void test_ids_that_go_back_prove_nothing(void **state)
{
    struct step_job job = loading_job();
    job.newest_txn = 100;
    job.proof_txn = 100;
    (void)unknown_after(&job, -1, 0);
    assert_int_equal(job.phase, PHASE_DOUBT);
}

static void test_window_by_time_is_the_shorter_one(void **state)
{
    struct step_job job = loading_job();
    job.fe_window_ms = 1000;
    assert_int_equal(unknown_after(&job, 0, 999).action, ACT_ARM);
    job = loading_job();
    job.fe_window_ms = 1000;
    (void)unknown_after(&job, 0, 1000);
    assert_int_equal(job.phase, PHASE_DOUBT);
    job = loading_job();
    job.fe_window_ms = 1000 * config.label_window_ms; /* what is configured holds, too */
    (void)unknown_after(&job, 0, config.label_window_ms);
    assert_int_equal(job.phase, PHASE_DOUBT);
    assert_int_equal(step_window_ms(&job, &config), config.label_window_ms);
}

/* Each proof is as old as the question: what began since then counts, also before the answer. */
static void test_proof_is_renewed(void **state)
{
    struct step_job job = loading_job();
    (void)unknown_after(&job, 400, 0);
    assert_int_equal(job.proof_txn, 0); /* the question was asked before the 400 were heard of */
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    (void)loaded(&job, LOAD_LOST, NOW);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ARM);
    assert_int_equal(job.proof_txn, 400);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    assert_int_equal(unknown_after(&job, 499, 0).action, ACT_ARM);
}

/* Between proof and sending again others have begun too many: asked once more, not sent. */
static void test_old_proof_by_count_is_not_sent_on(void **state)
{
    struct step_job job = loading_job();
    (void)unknown_after(&job, 0, 0);
    assert_int_equal(job.phase, PHASE_RETRY);
    job.newest_txn += 500;
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
}

/* Not for ever, either: what is found out then is new enough, and it is sent. */
static void test_asked_again_it_is_sent_at_once(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_LOST, NOW);
    assert_int_equal(label(&job, LABEL_ABSENT, NOW).action, ACT_ARM);
    int64_t late = NOW + config.label_window_ms;
    assert_int_equal(at(&job, EV_TIMER, late).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABSENT, late).action, ACT_STORE_JOB); /* as the owner */
    assert_int_equal(stored(&job).action, ACT_LOAD);
    assert_false(job.is_due);
}

static void test_witness_goes_before_the_window(void **state)
{
    struct step_job job = loading_job();
    job.has_witness = true;
    job.witness_ms = NOW;
    assert_int_equal(unknown_after(&job, 1000000, 1000000).action, ACT_ASK_WITNESS);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_RETRY);
}

/* A refusal is an answer, but of a label that Doris may have forgotten it proves nothing. */
static void test_refused_needs_the_window(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_REFUSED, NOW);
    job.newest_txn = 500;
    (void)label(&job, LABEL_UNKNOWN, NOW);
    assert_int_equal(job.phase, PHASE_DOUBT);
}

/* --- transactional ---------------------------------------------------------------------------- */

static void test_absent_needs_no_window(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_LOST, NOW);
    job.newest_txn = 1000000;
    int64_t late = NOW + 1000 * config.label_window_ms;
    assert_int_equal(label(&job, LABEL_ABSENT, late).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_RETRY);
}

static void test_absent_after_committed_is_in_doubt(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_COMMITTED, NOW);
    (void)at(&job, EV_TIMER, NOW);
    (void)label(&job, LABEL_ABSENT, NOW);
    assert_int_equal(job.phase, PHASE_DOUBT);
    assert_int_equal(job.fail_code, FAIL_IN_DOUBT);
}

/* After a restart: nothing was sent in this life, and ABSENT is no foreign label. */
static void test_absent_after_a_restart(void **state)
{
    struct step_job job = new_job();
    job.task_id = 7;
    job.intent_ms = NOW;
    assert_int_equal(at(&job, EV_START, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABSENT, NOW).action, ACT_LOAD);
}

static void test_absent_of_what_was_never_sent(void **state)
{
    struct step_job job = loading_job();
    job.phase = PHASE_ASKING;
    job.ask_ms = NOW;
    assert_int_equal(job.n_sent, 0);
    assert_int_equal(label(&job, LABEL_ABSENT, NOW).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_RETRY);
}

/* Tried, and gone: no question, no straggler; after n_tries the task fails. */
static void test_rolled_back(void **state)
{
    struct step_job job = loading_job();
    for (int64_t i = 1; i < config.n_tries; i++) {
        assert_int_equal(loaded(&job, LOAD_ROLLED_BACK, NOW).action, ACT_ARM);
        assert_int_equal(job.phase, PHASE_RETRY);
        assert_int_equal(job.lost_ms, 0);
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    }
    assert_int_equal(loaded(&job, LOAD_ROLLED_BACK, NOW).action, ACT_STORE_FAILED);
    assert_int_equal(job.fail_code, FAIL_INTERNAL);
}

/* An earlier one may have committed: only the label, or the row, can tell. */
static void test_rolled_back_behind_a_lost_one(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_LOST, NOW);
    (void)label(&job, LABEL_ABSENT, NOW);
    (void)at(&job, EV_TIMER, NOW);
    assert_int_equal(loaded(&job, LOAD_ROLLED_BACK, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT);
}

/* Its label was there once, so finding it ABORTED is no news, and no foreign label either. */
static void test_rolled_back_counts_as_sent(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_ROLLED_BACK, NOW);
    (void)at(&job, EV_TIMER, NOW);
    assert_int_equal(loaded(&job, LOAD_LABEL_USED, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_PREPARE, NOW).action, ACT_ARM);
    assert_int_equal(job.state, JOB_RUNNING);

    /* ABORTED may be that of the one rolled back: the lost one behind it may still begin. */
    job = loading_job();
    (void)loaded(&job, LOAD_ROLLED_BACK, NOW);
    (void)at(&job, EV_TIMER, NOW);
    (void)loaded(&job, LOAD_LOST, NOW);
    (void)at(&job, EV_CANCEL, NOW);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_WAITING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_by_count),
        cmocka_unit_test(test_ids_that_go_back_prove_nothing),
        cmocka_unit_test(test_window_by_time_is_the_shorter_one),
        cmocka_unit_test(test_proof_is_renewed),
        cmocka_unit_test(test_old_proof_by_count_is_not_sent_on),
        cmocka_unit_test(test_asked_again_it_is_sent_at_once),
        cmocka_unit_test(test_witness_goes_before_the_window),
        cmocka_unit_test(test_refused_needs_the_window),
        cmocka_unit_test(test_absent_needs_no_window),
        cmocka_unit_test(test_absent_after_committed_is_in_doubt),
        cmocka_unit_test(test_absent_after_a_restart),
        cmocka_unit_test(test_absent_of_what_was_never_sent),
        cmocka_unit_test(test_rolled_back),
        cmocka_unit_test(test_rolled_back_behind_a_lost_one),
        cmocka_unit_test(test_rolled_back_counts_as_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
