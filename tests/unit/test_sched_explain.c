/* EXPLAIN JOB in every phase, and the scheduler's part of EXPLAIN CREATE JOB, over the fakes. */
#include <stdio.h>

#include "base/xmalloc.h"
#include "tests/unit/sched_rig.h"

/* Of the last answer; NULL: it has none. */
static const struct explain_line *find(const struct rig *g, const char *item, const char *words)
{
    const struct explain *e = &g->answered->explain;
    for (size_t i = 0; i < e->n; i++) {
        if (strcmp(e->lines[i].item, item) == 0 && strstr(e->lines[i].text, words) != NULL) {
            return &e->lines[i];
        }
    }
    return NULL;
}

static void assert_level(const struct rig *g, const char *item, const char *words,
                         enum explain_level level)
{
    const struct explain_line *line = find(g, item, words);
    if (line == NULL || line->level != level) {
        for (size_t i = 0; i < g->answered->explain.n; i++) {
            const struct explain_line *l = &g->answered->explain.lines[i];
            print_error("%-20s %-8s %s\n", l->item, explain_level_name(l->level), l->text);
        }
        fail_msg("no line %s %s with \"%s\"", item, explain_level_name(level), words);
    }
}

static void explain(struct rig *g, const char *name)
{
    assert_string_equal(rig_change(g, SCHED_EXPLAIN, name), "");
    assert_string_equal(g->answered->explain.lines[0].item, "summary");
}

static void test_idle(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_has_offset(g, "a", "2") && rig_job(g, "a")->runtime_msg != NULL);
    explain(g, "a");
    assert_level(g, "summary", "looks for new files", EXPLAIN_OK);
    assert_level(g, "state", "RUNNING for ", EXPLAIN_FACT);
    assert_level(g, "phase", "idle, because the source had nothing new", EXPLAIN_FACT);
    assert_level(g, "last listing", "nothing new", EXPLAIN_FACT);
    assert_level(g, "committed offset", "2", EXPLAIN_FACT);
    assert_level(g, "last success", "task 2", EXPLAIN_FACT);
    assert_level(g, "tasks", "2 succeeded, 0 failed", EXPLAIN_FACT);
    rig_destroy(g);
}

static void test_loading(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    SCRIPT(g, FAKE_BLOCKED, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    rig_create_job(g, "b", "d", 1, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 2);
    explain(g, "a");
    assert_level(g, "summary", "is loading", EXPLAIN_OK);
    assert_level(g, "phase", "loading task 1 for ", EXPLAIN_FACT);
    assert_level(g, "phase", "attempt 1. Doris may take 10 s", EXPLAIN_FACT);
    assert_level(g, "open task", "range 1", EXPLAIN_FACT);
    fake_doris_let_go(&g->doris);
    rig_until(g, rig_has_offset(g, "a", "1") && rig_has_offset(g, "b", "1"));
    rig_destroy(g);
}

static void test_loading_waits_for_a_runner(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    SCRIPT(g, FAKE_BLOCKED, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    rig_create_job(g, "b", "d", 1, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 2);
    rig_create_job(g, "c", "d", 2, "1"); /* planned, though: loads leave threads to others */
    rig_until(g, rig_job(g, "c")->step.phase == PHASE_LOADING);
    explain(g, "c");
    assert_level(g, "phase", "loading task 1 for ", EXPLAIN_FACT);
    assert_level(g, "phase", "scheduler.runners", EXPLAIN_FACT);
    fake_doris_let_go(&g->doris);
    rig_until(g, rig_has_offset(g, "a", "1") && rig_has_offset(g, "b", "1"));
    rig_destroy(g);
}

static void test_paused_by_the_user(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    explain(g, "a");
    assert_level(g, "summary", "PAUSED by the user", EXPLAIN_WARNING);
    assert_level(g, "reason", "MANUAL_PAUSE_ERR: Job is paused by the user", EXPLAIN_FACT);
    assert_level(g, "what resumes it", "RESUME JOB WHERE jobName = 'a'", EXPLAIN_FACT);
    rig_crash(g);
    explain(g, "a");
    assert_level(g, "state", "PAUSED since before this start", EXPLAIN_FACT);
    assert_level(g, "last listing", "none since this start", EXPLAIN_FACT);
    rig_destroy(g);
}

static void test_automatic_resume(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->s->options.step.resume_delay_ms = 60000;
    SCRIPT(g, FAKE_REFUSED, FAKE_REFUSED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.state == JOB_PAUSED && rig_job(g, "a")->run == NULL);
    explain(g, "a");
    assert_level(g, "summary", "does not move", EXPLAIN_ERROR);
    assert_level(g, "reason", "INTERNAL_ERR: refused", EXPLAIN_ERROR);
    assert_level(g, "what resumes it", "by itself in ", EXPLAIN_FACT);
    assert_level(g, "what resumes it", "attempt 1 of 1000", EXPLAIN_FACT);
    assert_level(g, "tasks", "1 failed", EXPLAIN_FACT);
    assert_level(g, "last success", "none yet", EXPLAIN_FACT);
    rig_destroy(g);
}

static void test_budget_and_rows(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->s->options.step.max_resumes = 0;
    SCRIPT(g, FAKE_REFUSED, FAKE_REFUSED, FAKE_BAD_ROWS, FAKE_BAD_ROWS);
    rig_create_job(g, "a", "d", 0, "1 pause");
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_CANNOT_RESUME);
    explain(g, "a");
    assert_level(g, "reason", "CANNOT_RESUME_ERR: Auto resume failed", EXPLAIN_ERROR);
    assert_level(g, "what resumes it", "the automatic attempts are over", EXPLAIN_FACT);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_TOO_MANY_ROWS);
    explain(g, "a");
    assert_level(g, "what resumes it", "session.enable_insert_strict", EXPLAIN_FACT);
    rig_destroy(g);
}

/* No attempt was made, and none will be: the user has to decide. */
static void test_a_decision_is_wanted(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->s->options.step.max_resumes = 3;
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_IDLE);
    rig_job(g, "a")->step.state = JOB_PAUSED;
    rig_job(g, "a")->step.fail_code = FAIL_CANNOT_RESUME;
    explain(g, "a");
    assert_level(g, "what resumes it", "once you have decided as the reason says", EXPLAIN_FACT);
    rig_destroy(g);
}

static void test_waiting_for_the_fe(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    fake_doris_set_outage(&g->doris, 1000);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->trace.is_fe_missing && rig_job(g, "a")->run == NULL);
    explain(g, "a");
    assert_level(g, "phase", "because the FE could not be asked", EXPLAIN_FACT);
    assert_level(g, "last listing", "not made, the FE could not be asked", EXPLAIN_WARNING);
    assert_level(g, "summary", "looks for new files, with 1 warning", EXPLAIN_WARNING);
    rig_destroy(g);
}

static void test_waiting_for_a_label(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    SCRIPT(g, FAKE_LOST_LOADED);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    explain(g, "a");
    assert_level(g, "summary", "the job waits for Doris", EXPLAIN_WARNING);
    assert_level(g, "phase", "waiting for the outcome of task 1, label ", EXPLAIN_FACT);
    assert_level(g, "waits for", "no answer", EXPLAIN_WARNING);
    /* After a restart the task comes first, and so a second job of the database waits. */
    rig_create_job(g, "b", "d", 1, "1");
    rig_crash(g);
    rig_until(g, rig_job(g, "b")->is_held);
    explain(g, "b");
    assert_level(g, "phase", "waiting to plan", EXPLAIN_FACT);
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_ASKING ||
                     rig_job(g, "a")->step.phase == PHASE_WAITING);
    explain(g, "a");
    assert_non_null(find(g, "phase", "task 1"));
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "1") && rig_has_offset(g, "b", "1"));
    rig_destroy(g);
}

static void test_in_doubt(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->s->options.step.label_window_ms = 0;
    SCRIPT(g, FAKE_LOST_UNSEEN);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_DOUBT);
    explain(g, "a");
    assert_level(g, "summary", "1 problem: ", EXPLAIN_ERROR);
    assert_level(g, "phase", "nothing can tell whether task 1 was loaded", EXPLAIN_FACT);
    assert_level(g, "range in doubt", "1", EXPLAIN_FACT);
    assert_level(g, "look at",
                 "`d`.`t0`, and SHOW TRANSACTION FROM `d` WHERE LABEL = ", EXPLAIN_FACT);
    assert_level(g, "decide", "ALTER JOB `a` RESOLVE TASK 1 AS COMMITTED", EXPLAIN_FACT);
    assert_level(g, "decide", "ALTER JOB `a` RESOLVE TASK 1 AS ABORTED", EXPLAIN_FACT);
    assert_level(g, "what resumes it", "or RESUME JOB WHERE jobName = 'a', which asks Doris",
                 EXPLAIN_FACT);
    assert_string_equal(rig_resolve(g, "a", 1, false), "");
    explain(g, "a");
    assert_level(g, "summary", "it is PAUSED after RESOLVE TASK", EXPLAIN_WARNING);
    rig_crash(g);
    explain(g, "a");
    assert_level(g, "summary", "it is PAUSED after RESOLVE TASK", EXPLAIN_WARNING);
    rig_destroy(g);
}

/* The statements that it suggests are fit to be sent, whatever the job is called. */
static void test_odd_name(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->s->options.step.label_window_ms = 0;
    SCRIPT(g, FAKE_LOST_UNSEEN);
    rig_create_job(g, "o'clo`ck \\", "d", 0, "1");
    rig_until(g, g->s->jobs[0]->step.phase == PHASE_DOUBT);
    explain(g, "o'clo`ck \\");
    assert_level(g, "reason", "If they are: ALTER JOB `o'clo``ck \\` RESOLVE TASK 1 AS COMMITTED; ",
                 EXPLAIN_ERROR);
    assert_level(g, "decide", "ALTER JOB `o'clo``ck \\` RESOLVE TASK 1 AS COMMITTED", EXPLAIN_FACT);
    assert_level(g, "decide", "ALTER JOB `o'clo``ck \\` RESOLVE TASK 1 AS ABORTED", EXPLAIN_FACT);
    assert_level(g, "decide", "RESUME JOB WHERE jobName = 'o''clo`ck \\\\'", EXPLAIN_FACT);
    assert_non_null(strstr(rig_ask(g, rig_create_request(g, "o'clo`ck \\", "d", 0, "1")),
                           "DROP JOB WHERE jobName = 'o''clo`ck \\\\' first"));
    rig_destroy(g);
}

/* One cause is one problem: the reason is the error, and the listing that tells of it again is not. */
static void test_source_fails(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->s->options.step.resume_delay_ms = 60000;
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "a", "1"));
    free(rig_job(g, "a")->rec.offset);
    rig_job(g, "a")->rec.offset = xstrdup("no number");
    rig_until(g, rig_job(g, "a")->step.state == JOB_PAUSED && rig_job(g, "a")->run == NULL);
    explain(g, "a");
    assert_level(g, "summary", "1 problem: ", EXPLAIN_ERROR);
    assert_level(g, "reason", "GET_REMOTE_DATA_ERR", EXPLAIN_ERROR);
    assert_level(g, "last listing", "failed: ", EXPLAIN_FACT);
    rig_destroy(g);
}

static void test_finished(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    rig_create_job(g, "a", "d", 0, "e1");
    rig_until(g, rig_job(g, "a")->step.state == JOB_FINISHED);
    explain(g, "a");
    assert_level(g, "summary", "the job is finished", EXPLAIN_OK);
    assert_level(g, "phase", "come to its end", EXPLAIN_FACT);
    assert_string_not_equal(rig_ask(g, rig_request(g, SCHED_EXPLAIN, "none")), "");
    rig_destroy(g);
}

/* A stored statement that is not understood any more. */
static void test_unusable(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    struct sched_request *r = rig_create_request(g, "a", "d", 0, "1");
    free(r->job.sql);
    r->job.sql = xstrdup("bad");
    assert_string_equal(rig_ask(g, r), "");
    rig_until(g, rig_has_offset(g, "a", "1"));
    rig_crash(g);
    explain(g, "a");
    assert_level(g, "reason", "CANNOT_RESUME_ERR: The stored statement is not understood",
                 EXPLAIN_ERROR);
    assert_level(g, "what resumes it", "DROP it and create it again", EXPLAIN_FACT);
    assert_level(g, "committed offset", "1", EXPLAIN_FACT);
    rig_destroy(g);
}

/* --- EXPLAIN CREATE JOB ------------------------------------------------------------------------- */

static struct sched_request *check_request(struct rig *g, const char *name, const char *units,
                                           uint64_t session_id)
{
    struct sched_request *r = rig_create_request(g, name, "d", 0, units);
    r->op = SCHED_CHECK;
    r->session_id = session_id;
    return r;
}

static void test_check(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    struct sched_request *r = check_request(g, "a", "3", 1);
    explain_add(&r->explain, "mine", "stays");
    assert_string_equal(rig_ask(g, r), "");
    assert_level(g, "mine", "stays", EXPLAIN_FACT);
    assert_level(g, "source", "3 units", EXPLAIN_FACT);
    assert_level(g, "service account", "1 ", EXPLAIN_FACT);
    assert_level(g, "max_interval", "1 s", EXPLAIN_FACT);
    assert_level(g, "first INSERT", "1 <job id>_1", EXPLAIN_FACT);
    assert_int_equal(g->s->n_jobs, 0);
    assert_string_equal(rig_ask(g, check_request(g, "a", "0", 1)), "");
    assert_level(g, "service account", "nothing to plan", EXPLAIN_FACT);
    assert_level(g, "columns", "not checked: no file is there yet", EXPLAIN_WARNING);
    assert_level(g, "first INSERT", "none yet", EXPLAIN_FACT);
    rig_destroy(g);
}

static void test_check_with_problems(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    g->s->options.max_jobs = 0;
    struct sched_request *r = check_request(g, "a", "3", 1);
    free(r->spec->props[0].value);
    r->spec->props[0].value = xstrdup("no number");
    fake_doris_set_outage(&g->doris, 1);
    assert_string_equal(rig_ask(g, r), "");
    assert_level(g, "number of jobs", "scheduler.max_jobs", EXPLAIN_ERROR);
    assert_level(g, "source", "units: no number", EXPLAIN_ERROR);
    assert_level(g, "service account", "", EXPLAIN_ERROR);
    r = check_request(g, "a", "3", 1);
    free(r->spec->insert.tvf);
    r->spec->insert.tvf = xstrdup("hdfs");
    assert_string_equal(rig_ask(g, r), "");
    assert_level(g, "source", "Unsupported tvf type: hdfs", EXPLAIN_ERROR);
    rig_destroy(g);
}

/* A run that hangs is bounded, ends with its session, and never keeps the process from stopping. */
static void test_check_is_canceled(void **state)
{
    struct rig *g = rig_create(false);
    (void)state;
    fake_doris_set_check_stuck(&g->doris, true);
    sched_send(g->s, check_request(g, "a", "1", 7));
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    const char *refused = rig_ask(g, check_request(g, "b", "1", 8));
    assert_non_null(strstr(refused, "Try again"));
    sched_send(g->s, sched_request_create(SCHED_FORGET, g->replies, 8)); /* not its session */
    rig_turn(g);
    assert_int_equal(fake_doris_n_blocked(&g->doris), 1);
    size_t n = g->n_answered;
    sched_send(g->s, sched_request_create(SCHED_FORGET, g->replies, 7));
    rig_until(g, g->n_answered > n);
    assert_level(g, "FE", "canceled", EXPLAIN_ERROR);
    sched_send(g->s, check_request(g, "a", "1", 7));
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    rig_end(g, 0);
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_loading_waits_for_a_runner),
        cmocka_unit_test(test_paused_by_the_user),
        cmocka_unit_test(test_automatic_resume),
        cmocka_unit_test(test_budget_and_rows),
        cmocka_unit_test(test_a_decision_is_wanted),
        cmocka_unit_test(test_waiting_for_the_fe),
        cmocka_unit_test(test_waiting_for_a_label),
        cmocka_unit_test(test_in_doubt),
        cmocka_unit_test(test_odd_name),
        cmocka_unit_test(test_source_fails),
        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_with_problems),
        cmocka_unit_test(test_check_is_canceled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
