/* ALTER JOB and CANCEL TASK in the real scheduler: all of it or nothing, whatever else happens. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "tests/unit/sched_rig.h"

/* A statement that was made for the job as it is now. `offset` NULL: it names none. */
static struct sched_request *alter_request(struct rig *g, const char *name, const char *sql,
                                           const char *units, const char *offset)
{
    struct err err = {0};
    (void)rig_ask(g, rig_request(g, SCHED_FIND, name));
    const struct sched_request *found = g->answered;
    assert_true(found->is_found);
    struct sched_request *r = rig_request(g, SCHED_ALTER, name);
    r->job_id = found->job_id;
    job_record_copy(&found->job, &r->base);
    job_record_copy(&found->job, &r->job);
    if (sql != NULL) {
        free(r->job.sql);
        r->job.sql = xstrdup(sql);
        r->changes_load = true;
    }
    free(r->job.properties);
    r->job.properties = xstrdup(units);
    struct job_record good = r->job;
    good.sql = (char *)"INSERT"; /* what is stored may be "bad", to be found so by the next life */
    assert_true(fake_make_spec(&good, g->interval_s, &r->spec, &err));
    if (offset != NULL) {
        struct job_spec *spec = r->spec;
        spec->props = xrealloc_array(spec->props, spec->n_props + 1, sizeof(*spec->props));
        spec->props[spec->n_props++] =
            (struct spec_prop){.key = xstrdup("offset"), .value = xstrdup(offset)};
        r->moves_offset = true;
    }
    return r;
}

static const char *alter(struct rig *g, const char *name, const char *sql, const char *units,
                         const char *offset)
{
    return rig_ask(g, alter_request(g, name, sql, units, offset));
}

static void cancel_run(struct run *run, void *arg)
{
    (void)arg;
    cancel_raise(&run->cancel);
}

static void assert_says_text(const char *text, const char *what)
{
    if (text == NULL || strstr(text, what) == NULL) {
        print_error("%s", text != NULL ? text : "nothing");
        fail_msg(" lacks \"%s\"", what);
    }
}

/* A job that has loaded `units`, PAUSED, with nothing under way. */
static struct rig *paused_rig(const char *units)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, units);
    rig_until(g, rig_has_offset(g, "a", units));
    rig_until(g, rig_job(g, "a")->run == NULL);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    rig_until(g, rig_job(g, "a")->run == NULL);
    return g;
}

static void test_alter_is_kept_and_used(void **state)
{
    struct rig *g = paused_rig("2");
    assert_string_equal(alter(g, "a", "INSERT 2", "4", NULL), "");
    for (int life = 0; life < 2; life++) {
        const struct job *j = rig_job(g, "a");
        assert_string_equal(j->rec.sql, "INSERT 2");
        assert_string_equal(j->rec.properties, "4");
        assert_string_equal(j->rec.offset, "2");
        assert_int_equal(j->rec.state, JOB_PAUSED);
        assert_int_equal(j->rec.fail_code, FAIL_MANUAL_PAUSE);
        assert_int_equal(j->rec.stat.scanned_rows, 2);
        assert_int_equal(j->rec.n_succeeded, 2);
        rig_crash(g);
    }
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "4"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 4));
    rig_destroy(g);
}

static void test_alter_moves_the_offset(void **state)
{
    struct rig *g = paused_rig("2");
    assert_string_equal(alter(g, "a", NULL, "6", "5"), "");
    assert_string_equal(rig_job(g, "a")->rec.offset, "5");
    assert_int_equal(rig_job(g, "a")->rec.stat.scanned_rows, 2); /* is not reset */
    rig_crash(g);
    assert_string_equal(rig_job(g, "a")->rec.offset, "5");
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "6"));
    assert_int_equal(rig_job(g, "a")->rec.last_task_id, 3);
    assert_int_equal(g->doris.rows[0][5], 0);
    assert_int_equal(g->doris.rows[0][6], 1);
    rig_destroy(g);
}

static void test_alter_is_checked_first(void **state)
{
    struct rig *g = paused_rig("2");
    struct sched_request *r = alter_request(g, "a", "INSERT 2", "3", NULL);
    free(r->spec->insert.tvf);
    r->spec->insert.tvf = xstrdup("kafka");
    assert_says_text(rig_ask(g, r), "Unsupported tvf type:kafka");
    fake_doris_set_check_stuck(&g->doris, true);
    r = alter_request(g, "a", "INSERT 2", "3", NULL);
    size_t n = g->n_answered;
    sched_send(g->s, r);
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    rig_end(g, 0); /* the check is given up, and the statement is answered */
    (void)event_base_loop(g->base, EVLOOP_NONBLOCK);
    assert_int_equal(g->n_answered, n + 1);
    assert_false(g->answered->is_ok);
    fake_doris_set_check_stuck(&g->doris, false);
    rig_begin(g);
    assert_string_equal(rig_job(g, "a")->rec.sql, "INSERT");
    assert_string_equal(rig_job(g, "a")->rec.properties, "2");
    rig_destroy(g);
}

static void test_alter_needs_a_paused_job(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "1");
    assert_says_text(alter(g, "a", NULL, "2", NULL), "Only PAUSED job can be altered");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_says_text(alter(g, "a", NULL, "2", NULL), "Only PAUSED job can be altered");
    assert_string_equal(rig_job(g, "a")->rec.properties, "1");
    rig_destroy(g);
}

/* Of two at once one wins, and the other hears of it. */
static void test_two_alters(void **state)
{
    struct rig *g = paused_rig("1");
    struct sched_request *first = alter_request(g, "a", "INSERT 2", "2", NULL);
    struct sched_request *second = alter_request(g, "a", "INSERT 3", "3", NULL);
    size_t n = g->n_answered;
    sched_send(g->s, first);
    sched_send(g->s, second);
    rig_until(g, g->n_answered == n + 2);
    const struct sched_request *a = g->answered;
    const struct sched_request *b = (struct sched_request *)a->call.m.next;
    assert_int_equal(a->is_ok + b->is_ok, 1);
    assert_says_text(a->is_ok ? b->err.msg : a->err.msg, "has changed while this ALTER JOB was");
    const struct sched_request *winner = a->is_ok ? a : b;
    assert_string_equal(rig_job(g, "a")->rec.sql, winner->job.sql);
    assert_string_equal(rig_job(g, "a")->rec.properties, winner->job.properties);
    /* One that was written for the job as it was before is late, too. */
    struct sched_request *late = alter_request(g, "a", "INSERT 4", "4", NULL);
    assert_string_equal(alter(g, "a", NULL, "5", NULL), "");
    assert_says_text(rig_ask(g, late), "has changed while this ALTER JOB was");
    assert_string_equal(rig_job(g, "a")->rec.properties, "5");
    rig_destroy(g);
}

/* RESUME or DROP while the ALTER is being checked. */
static void test_alter_comes_too_late(void **state)
{
    static const struct {
        enum sched_op op;
        const char *why;
    } cases[] = {{SCHED_RESUME, "Only PAUSED job can be altered"}, {SCHED_DROP, "job not exist"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig *g = paused_rig("1");
        struct sched_request *r = alter_request(g, "a", "INSERT 2", "2", NULL);
        fake_doris_set_check_stuck(&g->doris, true);
        sched_send(g->s, r);
        rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
        assert_string_equal(rig_change(g, cases[i].op, "a"), "");
        size_t n = g->n_answered;
        fake_doris_set_check_stuck(&g->doris, false);
        fake_doris_let_go(&g->doris);
        rig_until(g, g->n_answered > n);
        assert_false(g->answered->is_ok);
        assert_says_text(g->answered->err.msg, cases[i].why);
        if (cases[i].op == SCHED_RESUME) {
            assert_string_equal(rig_job(g, "a")->rec.sql, "INSERT");
        }
        rig_destroy(g);
    }
}

/* Checks of a source that does not answer, as many as there are runners and more: jobs load on. */
static void test_checks_leave_a_runner(void **state)
{
    struct rig *g = paused_rig("2");
    assert_string_equal(alter(g, "a", NULL, "4", NULL), "");
    struct sched_request *checks[N_RUNNERS + 1];
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        checks[i] = alter_request(g, "a", "INSERT 2", "5", NULL);
    }
    size_t n = g->n_answered;
    fake_doris_set_check_stuck(&g->doris, true);
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        sched_send(g->s, checks[i]);
    }
    rig_until(g, fake_doris_n_blocked(&g->doris) >= 1);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "4"));
    assert_int_equal(fake_doris_n_blocked(&g->doris), 1);
    fake_doris_set_check_stuck(&g->doris, false);
    fake_doris_let_go(&g->doris);
    rig_until(g, g->n_answered == n + 1 + ARRAY_SIZE(checks)); /* each gets its turn */
    rig_destroy(g);
}

/* The disk is full, or the process dies, at its write: the job is as before, or as it shall be. */
static void test_alter_is_all_or_nothing(void **state)
{
    for (int late = 0; late < 2; late++) {
        struct rig *g = paused_rig("1");
        g->store.is_late = late != 0;
        g->store.fail_from = g->store.fail_to = g->store.n_writes + 2; /* behind the state's */
        assert_says_text(alter(g, "a", "INSERT 2", "2", "0"), "was not altered");
        assert_string_equal(rig_job(g, "a")->rec.sql, "INSERT");
        assert_string_equal(rig_job(g, "a")->rec.offset, "1");
        rig_crash(g);
        g->store.is_late = false;
        assert_string_equal(rig_job(g, "a")->rec.sql, late ? "INSERT 2" : "INSERT");
        assert_string_equal(rig_job(g, "a")->rec.properties, late ? "2" : "1");
        assert_string_equal(rig_job(g, "a")->rec.offset, late ? "0" : "1");
        assert_string_equal(alter(g, "a", "INSERT 3", "3", "1"), "");
        assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
        rig_until(g, rig_has_offset(g, "a", "3"));
        assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
        rig_destroy(g);
    }
}

/* What an open task loads stays what it is, whichever way it is open. */
static void test_alter_with_a_task_open(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_LOST_UNSEEN);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    assert_says_text(alter(g, "a", "INSERT 2", "1", NULL), "Task 1 of job a");
    assert_says_text(alter(g, "a", NULL, "1", "0"), "is still open");
    assert_string_equal(alter(g, "a", NULL, "2", NULL), ""); /* max_interval, say */
    assert_int_equal(rig_job(g, "a")->task.id, 1);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_destroy(g);
}

/* A job with a task in doubt, LABEL_TAKEN or IN_DOUBT. */
static struct rig *doubtful_rig(enum fail_code code)
{
    struct rig *g = rig_create(false);
    g->step.label_window_ms = 0;
    rig_end(g, 0);
    rig_begin(g);
    SCRIPT(g, FAKE_LOST_UNSEEN);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_DOUBT);
    if (code == FAIL_LABEL_TAKEN) {
        rig_job(g, "a")->step.fail_code = rig_job(g, "a")->rec.fail_code = code;
        struct job_update update = {JOB_PAUSED, code, "taken", 0};
        struct err err = {0};
        assert_int_equal(
            store_sqlite_ops.job_update(g->store.real, rig_job(g, "a")->rec.id, &update, &err),
            STORE_OK);
    }
    return g;
}

static void test_alter_with_a_task_in_doubt(void **state)
{
    struct rig *g = doubtful_rig(FAIL_IN_DOUBT);
    assert_says_text(alter(g, "a", "INSERT 2", "2", NULL), "EXPLAIN JOB `a` shows");
    struct sched_request *r = alter_request(g, "a", NULL, "2", NULL);
    r->changes_rules = true; /* the label decides about this task, not a row it never wrote */
    assert_says_text(rig_ask(g, r), "guarantee, s3.discovery");
    assert_string_equal(alter(g, "a", NULL, "3", NULL), "");
    assert_int_equal(rig_job(g, "a")->step.phase, PHASE_DOUBT);
    g->store.fail_from = g->store.fail_to = g->store.n_writes + 1;
    assert_says_text(rig_resolve(g, "a", 1, false), "was not stored");
    assert_int_equal(rig_job(g, "a")->step.phase, PHASE_DOUBT);
    assert_int_equal(rig_job(g, "a")->rec.fail_code, FAIL_IN_DOUBT);
    assert_says_text(rig_job(g, "a")->rec.fail_msg, "RESOLVE TASK");
    assert_string_equal(rig_resolve(g, "a", 1, false), "");
    assert_string_equal(alter(g, "a", "INSERT 2", "3", NULL), "");
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "3"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
    rig_destroy(g);
}

/* The write of its pause was refused, so the store has the job RUNNING: nobody took it over. */
static void test_alter_when_the_store_is_behind(void **state)
{
    struct rig *g = rig_create(false);
    g->step.label_window_ms = 0;
    rig_end(g, 0);
    rig_begin(g);
    SCRIPT(g, FAKE_LOST_UNSEEN);
    g->store.fail_from = g->store.fail_to = g->store.n_writes + 3; /* CREATE, INTENT, IN_DOUBT */
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_DOUBT);
    assert_int_equal(g->store.n_writes, g->store.fail_to);
    assert_string_equal(alter(g, "a", NULL, "3", NULL), "");
    rig_crash(g);
    assert_string_equal(rig_job(g, "a")->rec.properties, "3");
    assert_int_equal(rig_job(g, "a")->step.phase, PHASE_DOUBT);
    assert_int_equal(rig_job(g, "a")->rec.fail_code, FAIL_IN_DOUBT);
    rig_destroy(g);
}

/* PAUSED by an error that would resume it: from the ALTER on it waits for its user. */
static void test_alter_ends_the_automatic_resume(void **state)
{
    struct rig *g = rig_create(false);
    g->step.resume_delay_ms = 2000; /* longer than until the ALTER below */
    rig_end(g, 0);
    rig_begin(g);
    SCRIPT(g, FAKE_LOST_UNSEEN, FAKE_REFUSED); /* the lost one keeps the task open */
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_INTERNAL);
    assert_int_equal(rig_job(g, "a")->task.id, 1);
    struct sched_request *r = alter_request(g, "a", NULL, "2", NULL);
    r->only_paces = true; /* at once, before it resumes */
    assert_string_equal(rig_ask(g, r), "");
    assert_int_equal(rig_job(g, "a")->step.phase, PHASE_WAITING); /* as with PAUSE */
    int64_t due_ms = clock_mono_ms() + 2100;
    rig_until(g, clock_mono_ms() > due_ms);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(rig_job(g, "a")->step.state, JOB_PAUSED);
        assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_MANUAL_PAUSE);
        assert_string_equal(
            rig_job(g, "a")->rec.fail_msg,
            "The job was altered; RESUME JOB goes on (before: refused; task 1, range 1)");
        assert_string_equal(sched_job_pause_text(rig_job(g, "a")), "after ALTER JOB");
        assert_int_equal(g->s->counters.paused[FAIL_MANUAL_PAUSE], 1);
        rig_crash(g);
    }
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_destroy(g);
}

/* Neither the source nor the FE is asked when nothing is changed that they know of. */
static void test_alter_of_the_pace_asks_nobody(void **state)
{
    struct rig *g = paused_rig("1");
    fake_doris_set_check_stuck(&g->doris, true);
    struct sched_request *r = alter_request(g, "a", NULL, "2", NULL);
    r->only_paces = true;
    assert_string_equal(rig_ask(g, r), "");
    assert_int_equal(fake_doris_n_blocked(&g->doris), 0);
    assert_string_equal(rig_job(g, "a")->rec.properties, "2");
    r = alter_request(g, "a", NULL, "no number", NULL); /* what it says is checked all the same */
    r->only_paces = true;
    assert_says_text(rig_ask(g, r), "units: no number");
    assert_string_equal(rig_job(g, "a")->rec.properties, "2");

    r = alter_request(g, "a", "INSERT 2", "2", NULL);
    sched_send(g->s, r);
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    size_t n = g->n_answered;
    run_pool_each_busy(g->s->pool, cancel_run, NULL);
    rig_until(g, g->n_answered > n);
    assert_string_equal(g->answered->err.msg, "ALTER JOB was not done: canceled");
    rig_destroy(g);
}

/* The end that is shown is never behind the offset. */
static void test_alter_beyond_the_end(void **state)
{
    struct rig *g = paused_rig("2");
    sched_set_text(&rig_job(g, "a")->end_offset, xstrdup("2")); /* as a source that tells it */
    assert_string_equal(alter(g, "a", NULL, "6", "5"), "");
    for (int life = 0; life < 2; life++) {
        assert_string_equal(rig_job(g, "a")->end_offset, "5");
        rig_crash(g);
    }
    assert_string_equal(alter(g, "a", NULL, "6", "1"), "");
    assert_string_equal(rig_job(g, "a")->end_offset, "5"); /* it was seen, or named */
    rig_destroy(g);
}

/* What is stored is not understood by the next life; an ALTER JOB with an INSERT mends it. */
static void spoil(struct rig *g)
{
    struct job_record bad = {0};
    struct err err = {0};
    job_record_copy(&rig_job(g, "a")->rec, &bad);
    free(bad.sql);
    bad.sql = xstrdup("bad");
    assert_int_equal(store_sqlite_ops.job_alter(g->store.real, &bad, &err), STORE_OK);
    job_record_fini(&bad);
}

static void test_alter_repairs(void **state)
{
    struct rig *g = paused_rig("1");
    spoil(g);
    rig_crash(g);
    assert_null(rig_job(g, "a")->body);
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_CANNOT_RESUME);
    for (int64_t i = 1; i <= 2; i++) { /* each of its writes in turn */
        g->store.fail_from = g->store.fail_to = g->store.n_writes + i;
        assert_says_text(alter(g, "a", "INSERT 2", "2", NULL), "was not altered");
        assert_null(rig_job(g, "a")->body);
        assert_says_text(rig_change(g, SCHED_RESUME, "a"), "not understood");
    }
    assert_string_equal(alter(g, "a", "INSERT 2", "2", NULL), "");
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_MANUAL_PAUSE);
    assert_says_text(rig_job(g, "a")->rec.fail_msg, "RESUME");
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->step.fail_code, FAIL_MANUAL_PAUSE);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
    rig_destroy(g);
}

/* Its task is asked for as after any restart; one that is in doubt stays so. */
static void test_alter_repairs_a_job_with_a_task(void **state)
{
    static const enum fail_code codes[] = {FAIL_IN_DOUBT, FAIL_LABEL_TAKEN};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        struct rig *g = doubtful_rig(codes[i]);
        spoil(g);
        rig_crash(g);
        assert_int_equal(rig_job(g, "a")->step.fail_code, codes[i]);
        assert_says_text(rig_change(g, SCHED_RESUME, "a"), "");
        assert_null(rig_job(g, "a")->body);
        assert_says_text(rig_resolve(g, "a", 1, false), "give it one with ALTER JOB");
        assert_says_text(alter(g, "a", "INSERT 2", "2", "0"), "without an offset");
        assert_string_equal(alter(g, "a", "INSERT 2", "2", NULL), "");
        assert_int_equal(rig_job(g, "a")->step.phase, PHASE_DOUBT);
        assert_int_equal(rig_job(g, "a")->step.fail_code, codes[i]);
        assert_string_equal(rig_resolve(g, "a", 1, false), "");
        assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
        rig_until(g, rig_has_offset(g, "a", "2"));
        assert_true(fake_doris_has_exactly(&g->doris, 0, 2));
        rig_destroy(g);
    }
}

/* --- CANCEL TASK ------------------------------------------------------------------------------ */

static const char *cancel(struct rig *g, const char *name, int64_t task_id)
{
    (void)rig_ask(g, rig_request(g, SCHED_FIND, name));
    struct sched_request *r = rig_request(g, SCHED_CANCEL, name);
    r->job_id = g->answered->job_id;
    r->task_id = task_id;
    return rig_ask(g, r);
}

static void test_cancel(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_OK, FAKE_BLOCKED);
    rig_create_job(g, "a", "d", 0, "3");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    assert_string_equal(cancel(g, "b", 2), "errCode = 2, detailMessage = job not exist, jobName:b");
    assert_says_text(cancel(g, "a", 1), "errCode = 2, detailMessage = Not found task id: 1");
    assert_string_equal(cancel(g, "a", 2), "");
    assert_says_text(rig_job(g, "a")->runtime_msg, "Task 2 is being canceled");
    rig_until(g, rig_job(g, "a")->task.id == 0);
    const struct job *j = rig_job(g, "a");
    assert_int_equal(j->step.state, JOB_RUNNING);
    assert_int_equal(j->rec.n_canceled, 1);
    assert_int_equal(j->tasks[1]->rec.state, TASK_CANCELED);
    assert_string_equal(j->tasks[1]->rec.error, "task cancelled");
    assert_string_equal(j->tasks[1]->rec.running_offset, "2");
    assert_says_text(j->runtime_msg, "Task 2 was canceled");
    rig_until(g, rig_has_offset(g, "a", "3"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
    assert_int_equal(rig_job(g, "a")->rec.last_task_id, 4);
    rig_until(g, rig_job(g, "a")->run == NULL);
    assert_says_text(cancel(g, "a", 4), "errCode = 2, detailMessage = no running task");
    rig_destroy(g);
}

/* It was loaded after all: SUCCESS, and nothing was canceled. */
static void test_cancel_of_what_was_loaded(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_LOST_LOADED);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    assert_string_equal(cancel(g, "a", 1), "");
    assert_string_equal(cancel(g, "a", 1), ""); /* twice is once */
    fake_doris_set_deaf(&g->doris, NULL);
    rig_until(g, rig_has_offset(g, "a", "2"));
    assert_int_equal(rig_job(g, "a")->rec.n_canceled, 0);
    assert_int_equal(rig_job(g, "a")->tasks[0]->rec.state, TASK_SUCCESS);
    rig_destroy(g);
}

static void test_cancel_in_a_paused_job(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_LOST_UNSEEN);
    fake_doris_set_deaf(&g->doris, "d");
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_WAITING);
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    assert_says_text(cancel(g, "a", 1), "no running task: job a is PAUSED");
    rig_destroy(g);
}

/* RESUME begins anew: no reason, no hint, the whole budget. */
static void test_resume_clears(void **state)
{
    struct rig *g = paused_rig("1");
    struct job *j = rig_job(g, "a");
    assert_non_null(j->rec.fail_msg);
    j->step.n_resumes = j->rec.n_resumes = 4;
    sched_job_say(j, xstrdup("waiting"));
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    assert_null(j->rec.fail_msg);
    assert_null(j->runtime_msg);
    assert_int_equal(j->rec.n_resumes, 0);
    assert_int_equal(j->rec.fail_code, FAIL_NONE);
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alter_is_kept_and_used),
        cmocka_unit_test(test_alter_moves_the_offset),
        cmocka_unit_test(test_alter_is_checked_first),
        cmocka_unit_test(test_alter_needs_a_paused_job),
        cmocka_unit_test(test_two_alters),
        cmocka_unit_test(test_alter_comes_too_late),
        cmocka_unit_test(test_checks_leave_a_runner),
        cmocka_unit_test(test_alter_is_all_or_nothing),
        cmocka_unit_test(test_alter_with_a_task_open),
        cmocka_unit_test(test_alter_with_a_task_in_doubt),
        cmocka_unit_test(test_alter_when_the_store_is_behind),
        cmocka_unit_test(test_alter_ends_the_automatic_resume),
        cmocka_unit_test(test_alter_of_the_pace_asks_nobody),
        cmocka_unit_test(test_alter_beyond_the_end),
        cmocka_unit_test(test_alter_repairs),
        cmocka_unit_test(test_alter_repairs_a_job_with_a_task),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_of_what_was_loaded),
        cmocka_unit_test(test_cancel_in_a_paused_job),
        cmocka_unit_test(test_resume_clears),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
