/* Files that are set aside, tracked, or change under a load: the scheduler over the fakes. */
#include <stdio.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "tests/unit/sched_rig.h"

static bool is_bad(const struct rig *g, const char *name, const char *key)
{
    const struct job *j = rig_job(g, name);
    for (size_t i = 0; i < j->n_bad; i++) {
        if (strcmp(j->bad[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

static void assert_words(const char *text, const char *words)
{
    if (text == NULL || strstr(text, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, text != NULL ? text : "nothing");
    }
}

/* --- bad rows --------------------------------------------------------------------------------- */

static void load_256(struct rig *g, const int64_t *bad, size_t n_bad)
{
    for (size_t i = 0; i < n_bad; i++) {
        fake_doris_set_bad(&g->doris, 0, bad[i], true);
    }
    rig_create_job(g, "a", "d", 0, "256 batch=256");
    rig_until(g, rig_has_offset(g, "a", "256"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 256));
    assert_int_equal(rig_job(g, "a")->n_bad, n_bad);
    assert_int_equal(rig_job(g, "a")->step.state, JOB_RUNNING);
    assert_int_equal(rig_job(g, "a")->step.max_files, 0);
}

static void test_halving_finds_one(void **state)
{
    struct rig *g = rig_create(false);
    load_256(g, (const int64_t[]){77}, 1);
    assert_true(is_bad(g, "a", "unit 77"));
    const struct bad_file *f = &rig_job(g, "a")->bad[0];
    assert_string_equal(f->reason, "refused");
    assert_true(f->task_id > 0 && f->at_ms > 0);
    assert_in_range(rig_job(g, "a")->rec.n_failed, 1, 9);
    assert_true(fake_doris_n_loads(&g->doris) <= 9 + 8 + 8);
    rig_destroy(g);
}

static void test_halving_finds_three_and_they_survive_a_crash(void **state)
{
    struct rig *g = rig_create(false);
    load_256(g, (const int64_t[]){1, 128, 256}, 3);
    assert_true(is_bad(g, "a", "unit 1") && is_bad(g, "a", "unit 128"));
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->n_bad, 3);
    assert_true(is_bad(g, "a", "unit 256"));
    assert_string_equal(rig_job(g, "a")->bad[2].reason, "refused");
    rig_destroy(g);
}

/* At each write of it: nothing is lost, doubled, or set aside that is not bad. */
static void test_crash_at_each_write_of_a_search(void **state)
{
    for (int64_t n = 2; n <= 24; n++) {
        struct rig *g = rig_create(false);
        fake_doris_set_bad(&g->doris, 0, 3, true);
        g->store.is_late = n % 2 == 0;
        rig_create_job(g, "a", "d", 0, "8 batch=8");
        g->store.fail_from = g->store.n_writes + n;
        g->store.fail_to = INT64_MAX;
        rig_until(g, g->store.n_writes >= g->store.fail_from || rig_has_offset(g, "a", "8"));
        g->store.is_late = false;
        rig_crash(g);
        /* What a straggler may hold up is not waited for here: the user says so. */
        rig_job(g, "a")->step.lost_ms = 0;
        rig_until(g, rig_has_offset(g, "a", "8"));
        assert_true(fake_doris_has_exactly(&g->doris, 0, 8));
        assert_int_equal(rig_job(g, "a")->n_bad, 1);
        assert_true(is_bad(g, "a", "unit 3"));
        rig_destroy(g);
    }
}

static void test_all_bad_pauses(void **state)
{
    struct rig *g = rig_create(false);
    for (int64_t i = 1; i <= 20; i++) {
        fake_doris_set_bad(&g->doris, 0, i, true);
    }
    rig_create_job(g, "a", "d", 0, "20 batch=4");
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_TOO_MANY_ROWS);
    assert_int_equal(rig_job(g, "a")->n_bad, 3); /* the rig's limit */
    assert_words(rig_job(g, "a")->rec.fail_msg, "3 files in a row were set aside");
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->step.n_bad, 3); /* a restart begins no new count */
    rig_destroy(g);
}

static void test_pause_policy(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 2, true);
    rig_create_job(g, "a", "d", 0, "3 pause");
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_TOO_MANY_ROWS);
    assert_int_equal(rig_job(g, "a")->n_bad, 0);
    assert_true(rig_has_offset(g, "a", "1"));
    rig_destroy(g);
}

/* --- names ------------------------------------------------------------------------------------ */

static void test_unreadable_name(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "6 batch=4 unreadable=3");
    rig_until(g, rig_has_offset(g, "a", "6"));
    g->doris.is_bad[0][3] = true; /* never loaded */
    assert_true(fake_doris_has_exactly(&g->doris, 0, 6));
    assert_int_equal(rig_job(g, "a")->n_bad, 1);
    assert_int_equal(rig_job(g, "a")->bad[0].task_id, 0);
    assert_int_equal(rig_job(g, "a")->rec.n_failed, 0);
    rig_destroy(g);
}

static void test_unreadable_name_pauses_by_policy(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "6 batch=4 unreadable=3 pause");
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_CANNOT_RESUME);
    assert_words(rig_job(g, "a")->rec.fail_msg, "no such name");
    assert_true(rig_has_offset(g, "a", "2"));
    assert_int_equal(rig_job(g, "a")->n_bad, 0);
    rig_destroy(g);
}

static void test_a_plan_that_needs_the_user(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "6 ask=4");
    rig_until(g, rig_job(g, "a")->step.fail_code == FAIL_CANNOT_RESUME);
    assert_string_equal(rig_job(g, "a")->rec.fail_msg, "unit 4: decide about it");
    assert_true(rig_has_offset(g, "a", "3"));
    rig_destroy(g);
}

/* --- RETRY FILE, SKIP FILE -------------------------------------------------------------------- */

static void test_retry_and_skip(void **state)
{
    struct rig *g = rig_create(false);
    for (int64_t i = 2; i <= 6; i += 2) {
        fake_doris_set_bad(&g->doris, 0, i, true);
    }
    rig_create_job(g, "a", "d", 0, "7");
    rig_until(g, rig_has_offset(g, "a", "7"));
    assert_int_equal(rig_job(g, "a")->n_bad, 3);
    assert_words(rig_file(g, "a", "unit 3", true), "has not set aside a file 'unit 3'");
    assert_int_equal(rig_job(g, "a")->n_bad, 3);

    fake_doris_set_bad(&g->doris, 0, 2, false);
    assert_string_equal(rig_file(g, "a", "unit 2", true), "");
    assert_int_equal(g->answered->n_files, 1);
    rig_until(g, rig_job(g, "a")->n_bad == 2);
    assert_true(rig_has_offset(g, "a", "7")); /* it did not move */
    assert_int_equal(g->doris.rows[0][2], 1);

    assert_string_equal(rig_file(g, "a", "unit 4", false), "");
    assert_false(is_bad(g, "a", "unit 4"));

    /* Tried again, and bad still: set aside again, and no attempt more. */
    int64_t n_failed = rig_job(g, "a")->rec.n_failed;
    assert_string_equal(rig_file(g, "a", NULL, true), "");
    rig_until(g, rig_job(g, "a")->rec.n_failed == n_failed + 1);
    assert_true(is_bad(g, "a", "unit 6"));
    assert_false(rig_job(g, "a")->bad[0].is_retried);
    assert_int_equal(rig_job(g, "a")->step.state, JOB_RUNNING);

    assert_string_equal(rig_file(g, "a", NULL, false), "");
    assert_int_equal(rig_job(g, "a")->n_bad, 0);
    assert_words(rig_file(g, "a", NULL, false), "has no file that is set aside");
    assert_true(fake_doris_has_exactly(&g->doris, 0, 7));
    rig_destroy(g);
}

/* Set aside again, and the offset stays: what was loaded behind it comes no second time. */
static void test_retry_of_an_unreadable_name(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "6 batch=4 unreadable=3");
    rig_until(g, rig_has_offset(g, "a", "6"));
    g->doris.is_bad[0][3] = true; /* never loaded */
    assert_string_equal(rig_file(g, "a", "unit 3", true), "");
    rig_until(g, !rig_job(g, "a")->bad[0].is_retried);
    rig_until(g, rig_job(g, "a")->trace.plan == PLAN_EMPTY);
    assert_true(rig_has_offset(g, "a", "6"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 6));
    rig_destroy(g);
}

/* Under a plan that was made for it: what is skipped is not loaded any more. */
static void test_skip_under_a_plan(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 1, true);
    rig_create_job(g, "a", "d", 0, "2");
    rig_until(g, rig_has_offset(g, "a", "2") && rig_job(g, "a")->step.phase == PHASE_IDLE);
    fake_doris_set_bad(&g->doris, 0, 1, false);
    struct job *j = rig_job(g, "a");
    struct sched_request r = {.op = SCHED_FILE, .is_retry = true, .file_key = (char *)"unit 1"};
    assert_true(sched_file_decide(j, &r));
    sched_job_event(j, &(struct step_event){.kind = EV_TIMER, .now = sched_now()});
    assert_int_equal(j->step.phase, PHASE_PLANNING);
    r.is_retry = false;
    assert_true(sched_file_decide(j, &r));
    rig_until(g, j->step.phase == PHASE_IDLE);
    assert_int_equal(j->n_bad, 0);
    assert_int_equal(j->rec.n_succeeded, 1);
    assert_int_equal(g->doris.rows[0][1], 0);
    rig_destroy(g);
}

/* Whichever write the store refuses: why a file was set aside stays what Doris said. */
static void test_reason_outlives_a_full_disk(void **state)
{
    for (int64_t n = 1; n <= 6; n++) {
        struct rig *g = rig_create(false);
        SCRIPT(g, FAKE_BLOCKED);
        fake_doris_set_bad(&g->doris, 0, 1, true);
        rig_create_job(g, "a", "d", 0, "1");
        rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
        g->store.fail_from = g->store.n_writes + n;
        g->store.fail_to = g->store.fail_from;
        fake_doris_let_go(&g->doris);
        rig_until(g, rig_has_offset(g, "a", "1"));
        assert_string_equal(rig_job(g, "a")->bad[0].reason, "refused");
        assert_string_equal(rig_job(g, "a")->tasks[0]->rec.error, "refused");
        rig_destroy(g);
    }
}

static void test_retry_of_a_paused_job_is_kept(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 2, true);
    rig_create_job(g, "a", "d", 0, "3");
    rig_until(g, rig_has_offset(g, "a", "3"));
    assert_string_equal(rig_change(g, SCHED_PAUSE, "a"), "");
    fake_doris_set_bad(&g->doris, 0, 2, false);
    assert_string_equal(rig_file(g, "a", "unit 2", true), "");
    rig_crash(g);
    assert_true(rig_job(g, "a")->bad[0].is_retried);
    assert_string_equal(rig_change(g, SCHED_RESUME, "a"), "");
    rig_until(g, rig_job(g, "a")->n_bad == 0 && rig_job(g, "a")->task.id == 0);
    assert_true(fake_doris_has_exactly(&g->doris, 0, 3));
    rig_destroy(g);
}

/* From RETRY FILE to the commit: the file is loaded once, and is bad no more. */
static void test_crash_at_each_write_of_a_retry(void **state)
{
    static const char *const JOBS[] = {"4 batch=4 tracked", "4 batch=4 tracked transactional"};
    for (int64_t n = 0; n < 16; n++) {
        struct rig *g = rig_create(false);
        fake_doris_set_bad(&g->doris, 0, 3, true);
        rig_create_job(g, "a", "d", 0, JOBS[n / 8]);
        rig_until(g, rig_has_offset(g, "a", "4"));
        fake_doris_set_bad(&g->doris, 0, 3, false);
        g->store.is_late = n % 2 == 0;
        g->store.fail_from = g->store.n_writes + 1 + n % 8 / 2;
        g->store.fail_to = INT64_MAX;
        (void)rig_file(g, "a", "unit 3", true);
        rig_until(g, g->store.n_writes >= g->store.fail_from || rig_job(g, "a")->n_bad == 0);
        g->store.is_late = false;
        rig_crash(g);
        rig_job(g, "a")->step.lost_ms = 0; /* as above */
        if (rig_job(g, "a")->task.id == 0 && rig_job(g, "a")->n_bad > 0) {
            (void)rig_file(g, "a", "unit 3", true);
        }
        rig_until(g, rig_job(g, "a")->n_bad == 0 && rig_has_offset(g, "a", "4"));
        rig_until(g, rig_job(g, "a")->trace.plan == PLAN_EMPTY);
        assert_true(fake_doris_has_exactly(&g->doris, 0, 4));
        assert_int_equal(rig_job(g, "a")->rec.n_tracked, 4);
        rig_destroy(g);
    }
}

static void test_decision_is_stored_or_refused(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 1, true);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "a", "1"));
    g->store.fail_from = g->store.n_writes + 1;
    g->store.fail_to = g->store.fail_from;
    assert_words(rig_file(g, "a", "unit 1", false), "Nothing was done for job a: the disk is full");
    assert_true(is_bad(g, "a", "unit 1"));
    assert_string_equal(rig_file(g, "a", "unit 1", false), "");
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->n_bad, 0);
    rig_destroy(g);
}

static void test_a_finished_job_retries_nothing(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 1, true);
    rig_create_job(g, "a", "d", 0, "e2");
    rig_until(g, rig_job(g, "a")->step.state == JOB_FINISHED);
    assert_words(rig_file(g, "a", NULL, true), "loads nothing any more");
    assert_string_equal(rig_file(g, "a", NULL, false), "");
    rig_destroy(g);
}

static void test_list_has_a_bound(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_BLOCKED);
    fake_doris_set_bad(&g->doris, 0, 1, true);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, fake_doris_n_blocked(&g->doris) == 1);
    struct job *j = rig_job(g, "a");
    for (int i = 0; i < SCHED_MOST_BAD; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "k%d", i);
        sched_files_put(
            j, &(struct bad_file){.key = key, .etag = (char[]){""}, .reason = (char[]){"r"}});
    }
    fake_doris_let_go(&g->doris);
    rig_until(g, j->step.fail_code == FAIL_TOO_MANY_ROWS);
    assert_words(j->rec.fail_msg, "10000 files of job a are set aside already");
    assert_int_equal(j->n_bad, SCHED_MOST_BAD);
    rig_destroy(g);
}

/* --- what users see --------------------------------------------------------------------------- */

static const struct explain_line *find_line(const struct rig *g, const char *item)
{
    const struct explain *e = &g->answered->explain;
    for (size_t i = 0; i < e->n; i++) {
        if (strcmp(e->lines[i].item, item) == 0) {
            return &e->lines[i];
        }
    }
    return NULL;
}

static void test_view_and_explain(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 2, true);
    fake_bucket.n_late = 4;
    rig_create_job(g, "a", "d", 0, "3 transactional tracked");
    rig_until(g, rig_has_offset(g, "a", "3") && rig_job(g, "a")->runtime_msg != NULL);
    struct job_view *v = sched_job_view(rig_job(g, "a"));
    assert_int_equal(v->guarantee, GUARANTEE_TRANSACTIONAL);
    assert_int_equal(v->watch.n_late, 4);
    assert_int_equal(v->watch.n_overwritten, -1);
    assert_int_equal(v->bad->n_files, 1);
    assert_string_equal(v->bad->files[0].key, "unit 2");
    assert_int_equal(v->rec.n_tracked, 3);
    assert_null(v->evidence);
    assert_string_equal(rig_file(g, "a", NULL, false), "");
    assert_int_equal(v->bad->n_files, 1); /* a snapshot is what it was */
    job_view_unref(v);
    v = sched_job_view(rig_job(g, "a"));
    assert_null(v->bad);
    job_view_unref(v);

    fake_doris_set_bad(&g->doris, 1, 1, true);
    rig_create_job(g, "b", "d", 1, "1");
    rig_until(g, rig_has_offset(g, "b", "1") && rig_job(g, "b")->trace.plan == PLAN_EMPTY);
    assert_string_equal(rig_change(g, SCHED_EXPLAIN, "b"), "");
    assert_int_equal(find_line(g, "files set aside")->level, EXPLAIN_WARNING);
    assert_words(find_line(g, "files set aside")->text, "ALTER JOB `b` RETRY FILE");
    assert_words(find_line(g, "set aside")->text, "unit 1");
    assert_words(find_line(g, "late files")->text, "4 seen and not loaded");
    assert_words(find_line(g, "guarantee")->text, "label");
    assert_words(find_line(g, "label window")->text, "fewer than 500 transactions");
    rig_destroy(g);
}

/* --- tracked files ---------------------------------------------------------------------------- */

static void test_tracked_files_are_remembered_and_read(void **state)
{
    struct rig *g = rig_create(false);
    rig_create_job(g, "a", "d", 0, "6 batch=4 tracked");
    rig_until(g, rig_has_offset(g, "a", "6"));
    assert_int_equal(rig_job(g, "a")->rec.n_tracked, 6);
    rig_until(g, fake_bucket.n_read == 6);
    rig_crash(g);
    assert_int_equal(rig_job(g, "a")->rec.n_tracked, 6);
    fake_bucket.n_read = 0;
    fake_bucket.n_passes = 0;
    rig_until(g, fake_bucket.n_read == 6);
    assert_int_equal(fake_bucket.n_passes, 2); /* those that are stored */
    rig_destroy(g);
}

/* --- the source changes ----------------------------------------------------------------------- */

/* A retry is later than the listing: verified. The range is planned anew, under another id. */
static void test_changed_before_a_retry(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_NOT_SENT);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_RETRY);
    rig_job(g, "a")->listed_us = 0;
    fake_bucket.i_verify = 0;
    fake_bucket.verify[0] = VERIFY_CHANGED;
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    assert_int_equal(rig_job(g, "a")->rec.n_canceled, 1);
    assert_words(rig_job(g, "a")->tasks[0]->rec.error, "source changed: a file of 1 has another");
    assert_int_equal(rig_job(g, "a")->task.id, 0);
    assert_int_equal(rig_job(g, "a")->rec.committed_task_id, 2);
    rig_destroy(g);
}

/* The bucket does not answer: an outage. Nothing is sent, nothing is given up. */
static void test_verify_that_fails_is_an_outage(void **state)
{
    struct rig *g = rig_create(false);
    SCRIPT(g, FAKE_NOT_SENT);
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->step.phase == PHASE_RETRY);
    rig_job(g, "a")->listed_us = 0;
    fake_bucket.i_verify = 0;
    fake_bucket.verify[0] = VERIFY_FAIL;
    fake_bucket.verify[1] = VERIFY_FAIL;
    rig_until(g, rig_job(g, "a")->runtime_msg != NULL &&
                     strcmp(rig_job(g, "a")->runtime_msg,
                            "Waiting for the source: the bucket does not answer") == 0);
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_int_equal(rig_job(g, "a")->rec.committed_task_id, 1);
    assert_int_equal(fake_doris_n_loads(&g->doris), 1);
    rig_destroy(g);
}

static void test_changed_and_refused(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 1, true);
    fake_bucket.verify[0] = VERIFY_CHANGED;
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_job(g, "a")->rec.n_canceled == 1);
    assert_int_equal(rig_job(g, "a")->n_bad, 0); /* it is not what was refused */
    assert_words(rig_job(g, "a")->tasks[0]->rec.error, "Doris refused the load: refused");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_int_equal(rig_job(g, "a")->n_bad, 1); /* but the next one is */
    rig_destroy(g);
}

/* Perhaps it is not the planned file that was refused, and nobody can say: it is tried once more. */
static void test_refused_and_not_verified(void **state)
{
    struct rig *g = rig_create(false);
    fake_doris_set_bad(&g->doris, 0, 1, true);
    fake_bucket.verify[0] = VERIFY_FAIL;
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_int_equal(fake_doris_n_loads(&g->doris), 2);
    assert_int_equal(rig_job(g, "a")->rec.last_task_id, 1);
    assert_int_equal(rig_job(g, "a")->n_bad, 1);
    rig_destroy(g);
}

static void test_changed_and_loaded(void **state)
{
    struct rig *g = rig_create(false);
    fake_bucket.verify[0] = VERIFY_CHANGED;
    rig_create_job(g, "a", "d", 0, "1");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_int_equal(rig_job(g, "a")->rec.n_succeeded, 1);
    assert_int_equal(rig_job(g, "a")->n_changed, 1);
    rig_destroy(g);
}

static void test_changed_before_commit(void **state)
{
    struct rig *g = rig_create(false);
    fake_bucket.verify[0] = VERIFY_CHANGED;
    rig_create_job(g, "a", "d", 0, "1 transactional");
    rig_until(g, rig_has_offset(g, "a", "1"));
    assert_int_equal(rig_job(g, "a")->rec.n_canceled, 1);
    assert_int_equal(rig_job(g, "a")->rec.committed_task_id, 2);
    assert_true(fake_doris_has_exactly(&g->doris, 0, 1));
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halving_finds_one),
        cmocka_unit_test(test_halving_finds_three_and_they_survive_a_crash),
        cmocka_unit_test(test_crash_at_each_write_of_a_search),
        cmocka_unit_test(test_all_bad_pauses),
        cmocka_unit_test(test_pause_policy),
        cmocka_unit_test(test_unreadable_name),
        cmocka_unit_test(test_unreadable_name_pauses_by_policy),
        cmocka_unit_test(test_a_plan_that_needs_the_user),
        cmocka_unit_test(test_retry_and_skip),
        cmocka_unit_test(test_retry_of_an_unreadable_name),
        cmocka_unit_test(test_skip_under_a_plan),
        cmocka_unit_test(test_reason_outlives_a_full_disk),
        cmocka_unit_test(test_retry_of_a_paused_job_is_kept),
        cmocka_unit_test(test_crash_at_each_write_of_a_retry),
        cmocka_unit_test(test_decision_is_stored_or_refused),
        cmocka_unit_test(test_a_finished_job_retries_nothing),
        cmocka_unit_test(test_list_has_a_bound),
        cmocka_unit_test(test_view_and_explain),
        cmocka_unit_test(test_tracked_files_are_remembered_and_read),
        cmocka_unit_test(test_changed_before_a_retry),
        cmocka_unit_test(test_verify_that_fails_is_an_outage),
        cmocka_unit_test(test_changed_and_refused),
        cmocka_unit_test(test_refused_and_not_verified),
        cmocka_unit_test(test_changed_and_loaded),
        cmocka_unit_test(test_changed_before_commit),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
