/* Events for the machine of step.h; the invariants are checked after each. For its tests only. */
#ifndef TESTS_UNIT_STEP_HELP_H
#define TESTS_UNIT_STEP_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scheduler/step.h"

enum { NOW = 1000000 };

static const struct step_config config __attribute__((unused)) = {
    .max_resumes = 10,
    .resume_delay_ms = 10000,
    .label_window_ms = 60000,
    .fence_after_ms = 5000,
    .n_tries = 4,
    .max_bad = 10,
};

static inline struct step_out do_step(struct step_job *job, struct step_event event)
{
    struct step_out out = step(job, &event, &config);
    assert_true(step_check(job));
    return out;
}

static inline struct step_out at(struct step_job *job, enum step_event_kind kind, int64_t wall_ms)
{
    return do_step(job, (struct step_event){.kind = kind, .now = {wall_ms, wall_ms}});
}

static inline struct step_out stored(struct step_job *job)
{
    return do_step(
        job, (struct step_event){.kind = EV_STORED, .now = {NOW, NOW}, .u.stored = STORED_OK});
}

static inline struct step_out store_failed(struct step_job *job)
{
    return do_step(job, (struct step_event){.kind = EV_STORED, .u.stored = STORED_FAIL});
}

static inline struct step_out planned(struct step_job *job, enum plan_result result)
{
    return do_step(job,
                   (struct step_event){.kind = EV_PLANNED, .now = {NOW, NOW}, .u.plan = result});
}

static inline struct step_out loaded(struct step_job *job, enum load_result result, int64_t wall_ms)
{
    return do_step(job, (struct step_event){.kind = EV_LOADED,
                                            .now = {wall_ms, wall_ms},
                                            .u.load = {.result = result}});
}

static inline struct step_out label(struct step_job *job, enum label_state state, int64_t wall_ms)
{
    return do_step(
        job, (struct step_event){.kind = EV_LABEL, .now = {wall_ms, wall_ms}, .u.label = state});
}

/* The last write is long ago: nothing is sent before the store has taken another one. */
static inline void loads_again(struct step_job *job, struct step_out out)
{
    assert_int_equal(out.action, ACT_STORE_JOB);
    assert_int_equal(job->phase, PHASE_OWNER);
    assert_int_equal(stored(job).action, ACT_LOAD);
}

static inline struct step_job new_job(void)
{
    return (struct step_job){
        .state = JOB_PENDING, .max_interval_ms = 10000, .statement_life_ms = 1800000};
}

/* A job whose first task is being loaded. */
static inline struct step_job loading_job(void)
{
    struct step_job job = new_job();
    assert_int_equal(at(&job, EV_START, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_PLAN);
    assert_int_equal(planned(&job, PLAN_RANGE).action, ACT_STORE_INTENT);
    job.task_id = 1;
    job.intent_ms = NOW;
    assert_int_equal(stored(&job).action, ACT_LOAD);
    assert_int_equal(job.state, JOB_RUNNING);
    return job;
}

#endif
