/*
 * The scheduler as a whole: its loop, runners and store, against a Doris and a source that are
 * faked (sched_fakes.h), under the checks of sched_rig.h.
 */
#include <event2/event.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "tests/unit/heard.h"
#include "tests/unit/sched_rig.h"

static void test_stream(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "5");
    rig_until(g, rig_has_offset(g, "a", "5"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 5));
    assert_int_equal(rig_job(g, "a")->rec.last_task_id, 5);
    assert_int_equal(rig_job(g, "a")->rec.n_succeeded, 5);
    rig_destroy(g);
}

static void test_end_of_source(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "e2");
    rig_until(g, rig_job(g, "a")->step.state == JOB_FINISHED);
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->step.state, JOB_FINISHED);
    assert_string_not_equal(rig_change(g, SCHED_RESUME, "a"), "");
    assert_string_equal(rig_change(g, SCHED_DROP, "a"), "");
    rig_destroy(g);
}

/* Each kind of answer, first to a job without a witness, then to one that has one. */
static void test_every_answer(void **state)
{
    for (int what = 0; what < N_FAKE_RANDOM; what++) {
        struct rig *g = rig_create(false);
        SCRIPT(g, what, FAKE_OK, what, what);
        rig_create_job(g, "a", "d", 0, "3 pause");
        if (what == FAKE_BAD_ROWS) { /* no such job goes on by itself */
            for (int i = 0; i < 3; i++) {
                rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_TOO_MANY_ROWS);
                assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
            }
        }
        rig_until(g, rig_has_offset(g, "a", "3"));
        assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
        rig_destroy(g);
    }
}

static void test_outage_before_planning(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_outage(&g->doris, 3);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_int_equal(rig_job(g, "a")->rec.n_failed, 0);
    rig_destroy(g);
}

/* The n-th write is refused once, for every n; nothing is lost or doubled. */
static void test_store_fails_anywhere(void **state)
{
    int64_t n_writes = 1000;
    for (int64_t n = 2; n <= n_writes; n++) {
        struct rig *g = rig_create(false);
        SCRIPT(g, FAKE_LOST_LOADED, FAKE_REFUSED, FAKE_REFUSED, FAKE_OK, FAKE_EMPTY);
        rig_create_job(g, "a", "d", 0, "3");
        g->store.fail_from = n;
        g->store.fail_to = n + n % 3; /* and, sometimes, those after it */
        rig_until(g, rig_has_offset(g, "a", "3"));
        assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
        assert_int_equal(rig_job(g, "a")->step.state, JOB_RUNNING);
        n_writes = n < g->store.n_writes ? n_writes : n;
        rig_destroy(g);
    }
    assert_true(n_writes > 8);
}

/* Killed right before or right after the n-th write, for every n. */
static void test_crash_anywhere(void **state)
{
    int64_t n_writes = 1000;
    for (int64_t n = 2; n <= n_writes; n++) {
        for (int late = 0; late < 2; late++) {
            struct rig *g = rig_create(false);
            SCRIPT(g, FAKE_LOST_LOADED, FAKE_COMMITTED, FAKE_LOST_UNSEEN, FAKE_LOST_PREPARED);
            rig_create_job(g, "a", "d", 0, "4");
            g->store.is_late = late != 0;
            g->store.fail_from = n;
            g->store.fail_to = INT64_MAX;
            rig_until(g, g->store.n_writes >= n || rig_has_offset(g, "a", "4"));
            if (g->store.n_writes < n) {
                n_writes = n;
            }
            rig_crash(g);
            rig_until(g, rig_has_offset(g, "a", "4"));
            assert_true(fake_doris_has_exactly(&g->doris, 0, 4));
            rig_destroy(g);
        }
    }
    assert_true(n_writes > 8);
}

static void test_pause_cancels_and_resume_goes_on(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_OK, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "3");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    assert_string_not_equal(rig_change(g, SCHED_RESUME, "a"), "");
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    assert_string_not_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    rig_until(g, rig_job(g, "a")->run == NULL && rig_job(g, "a")->task.id == 0);
    assert_int_equal(rig_job(g, "a")->rec.n_canceled, 1);
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_MANUAL_PAUSE);
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_MANUAL_PAUSE);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "3"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
    assert_int_equal(rig_job(g, "a")->rec.last_task_id, 4);
    rig_destroy(g);
}

/* A refused PAUSE changes nothing, and an accepted one writes once. */
static void test_pause_is_stored_or_refused(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    int64_t n = g->store.n_writes;
    g->store.fail_from = n + 1;
    g->store.fail_to = n + 1;
    assert_string_not_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    assert_int_equal(rig_job(g, "a")->step.state, JOB_RUNNING);
    assert_false(cancel_is_raised(&rig_job(g, "a")->run->cancel));
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    assert_int_equal(g->store.n_writes, n + 2);
    rig_destroy(g);
}

static void test_resume_while_the_canceled_load_still_runs(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_BLOCKED, FAKE_NOT_SENT);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    struct sched_request *pause = rig_request(g, SCHED_PAUSE, "a");
    struct sched_request *resume = rig_request(g, SCHED_RESUME, "a");
    pause->job_id = resume->job_id = rig_job(g, "a")->rec.id;
    sched_send(g->s, pause);
    sched_send(g->s, resume);
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_destroy(g);
}

static void test_drop_with_a_load_under_way(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    assert_string_equal(rig_change(g, SCHED_DROP, "a"), "");
    assert_int_equal(g->s->n_jobs, 0);
    rig_create_job(g, "a", "d", 1, "2"); /* the name is free, the other run may still be going */
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 0));
    rig_destroy(g);
}

static void test_doubt_and_resolve(void **state)
{
    struct rig *g = rig_create(false);
    g->step.label_window_ms = 0;
    rig_end(g, 0);
    rig_begin(g);
    for (int is_committed = 0; is_committed < 2; is_committed++) {
        const char *name = is_committed ? "b" : "a";
        SCRIPT(g, is_committed ? FAKE_LOST_LOADED : FAKE_LOST_UNSEEN);
        if (is_committed) {
            fake_doris_set_deaf(&g->doris, "d");
        }
        rig_create_job(g, name, "d", is_committed, "2");
        if (is_committed) {
            rig_until(g, rig_job(g, name)->step.phase == PHASE_WAITING);
            fake_doris_forget_labels(&g->doris);
            fake_doris_set_deaf(&g->doris, NULL);
        }
        rig_until(g, rig_job(g, name)->step.phase == PHASE_DOUBT);
        assert_non_null(strstr(rig_job(g, name)->rec.fail_msg, "range 1"));
        assert_string_equal(rig_change(g, SCHED_RESUME, name), ""); /* asks again, in vain */
        rig_until(g, rig_job(g, name)->step.phase == PHASE_DOUBT);
        rig_crash(g);
        assert_int_equal(rig_job(g, name)->step.phase, PHASE_DOUBT);
        assert_string_not_equal(rig_resolve(g, name, 7, true), "");
        g->store.fail_from = g->store.n_writes + 1;
        g->store.fail_to = g->store.fail_from;
        assert_string_not_equal(rig_resolve(g, name, 1, is_committed != 0), "");
        rig_until(g, rig_job(g, name)->step.phase == PHASE_DOUBT);
        assert_string_equal(rig_resolve(g, name, 1, is_committed != 0), "");
        assert_int_equal(rig_job(g, name)->step.fail_code, FAIL_MANUAL_PAUSE);
        assert_string_not_equal(rig_resolve(g, name, 1, true), "");
        assert_string_equal(rig_change(g, SCHED_RESUME, name), "");
        rig_until(g, rig_has_offset(g, name, "2"));
        assert_true(fake_doris_has_exactly(&g->doris, is_committed, 2));
    }
    rig_destroy(g);
}

static void test_names_and_limits(void **state)
{
    struct rig *g = rig_create(false);
    g->max_jobs = 2;
    rig_end(g, 0);
    rig_begin(g);
    sched_send(g->s, rig_create_request(g, "a", "d", 0, "1"));
    sched_send(g->s, rig_create_request(g, "a", "d", 0, "1"));
    sched_send(g->s, rig_create_request(g, "b", "d", 0, "1")); /* two are being checked */
    rig_until(g, g->n_answered == 3);
    int n_ok = 0;
    for (struct sched_request *r = g->answered; r != NULL;
         r = (struct sched_request *)r->call.m.next) {
        n_ok += r->is_ok;
    }
    assert_int_equal(n_ok, 1);
    assert_int_equal(g->s->n_jobs, 1);
    assert_int_equal(g->s->n_checks, 0);
    struct sched_request *other = rig_create_request(g, "c", "d", 0, "1");
    free(other->spec->insert.tvf);
    other->spec->insert.tvf = xstrdup("kafka");
    assert_string_equal(rig_ask(g, other),
                        "errCode = 2, detailMessage = Unsupported tvf type:kafka. A streaming job "
                        "loads from S3(...)");
    assert_non_null(strstr(rig_change(g, SCHED_DROP, "nobody"), "job not exist"));
    rig_destroy(g);
}

/* A job whose label cannot be asked holds up its own database, and no other. */
static void test_recovery_comes_first(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    rig_create_job(g, "b", "d", 1, "1");
    rig_until(g, rig_has_offset(g, "b", "1"));
    rig_create_job(g, "c", "other", 2, "1");
    rig_until(g, rig_has_offset(g, "c", "1"));
    rig_crash(g);
    fake_doris_set_deaf(&g->doris, "d");
    rig_crash(g);
    rig_until(g, rig_job(g, "b")->is_held && rig_job(g, "c")->step.phase == PHASE_IDLE &&
                     wheel_timer_is_set(&rig_job(g, "c")->timer) &&
                     rig_job(g, "c")->runtime_msg != NULL);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "b"), "");
    assert_false(rig_job(g, "b")->is_held);
    assert_string_equal(rig_change(g, SCHED_RESUME, "b"), "");
    rig_until(g, rig_job(g, "b")->is_held);
    assert_string_equal(rig_change(g, SCHED_DROP, "a"), ""); /* one way out */
    assert_false(rig_job(g, "b")->is_held);
    rig_until(g, rig_job(g, "b")->step.phase == PHASE_IDLE);
    rig_destroy(g);
}

static void test_stored_sql_that_is_not_understood(void **state)
{
    struct rig *g = rig_create(false);
    rig_end(g, LONG_DRAIN_MS);
    struct store *st = must_open(&g->file);
    struct job_record bad = sample_job(1, "a");
    struct err err = {0};
    bad.sql = (char *)"bad";
    assert_int_equal(store_sqlite_ops.job_insert(st, &bad, &err), STORE_OK);
    store_sqlite_ops.close(st);
    rig_begin(g);
    assert_int_equal(rig_job(g, "a")->step.state, JOB_PAUSED);
    assert_non_null(strstr(rig_change(g, SCHED_RESUME, "a"), "not understood"));
    assert_string_equal(rig_ask(g, rig_request(g, SCHED_SNAPSHOT, "")), "");
    assert_int_equal(g->answered->snapshot->n_jobs, 1);
    assert_string_equal(rig_change(g, SCHED_DROP, "a"), "");
    rig_destroy(g);
}

/* Runs that hang, runs that wait for a thread, a check: all end soon, all are answered. */
static void test_stop_with_everything_under_way(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    fake_doris_set_check_stuck(&g->doris, true);
    for (int i = 0; i < 3; i++) {
        sched_send(g->s, rig_create_request(g, "b", "d", 1, "1"));
    }
    rig_until(g, fake_doris_n_blocked(&g->doris) == 2);
    size_t n = g->n_answered;
    int64_t before_ms = clock_mono_ms();
    rig_end(g, 100);
    assert_true(clock_mono_ms() - before_ms < DEADLINE_MS);
    (void)event_base_loop(g->base, EVLOOP_NONBLOCK);
    assert_int_equal(g->n_answered, n + 3);
    assert_int_equal(g->answered->err.code, ERR_SERVER_SHUTDOWN);
    fake_doris_set_check_stuck(&g->doris, false);
    rig_begin(g);
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    rig_destroy(g);
}

/* Statements that find all threads taken wait for a bounded time, are told why, and do nothing. */
static void test_statements_do_not_wait_forever(void **state)
{
    struct rig *g = rig_create(false);
    g->s->longest_wait_ms = 200;
    fake_doris_set_check_stuck(&g->doris, true);
    sched_send(g->s, rig_create_request(g, "a", "d", 0, "1"));
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    int64_t before_ms = clock_mono_ms();
    sched_send(g->s, rig_create_request(g, "b", "d", 1, "1"));
    sched_send(g->s, rig_create_request(g, "c", "d", 2, "1"));
    rig_until(g, g->n_answered == 2);
    assert_true(clock_mono_ms() - before_ms >= 200);
    for (struct sched_request *r = g->answered; r != NULL;
         r = (struct sched_request *)r->call.m.next) {
        assert_false(r->is_ok);
        assert_non_null(strstr(r->err.msg, "no thread was free"));
        assert_non_null(strstr(r->err.msg, "scheduler.runners"));
    }
    assert_int_equal(g->s->n_checks, 1); /* the one that has begun has its own deadline */
    fake_doris_set_check_stuck(&g->doris, false);
    fake_doris_let_go(&g->doris);
    rig_until(g, g->n_answered == 3);
    assert_int_equal(g->s->n_jobs, 1);
    rig_until(g, rig_has_offset(g, "a", "1"));
    rig_create_job(g, "b", "d", 1, "1"); /* the names are free */
    rig_until(g, rig_has_offset(g, "b", "1"));
    rig_destroy(g);
}

/* --- the log ------------------------------------------------------------------------------------ */

/* PAUSED, and its task cannot be decided for hours: told once, and again when it can. */
static void test_what_does_not_change_is_logged_once(void **state)
{
    struct rig *g = rig_create(false);
    struct heard log = heard_begin();
    SCRIPT(g, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    fake_doris_set_deaf(&g->doris, "d");
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    rig_until(g, rig_job(g, "a")->step.n_waits >= 4);
    int n_labels_deaf = heard_lines(&log, "task.label", NULL, NULL);
    int n_unreachable = heard_lines(&log, "state=UNREACHABLE", NULL, NULL);
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_job(g, "a")->task.id == 0);
    int n_labels = heard_lines(&log, "task.label", NULL, NULL);
    int n_aborted = heard_lines(&log, "state=ABORTED", NULL, NULL);
    fake_doris_set_outage(&g->doris, 4); /* an outage of the FE, seen while planning */
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "1"));
    int n_outages = heard_lines(&log, "job.waiting ", NULL, NULL);
    heard_end(&log); /* from here on a failure can be seen */
    assert_int_equal(n_unreachable, 1);
    assert_int_equal(n_labels_deaf, 1);
    assert_int_equal(n_aborted, 1);
    assert_int_equal(n_labels, 2);
    assert_int_equal(n_outages, 1);
    rig_destroy(g);
}

/* --- at random -------------------------------------------------------------------------------- */

static void random_script(struct rig *g, unsigned *seed)
{
    enum fake_load loads[FAKE_SCRIPT];
    for (size_t i = 0; i < FAKE_SCRIPT; i++) {
        unsigned r = (unsigned)rand_r(seed);
        loads[i] = r % 3 == 0 ? (enum fake_load)(r / 3 % N_FAKE_RANDOM) : FAKE_OK;
    }
    fake_doris_script(&g->doris, loads, 24);
}

/* Whatever it has open; refused when that is nothing. */
static void cancel_task(struct rig *g, const char *name)
{
    struct sched_request *r = rig_request(g, SCHED_CANCEL, name);
    r->job_id = rig_job(g, name)->rec.id;
    r->task_id = rig_job(g, name)->task.id;
    (void)rig_ask(g, r);
}

static void disturb(struct rig *g, const char *name, unsigned *seed)
{
    switch (rand_r(seed) % 9) {
    case 8: cancel_task(g, name); break;
    case 0: (void)rig_change(g, SCHED_PAUSE, name); break;
    case 1: (void)rig_change(g, SCHED_RESUME, name); break;
    case 2:
        g->store.fail_from = g->store.n_writes + 1;
        g->store.fail_to = g->store.fail_from + rand_r(seed) % 3;
        break;
    case 3: rig_crash(g); break;
    default: rig_turn(g); break;
    }
}

static bool is_done(struct rig *g, const char *name)
{
    if (rig_job(g, name)->step.is_canceled && rig_job(g, name)->step.state != JOB_PAUSED) {
        (void)rig_change(g, SCHED_PAUSE, name); /* or it waits for a straggler for a minute */
    }
    if (rig_job(g, name)->step.state == JOB_PAUSED &&
        !step_is_resumable(rig_job(g, name)->step.fail_code)) {
        (void)rig_change(g, SCHED_RESUME, name);
    }
    if (rig_job(g, name)->n_bad > 0) {
        (void)rig_file(g, name, NULL, true); /* refused by chance, which it is not for ever */
    }
    return rig_has_offset(g, name, "6") && rig_job(g, name)->n_bad == 0;
}

static void test_random(void **state)
{
    static const char *const jobs[] = {"6", "6 pause", "6 batch=4 tracked", "6 transactional",
                                       "6 batch=6 transactional"};
    for (unsigned seed = 1; seed <= 25; seed++) {
        unsigned r = seed;
        struct rig *g = rig_create(false);
        random_script(g, &r);
        rig_create_job(g, "a", "d", 0, jobs[seed % ARRAY_SIZE(jobs)]);
        rig_create_job(g, "b", "d", 1, jobs[seed / 2 % ARRAY_SIZE(jobs)]);
        for (int i = 0; i < 40; i++) {
            disturb(g, rand_r(&r) % 2 == 0 ? "a" : "b", &r);
        }
        rig_until(g, is_done(g, "a") && is_done(g, "b"));
        assert_true(fake_doris_has_exactly(&g->doris, 0, 6));
        assert_true(fake_doris_has_exactly(&g->doris, 1, 6));
        rig_destroy(g);
    }
}

/*
 * The clock was ahead when "a" was made: until it has caught up, ids cannot be told by it. Nor may
 * they be counted up, or "c" has the labels of "b", which is gone, and Doris remembers them.
 */
static void test_ids_of_jobs_are_never_used_again(void **state)
{
    struct rig *g = rig_create(false);
    struct job_record ahead = sample_job(INT64_C(5000000000000000000), "a");
    ahead.sql = (char *)"bad, and so it stays as it is";
    rig_end(g, LONG_DRAIN_MS);
    struct store *st = must_open(&g->file);
    assert_int_equal(ops->job_insert(st, &ahead, &g->file.err), STORE_OK);
    ops->close(st);
    rig_begin(g);
    rig_create_job(g, "b", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "b", "1"));
    int64_t first_id = rig_job(g, "b")->rec.id;
    assert_true(first_id > ahead.id);
    assert_string_equal(rig_change(g, SCHED_DROP, "b"), "");
    rig_create_job(g, "c", "d", 1, "1");
    assert_true(rig_job(g, "c")->rec.id > ahead.id);
    assert_int_not_equal(rig_job(g, "c")->rec.id, first_id);
    rig_until(g, rig_has_offset(g, "c", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 1, 1));
    rig_destroy(g);
}

/* --- with its own thread ---------------------------------------------------------------------- */

static bool all_have(struct rig *g, int64_t n_tasks)
{
    (void)rig_ask(g, rig_request(g, SCHED_SNAPSHOT, ""));
    const struct snapshot *snap = g->answered->snapshot;
    bool is_done = true;
    for (size_t i = 0; i < snap->n_jobs; i++) {
        is_done &= snap->jobs[i]->rec.n_succeeded >= n_tasks;
    }
    return is_done;
}

static void test_threads(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct rig *g = rig_create(true);
    unsigned seed = 1;
    random_script(g, &seed);
    for (int i = 0; i < (int)ARRAY_SIZE(names); i++) {
        rig_create_job(g, names[i], i % 2 == 0 ? "d" : "e", i, "6 pause");
    }
    for (int i = 0; i < 60; i++) {
        (void)rig_change(g, i % 2 == 0 ? SCHED_PAUSE : SCHED_RESUME,
                         names[i / 2 % (int)ARRAY_SIZE(names)]);
    }
    for (int i = 0; i < (int)ARRAY_SIZE(names); i++) {
        (void)rig_change(g, SCHED_RESUME, names[i]);
    }
    rig_end(g, LONG_DRAIN_MS);
    fake_doris_script(&g->doris, NULL, 0);
    rig_begin(g);
    for (int i = 0; i < (int)ARRAY_SIZE(names); i++) {
        (void)rig_change(g, SCHED_RESUME, names[i]);
    }
    rig_until(g, all_have(g, 6));
    for (int i = 0; i < (int)ARRAY_SIZE(names); i++) {
        assert_true(fake_doris_has_exactly(&g->doris, i, 6));
    }
    assert_false(g->store.is_wrong);
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_end_of_source),
        cmocka_unit_test(test_every_answer),
        cmocka_unit_test(test_outage_before_planning),
        cmocka_unit_test(test_store_fails_anywhere),
        cmocka_unit_test(test_crash_anywhere),
        cmocka_unit_test(test_pause_cancels_and_resume_goes_on),
        cmocka_unit_test(test_pause_is_stored_or_refused),
        cmocka_unit_test(test_resume_while_the_canceled_load_still_runs),
        cmocka_unit_test(test_drop_with_a_load_under_way),
        cmocka_unit_test(test_doubt_and_resolve),
        cmocka_unit_test(test_names_and_limits),
        cmocka_unit_test(test_recovery_comes_first),
        cmocka_unit_test(test_stored_sql_that_is_not_understood),
        cmocka_unit_test(test_stop_with_everything_under_way),
        cmocka_unit_test(test_statements_do_not_wait_forever),
        cmocka_unit_test(test_what_does_not_change_is_logged_once),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_ids_of_jobs_are_never_used_again),
        cmocka_unit_test(test_threads),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
