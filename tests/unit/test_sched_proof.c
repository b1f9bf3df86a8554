/* How the scheduler finds out what became of a load: windows, witnesses, offset rows, evidence. */
#include <stdio.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "tests/unit/sched_rig.h"

static void assert_words(const char *text, const char *words)
{
    if (text == NULL || strstr(text, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, text != NULL ? text : "nothing");
    }
}

static bool is_in_doubt(const struct rig *g, const char *name)
{
    return rig_job(g, name)->step.phase == PHASE_DOUBT;
}

enum { SHORT_MS = 50 }; /* for sched.send_within_ms */

/* --- transactional ---------------------------------------------------------------------------- */

/* COMMIT was sent, and its answer lost; later Doris has forgotten the label. The row decides. */
static void lose_commit(enum fake_load what, int64_t want_tasks)
{
    struct rig *g = rig_create(false);
    g->s->options.step.label_window_ms = 0; /* no label proves anything */
    SCRIPT(g, FAKE_OK, what);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "3 transactional");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    fake_doris_forget_labels(&g->doris);
    fake_doris_skip_txns(&g->doris, 1000000);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "3"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
    assert_int_equal(rig_job(g, "a")->rec.committed_task_id, want_tasks);
    rig_destroy(g);
}

static void test_lost_commit(void **state)
{
    lose_commit(FAKE_LOST_LOADED, 3);
    lose_commit(FAKE_LOST_ABORTED, 3);
}

/* The same without the guarantee: in doubt, as it must be. */
static void test_lost_label_is_in_doubt(void **state)
{
    struct rig *g = rig_create(false);
    g->s->options.step.label_window_ms = 0;
    SCRIPT(g, FAKE_OK, FAKE_LOST_LOADED);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "3");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    fake_doris_forget_labels(&g->doris);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, is_in_doubt(g, "a"));
    rig_destroy(g);
}

/* Crash with the COMMIT under way. */
static void test_lost_commit_and_crash(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_LOST_LOADED);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "2 transactional");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    rig_crash(g);
    fake_doris_forget_labels(&g->doris);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_destroy(g);
}

/* Nothing is asked of a label whose connection closed before COMMIT. */
static void test_rolled_back_is_tried_again(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_ROLLED_BACK);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1 transactional");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    assert_int_equal(rig_job(g, "a")->rec.committed_task_id, 1);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_destroy(g);
}

/* --- the time between a proof and what is sent by it ------------------------------------------- */

/* The statement whose answer was lost: Doris begins it now, and soon has forgotten its label. */
static void arrive_late(struct rig *g, int table, int64_t unit)
{
    pthread_mutex_lock(&g->doris.lock);
    g->doris.rows[table][unit]++;
    pthread_mutex_unlock(&g->doris.lock);
    fake_doris_forget_labels(&g->doris);
    fake_doris_skip_txns(&g->doris, 1000000);
}

static bool waits_for_a_thread(const struct rig *g, const char *name)
{
    const struct job *j = rig_job(g, name);
    return j->step.phase == PHASE_LOADING && j->run != NULL &&
           !run_pool_has_begun(g->s->pool, j->run);
}

/* A lost load of "a" is to be sent again, and other loads have all threads that loads may have. */
static struct rig *send_again_in_line(void)
{
    struct rig *g = rig_create(false);
    g->s->send_within_ms = SHORT_MS;
    SCRIPT(g, FAKE_LOST_UNSEEN, FAKE_BLOCKED, FAKE_BLOCKED);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    rig_create_job(g, "b", "e", 1, "1");
    rig_create_job(g, "c", "e", 2, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 2);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, waits_for_a_thread(g, "a"));
    return g;
}

/* "Not loaded" was true when it was asked; by the time that a thread is free it is not. */
static void test_a_proof_is_not_used_much_later(void **state)
{
    struct rig *g = send_again_in_line();
    int64_t then_ms = clock_mono_ms();
    rig_until(g, clock_mono_ms() - then_ms > 2 * SHORT_MS);
    arrive_late(g, 0, 1);
    fake_doris_let_go(&g->doris);
    rig_until(g, is_in_doubt(g, "a") || rig_has_offset(g, "a", "1"));
    assert_true(is_in_doubt(g, "a"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    rig_destroy(g);
}

/* As soon as there is one it is sent, once it was asked about again. */
static void test_a_load_that_waited_too_long_is_sent_yet(void **state)
{
    struct rig *g = send_again_in_line();
    int64_t then_ms = clock_mono_ms();
    rig_until(g, clock_mono_ms() - then_ms > 2 * SHORT_MS);
    fake_doris_let_go(&g->doris);
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    assert_int_equal(rig_job(g, "a")->rec.committed_task_id, 1);
    rig_destroy(g);
}

/* --- the window by count ---------------------------------------------------------------------- */

/* A load of "a" that was committed and whose answer was lost; then others begin n transactions. */
static struct rig *lose_and_count(int64_t n, int64_t label_num)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "first", "x", 3, "1"); /* ids are heard of from the beginning */
    rig_until(g, rig_has_offset(g, "first", "1"));
    fake_doris_set_memory(&g->doris, 0, label_num);
    SCRIPT(g, FAKE_LOST_UNSEEN);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    fake_doris_skip_txns(&g->doris, n);
    rig_create_job(g, "b", "e", 1, "1"); /* another database: no witness, but an id */
    rig_until(g, rig_has_offset(g, "b", "1"));
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, is_in_doubt(g, "a") || rig_has_offset(g, "a", "1"));
    return g;
}

static void test_few_transactions_prove(void **state)
{
    struct rig *g = lose_and_count(400, 0);
    assert_true(rig_has_offset(g, "a", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    rig_destroy(g);
}

static void test_many_transactions_do_not(void **state)
{
    struct rig *g = lose_and_count(500, 0);
    assert_true(is_in_doubt(g, "a"));
    assert_words(rig_job(g, "a")->rec.fail_msg, "501 transactions were seen since the last proof");
    rig_destroy(g);
}

static void test_what_the_fe_remembers_counts(void **state)
{
    struct rig *g = lose_and_count(400, 400);
    assert_true(is_in_doubt(g, "a"));
    assert_words(rig_job(g, "a")->rec.fail_msg, "fewer than 100 transactions (a quarter of the FE");
    rig_destroy(g);
    g = lose_and_count(4000, 20000);
    assert_true(rig_has_offset(g, "a", "1"));
    rig_destroy(g);
}

/* What UNKNOWN means depends on how much the FE remembers: nothing, as long as that cannot be read. */
static void test_no_window_no_judgement(void **state)
{
    enum { MANY = 100000 };
    struct rig *g = rig_create(false);
    rig_create_job(g, "first", "x", 3, "1");
    rig_until(g, rig_has_offset(g, "first", "1"));
    fake_doris_set_memory(&g->doris, 0, 400);
    SCRIPT(g, FAKE_LOST_UNSEEN);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    fake_doris_skip_txns(&g->doris, 200); /* too many for this FE, few for one with the default */
    rig_create_job(g, "b", "e", 1, "1");
    rig_until(g, rig_has_offset(g, "b", "1"));
    rig_crash(g);
    fake_doris_set_outage(&g->doris, MANY);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, fake_doris_outage(&g->doris) < MANY - 5 || rig_has_offset(g, "a", "1"));
    fake_doris_set_outage(&g->doris, 0);
    rig_until(g, is_in_doubt(g, "a") || rig_has_offset(g, "a", "1"));
    assert_true(is_in_doubt(g, "a"));
    rig_destroy(g);
}

/* An FE that keeps a label or two: what it does not know after a restart may have been loaded. */
static void test_an_fe_that_keeps_next_to_nothing(void **state)
{
    for (int64_t n = 1; n < 4; n++) {
        struct rig *g = rig_create(false);
        fake_doris_set_memory(&g->doris, 0, n);
        SCRIPT(g, FAKE_LOST_UNSEEN);
        fake_doris_set_deaf(&g->doris, "d");
        rig_create_job(g, "a", "d", 0, "1");
        rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
        rig_crash(g);
        fake_doris_set_deaf(&g->doris, NULL);
        rig_until(g, is_in_doubt(g, "a") || rig_has_offset(g, "a", "1"));
        assert_true(is_in_doubt(g, "a"));
        rig_destroy(g);
    }
}

static void test_the_count_survives_a_restart(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "first", "x", 3, "1");
    rig_until(g, rig_has_offset(g, "first", "1"));
    fake_doris_skip_txns(&g->doris, 7);
    rig_create_job(g, "b", "e", 1, "1");
    rig_until(g, rig_has_offset(g, "b", "1"));
    int64_t newest = g->s->newest_txn;
    assert_true(newest >= 9);
    fake_doris_set_deaf(&g->doris, "d");
    SCRIPT(g, FAKE_LOST_UNSEEN);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    rig_crash(g);
    assert_int_equal(g->s->newest_txn, newest);
    assert_int_equal(rig_job(g, "a")->step.proof_txn, newest);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "1"));
    rig_destroy(g);
}

/* The FE came back from an old image, and gives out ids that were given out before. */
static void test_an_fe_that_went_back(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_skip_txns(&g->doris, 1000);
    rig_create_job(g, "first", "x", 3, "1");
    rig_until(g, rig_has_offset(g, "first", "1"));
    SCRIPT(g, FAKE_LOST_UNSEEN);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    fake_doris_skip_txns(&g->doris, -500);
    rig_create_job(g, "b", "e", 1, "1");
    rig_until(g, rig_has_offset(g, "b", "1"));
    assert_true(g->s->newest_txn < 1000);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, is_in_doubt(g, "a"));
    rig_destroy(g);
}

static void test_window_of_the_fe_by_time(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_memory(&g->doris, 10, 0);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "a", "1") && rig_job(g, "a")->trace.plan == PLAN_EMPTY);
    assert_int_equal(rig_job(g, "a")->step.fe_window_ms, 2500);
    rig_destroy(g);
}

/* --- the witness ------------------------------------------------------------------------------ */

static int64_t witness_of(const struct rig *g, const char *name)
{
    return rig_job(g, name)->witness.job_id;
}

/* The newest success of the database before the INTENT, of whichever job; also after a restart. */
static void test_witness_of_another_job(void **state)
{
    struct rig *g = rig_create(false);
    g->s->options.step.label_window_ms = 0; /* nothing but the witness can tell */
    rig_create_job(g, "w", "d", 1, "2"); /* after a restart the first is one: a second had begun */
    rig_until(g, rig_has_offset(g, "w", "2"));
    rig_create_job(g, "x", "e", 2, "1"); /* newer, but of another database */
    rig_until(g, rig_has_offset(g, "x", "1"));
    rig_until(g, clock_wall_ms() > rig_job(g, "w")->tasks[0]->rec.finish_ms);
    fake_doris_set_deaf(&g->doris, "d");
    SCRIPT(g, FAKE_LOST_UNSEEN);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    assert_int_equal(witness_of(g, "a"), rig_job(g, "w")->rec.id);
    assert_int_equal(rig_job(g, "a")->witness.task_id, 2);
    rig_crash(g);
    g->s->options.step.label_window_ms = 0;
    assert_int_equal(witness_of(g, "a"), rig_job(g, "w")->rec.id);
    assert_int_equal(rig_job(g, "a")->witness.task_id,
                     1); /* of 2 no record tells that it was first */
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    rig_destroy(g);
}

/* One that ended after the INTENT is no witness: it is remembered longer than the task's label. */
static void test_later_success_is_no_witness(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    rig_create_job(g, "w", "d", 1, "1");
    rig_until(g, rig_has_offset(g, "w", "1"));
    assert_int_equal(witness_of(g, "a"), 0);
    assert_false(rig_job(g, "a")->step.has_witness);
    rig_crash(g);
    assert_false(rig_job(g, "a")->step.has_witness);
    rig_destroy(g);
}

/* Nor when the FE has come back from an old image since, and ids tell no order any more. */
static void test_later_success_of_an_fe_that_went_back(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_skip_txns(&g->doris, 1000);
    rig_create_job(g, "h", "e", 2, "1");
    rig_until(g, rig_has_offset(g, "h", "1"));
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    fake_doris_skip_txns(&g->doris, -900);
    rig_create_job(g, "w", "d", 1, "2");
    rig_until(g, rig_has_offset(g, "w", "2"));
    assert_false(rig_job(g, "a")->step.has_witness);
    rig_crash(g);
    assert_false(rig_job(g, "a")->step.has_witness);
    rig_destroy(g);
}

/* --- evidence --------------------------------------------------------------------------------- */

static void test_evidence(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "w", "d", 1, "1");
    rig_until(g, rig_has_offset(g, "w", "1"));
    SCRIPT(g, FAKE_LOST_LOADED);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "2 batch=2");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    fake_doris_forget_labels(&g->doris);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, is_in_doubt(g, "a"));
    const char *text = rig_job(g, "a")->rec.fail_msg;
    assert_words(text, "range 1-2");
    assert_words(text, "Of its label, Doris said UNKNOWN at ");
    assert_words(text, "Of label ");
    assert_words(text, "1 min (scheduler.label_window)");
    struct job_view *v = sched_job_view(rig_job(g, "a"));
    assert_words(v->evidence, "Task 1, range 1-2, label ");
    assert_words(v->evidence, "Doris said UNKNOWN");
    _cleanup_free_ char *before = xstrdup(v->evidence);
    job_view_unref(v);
    rig_crash(g);
    v = sched_job_view(rig_job(g, "a"));
    assert_string_equal(v->evidence, before); /* as it was stored */
    job_view_unref(v);
    assert_string_equal(rig_resolve(g, "a", 1, true), "");
    v = sched_job_view(rig_job(g, "a"));
    assert_null(v->evidence);
    job_view_unref(v);
    rig_destroy(g);
}

/* --- many at once ----------------------------------------------------------------------------- */

/* 100 loads that hang keep nobody from planning, asking and loading. */
static void test_a_hundred_loads_in_flight(void **state)
{
    enum { N = 100 };
    struct rig *g = rig_create(false);
    rig_set_runners(g, 128);
    g->s->options.max_jobs = 2 * N;
    assert_int_equal(run_pool_n_threads(g->s->pool), 1); /* made when they are needed */
    enum fake_load loads[FAKE_SCRIPT];
    for (int i = 0; i < FAKE_SCRIPT; i++) {
        loads[i] = FAKE_BLOCKED;
    }
    fake_doris_script(&g->doris, loads, FAKE_SCRIPT);
    for (int i = 0; i < N; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "j%d", i);
        rig_create_job(g, name, "d", i, "1");
    }
    rig_until(g, fake_doris_n_blocked(&g->doris) == N);
    assert_in_range(run_pool_n_threads(g->s->pool), N, 128);
    fake_doris_script(&g->doris, NULL, 0);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "j0"), ""); /* killed, asked, canceled */
    rig_until(g, rig_job(g, "j0")->task.id == 0);
    assert_string_equal(rig_change(g, SCHED_RESUME, "j0"), "");
    rig_until(g, rig_has_offset(g, "j0", "1"));
    fake_doris_let_go(&g->doris);
    for (int i = 0; i < N; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "j%d", i);
        rig_until(g, rig_has_offset(g, name, "1"));
        assert_true(fake_doris_has_exactly(&g->doris, i, 1));
    }
    rig_destroy(g);
}

/* Of 8 runners loads have 5: a job that is not loading plans and is asked for at once. */
static void test_loads_leave_threads_to_others(void **state)
{
    enum { N = 8 };
    struct rig *g = rig_create(false);
    rig_set_runners(g, N);
    g->s->options.max_jobs = 2 * N;
    SCRIPT(g, FAKE_BLOCKED, FAKE_BLOCKED, FAKE_BLOCKED, FAKE_BLOCKED, FAKE_BLOCKED, FAKE_BLOCKED,
           FAKE_BLOCKED, FAKE_BLOCKED);
    for (int i = 0; i < N; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "j%d", i);
        rig_create_job(g, name, "d", i, "1"); /* the check finds a thread, too */
    }
    rig_until(g, fake_doris_n_blocked(&g->doris) == 5 &&
                     rig_job(g, "j7")->step.phase == PHASE_LOADING);
    assert_int_equal(run_pool_n_busy(g->s->pool), N);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "j0"), "");
    rig_until(g, rig_job(g, "j0")->task.id == 0);
    fake_doris_let_go(&g->doris);
    for (int i = 1; i < N; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "j%d", i);
        rig_until(g, rig_has_offset(g, name, "1"));
    }
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_commit),
        cmocka_unit_test(test_lost_label_is_in_doubt),
        cmocka_unit_test(test_lost_commit_and_crash),
        cmocka_unit_test(test_rolled_back_is_tried_again),
        cmocka_unit_test(test_a_proof_is_not_used_much_later),
        cmocka_unit_test(test_a_load_that_waited_too_long_is_sent_yet),
        cmocka_unit_test(test_few_transactions_prove),
        cmocka_unit_test(test_many_transactions_do_not),
        cmocka_unit_test(test_what_the_fe_remembers_counts),
        cmocka_unit_test(test_no_window_no_judgement),
        cmocka_unit_test(test_an_fe_that_keeps_next_to_nothing),
        cmocka_unit_test(test_the_count_survives_a_restart),
        cmocka_unit_test(test_an_fe_that_went_back),
        cmocka_unit_test(test_window_of_the_fe_by_time),
        cmocka_unit_test(test_witness_of_another_job),
        cmocka_unit_test(test_later_success_is_no_witness),
        cmocka_unit_test(test_later_success_of_an_fe_that_went_back),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_a_hundred_loads_in_flight),
        cmocka_unit_test(test_loads_leave_threads_to_others),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
