/* The search for files with bad rows in step.h, and sources that change under a load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/step_help.h"

/* Files in a row, 'x' are bad; what the machine makes of them. */
struct stream {
    struct step_job job;
    const char *files;
    int64_t n_files;
    int64_t at;       /* passed so far */
    int64_t max_plan; /* of the job's properties */
    int64_t n_tasks;
    char fate[1024]; /* '+' loaded, 'x' set aside; ' ' not yet */
};

static bool has_bad(const struct stream *s, int64_t n)
{
    for (int64_t i = s->at; i < s->at + n; i++) {
        if (s->files[i] == 'x') {
            return true;
        }
    }
    return false;
}

static void pass(struct stream *s, int64_t n, char fate)
{
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(s->fate[s->at], 0); /* none twice */
        s->fate[s->at++] = fate;
    }
}

static struct step_out refuse(struct step_job *job)
{
    (void)do_step(job, (struct step_event){.kind = EV_LOADED,
                                           .now = {NOW, NOW},
                                           .u.load = {LOAD_REFUSED, .is_data_error = true}});
    return label(job, LABEL_ABORTED, NOW);
}

/* One task; false: the job does not go on. */
static bool turn(struct stream *s)
{
    struct step_job *job = &s->job;
    int64_t limit =
        job->max_files != 0 && job->max_files < s->max_plan ? job->max_files : s->max_plan;
    int64_t left = s->n_files - s->at;
    int64_t n = left < limit ? left : limit;
    assert_int_equal(planned(job, PLAN_RANGE).action, ACT_STORE_INTENT);
    job->task_id = ++s->n_tasks;
    job->n_files = n;
    assert_int_equal(stored(job).action, ACT_LOAD);
    if (!has_bad(s, n)) {
        assert_int_equal(loaded(job, LOAD_VISIBLE, NOW).action, ACT_STORE_COMMIT);
        assert_int_equal(stored(job).action, ACT_PLAN);
        pass(s, n, '+');
        return true;
    }
    struct step_out out = refuse(job);
    if (out.action == ACT_STORE_BAD) {
        assert_int_equal(n, 1);
        pass(s, 1, 'x');
    } else {
        assert_int_equal(out.action, ACT_STORE_FAILED);
    }
    bool goes_on = job->state == JOB_RUNNING;
    assert_int_equal(stored(job).action, goes_on ? ACT_PLAN : ACT_NONE);
    return goes_on;
}

static void run(struct stream *s, const char *files, int64_t n_files)
{
    *s = (struct stream){.job = new_job(), .files = files, .n_files = n_files, .max_plan = 256};
    s->job.sets_aside = true;
    assert_int_equal(at(&s->job, EV_START, NOW).action, ACT_ARM);
    assert_int_equal(at(&s->job, EV_TIMER, NOW).action, ACT_PLAN);
    while (s->at < s->n_files && turn(s)) {
    }
}

static void make_files(char *files, int64_t n, const int64_t *bad, size_t n_bad)
{
    memset(files, '.', (size_t)n);
    for (size_t i = 0; i < n_bad; i++) {
        files[bad[i]] = 'x';
    }
}

static void assert_passed(const struct stream *s)
{
    assert_int_equal(s->at, s->n_files);
    for (int64_t i = 0; i < s->n_files; i++) {
        assert_int_equal(s->fate[i], s->files[i] == 'x' ? 'x' : '+');
    }
    assert_int_equal(s->job.max_files, 0); /* the search is over */
    assert_int_equal(s->job.n_failing, 0);
}

/* By halving: 9 tasks fail at the most, and the others are few. */
static void test_one_of_256(void **state)
{
    for (int64_t bad = 0; bad < 256; bad++) {
        struct stream s;
        char files[256];
        make_files(files, 256, &bad, 1);
        run(&s, files, 256);
        assert_passed(&s);
        assert_true(s.n_tasks <= 9 + 8 + 8); /* failed; loaded on the way; those behind it */
    }
}

static void test_three_of_256(void **state)
{
    for (unsigned seed = 1; seed <= 200; seed++) {
        unsigned r = seed;
        struct stream s;
        char files[256];
        int64_t bad[3] = {rand_r(&r) % 256, rand_r(&r) % 256, rand_r(&r) % 256};
        make_files(files, 256, bad, 3);
        run(&s, files, 256);
        assert_passed(&s);
        assert_true(s.n_tasks <= 60);
    }
}

static void test_search_ends_and_batches_are_whole_again(void **state)
{
    struct stream s;
    char files[768];
    make_files(files, 768, (const int64_t[]){5}, 1);
    run(&s, files, 768);
    assert_passed(&s);
    assert_true(s.n_tasks <= 9 + 8 + 8 + 4);
}

/* All are bad: the statement is at fault. Ten are set aside, the eleventh pauses the job. */
static void test_all_bad_pauses(void **state)
{
    struct stream s;
    char files[256];
    memset(files, 'x', sizeof(files));
    run(&s, files, 256);
    assert_int_equal(s.at, config.max_bad);
    assert_int_equal(s.job.state, JOB_PAUSED);
    assert_int_equal(s.job.fail_code, FAIL_TOO_MANY_ROWS);
    assert_int_equal(s.n_tasks, 8 + config.max_bad + 1);
    (void)at(&s.job, EV_RESUME, NOW);
    assert_int_equal(s.job.n_bad, 0); /* the user may have mended it */
    assert_int_equal(stored(&s.job).action, ACT_PLAN);
    assert_true(turn(&s));
    assert_int_equal(s.at, config.max_bad + 1);
}

/* One good file between them, and the count begins anew. */
static void test_bad_and_good_in_turn_go_on(void **state)
{
    struct stream s;
    char files[60];
    for (size_t i = 0; i < sizeof(files); i++) {
        files[i] = i % 2 == 0 ? 'x' : '.';
    }
    run(&s, files, sizeof(files));
    assert_int_equal(s.at, s.n_files);
    assert_int_equal(s.job.state, JOB_RUNNING);
}

static void test_pause_policy_sets_nothing_aside(void **state)
{
    struct step_job job = loading_job();
    job.n_files = 1;
    struct step_out out = refuse(&job);
    assert_int_equal(out.action, ACT_STORE_FAILED);
    assert_int_equal(job.fail_code, FAIL_TOO_MANY_ROWS);
}

/* An outage, a refusal for any other reason: never the files. */
static void test_only_data_errors_are_searched(void **state)
{
    struct step_job job = loading_job();
    job.sets_aside = true;
    job.n_files = 1;
    for (int i = 0; i < 4; i++) {
        (void)loaded(&job, LOAD_REFUSED, NOW);
        struct step_out out = label(&job, LABEL_ABORTED, NOW);
        if (out.action == ACT_STORE_FAILED) {
            assert_int_equal(job.fail_code, FAIL_INTERNAL);
            return;
        }
        assert_int_equal(out.action, ACT_ARM);
        assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    }
    fail_msg("a task that is refused over and over is closed");
}

/* While an earlier statement may yet begin, its range must not get another label. */
static void test_search_waits_for_stragglers(void **state)
{
    struct step_job job = loading_job();
    job.sets_aside = true;
    job.n_files = 4;
    (void)loaded(&job, LOAD_LOST, NOW);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_LOAD);
    (void)do_step(&job, (struct step_event){.kind = EV_LOADED,
                                            .now = {NOW, NOW},
                                            .u.load = {LOAD_REFUSED, .is_data_error = true}});
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_WAITING);
    assert_int_equal(job.state, JOB_RUNNING);
    int64_t late = NOW + job.statement_life_ms;
    assert_int_equal(at(&job, EV_TIMER, late).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, late).action, ACT_STORE_FAILED);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(job.max_files, 2);
}

/* The store refused to close it: the task is as it was, and the search has not begun. */
static void test_search_begins_when_it_is_stored(void **state)
{
    struct step_job job = loading_job();
    job.sets_aside = true;
    job.n_files = 8;
    assert_int_equal(refuse(&job).action, ACT_STORE_FAILED);
    assert_int_equal(store_failed(&job).action, ACT_STORE_JOB);
    assert_int_equal(job.max_files, 0);
    assert_int_equal(job.fail_code, FAIL_STORE);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_STORE_JOB);
    assert_int_equal(stored(&job).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_FAILED);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(job.max_files, 4);
}

static void test_retry_changes_no_search(void **state)
{
    struct step_job job = loading_job();
    job.sets_aside = true;
    job.n_files = 1;
    job.is_retry = true;
    job.n_bad = config.max_bad; /* the limit is for those that are found */
    assert_int_equal(refuse(&job).action, ACT_STORE_BAD);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(job.n_bad, config.max_bad);

    job = loading_job();
    job.is_retry = true;
    job.n_files = 1;
    job.max_files = 2;
    job.n_suspects = 4;
    job.n_failing = 4;
    (void)loaded(&job, LOAD_VISIBLE, NOW);
    (void)stored(&job);
    assert_int_equal(job.n_suspects, 4);
    assert_int_equal(job.max_files, 2);
}

/* --- names that Doris cannot read ------------------------------------------------------------- */

static struct step_job planning_job(void)
{
    struct step_job job = new_job();
    job.sets_aside = true;
    (void)at(&job, EV_START, NOW);
    (void)at(&job, EV_TIMER, NOW);
    return job;
}

static void test_unreadable_names(void **state)
{
    struct step_job job = planning_job();
    assert_int_equal(planned(&job, PLAN_ASIDE).action, ACT_STORE_ASIDE);
    assert_int_equal(stored(&job).action, ACT_PLAN);
    assert_int_equal(job.n_bad, 0); /* no task failed */

    assert_int_equal(planned(&job, PLAN_ASIDE).action, ACT_STORE_ASIDE);
    assert_int_equal(store_failed(&job).action, ACT_STORE_JOB);
    assert_int_equal(job.fail_code, FAIL_STORE);
    assert_int_equal(job.phase, PHASE_IDLE);

    job = planning_job();
    job.sets_aside = false;
    assert_int_equal(planned(&job, PLAN_ASIDE).action, ACT_STORE_JOB);
    assert_int_equal(job.fail_code, FAIL_CANNOT_RESUME);
}

static void test_refused_plan_waits_for_the_user(void **state)
{
    struct step_job job = planning_job();
    struct step_out out = planned(&job, PLAN_REFUSED);
    assert_int_equal(out.action, ACT_STORE_JOB);
    assert_int_equal(out.reason, WHY_RUN_ERROR);
    assert_int_equal(job.fail_code, FAIL_CANNOT_RESUME);
    assert_int_equal(stored(&job).action, ACT_NONE); /* it does not resume by itself */
}

/* --- another source --------------------------------------------------------------------------- */

static struct step_out changed(struct step_job *job, enum load_result result)
{
    return do_step(
        job, (struct step_event){.kind = EV_LOADED,
                                 .now = {NOW, NOW},
                                 .u.load = {result, .is_data_error = true, .is_changed = true}});
}

static void test_changed_before_the_load(void **state)
{
    struct step_job job = loading_job();
    job.sets_aside = true;
    job.n_files = 1;
    assert_int_equal(changed(&job, LOAD_NOT_SENT).action, ACT_STORE_CANCELED);
    struct step_out out = stored(&job);
    assert_int_equal(out.action, ACT_ARM); /* the next tick plans anew */
    assert_int_equal(out.delay_ms, job.max_interval_ms);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_false(job.is_changed);
    assert_int_equal(job.max_files, 0);
}

static void test_changed_and_refused_is_no_bad_file(void **state)
{
    struct step_job job = loading_job();
    job.sets_aside = true;
    job.n_files = 1;
    assert_int_equal(changed(&job, LOAD_REFUSED).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_ABORTED, NOW).action, ACT_STORE_CANCELED);
    assert_int_equal(stored(&job).action, ACT_ARM);
    assert_int_equal(job.n_bad, 0);
}

static void test_changed_before_commit(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(changed(&job, LOAD_ROLLED_BACK).action, ACT_STORE_CANCELED);
}

static void test_changed_and_loaded_is_loaded(void **state)
{
    struct step_job job = loading_job();
    assert_int_equal(changed(&job, LOAD_VISIBLE).action, ACT_STORE_COMMIT);
    job = loading_job();
    assert_int_equal(changed(&job, LOAD_COMMITTED).action, ACT_ARM);
    assert_false(job.is_changed);
}

/* The range must not come again under another label while a lost statement may yet load it. */
static void test_changed_waits_for_stragglers(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_LOST, NOW);
    (void)label(&job, LABEL_UNKNOWN, NOW);
    (void)at(&job, EV_TIMER, NOW);
    assert_int_equal(changed(&job, LOAD_NOT_SENT).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_WAITING);
    assert_int_equal(at(&job, EV_TIMER, NOW).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_VISIBLE, NOW).action, ACT_STORE_COMMIT); /* it was one */
}

/* PAUSE and RESUME take a cancellation back, and no other source. */
static void test_changed_stays_changed(void **state)
{
    struct step_job job = loading_job();
    (void)loaded(&job, LOAD_LOST, NOW);
    (void)label(&job, LABEL_UNKNOWN, NOW);
    (void)at(&job, EV_TIMER, NOW);
    (void)changed(&job, LOAD_NOT_SENT);
    (void)at(&job, EV_PAUSE, NOW);
    (void)stored(&job);
    (void)at(&job, EV_RESUME, NOW);
    assert_false(job.is_canceled);
    assert_int_equal(stored(&job).action, ACT_ASK);
    assert_int_equal(label(&job, LABEL_UNKNOWN, NOW).action, ACT_ARM);
    assert_int_equal(job.phase, PHASE_WAITING); /* not RETRY: it is not sent again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_of_256),
        cmocka_unit_test(test_three_of_256),
        cmocka_unit_test(test_search_ends_and_batches_are_whole_again),
        cmocka_unit_test(test_all_bad_pauses),
        cmocka_unit_test(test_bad_and_good_in_turn_go_on),
        cmocka_unit_test(test_pause_policy_sets_nothing_aside),
        cmocka_unit_test(test_only_data_errors_are_searched),
        cmocka_unit_test(test_search_waits_for_stragglers),
        cmocka_unit_test(test_search_begins_when_it_is_stored),
        cmocka_unit_test(test_retry_changes_no_search),
        cmocka_unit_test(test_unreadable_names),
        cmocka_unit_test(test_refused_plan_waits_for_the_user),
        cmocka_unit_test(test_changed_before_the_load),
        cmocka_unit_test(test_changed_and_refused_is_no_bad_file),
        cmocka_unit_test(test_changed_before_commit),
        cmocka_unit_test(test_changed_and_loaded_is_loaded),
        cmocka_unit_test(test_changed_waits_for_stragglers),
        cmocka_unit_test(test_changed_stays_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
