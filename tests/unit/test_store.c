/* The SQLite store: every call and every refusal. */
#include "tests/unit/store_fixture.h"

#include <sys/stat.h>

static struct seen seen; /* too large for the stack; emptied by every test */

static void test_open_makes_a_private_file(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    mode_t mask = umask(0);
    struct store *st = must_open(f);
    (void)umask(mask);
    static const char *const tails[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s", f->path, tails[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
    }
    assert_int_equal(ops->epoch(st), 1);
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 0);
    ops->close(st);
    assert_int_equal(count_entries(f->dir), 3); /* the store, its lock and key files, no log */
    ops->close(NULL);
}

static void test_epoch_rises_with_every_open(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 1; i <= 3; i++) {
        struct store *st = must_open(f);
        assert_int_equal(ops->epoch(st), i);
        ops->close(st);
    }
}

static void test_job_round_trip(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct job_record job = sample_job(1700000000000123, "jöb 'q\" `b");
    job.current_db = (char *)"cur";
    job.comment = (char *)"it's";
    job.state = JOB_PAUSED;
    job.fail_code = FAIL_IN_DOUBT;
    job.fail_msg = (char *)"why\nnot";
    job.n_resumes = 3;
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
    insert_job(f, st, 5, "other");
    ops->close(st);
    st = must_open(f);
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 2);
    assert_int_equal(seen.jobs[0].id, 5);
    const struct job_record *got = &seen.jobs[1];
    assert_int_equal(got->id, job.id);
    assert_string_equal(got->name, job.name);
    assert_string_equal(got->definer, "root");
    assert_string_equal(got->current_db, "cur");
    assert_string_equal(got->target_db, "db");
    assert_string_equal(got->target_table, "t");
    assert_string_equal(got->sql, job.sql);
    assert_string_equal(got->properties, job.properties);
    assert_string_equal(got->comment, "it's");
    assert_int_equal(got->create_ms, job.create_ms);
    assert_int_equal(got->state, JOB_PAUSED);
    assert_int_equal(got->fail_code, FAIL_IN_DOUBT);
    assert_string_equal(got->fail_msg, "why\nnot");
    assert_int_equal(got->n_resumes, 3);
    assert_null(got->offset);
    assert_null(seen.jobs[0].current_db);
    seen_fini(&seen);
    ops->close(st);
}

static void test_names_are_unique_and_case_matters(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct job_record job = sample_job(2, "a");
    insert_job(f, st, 1, "a");
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_DUPLICATE);
    assert_says(f, "job a already exists");
    insert_job(f, st, 2, "A");
    job = sample_job(2, "b");
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_FAIL); /* the id is taken */
    assert_says(f, "cannot create job b");
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 2);
    seen_fini(&seen);
    ops->close(st);
}

static void test_every_enum_value_is_stored(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    for (int i = JOB_PENDING; i <= JOB_FINISHED; i++) {
        for (int k = FAIL_NONE; k <= FAIL_STORE; k++) {
            struct job_update u = {.state = (enum job_state)i,
                                   .fail_code = (enum fail_code)k,
                                   .fail_msg = k == FAIL_NONE ? NULL : "x",
                                   .n_resumes = k};
            assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_OK);
            look(st, &seen);
            assert_int_equal(seen.jobs[0].state, i);
            assert_int_equal(seen.jobs[0].fail_code, k);
            assert_int_equal(seen.jobs[0].fail_msg == NULL, k == FAIL_NONE);
            assert_int_equal(seen.jobs[0].n_resumes, k);
        }
    }
    seen_fini(&seen);
    ops->close(st);
}

static void test_commit_moves_the_offset(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    struct job_update sick = {JOB_RUNNING, FAIL_INTERNAL, "sick", 4};
    assert_int_equal(ops->job_update(st, 1, &sick, &f->err), STORE_OK);
    struct task_record t = sample_task(1, 1, "{\"o\": 1}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    look(st, &seen);
    assert_null(seen.jobs[0].offset);
    assert_int_equal(seen.jobs[0].last_task_id, 1);
    assert_int_equal(seen.jobs[0].committed_task_id, 0);
    assert_int_equal(seen.tasks[0][0].state, TASK_RUNNING);
    assert_int_equal(commit(f, st, &t, 0), STORE_OK);
    look(st, &seen);
    const struct job_record *job = &seen.jobs[0];
    check_invariants(&seen, 0);
    assert_string_equal(job->offset, "{\"o\": 1}");
    assert_int_equal(job->fail_code, FAIL_NONE);
    assert_null(job->fail_msg);
    assert_int_equal(job->n_resumes, 0);
    assert_int_equal(job->last_success_ms, 1700000001000);
    const struct task_record *got = &seen.tasks[0][0];
    assert_string_equal(got->label, "label");
    assert_string_equal(got->range, ""); /* may be large, and is not needed any more */
    assert_string_equal(got->running_offset, t.running_offset);
    assert_string_equal(got->txn_id, "4711");
    assert_int_equal(got->create_ms, t.create_ms);
    assert_int_equal(got->start_ms, t.start_ms);
    assert_int_equal(got->finish_ms, 1700000001000);
    assert_null(got->error);
    seen_fini(&seen);
    ops->close(st);
}

static void test_statistics_add_up(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    for (int64_t i = 1; i <= 3; i++) {
        struct task_record t = sample_task(1, i, "{}");
        assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
        t.first_error = (char *)(i == 2 ? "resolved by a user" : NULL); /* known at its end only */
        assert_int_equal(commit(f, st, &t, i - 1), STORE_OK);
    }
    look(st, &seen);
    assert_null(seen.tasks[0][0].first_error);
    assert_string_equal(seen.tasks[0][1].first_error, "resolved by a user");
    const struct load_stat *s = &seen.jobs[0].stat;
    assert_int_equal(s->scanned_rows, 30);
    assert_int_equal(s->load_bytes, 600);
    assert_int_equal(s->file_number, 3);
    assert_int_equal(s->file_size, 900);
    assert_int_equal(s->filtered_rows, 6);
    s = &seen.tasks[0][2].stat;
    assert_int_equal(s->scanned_rows, 10);
    assert_int_equal(s->load_bytes, 200);
    assert_int_equal(s->file_number, 1);
    assert_int_equal(s->file_size, 300);
    assert_int_equal(s->filtered_rows, 2);
    seen_fini(&seen);
    ops->close(st);
}

static void test_begin_refuses_what_is_out_of_order(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    static const int64_t wrong_first[] = {0, 2, -1};
    for (size_t i = 0; i < ARRAY_SIZE(wrong_first); i++) {
        struct task_record t = sample_task(1, wrong_first[i], "{}");
        assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_STALE);
    }
    struct task_record t = sample_task(99, 1, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_STALE); /* no such job */
    t = sample_task(1, 1, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_STALE); /* again */
    t = sample_task(1, 2, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_STALE); /* task 1 is unfinished */
    assert_says(f, "did not begin task 2 of job 1");
    look(st, &seen);
    assert_int_equal(seen.n_tasks[0], 1);
    check_invariants(&seen, 0);
    seen_fini(&seen);
    ops->close(st);
}

static void test_commit_refuses_what_is_out_of_order(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    struct task_record t = sample_task(1, 1, "{\"o\": 1}");
    assert_int_equal(commit(f, st, &t, 0), STORE_STALE); /* not begun */
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(commit(f, st, &t, 1), STORE_STALE); /* another commit expected */
    assert_says(f, "another task was committed");
    struct task_record other = sample_task(1, 2, "{\"o\": 1}");
    assert_int_equal(commit(f, st, &other, 0), STORE_STALE); /* not the unfinished one */
    other = sample_task(1, 1, "{\"o\": 2}");
    assert_int_equal(commit(f, st, &other, 0), STORE_STALE); /* not the offset of the INTENT */
    other = sample_task(2, 1, "{\"o\": 1}");
    assert_int_equal(commit(f, st, &other, 0), STORE_STALE); /* no such job */
    look(st, &seen);
    check_invariants(&seen, 0);
    assert_int_equal(seen.tasks[0][0].state, TASK_RUNNING);
    assert_int_equal(commit(f, st, &t, 0), STORE_OK);
    assert_int_equal(commit(f, st, &t, 0), STORE_STALE); /* duplicates, whatever they expect */
    assert_int_equal(commit(f, st, &t, 1), STORE_STALE);
    look(st, &seen);
    check_invariants(&seen, 0);
    assert_int_equal(seen.jobs[0].n_succeeded, 1);
    seen_fini(&seen);
    ops->close(st);
}

static void test_end_writes_the_job_too(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    struct task_end end = {.state = TASK_FAILED,
                           .error = "it broke",
                           .first_error = "row 3",
                           .tracking_url = "http://be/x",
                           .finish_ms = 77,
                           .job = {JOB_PAUSED, FAIL_GET_REMOTE_DATA, "it broke", 2}};
    assert_int_equal(ops->task_end(st, 1, 1, &end, &f->err), STORE_STALE);
    struct task_record t = sample_task(1, 1, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(ops->task_end(st, 1, 2, &end, &f->err), STORE_STALE);
    assert_int_equal(ops->task_end(st, 1, 1, &end, &f->err), STORE_OK);
    assert_int_equal(ops->task_end(st, 1, 1, &end, &f->err), STORE_STALE);
    assert_int_equal(commit(f, st, &t, 0), STORE_STALE);
    look(st, &seen);
    check_invariants(&seen, 0);
    assert_int_equal(seen.jobs[0].state, JOB_PAUSED);
    assert_int_equal(seen.jobs[0].fail_code, FAIL_GET_REMOTE_DATA);
    assert_int_equal(seen.jobs[0].n_failed, 1);
    assert_int_equal(seen.jobs[0].n_resumes, 2);
    assert_int_equal(seen.tasks[0][0].state, TASK_FAILED);
    assert_string_equal(seen.tasks[0][0].error, "it broke");
    assert_string_equal(seen.tasks[0][0].first_error, "row 3");
    assert_string_equal(seen.tasks[0][0].tracking_url, "http://be/x");
    assert_int_equal(seen.tasks[0][0].finish_ms, 77);
    t = sample_task(1, 2, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    end = (struct task_end){.state = TASK_CANCELED, .job = {.state = JOB_PAUSED}};
    assert_int_equal(ops->task_end(st, 1, 2, &end, &f->err), STORE_OK);
    look(st, &seen);
    check_invariants(&seen, 0);
    assert_int_equal(seen.jobs[0].n_canceled, 1);
    assert_null(seen.jobs[0].offset);
    seen_fini(&seen);
    ops->close(st);
}

static void test_delete_takes_the_tasks_along(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct job_update u = {.state = JOB_RUNNING};
    insert_job(f, st, 1, "a");
    insert_job(f, st, 2, "b");
    for (int64_t i = 1; i <= 2; i++) {
        struct task_record t = sample_task(i, 1, "{}");
        assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    }
    assert_int_equal(ops->job_delete(st, 1, &f->err), STORE_OK);
    assert_int_equal(ops->job_delete(st, 1, &f->err), STORE_STALE);
    assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_STALE);
    assert_says(f, "there is no such job");
    insert_job(f, st, 1, "a");
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 2);
    assert_int_equal(seen.n_tasks[0], 0);
    assert_int_equal(seen.n_tasks[1], 1);
    seen_fini(&seen);
    ops->close(st);
}

static void test_an_older_owner_is_stale(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    struct task_record t = sample_task(1, 1, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    raw(f->path, "UPDATE meta SET epoch = epoch + 1"); /* what a second open() does */
    struct job_record job = sample_job(2, "b");
    struct job_update u = {.state = JOB_PAUSED};
    struct task_end end = {.state = TASK_CANCELED};
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_STALE);
    assert_int_equal(ops->job_delete(st, 1, &f->err), STORE_STALE);
    assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_STALE);
    assert_int_equal(ops->task_end(st, 1, 1, &end, &f->err), STORE_STALE);
    assert_int_equal(commit(f, st, &t, 0), STORE_STALE);
    assert_says(f, "another Sluice has taken over");
    t = sample_task(1, 2, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_STALE);
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 1);
    assert_int_equal(seen.jobs[0].state, JOB_RUNNING);
    assert_int_equal(seen.tasks[0][0].state, TASK_RUNNING);
    seen_fini(&seen);
    ops->close(st);
}

static void test_ten_thousand_tasks_are_pruned(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    insert_job(f, st, 2, "b");
    raw(f->path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
                 "INSERT INTO tasks SELECT j, i, 'l', iif(i % 3, 'SUCCESS', 'FAILED'), '{}', '{}', "
                 "'', 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0 "
                 "FROM n, (SELECT 1 AS j UNION SELECT 2);"
                 "DELETE FROM tasks WHERE job_id = 2 AND id > 100;"
                 "UPDATE jobs SET last_task_id = 10000, committed_task_id = 10000");
    struct task_record t = sample_task(1, 10001, "{\"o\": 1}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(commit(f, st, &t, 10000), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.n_tasks[0], STORE_TASKS_KEPT);
    assert_int_equal(seen.tasks[0][0].id, 10001 - STORE_TASKS_KEPT + 1);
    assert_int_equal(seen.tasks[0][STORE_TASKS_KEPT - 1].id, 10001);
    assert_int_equal(seen.n_tasks[1], 100);
    /* An unfinished task is not counted, and failures are pruned as well. */
    t = sample_task(1, 10002, "{}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.n_tasks[0], STORE_TASKS_KEPT + 1);
    struct task_end end = {.state = TASK_FAILED, .error = "e", .job = {.state = JOB_RUNNING}};
    assert_int_equal(ops->task_end(st, 1, 10002, &end, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.n_tasks[0], STORE_TASKS_KEPT);
    assert_string_equal(seen.jobs[0].offset, "{\"o\": 1}");
    seen_fini(&seen);
    ops->close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open_makes_a_private_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_epoch_rises_with_every_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_job_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_are_unique_and_case_matters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_enum_value_is_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_moves_the_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_statistics_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begin_refuses_what_is_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_refuses_what_is_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_writes_the_job_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_takes_the_tasks_along, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_older_owner_is_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ten_thousand_tasks_are_pruned, setup, teardown),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
