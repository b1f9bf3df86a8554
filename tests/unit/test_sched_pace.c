/* When jobs look at their sources: not all of them in the same instant. */
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "tests/unit/sched_rig.h"

enum { N_JOBS = 1000, INTERVAL_MS = 10000, N_PARTS = 10 };

static const int64_t first_id = INT64_C(1795403258294218899);
static const int64_t id_step = 1100000; /* as CREATE JOBs one after the other make them: ns */

static struct job *idle_job(int64_t id)
{
    struct job *j = xcalloc(1, sizeof(*j));
    j->rec.id = id;
    j->step = (struct step_job){
        .state = JOB_RUNNING, .phase = PHASE_IDLE, .max_interval_ms = INTERVAL_MS};
    return j;
}

/* Each tenth of the interval gets about a tenth of the jobs, and once is enough. */
static void test_first_waits_differ(void **state)
{
    int parts[N_PARTS] = {0};
    (void)state;
    for (int64_t i = 0; i < N_JOBS; i++) {
        struct job *j = idle_job(first_id + i * id_step);
        int64_t told = sched_idle_ms(j);
        int64_t first = sched_pace(j, INTERVAL_MS);
        assert_in_range(first, 1, INTERVAL_MS);
        assert_int_equal(told, first); /* JobRuntimeMsg is right about it */
        assert_int_equal(sched_pace(j, INTERVAL_MS), INTERVAL_MS);
        assert_int_equal(sched_idle_ms(j), INTERVAL_MS);
        parts[(first - 1) * N_PARTS / INTERVAL_MS]++;
        free(j);
    }
    for (int i = 0; i < N_PARTS; i++) {
        assert_in_range(parts[i], N_JOBS / N_PARTS / 2, N_JOBS / N_PARTS * 2);
    }
}

/* What a job waits for beside its source is as long as step() says. */
static void test_other_waits_stay(void **state)
{
    struct job *j = idle_job(first_id);
    (void)state;
    assert_int_equal(sched_pace(j, 0), 0); /* a job that was just created */
    j->turn_ms = 7;
    assert_int_equal(sched_pace(j, 0), 7);
    assert_int_equal(sched_pace(j, 50), 50); /* the FE cannot be asked */
    j->step.phase = PHASE_WAITING;
    assert_int_equal(sched_pace(j, 0), 0);
    assert_int_equal(sched_pace(j, INTERVAL_MS), INTERVAL_MS);
    j->step.phase = PHASE_IDLE;
    j->step.state = JOB_PAUSED;
    assert_int_equal(sched_pace(j, INTERVAL_MS), INTERVAL_MS);
    assert_false(j->is_paced);
    free(j);
}

/* After a start they begin one by one, in the order in which they were created. */
static void test_start_in_turn(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    struct rig *g = rig_create(false);
    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_create_job(g, names[i], "d", i, "1");
        rig_until(g, rig_has_offset(g, names[i], "1"));
    }
    rig_crash(g);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_job(g, names[i])->turn_ms, 0); /* for the start only */
        rig_until(g, rig_job(g, names[i])->is_paced);
        assert_true(wheel_timer_is_set(&rig_job(g, names[i])->timer));
    }
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_waits_differ),
        cmocka_unit_test(test_other_waits_stay),
        cmocka_unit_test(test_start_in_turn),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
