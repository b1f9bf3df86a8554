/*
 * What the scheduler's memory says of tasks that are over, or that the store did not take: the same
 * as the store's. The scheduler of sched_rig.h.
 */
#include "base/xmalloc.h"
#include "tests/unit/sched_rig.h"

/* What an error has PAUSED stays so until the test goes on. */
static struct rig *patient_rig(void)
{
    struct rig *g = rig_create(false);
    g->step.resume_delay_ms = 3600 * 1000;
    rig_end(g, 0);
    rig_begin(g);
    return g;
}

/* The last hundred of a job, oldest first, in memory and after a crash. */
static void test_as_many_tasks_as_are_kept(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    rig_create_job(g, "a", "d", 0, "103");
    rig_until(g, rig_has_offset(g, "a", "103"));
    for (int life = 0; life < 2; life++) {
        const struct job *j = rig_job(g, "a");
        assert_int_equal(j->n_tasks, STORE_TASKS_KEPT);
        for (size_t i = 0; i < j->n_tasks; i++) {
            assert_int_equal(j->tasks[i]->rec.id, 103 - STORE_TASKS_KEPT + 1 + i);
        }
        rig_crash(g);
    }
    rig_destroy(g);
}

/* What jobs() shows of a job is the sum over its tasks, counted on or read from the store. */
static void test_statistics_are_those_of_the_store(void **state)
{
    struct rig *g = patient_rig();
    (void)state;
    rig_create_job(g, "a", "d", 0, "7 batch=3");
    rig_until(g, rig_has_offset(g, "a", "7"));
    const struct load_stat counted = rig_job(g, "a")->rec.stat;
    assert_int_equal(counted.file_number, 7);
    rig_crash(g);
    const struct load_stat *stored = &rig_job(g, "a")->rec.stat;
    assert_int_equal(counted.scanned_rows, stored->scanned_rows);
    assert_int_equal(counted.load_bytes, stored->load_bytes);
    assert_int_equal(counted.file_number, stored->file_number);
    assert_int_equal(counted.file_size, stored->file_size);
    assert_int_equal(counted.filtered_rows, stored->filtered_rows);
    rig_destroy(g);
}

/* A success is counted as one, a failure and a cancellation as what they are. */
static void test_how_tasks_that_ended_are_counted(void **state)
{
    struct rig *g = patient_rig();
    const struct sched_counters *c = &g->s->counters;
    (void)state;
    SCRIPT(g, FAKE_REFUSED, FAKE_REFUSED);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_job(g, "a")->step.state == JOB_PAUSED && rig_job(g, "a")->task.id == 0);
    assert_int_equal(c->tasks_failed, 1);
    assert_int_equal(c->tasks_canceled, 0);
    SCRIPT(g, FAKE_BLOCKED);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    rig_until(g, rig_job(g, "a")->task.id == 0 && rig_job(g, "a")->run == NULL);
    assert_int_equal(c->tasks_failed, 1);
    assert_int_equal(c->tasks_canceled, 1);
    assert_int_equal(c->tasks_succeeded, 0);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_int_equal(c->tasks_succeeded, 2);
    assert_int_equal(rig_job(g, "a")->rec.n_failed, 1);
    assert_int_equal(rig_job(g, "a")->rec.n_canceled, 1);
    rig_destroy(g);
}

/* Until the store has taken the commit the task is RUNNING, and has no end. */
static void test_a_commit_that_is_not_stored(void **state)
{
    struct rig *g = patient_rig();
    (void)state;
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    int64_t before = g->s->counters.failed_writes;
    g->store.fail_from = g->store.n_writes + 1;
    g->store.fail_to = g->store.n_writes + 1;
    fake_doris_let_go(&g->doris);
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_STORE);
    assert_int_equal(rig_job(g, "a")->task.id, 1);
    assert_int_equal(rig_job(g, "a")->task.state, TASK_RUNNING);
    assert_int_equal(rig_job(g, "a")->task.finish_ms, 0);
    assert_int_equal(g->s->counters.failed_writes, before + 1);
    assert_null(rig_job(g, "a")->rec.offset);
    rig_crash(g);
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    rig_destroy(g);
}

/*
 * After a crash, too, the witness of a task is the newest success of its database that surely came
 * before it, whichever job's: an older one is forgotten sooner, and the task would be in doubt.
 */
static void test_the_newest_success_is_the_witness(void **state)
{
    struct rig *g = patient_rig();
    (void)state;
    SCRIPT(g, FAKE_OK, FAKE_REFUSED, FAKE_REFUSED);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_job(g, "a")->step.state == JOB_PAUSED && rig_job(g, "a")->task.id == 0);
    rig_create_job(g, "b", "d", 1, "3");
    rig_until(g, rig_has_offset(g, "b", "3"));
    int64_t b_id = rig_job(g, "b")->rec.id;
    int64_t end_ms = rig_job(g, "b")->rec.last_success_ms;
    while (clock_wall_ms() <= end_ms) {
        /* within one millisecond nobody knows what came first */
    }
    SCRIPT(g, FAKE_LOST_UNSEEN);
    fake_doris_set_deaf(&g->doris, "d");
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    assert_int_equal(rig_job(g, "a")->witness.job_id, b_id);
    assert_int_equal(rig_job(g, "a")->witness.task_id, 3);
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->witness.job_id, b_id);
    assert_int_equal(rig_job(g, "a")->witness.task_id, 2); /* behind which another had begun */
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_destroy(g);
}

/* What succeeded before a crash is the witness of what begins after it. */
static void test_a_witness_of_an_earlier_life(void **state)
{
    struct rig *g = patient_rig();
    (void)state;
    SCRIPT(g, FAKE_OK, FAKE_REFUSED, FAKE_REFUSED);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_job(g, "a")->step.state == JOB_PAUSED && rig_job(g, "a")->task.id == 0);
    rig_crash(g);
    SCRIPT(g, FAKE_BLOCKED);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    assert_true(rig_job(g, "a")->step.has_witness);
    assert_int_equal(rig_job(g, "a")->witness.task_id, 1);
    fake_doris_let_go(&g->doris);
    rig_until(g, rig_has_offset(g, "a", "2"));
    rig_destroy(g);
}

/* An FE that keeps next to no labels is no FE of which nothing is known. */
static void test_an_fe_that_keeps_three_labels(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    fake_doris_set_memory(&g->doris, 3600, 3);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_int_equal(step_window_txns(&rig_job(g, "a")->step), 1);
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_tasks_as_are_kept),
        cmocka_unit_test(test_statistics_are_those_of_the_store),
        cmocka_unit_test(test_how_tasks_that_ended_are_counted),
        cmocka_unit_test(test_a_commit_that_is_not_stored),
        cmocka_unit_test(test_the_newest_success_is_the_witness),
        cmocka_unit_test(test_a_witness_of_an_earlier_life),
        cmocka_unit_test(test_an_fe_that_keeps_three_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
