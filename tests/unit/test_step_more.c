/*
 * Rules of step.h at their limits: what is believed of a label, for how long, and what is left
 * over.
 */
#include "tests/unit/step_help.h"

enum { WINDOW = 60000, HOUR = 3600 * 1000 }; /* of `config` */

/* The only road to ASKING that is of interest here. */
static void asks_again(struct step_job *job, struct step_out out, int64_t now_ms)
{
    assert_int_equal(out.action, ACT_ARM);
    assert_int_equal(at(job, EV_TIMER, now_ms).action, ACT_ASK);
}

/* Sent again after `out`; the store is asked first unless it took a write a moment ago. */
static void sends_again(struct step_job *job, struct step_out out, int64_t now_ms)
{
    assert_int_equal(out.action, ACT_ARM);
    assert_int_equal(job->phase, PHASE_RETRY);
    out = at(job, EV_TIMER, now_ms);
    if (out.action == ACT_STORE_JOB) {
        assert_int_equal(at(job, EV_STORED, now_ms).action, ACT_LOAD);
    } else {
        assert_int_equal(out.action, ACT_LOAD);
    }
}

/*
 * --- what is believed of a label
 * ------------------------------------------------------------------
 */

/* COMMITTED is for good, whether the INSERT's own answer said it or the label: never sent again. */
static void test_a_label_that_was_committed_and_is_forgotten(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    asks_again(&job, label(&job, LABEL_COMMITTED, NOW), NOW);
    struct step_out out = label(&job, LABEL_UNKNOWN, NOW);
    assert_int_equal(out.action, ACT_STORE_JOB);
    assert_int_equal(out.reason, WHY_LABEL_FORGOTTEN);
    assert_int_equal(job.phase, PHASE_DOUBT);
}

/* Its silence proves nothing: nothing is sent, and both labels are asked once more. */
static void test_a_witness_that_does_not_answer(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    job.has_witness = true;
    assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
    int64_t late = NOW + WINDOW;
    assert_int_equal(label(&job, LABEL_UNKNOWN, late).action, ACT_ASK_WITNESS);
    asks_again(&job, label(&job, LABEL_UNREACHABLE, late), late);
    assert_int_equal(label(&job, LABEL_UNKNOWN, late).action, ACT_ASK_WITNESS);
    assert_int_equal(label(&job, LABEL_VISIBLE, late).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_RETRY);
}

/*
 * One that ended an hour ago is forgotten in the ordinary way; a younger one tells of a short
 * memory.
 */
static void test_a_witness_that_ended_an_hour_ago(void **state)
{
    (void)state;
    for (int64_t age = HOUR - 1; age <= HOUR; age++) {
        struct step_job job = loading_job();
        job.has_witness = true;
        job.witness_ms = NOW - age;
        assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
        assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ASK_WITNESS);
        (void)label(&job, LABEL_UNKNOWN, NOW);
        assert_int_equal(job.phase, age == HOUR ? PHASE_RETRY : PHASE_DOUBT);
    }
}

/* The FE's own answer is as good as a witness, but it is of the last statement only. */
static void test_a_refusal_is_of_the_last_statement_only(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    job.has_witness = true;
    assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
    sends_again(&job, label(&job, LABEL_UNKNOWN, NOW), NOW);
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ASK_WITNESS);
}

/* The window begins anew with each question that proved the task not loaded. */
static void test_the_window_begins_with_the_last_proof(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    int64_t first = NOW + WINDOW - 1;
    assert_int_equal(loaded(&job, LOAD_LOST, first).action, ACT_ASK);
    sends_again(&job, label(&job, LABEL_UNKNOWN, first), first);
    int64_t second = first + WINDOW - 1;
    assert_int_equal(loaded(&job, LOAD_LOST, second).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, second).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_RETRY);
}

/* What was rolled back was surely not loaded until then. */
static void test_the_window_begins_with_a_rollback(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    int64_t first = NOW + WINDOW - 1;
    sends_again(&job, loaded(&job, LOAD_ROLLED_BACK, first), first);
    int64_t second = first + WINDOW - 1;
    assert_int_equal(loaded(&job, LOAD_LOST, second).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, second).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_RETRY);
}

/* An FE that remembers next to nothing is believed for next to nothing. */
static void test_the_shortest_memory_there_is(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    job.fe_max_txns = 1;
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    job.newest_txn = 1;
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).reason, WHY_LABEL_FORGOTTEN);

    job = loading_job();
    job.fe_window_ms = 1;
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW + 1).reason, WHY_LABEL_FORGOTTEN);
}

/* IN_DOUBT is a stronger reason than the user's PAUSE: it is stored, shown, and found by RESUME. */
static void test_a_paused_job_comes_into_doubt(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    assert_int_equal(at(&job, EV_PAUSE, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_CANCEL_RUN);
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    struct step_out out = label(&job, LABEL_UNKNOWN, NOW + WINDOW);
    assert_int_equal(out.action, ACT_STORE_JOB);
    assert_int_equal(out.reason, WHY_LABEL_FORGOTTEN);
    assert_int_equal(job.fail_code, FAIL_IN_DOUBT);
    assert_int_equal(job.phase, PHASE_DOUBT);
}

/*
 * --- stragglers
 * -----------------------------------------------------------------------------------
 */

/* ABORTED is the end of the one statement that was lost; of two it may be that of the other. */
static void test_an_aborted_label_is_the_end_of_one_statement(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(at(&job, EV_PAUSE, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_NONE);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);

    job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    sends_again(&job, label(&job, LABEL_UNKNOWN, NOW), NOW);
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    assert_int_equal(at(&job, EV_PAUSE, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_NONE);
    asks_again(&job, label(&job, LABEL_ABORTED, NOW), NOW);
}

/* A fence has as much time to work as the statement had, and a new statement has its own. */
static void test_each_prepare_has_its_time(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    int64_t fenced = NOW + config.fence_after_ms;
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    asks_again(&job, label(&job, LABEL_PREPARE, NOW), NOW);
    assert_int_equal(label(&job, LABEL_PREPARE, fenced).action, ACT_FENCE);
    assert_int_equal(job.phase, PHASE_FENCING); /* EXPLAIN JOB tells of it */
    assert_int_equal(at(&job, EV_FENCED, fenced).action, ACT_ASK);
    asks_again(&job, label(&job, LABEL_PREPARE, fenced), fenced);
    int64_t again = fenced + config.fence_after_ms;
    asks_again(&job, label(&job, LABEL_PREPARE, again - 1), again - 1);
    assert_int_equal(label(&job, LABEL_PREPARE, again).action, ACT_FENCE);
    assert_int_equal(at(&job, EV_FENCED, again).action, ACT_ASK);
    asks_again(&job, label(&job, LABEL_PREPARE, again), again);

    sends_again(&job, label(&job, LABEL_ABORTED, again + 1), again + 1);
    int64_t lost = again + config.fence_after_ms;
    assert_int_equal(loaded(&job, LOAD_LOST, lost).action, ACT_ASK);
    asks_again(&job, label(&job, LABEL_PREPARE, lost), lost);
}

/*
 * --- tries and waits
 * ------------------------------------------------------------------------------
 */

/* 50, 100, 200 ms by the number of tries, however long was waited for an answer before. */
static void test_each_try_waits_for_its_own_time(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    for (int64_t delay_ms = 50; delay_ms <= 200; delay_ms *= 2) {
        assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
        for (int i = 0; i < 5; i++) {
            asks_again(&job, label(&job, LABEL_UNREACHABLE, NOW), NOW);
        }
        struct step_out out = label(&job, LABEL_ABORTED, NOW);
        assert_int_equal(out.delay_ms, delay_ms);
        sends_again(&job, out, NOW);
    }
}

/* What is committed is visible soon: asked for soon, whatever was waited for before. */
static void test_committed_is_asked_for_soon(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    for (int i = 0; i < 3; i++) { /* an outage */
        sends_again(&job, loaded(&job, LOAD_NOT_SENT, NOW), NOW);
    }
    struct step_out out = loaded(&job, LOAD_COMMITTED, NOW);
    assert_int_equal(out.delay_ms, 50);
    asks_again(&job, out, NOW);
}

/* RESUME gives all tries back, and an outage costs none: four, and not five. */
static void test_resumed_in_a_load_that_is_not_sent(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    assert_int_equal(at(&job, EV_PAUSE, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_CANCEL_RUN);
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_NONE);
    struct step_out out = loaded(&job, LOAD_NOT_SENT, NOW);
    for (int64_t i = 0; i < config.n_tries; i++) {
        sends_again(&job, out, NOW);
        assert_int_equal(loaded(&job, LOAD_REFUSED, NOW).action, ACT_ASK);
        out = label(&job, LABEL_ABORTED, NOW);
    }
    assert_int_equal(out.action, ACT_STORE_FAILED);
}

/*
 * A task that is sent again at once after a restart is not PENDING any more, nor while it is
 * stored.
 */
static void test_a_job_that_sends_is_running(void **state)
{
    (void)state;
    for (int64_t later = 0; later <= 5000; later += 5000) {
        struct step_job job = new_job();
        job.task_id = 7;
        job.intent_ms = NOW;
        assert_int_equal(at(&job, EV_START, NOW).action, ACT_ASK);
        assert_int_equal(job.state, JOB_PENDING);
        struct step_out out = label(&job, LABEL_ABORTED, NOW + later);
        assert_int_equal(out.action, later == 0 ? ACT_LOAD : ACT_STORE_JOB);
        assert_int_equal(job.state, JOB_RUNNING);
    }
}

/*
 * --- between two tasks
 * ----------------------------------------------------------------------------
 */

/*
 * A task that has seen everything: sent, lost, prepared, aborted, refused, and committed at last.
 */
static void live_through_all(struct step_job *job)
{
    job->newest_txn = 9;
    job->n_remembered = 3;
    job->is_retry = true;
    job->n_files = 1;
    assert_int_equal(loaded(job, LOAD_LOST, NOW).action, ACT_ASK);
    asks_again(job, label(job, LABEL_PREPARE, NOW), NOW);
    sends_again(job, label(job, LABEL_ABORTED, NOW), NOW);
    assert_int_equal(loaded(job, LOAD_LOST, NOW).action, ACT_ASK);
    sends_again(job, label(job, LABEL_UNKNOWN, NOW), NOW);
    assert_int_equal(loaded(job, LOAD_REFUSED, NOW).action, ACT_ASK);
    asks_again(job, label(job, LABEL_PREPARE, NOW), NOW);
    assert_int_equal(at(job, EV_CANCEL, NOW).action, ACT_NONE);
    asks_again(job, label(job, LABEL_COMMITTED, NOW), NOW);
    assert_int_equal(label(job, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT);
    assert_int_equal(stored(job).action, ACT_PLAN);
}

/*
 * Nothing that is known of one task is believed of the next one, which has another label and
 * range.
 */
static void test_the_next_task_begins_with_nothing(void **state)
{
    (void)state;
    struct step_job used = loading_job();
    struct step_job fresh = new_job();
    live_through_all(&used);
    assert_int_equal(at(&fresh, EV_START, NOW).action, ACT_ARM);
    assert_int_equal(at(&fresh, EV_TIMER, NOW).action, ACT_PLAN);
    fresh.newest_txn = used.newest_txn; /* of Doris, not of a task */
    assert_int_equal(used.phase, fresh.phase);
    assert_int_equal(used.task_id, 0);
    assert_int_equal(used.intent_ms, 0);
    assert_int_equal(used.n_files, 0);
    assert_int_equal(used.n_sent, 0);
    assert_int_equal(used.n_tries, 0);
    assert_int_equal(used.n_waits, 0);
    assert_int_equal(used.n_remembered, 0);
    assert_int_equal(used.lost_ms, 0);
    assert_int_equal(used.ask_ms, 0);
    assert_int_equal(used.ask_txn, 0);
    assert_int_equal(used.proof_ms, 0);
    assert_int_equal(used.proof_txn, 0);
    assert_int_equal(used.unowned_ms, 0);
    assert_int_equal(used.max_files, fresh.max_files);
    assert_false(used.is_retry || used.is_canceled || used.is_changed || used.is_data_error ||
                 used.is_committed || used.is_loaded || used.is_due || used.is_refused ||
                 used.is_recovering);
    assert_int_equal(used.resolved_code, FAIL_NONE);
}

/*
 * --- the life of a job
 * ----------------------------------------------------------------------------
 */

/* As in the diagram of step.h: only RESUME leads out of PAUSED, and nothing out of STOPPED. */
static void test_which_moves_are_legal(void **state)
{
    static const char *const legal[] = {
        [JOB_PENDING] = "-rpsf", [JOB_RUNNING] = "P-psf",  [JOB_PAUSED] = "P--s-",
        [JOB_STOPPED] = "-----", [JOB_FINISHED] = "---s-",
    };
    (void)state;
    for (enum job_state from = JOB_PENDING; from <= JOB_FINISHED; from++) {
        for (enum job_state to = JOB_PENDING; to <= JOB_FINISHED; to++) {
            assert_int_equal(step_may_move(from, to), legal[from][to] != '-');
        }
    }
}

/* A restart is no evidence: only the user can ask once more, or decide. */
static void test_in_doubt_stays_in_doubt(void **state)
{
    static const enum fail_code codes[] = {FAIL_IN_DOUBT, FAIL_LABEL_TAKEN};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct step_job job = new_job();
        job.state = JOB_PAUSED;
        job.fail_code = codes[i];
        job.task_id = 7;
        assert_int_equal(at(&job, EV_START, NOW).action, ACT_NONE);
        assert_int_equal(job.phase, PHASE_DOUBT);
        assert_int_equal(at(&job, EV_TIMER, NOW + HOUR).action, ACT_NONE);
        assert_int_equal(job.fail_code, codes[i]);
        do_step(&job, (struct step_event){.kind = EV_RESOLVE, .u.is_committed = i == 0});
        struct step_out out = store_failed(&job); /* not stored: as before */
        assert_int_equal(out.reason, i == 0 ? WHY_LABEL_FORGOTTEN : WHY_LABEL_TAKEN);
        assert_int_equal(job.fail_code, codes[i]);
    }
}

/*
 * A task of an earlier life is taken up as soon as the job goes on, which is RUNNING from then
 * on.
 */
static void test_an_open_task_is_taken_up_by_a_running_job(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_VISIBLE, NOW).action, ACT_STORE_COMMIT);
    assert_int_equal(store_failed(&job).action, ACT_STORE_JOB);
    assert_int_equal(store_failed(&job).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
    assert_int_equal(job.state, JOB_PENDING);
    assert_int_equal(stored(&job).action, ACT_STORE_COMMIT);
    assert_int_equal(job.state, JOB_RUNNING);
}

/* Others of its database load nothing until its label was answered for, whatever the answer was. */
static void test_whom_a_recovery_keeps_waiting(void **state)
{
    static const enum label_state answers[] = {LABEL_PREPARE, LABEL_COMMITTED, LABEL_VISIBLE,
                                               LABEL_ABORTED, LABEL_UNKNOWN};
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct step_job job = new_job();
        job.task_id = 7;
        job.intent_ms = NOW;
        assert_int_equal(at(&job, EV_START, NOW + WINDOW).action, ACT_ASK);
        assert_true(job.is_recovering);
        asks_again(&job, label(&job, LABEL_UNREACHABLE, NOW + WINDOW), NOW + WINDOW);
        assert_true(job.is_recovering);
        (void)label(&job, answers[i], NOW + WINDOW);
        assert_false(job.is_recovering);
    }
}

/* In one life only the clock that does not jump counts. */
static void test_a_wall_clock_that_jumps_in_one_life(void **state)
{
    (void)state;
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    (void)do_step(&job, (struct step_event){.kind = EV_LABEL,
                                            .now = {.wall_ms = NOW + HOUR, .mono_ms = NOW + 1},
                                            .u.label = LABEL_UNKNOWN});
    assert_int_equal(job.phase, PHASE_RETRY);

    job = loading_job();
    assert_int_equal(loaded(&job, LOAD_LOST, NOW).action, ACT_ASK);
    (void)do_step(&job, (struct step_event){.kind = EV_LABEL,
                                            .now = {.wall_ms = NOW + 1, .mono_ms = NOW + WINDOW},
                                            .u.label = LABEL_UNKNOWN});
    assert_int_equal(job.phase, PHASE_DOUBT);
}

/* Only a write that the store has taken shows whose the store is. */
static void test_a_write_that_was_taken_shows_the_owner(void **state)
{
    (void)state;
    int64_t later = NOW + 10000;
    struct step_job job = loading_job();
    assert_int_equal(loaded(&job, LOAD_REFUSED, later).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, later).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, later).action, ACT_STORE_JOB);
    assert_int_equal(at(&job, EV_STORED, later).action, ACT_LOAD);
    assert_int_equal(loaded(&job, LOAD_REFUSED, later + 1).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, later + 1).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, later + 999).action, ACT_LOAD);

    job = loading_job();
    assert_int_equal(loaded(&job, LOAD_NOT_SENT, later).action, ACT_ARM);
    (void)do_step(&job, (struct step_event){
                            .kind = EV_STORED, .now = {later, later}, .u.stored = STORED_FAIL});
    assert_int_equal(at(&job, EV_RESUME, later).action, ACT_STORE_JOB);
    assert_int_equal(at(&job, EV_TIMER, later + 1).action, ACT_STORE_JOB);
    assert_int_equal(job.phase, PHASE_OWNER);
}

/* A new job begins at once, and an FE that fails then is asked again soon. */
static void test_a_job_begins_at_once(void **state)
{
    (void)state;
    struct step_job job = new_job();
    assert_int_equal(at(&job, EV_START, NOW).delay_ms, 0);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_PLAN);
    assert_int_equal(job.state, JOB_RUNNING);
    for (int64_t delay_ms = 50; delay_ms <= 100; delay_ms *= 2) {
        assert_int_equal(at(&job, EV_NO_FE, NOW).delay_ms, delay_ms);
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_PLAN);
    }
    assert_int_equal(planned(&job, PLAN_EMPTY).delay_ms, job.max_interval_ms);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_PLAN);
    assert_int_equal(at(&job, EV_NO_FE, NOW).delay_ms, 50);
}

/* The simulator and all tests rely on step_check() to see what must never be. */
static void test_the_check_sees_what_must_never_be(void **state)
{
    static const struct step_job good[] = {
        {.state = JOB_PENDING},
        {.state = JOB_RUNNING, .phase = PHASE_INTENT},
        {.state = JOB_RUNNING, .phase = PHASE_LOADING, .task_id = 1, .is_canceled = true},
        {.state = JOB_PAUSED, .phase = PHASE_DOUBT, .task_id = 1, .fail_code = FAIL_IN_DOUBT},
        {.state = JOB_RUNNING, .phase = PHASE_ASIDE},
        {.state = JOB_RUNNING, .max_files = 1, .n_suspects = 2, .n_failing = 2, .n_bad = 1},
        {.state = JOB_FINISHED},
    };
    static const struct step_job bad[] = {
        {.state = JOB_RUNNING, .phase = PHASE_LOADING},
        {.state = JOB_FINISHED, .task_id = 1},
        {.state = JOB_FINISHED, .phase = PHASE_PLANNING},
        {.state = JOB_RUNNING, .phase = PHASE_DOUBT, .task_id = 1},
        {.state = JOB_RUNNING, .is_canceled = true},
        {.state = JOB_RUNNING, .is_changed = true},
        {.state = JOB_RUNNING, .is_loaded = true},
        {.state = JOB_RUNNING, .is_committed = true},
        {.state = JOB_RUNNING, .is_data_error = true},
        {.state = JOB_RUNNING, .phase = PHASE_ASIDE, .task_id = 1},
        {.state = JOB_PAUSED, .phase = PHASE_ASIDE, .fail_code = FAIL_MANUAL_PAUSE},
        {.state = JOB_PAUSED},
        {.state = JOB_RUNNING, .fail_code = FAIL_INTERNAL},
        {.state = JOB_RUNNING, .n_bad = -1},
        {.state = JOB_RUNNING, .n_failing = -1},
        {.state = JOB_RUNNING, .n_failing = 1},
        {.state = JOB_RUNNING, .max_files = 1},
        {.state = JOB_RUNNING, .n_suspects = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(step_check(&good[i]));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(step_check(&bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_label_that_was_committed_and_is_forgotten),
        cmocka_unit_test(test_a_witness_that_does_not_answer),
        cmocka_unit_test(test_a_witness_that_ended_an_hour_ago),
        cmocka_unit_test(test_a_refusal_is_of_the_last_statement_only),
        cmocka_unit_test(test_the_window_begins_with_the_last_proof),
        cmocka_unit_test(test_the_window_begins_with_a_rollback),
        cmocka_unit_test(test_the_shortest_memory_there_is),
        cmocka_unit_test(test_a_paused_job_comes_into_doubt),
        cmocka_unit_test(test_an_aborted_label_is_the_end_of_one_statement),
        cmocka_unit_test(test_each_prepare_has_its_time),
        cmocka_unit_test(test_each_try_waits_for_its_own_time),
        cmocka_unit_test(test_committed_is_asked_for_soon),
        cmocka_unit_test(test_resumed_in_a_load_that_is_not_sent),
        cmocka_unit_test(test_a_job_that_sends_is_running),
        cmocka_unit_test(test_the_next_task_begins_with_nothing),
        cmocka_unit_test(test_which_moves_are_legal),
        cmocka_unit_test(test_in_doubt_stays_in_doubt),
        cmocka_unit_test(test_an_open_task_is_taken_up_by_a_running_job),
        cmocka_unit_test(test_whom_a_recovery_keeps_waiting),
        cmocka_unit_test(test_a_wall_clock_that_jumps_in_one_life),
        cmocka_unit_test(test_a_write_that_was_taken_shows_the_owner),
        cmocka_unit_test(test_a_job_begins_at_once),
        cmocka_unit_test(test_the_check_sees_what_must_never_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
