/*
 * What users do to jobs that errors have PAUSED, and what an operator finds of it afterwards: in the
 * log, in tasks(), in the counters. The scheduler of sched_rig.h.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "tests/unit/heard.h"
#include "tests/unit/sched_rig.h"

#define WHO "ann@10.1.2.3"

static void assert_has(const char *text, const char *what)
{
    if (text == NULL || strstr(text, what) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", text != NULL ? text : "nothing", what);
    }
}

/* As rig_change(), of a user who is known. */
static const char *change_as(struct rig *g, enum sched_op op, const char *name, int64_t task_id,
                             bool is_committed)
{
    (void)rig_ask(g, rig_request(g, SCHED_FIND, name));
    struct sched_request *r = rig_request(g, op, name);
    r->job_id = g->answered->job_id;
    r->task_id = task_id;
    r->is_committed = is_committed;
    r->user = xstrdup(WHO);
    return rig_ask(g, r);
}

/* Job "a", PAUSED since its load was refused; resumes by itself after `delay_ms`. */
static struct rig *failed_rig(int64_t delay_ms)
{
    struct rig *g = rig_create(false);
    g->step.resume_delay_ms = delay_ms;
    rig_end(g, 0);
    rig_begin(g);
    SCRIPT(g, FAKE_REFUSED, FAKE_REFUSED);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_job(g, "a")->step.state == JOB_PAUSED);
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_INTERNAL);
    return g;
}

/* Held before it resumed by itself, it is so when its timer goes off, and after a crash. */
static void test_pause_holds_a_failed_job(void **state)
{
    struct rig *g = failed_rig(300);
    (void)state;
    assert_true(wheel_timer_is_set(&rig_job(g, "a")->timer));
    g->store.fail_from = g->store.fail_to = g->store.n_writes + 1;
    assert_has(rig_change(g, SCHED_PAUSE, "a"), "was not changed");
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_INTERNAL);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    rig_until(g, !wheel_timer_is_set(&rig_job(g, "a")->timer));
    for (int life = 0; life < 2; life++) {
        const struct job *j = rig_job(g, "a");
        assert_int_equal(j->step.state, JOB_PAUSED);
        assert_int_equal(j->step.fail_code, FAIL_MANUAL_PAUSE);
        assert_string_equal(
            j->rec.fail_msg,
            "Job is paused by the user; RESUME JOB goes on (before: refused; task 1, range 1)");
        assert_false(wheel_timer_is_set(&j->timer));
        assert_has(rig_change(g, SCHED_PAUSE, "a"), "same status: it is PAUSED already");
        rig_crash(g);
    }
    assert_int_equal(g->s->counters.paused[FAIL_MANUAL_PAUSE], 1);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_destroy(g);
}

/* Its task is open and would be taken up again: it is asked for instead, and closed or committed. */
static void test_pause_holds_a_job_with_a_task(void **state)
{
    (void)state;
    for (int is_loaded = 0; is_loaded < 2; is_loaded++) {
        struct rig *g = rig_create(false);
        g->step.resume_delay_ms = 60 * 1000;
        rig_end(g, 0);
        rig_begin(g);
        SCRIPT(g, FAKE_REFUSED, is_loaded ? FAKE_OK : FAKE_REFUSED);
        rig_create_job(g, "a", "d", 0, "1");
        g->store.fail_from = g->store.n_writes + 2; /* its end, and the pause for that */
        g->store.fail_to = g->store.fail_from + is_loaded;
        rig_until(g, rig_job(g, "a")->step.state == JOB_PAUSED);
        assert_int_equal(rig_job(g, "a")->task.id, 1);
        assert_true(step_is_resumable(rig_job(g, "a")->step.fail_code));
        assert_int_equal(rig_job(g, "a")->step.phase, PHASE_IDLE);
        assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
        rig_until(g, rig_job(g, "a")->task.id == 0);
        assert_int_equal(rig_job(g, "a")->rec.n_canceled, !is_loaded);
        assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_MANUAL_PAUSE);
        rig_crash(g);
        assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_MANUAL_PAUSE);
        assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
        rig_until(g, rig_has_offset(g, "a", "1"));
        assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
        rig_destroy(g);
    }
}

/* What is in doubt, or not understood, cannot resume by itself, and PAUSE does nothing to it. */
static void test_pause_leaves_the_others(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->step.label_window_ms = 0;
    rig_end(g, 0);
    rig_begin(g);
    SCRIPT(g, FAKE_LOST_UNSEEN);
    struct sched_request *r = rig_create_request(g, "a", "d", 0, "1");
    free(r->job.sql);
    r->job.sql = xstrdup("bad"); /* for the next life */
    assert_string_equal(rig_ask(g, r), "");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_DOUBT);
    assert_has(rig_change(g, SCHED_PAUSE, "a"), "same status");
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_IN_DOUBT);
    assert_int_equal(g->s->counters.paused[FAIL_IN_DOUBT], 1);
    rig_crash(g);
    assert_null(rig_job(g, "a")->body);
    assert_has(rig_change(g, SCHED_PAUSE, "a"), "same status");
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_IN_DOUBT);
    rig_destroy(g);

    g = rig_create(false);
    r = rig_create_request(g, "a", "d", 0, "1");
    free(r->job.sql);
    r->job.sql = xstrdup("bad");
    assert_string_equal(rig_ask(g, r), "");
    rig_until(g, rig_has_offset(g, "a", "1"));
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_CANNOT_RESUME);
    assert_has(rig_change(g, SCHED_PAUSE, "a"), "same status");
    assert_has(rig_job(g, "a")->rec.fail_msg, "not understood");
    rig_destroy(g);
}

/* --- who ---------------------------------------------------------------------------------------- */

static void test_log_tells_who(void **state)
{
    struct heard log = heard_begin();
    struct rig *g = failed_rig(60 * 1000);
    (void)state;
    (void)change_as(g, SCHED_RESUME, "a", 0, false);
    rig_until(g, rig_has_offset(g, "a", "2"));
    (void)change_as(g, SCHED_PAUSE, "a", 0, false);
    rig_until(g, rig_job(g, "a")->run == NULL);
    (void)change_as(g, SCHED_DROP, "a", 0, false);
    struct sched_request *r = rig_create_request(g, "b", "d", 1, "1");
    r->user = xstrdup(WHO);
    SCRIPT(g, FAKE_BLOCKED);
    (void)rig_ask(g, r);
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    (void)change_as(g, SCHED_CANCEL, "b", 1, false);
    rig_until(g, rig_job(g, "b")->task.id == 0);
    int n_failed = heard_lines(&log, "job.paused job=a code=INTERNAL_ERR", "user=- ", NULL);
    int n_resumed = heard_lines(&log, "job.resumed job=a by=user user=" WHO, "INTERNAL_ERR", NULL);
    int n_paused = heard_lines(&log, "job.paused job=a code=MANUAL", "user=" WHO, NULL);
    int n_dropped = heard_lines(&log, "job.dropped job=a", "user=" WHO, NULL);
    int n_created = heard_lines(&log, "job.created job=b", "user=" WHO, NULL);
    int n_canceled = heard_lines(&log, "task.cancel job=b", "user=" WHO, NULL);
    rig_destroy(g);
    g = failed_rig(1);
    rig_until(g, rig_has_offset(g, "a", "2"));
    int n_auto = heard_lines(&log, "job.resumed job=a by=auto user=- ", NULL, NULL);
    rig_destroy(g);
    heard_end(&log);
    assert_int_equal(n_failed, 1);
    assert_int_equal(n_resumed, 1);
    assert_int_equal(n_paused, 1);
    assert_int_equal(n_dropped, 1);
    assert_int_equal(n_created, 1);
    assert_int_equal(n_canceled, 1);
    assert_int_equal(n_auto, 1);
}

/* A user's word is no answer of Doris's: the task tells whose it was. */
static void test_resolved_task_tells_who(void **state)
{
    (void)state;
    for (int is_committed = 0; is_committed < 2; is_committed++) {
        struct rig *g = rig_create(false);
        g->step.label_window_ms = 0;
        rig_end(g, 0);
        rig_begin(g);
        SCRIPT(g, FAKE_LOST_UNSEEN);
        rig_create_job(g, "a", "d", 0, "1");
        rig_until(g, rig_job(g, "a")->step.phase == PHASE_DOUBT);
        struct heard log = heard_begin();
        g->store.fail_from = g->store.fail_to = g->store.n_writes + 1;
        (void)change_as(g, SCHED_RESOLVE, "a", 1, is_committed != 0);
        bool is_told_early = rig_job(g, "a")->task.first_error != NULL;
        (void)change_as(g, SCHED_RESOLVE, "a", 1, is_committed != 0);
        int n = heard_lines(&log, "task.resolved job=a", "user=" WHO,
                            is_committed ? "as=COMMITTED" : "as=ABORTED");
        int n_paused = heard_lines(&log, "job.paused job=a code=MANUAL", "user=" WHO, "resolved");
        heard_end(&log);
        assert_false(is_told_early);
        assert_int_equal(n, 2);
        assert_true(n_paused >= 1);
        for (int life = 0; life < 2; life++) {
            assert_int_equal(rig_job(g, "a")->n_tasks, 1);
            const struct task_record *t = &rig_job(g, "a")->tasks[0]->rec;
            if (is_committed) {
                assert_int_equal(t->state, TASK_SUCCESS);
                assert_string_equal(t->first_error, "resolved as COMMITTED by " WHO);
                assert_null(t->error);
            } else {
                assert_int_equal(t->state, TASK_FAILED);
                assert_string_equal(t->error, "resolved as ABORTED by " WHO);
                assert_null(t->first_error);
            }
            rig_crash(g);
        }
        rig_destroy(g);
    }
}

/* --- the end of the source ---------------------------------------------------------------------- */

/* Killed while task 2 was open: what it loads was seen, so it is not the end that task 1 reached. */
static void test_end_is_that_of_the_open_task(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    SCRIPT(g, FAKE_OK, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    fake_doris_set_deaf(&g->doris, "d");
    rig_crash(g);
    assert_string_equal(rig_job(g, "a")->rec.offset, "1");
    assert_string_equal(rig_job(g, "a")->end_offset, "2");
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_string_equal(rig_job(g, "a")->end_offset, "2");
    rig_crash(g);
    assert_string_equal(rig_job(g, "a")->end_offset, "2");
    rig_destroy(g);
}

/* --- an FE that is gone ------------------------------------------------------------------------- */

/* One line when it begins, however many jobs wait and however often they try; one at its end. */
static void test_outage_is_told_once(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    struct rig *g = rig_create(false);
    (void)state;
    struct heard log = heard_begin();
    for (int i = 0; i < 3; i++) {
        rig_create_job(g, names[i], "d", i, "1");
        rig_until(g, rig_has_offset(g, names[i], "1"));
    }
    fake_doris_set_outage(&g->doris, 9);
    rig_until(g, fake_doris_outage(&g->doris) == 0 && g->s->outage.n_waiting == 0);
    int n = heard_lines(&log, "job.waiting ", "no FE", NULL);
    int n_over = heard_lines(&log, "job.waiting_over", "because=\"the FE answers\"", NULL);
    fake_doris_set_outage(&g->doris, 1000);
    rig_until(g, g->s->outage.n_waiting == 3);
    g->s->outage.told_ms -= 61 * 1000; /* a minute later */
    rig_until(g, heard_lines(&log, "job.waiting ", NULL, NULL) == n + 2);
    int n_again = heard_lines(&log, "job.waiting ", " jobs=3 ", "no FE");
    for (int i = 0; i < 3; i++) {
        assert_string_equal(rig_change(g, SCHED_PAUSE, names[i]), "");
    }
    int n_left = heard_lines(&log, "job.waiting_over", " jobs=3 ", "because=\"no job waits");
    heard_end(&log);
    assert_true(n >= 1);
    assert_int_equal(n, n_over); /* each has its end */
    assert_int_equal(n_again, 1);
    assert_int_equal(n_left, 1);
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause_holds_a_failed_job),
        cmocka_unit_test(test_pause_holds_a_job_with_a_task),
        cmocka_unit_test(test_pause_leaves_the_others),
        cmocka_unit_test(test_log_tells_who),
        cmocka_unit_test(test_resolved_task_tells_who),
        cmocka_unit_test(test_end_is_that_of_the_open_task),
        cmocka_unit_test(test_outage_is_told_once),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
