/* Rules of step.h at their limits: what follows a plan, and how many files and tries there are. */
#include "tests/unit/step_help.h"

static struct step_out refused_for_rows(struct step_job *job)
{
    (void)do_step(job, (struct step_event){.kind = EV_LOADED,
                                           .now = {NOW, NOW},
                                           .u.load = {LOAD_REFUSED, .is_data_error = true}});
    return label(job, LABEL_ABORTED, NOW);
}

/*
 * The next task, of `n` files; true: they are loaded. Says how many files the one after it takes.
 */
static int64_t next_plan(struct step_job *job, int64_t n, bool is_good)
{
    assert_int_equal(planned(job, PLAN_RANGE).action, ACT_STORE_INTENT);
    job->task_id = 1;
    job->n_files = n;
    assert_int_equal(stored(job).action, ACT_LOAD);
    if (is_good) {
        assert_int_equal(loaded(job, LOAD_VISIBLE, NOW).action, ACT_STORE_COMMIT);
    } else {
        assert_int_equal(refused_for_rows(job).action, n > 1 ? ACT_STORE_FAILED : ACT_STORE_BAD);
    }
    assert_int_equal(stored(job).action, ACT_PLAN);
    return job->max_files;
}

static struct step_job planning_job(void)
{
    struct step_job job = new_job();
    job.sets_aside = true;
    assert_int_equal(at(&job, EV_START, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_PLAN);
    return job;
}

/* Half of those that failed, half of what is left of them, and doubled behind the bad one. */
static void test_how_many_files_a_search_takes(void **state)
{
    (void)state;
    struct step_job job = planning_job();
    assert_int_equal(next_plan(&job, 16, false), 8);
    assert_int_equal(next_plan(&job, 8, false), 4);
    assert_int_equal(next_plan(&job, 4, true), 2);  /* 4 of them are left, one is bad */
    assert_int_equal(next_plan(&job, 2, true), 1);  /* 2 are left */
    assert_int_equal(next_plan(&job, 1, true), 1);  /* it is the next one */
    assert_int_equal(next_plan(&job, 1, false), 1); /* set aside; 8 of 16 were not tried */
    assert_int_equal(next_plan(&job, 1, true), 2);
    assert_int_equal(next_plan(&job, 2, true), 4);
    assert_int_equal(next_plan(&job, 4, true), 8); /* one is left */
    assert_int_equal(next_plan(&job, 1, true), 0); /* the search is over */
}

/* Ten in a row pause the job: a file that is loaded begins a new row. */
static void test_a_loaded_file_begins_a_new_row(void **state)
{
    (void)state;
    struct step_job job = planning_job();
    for (int64_t i = 0; i + 1 < config.max_bad; i++) {
        (void)next_plan(&job, 1, false);
    }
    (void)next_plan(&job, 1, true);
    for (int64_t i = 0; i < config.max_bad; i++) {
        (void)next_plan(&job, 1, false);
    }
    assert_int_equal(planned(&job, PLAN_RANGE).action, ACT_STORE_INTENT);
    job.task_id = 1;
    job.n_files = 1;
    assert_int_equal(stored(&job).action, ACT_LOAD);
    assert_int_equal(refused_for_rows(&job).action, ACT_STORE_FAILED);
    assert_int_equal(job.state, JOB_PAUSED);
    assert_int_equal(job.fail_code, FAIL_TOO_MANY_ROWS);
}

/* A task that fails, over and over; returns how often the job has come back by itself. */
static int64_t count_resumes(struct step_job *job)
{
    int64_t n = 0;
    for (; n <= 2 * config.max_resumes; n++) {
        assert_int_equal(planned(job, PLAN_FAIL).action, ACT_STORE_JOB);
        if (stored(job).action != ACT_ARM) {
            break;
        }
        assert_int_equal(at(job, EV_TIMER, NOW).action, ACT_STORE_JOB);
        assert_int_equal(stored(job).action, ACT_PLAN);
    }
    return n;
}

/* Both give the whole budget back, however much of it was used. */
static void test_success_and_resume_give_the_budget_back(void **state)
{
    (void)state;
    struct step_job job = planning_job();
    assert_int_equal(planned(&job, PLAN_FAIL).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    (void)next_plan(&job, 1, true);
    assert_int_equal(count_resumes(&job), config.max_resumes);
    assert_int_equal(job.fail_code, FAIL_CANNOT_RESUME);
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(count_resumes(&job), config.max_resumes);
}

static void test_a_pause_stops_the_plan(void **state)
{
    (void)state;
    struct step_job job = planning_job();
    assert_int_equal(at(&job, EV_PAUSE, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_CANCEL_RUN);
    assert_int_equal(at(&job, EV_RESUME, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_NONE); /* the plan's end plans anew */
    assert_int_equal(at(&job, EV_PLAN_CANCELED, NOW).action, ACT_PLAN);
}

/* A write that the store refuses is logged with the phase's name: which write it was. */
static void test_a_write_has_its_name(void **state)
{
    (void)state;
    struct step_job job = planning_job();
    assert_int_equal(planned(&job, PLAN_ASIDE).action, ACT_STORE_ASIDE);
    assert_string_equal(step_phase_name(job.phase), "aside");
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(planned(&job, PLAN_RANGE).action, ACT_STORE_INTENT);
    assert_string_equal(step_phase_name(job.phase), "intent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_many_files_a_search_takes),
        cmocka_unit_test(test_a_loaded_file_begins_a_new_row),
        cmocka_unit_test(test_success_and_resume_give_the_budget_back),
        cmocka_unit_test(test_a_pause_stops_the_plan),
        cmocka_unit_test(test_a_write_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
