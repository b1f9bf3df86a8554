/* The SQLite store: which file a decision is about, and the gate between its writer and readers. */
#include "tests/unit/store_fixture.h"

#include "base/clock.h"
#include "scheduler/store_gate.h"

static struct seen seen; /* too large for the stack; emptied by every test */

/* RETRY keeps the file and marks it; SKIP takes it off the list; the others stay as they are. */
static void test_a_decision_is_about_its_file(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct bad_file bad[] = {sample_bad("k1", "r"), sample_bad("k2", "r"), sample_bad("k3", "r")};
    const struct files_aside aside = {.job_id = 1, .files = bad, .n_files = 3};
    insert_job(f, st, 1, "a");
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_OK);
    assert_int_equal(ops->file_decide(st, 1, "k2", FILE_RETRY, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.n_bad[0], 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(seen.bad[0][i].key, bad[i].key);
        assert_int_equal(seen.bad[0][i].is_retried, i == 1);
    }
    assert_int_equal(ops->file_decide(st, 1, "k1", FILE_SKIP, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.n_bad[0], 2);
    assert_string_equal(seen.bad[0][0].key, "k2");
    assert_string_equal(seen.bad[0][1].key, "k3");
    assert_false(seen.bad[0][1].is_retried);
    seen_fini(&seen);
    ops->close(st);
}

/* A write that is refused says which it was. */
static void test_a_refused_write_is_named(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    const struct task_end end = {.state = TASK_CANCELED, .job = {.state = JOB_RUNNING}};
    const struct bad_file bad = sample_bad("k", "r");
    const struct task_aside aside = {
        .end = {.state = TASK_FAILED, .error = "bad", .job = {.state = JOB_RUNNING}},
        .file = &bad,
    };
    struct task_record t = sample_task(1, 5, "{}");
    insert_job(f, st, 1, "a");
    assert_int_equal(ops->task_end(st, 1, 5, &end, &f->err), STORE_STALE);
    assert_non_null(strstr(f->err.msg, "end task 5 of job 1"));
    assert_int_equal(ops->task_aside(st, 1, 5, &aside, &f->err), STORE_STALE);
    assert_non_null(strstr(f->err.msg, "set the file of task 5 of job 1 aside"));
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_STALE);
    assert_non_null(strstr(f->err.msg, "begin task 5 of job 1"));
    assert_int_equal(ops->task_commit(st, &t, 4, NULL, &f->err), STORE_STALE);
    assert_non_null(strstr(f->err.msg, "commit task 5 of job 1"));
    ops->close(st);
}

/* Closed while somebody reads, it tells the writer so; opened, it lets everybody in at once. */
static void test_the_gate(void **state)
{
    struct store_gate *gate = store_gate_create();
    struct store_gate *same = store_gate_use(gate);
    (void)state;
    store_gate_enter(gate);
    assert_false(store_gate_close(gate));
    store_gate_leave(gate);
    assert_true(store_gate_close(gate));
    store_gate_open(gate);
    int64_t before_us = clock_mono_us();
    store_gate_enter(gate);
    assert_true(clock_mono_us() - before_us < 1000000); /* else it waits for two seconds */
    store_gate_leave(gate);
    store_gate_put(same);
    store_gate_enter(gate); /* the other user's */
    store_gate_leave(gate);
    store_gate_put(gate);
}

/* A writer that does not come back keeps the first reader waiting, and nobody behind it. */
static void test_a_gate_that_stays_closed(void **state)
{
    struct store_gate *gate = store_gate_create();
    (void)state;
    assert_true(store_gate_close(gate));
    store_gate_enter(gate); /* two seconds */
    store_gate_leave(gate);
    int64_t before_us = clock_mono_us();
    store_gate_enter(gate);
    assert_true(clock_mono_us() - before_us < 1000000);
    store_gate_leave(gate);
    store_gate_put(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_decision_is_about_its_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_write_is_named, setup, teardown),
        cmocka_unit_test(test_the_gate),
        cmocka_unit_test(test_a_gate_that_stays_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
