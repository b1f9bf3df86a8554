/* Tracked and bad files in the SQLite store: what each call writes, what it refuses, what is left. */
#include "tests/unit/store_fixture.h"

#include <sys/wait.h>

#include "base/xmalloc.h"

static struct seen seen; /* too large for the stack; emptied by every test */

/* Job 1 with a task under way, job 2 with none. */
static struct store *begin_jobs(struct fixture *f)
{
    struct store *st = must_open(f);
    struct task_record t = sample_task(1, 1, "{\"o\": 1}");
    insert_job(f, st, 1, "a");
    insert_job(f, st, 2, "b");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    return st;
}

static enum store_result commit_marks(struct fixture *f, struct store *st, int64_t id,
                                      struct file_mark *marks, size_t n)
{
    struct task_record t = sample_task(1, id, "{\"o\": 1}");
    const struct file_marks all = {.marks = marks, .n_marks = n};
    t.finish_ms = 5;
    return ops->task_commit(st, &t, id - 1, &all, &f->err);
}

static struct task_aside sample_aside(const struct bad_file *bad, const char *offset)
{
    return (struct task_aside){
        .end = {.state = TASK_FAILED, .error = "bad", .job = {.state = JOB_RUNNING}},
        .offset_after = offset,
        .file = bad,
    };
}

static enum store_result set_aside(struct fixture *f, struct store *st, int64_t last_task_id,
                                   const struct bad_file *bad, size_t n)
{
    const struct files_aside aside = {
        .job_id = 2, .last_task_id = last_task_id, .files = bad, .n_files = n};
    return ops->files_aside(st, &aside, &f->err);
}

static void test_task_columns(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct task_record t = sample_task(1, 1, "{}");
    insert_job(f, st, 1, "a");
    t.txn_before = INT64_C(123456789012);
    t.is_retry = true;
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.tasks[0][0].txn_before, t.txn_before);
    assert_true(seen.tasks[0][0].is_retry);
    seen_fini(&seen);
    ops->close(st);
}

static void test_marks_are_counted_once(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct file_mark marks[] = {sample_mark("b", 2), sample_mark("a", 1), sample_mark("c", -3)};
    marks[2].is_bad = true;
    assert_int_equal(commit_marks(f, st, 1, marks, 3), STORE_OK);
    assert_tracked(st, 1, "a=1 b=2 c=-3! ");
    assert_tracked(st, 2, "");
    assert_int_equal(ops->n_tracked(st, 1), 3);
    assert_int_equal(ops->n_tracked(st, 2), 0);
    assert_int_equal(ops->n_tracked(st, 3), -1);

    struct task_record t = sample_task(1, 2, "{\"o\": 1}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    struct file_mark again[] = {sample_mark("c", 4), sample_mark("d", 5), sample_mark("d", 6)};
    assert_int_equal(commit_marks(f, st, 2, again, 3), STORE_OK);
    for (int life = 0; life < 2; life++) {
        assert_tracked(st, 1, "a=1 b=2 c=4 d=6 ");
        look(st, &seen);
        assert_int_equal(seen.jobs[0].n_tracked, 4);
        assert_int_equal(seen.jobs[1].n_tracked, 0);
        ops->close(st);
        st = must_open(f);
    }
    seen_fini(&seen);
    ops->close(st);
}

/* job_alter() is given what its caller knows, which need not be the newest count. */
static void test_alter_leaves_the_count(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct file_mark m = sample_mark("a", 1);
    struct job_update paused = {.state = JOB_PAUSED};
    struct job_record job = sample_job(1, "a");
    assert_int_equal(commit_marks(f, st, 1, &m, 1), STORE_OK);
    assert_int_equal(ops->job_update(st, 1, &paused, &f->err), STORE_OK);
    job.state = JOB_PAUSED;
    job.last_task_id = job.committed_task_id = 1;
    job.n_tracked = 77;
    job.offset = (char *)"{\"o\": 9}";
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.jobs[0].n_tracked, 1);
    assert_int_equal(seen.jobs[0].n_succeeded, 1);
    assert_string_equal(seen.jobs[0].offset, "{\"o\": 9}");
    seen_fini(&seen);
    ops->close(st);
}

static void test_a_stale_commit_marks_nothing(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct bad_file bad = sample_bad("k", "r");
    struct file_mark m = sample_mark("a", 1);
    char *settled[] = {(char *)"k"};
    const struct file_marks marks = {.marks = &m, .n_marks = 1, .settled = settled, .n_settled = 1};
    struct task_record t = sample_task(1, 1, "{\"o\": 1}");
    assert_int_equal(set_aside(f, st, 0, &bad, 1), STORE_OK);
    raw(f->path, "UPDATE bad_files SET job_id = 1");
    assert_int_equal(ops->task_commit(st, &t, 7, &marks, &f->err), STORE_STALE);
    t.is_retry = true; /* the store has it as none */
    assert_int_equal(ops->task_commit(st, &t, 0, &marks, &f->err), STORE_STALE);
    t.is_retry = false;
    t.id = 2;
    assert_int_equal(ops->task_commit(st, &t, 0, &marks, &f->err), STORE_STALE);
    t.id = 1;
    raw(f->path, "UPDATE meta SET epoch = epoch + 1");
    assert_int_equal(ops->task_commit(st, &t, 0, &marks, &f->err), STORE_STALE);
    raw(f->path, "UPDATE meta SET epoch = epoch - 1");
    assert_tracked(st, 1, "");
    assert_int_equal(ops->n_tracked(st, 1), 0);
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM bad_files"), 1);
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM file_sets"), 0);

    assert_int_equal(ops->task_commit(st, &t, 0, &marks, &f->err), STORE_OK);
    assert_tracked(st, 1, "a=1 ");
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM bad_files"), 0);
    ops->close(st);
}

static void test_a_retry_leaves_the_offset(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct bad_file bad[] = {sample_bad("k1", "r"), sample_bad("k2", "r")};
    struct file_mark m = sample_mark("a", 1);
    char *settled[] = {(char *)"k1", (char *)"skipped meanwhile"};
    const struct file_marks marks = {.marks = &m, .n_marks = 1, .settled = settled, .n_settled = 2};
    assert_int_equal(commit_marks(f, st, 1, NULL, 0), STORE_OK);
    struct files_aside aside = {.job_id = 1, .last_task_id = 1, .files = bad, .n_files = 2};
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_OK);
    struct task_record t = sample_task(1, 2, "{\"o\": 0}");
    t.is_retry = true;
    t.finish_ms = 7;
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(ops->task_commit(st, &t, 1, &marks, &f->err), STORE_OK);
    look(st, &seen);
    assert_string_equal(seen.jobs[0].offset, "{\"o\": 1}");
    assert_int_equal(seen.jobs[0].committed_task_id, 2);
    assert_int_equal(seen.jobs[0].n_succeeded, 2);
    assert_int_equal(seen.jobs[0].last_success_ms, 7);
    assert_int_equal(seen.n_bad[0], 1);
    assert_string_equal(seen.bad[0][0].key, "k2");
    assert_tracked(st, 1, "a=1 ");
    seen_fini(&seen);
    ops->close(st);
}

static void assert_untouched(struct fixture *f, struct store *st)
{
    look(st, &seen);
    assert_null(seen.jobs[0].offset);
    assert_int_equal(seen.jobs[0].n_failed, 0);
    assert_int_equal(seen.tasks[0][0].state, TASK_RUNNING);
    assert_int_equal(seen.n_bad[0] + seen.n_bad[1], 0);
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM tracked_files"), 0);
    seen_fini(&seen);
}

static void test_task_aside(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct bad_file bad = sample_bad("whole/k", "row 3 is none");
    struct file_mark m = sample_mark("k", 1);
    const struct file_marks marks = {.marks = &m, .n_marks = 1};
    struct task_aside aside = sample_aside(&bad, "{\"o\": 1}");
    bad.task_id = 1;
    m.is_bad = true;
    aside.marks = &marks;
    aside.end.first_error = "first";
    aside.end.finish_ms = 9;
    assert_int_equal(ops->task_aside(st, 1, 2, &aside, &f->err), STORE_STALE);
    assert_says(f, "it is not the job's unfinished task");
    assert_int_equal(ops->task_aside(st, 2, 1, &aside, &f->err), STORE_STALE);
    assert_int_equal(ops->task_aside(st, 3, 1, &aside, &f->err), STORE_STALE);
    raw(f->path, "UPDATE meta SET epoch = epoch + 1");
    assert_int_equal(ops->task_aside(st, 1, 1, &aside, &f->err), STORE_STALE);
    assert_says(f, "another Sluice");
    raw(f->path, "UPDATE meta SET epoch = epoch - 1");
    assert_untouched(f, st);

    assert_int_equal(ops->task_aside(st, 1, 1, &aside, &f->err), STORE_OK);
    look(st, &seen);
    assert_string_equal(seen.jobs[0].offset, "{\"o\": 1}");
    assert_int_equal(seen.jobs[0].n_failed, 1);
    assert_int_equal(seen.jobs[0].committed_task_id, 0);
    assert_int_equal(seen.jobs[0].state, JOB_RUNNING);
    assert_int_equal(seen.tasks[0][0].state, TASK_FAILED);
    assert_string_equal(seen.tasks[0][0].first_error, "first");
    assert_int_equal(seen.n_bad[0], 1);
    const struct bad_file *got = &seen.bad[0][0];
    assert_string_equal(got->key, "whole/k");
    assert_string_equal(got->etag, "\"etag\"");
    assert_string_equal(got->reason, "row 3 is none");
    assert_int_equal(got->size, 77);
    assert_int_equal(got->task_id, 1);
    assert_int_equal(got->at_ms, 1700000002000);
    assert_false(got->is_retried);
    assert_tracked(st, 1, "k=1! ");
    /* Once is enough. */
    assert_int_equal(ops->task_aside(st, 1, 1, &aside, &f->err), STORE_STALE);
    seen_fini(&seen);
    ops->close(st);
}

/* A retried file that fails again takes the place of its older row; the offset stays. */
static void test_a_retry_is_set_aside_again(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct bad_file bad = sample_bad("k", "first");
    struct task_aside aside = sample_aside(&bad, "{\"o\": 1}");
    assert_int_equal(ops->task_aside(st, 1, 1, &aside, &f->err), STORE_OK);
    assert_int_equal(ops->file_decide(st, 1, "k", FILE_RETRY, &f->err), STORE_OK);
    struct task_record t = sample_task(1, 2, "{\"o\": 1}");
    t.is_retry = true;
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    bad = sample_bad("k", "second");
    bad.task_id = 2;
    aside = sample_aside(&bad, "{\"o\": 2}");
    assert_int_equal(ops->task_aside(st, 1, 2, &aside, &f->err), STORE_STALE);
    assert_says(f, "a retry of a file does not move the job's offset");
    aside.offset_after = NULL;
    assert_int_equal(ops->task_aside(st, 1, 2, &aside, &f->err), STORE_OK);
    look(st, &seen);
    assert_string_equal(seen.jobs[0].offset, "{\"o\": 1}");
    assert_int_equal(seen.jobs[0].n_failed, 2);
    assert_int_equal(seen.n_bad[0], 1);
    assert_string_equal(seen.bad[0][0].reason, "second");
    assert_int_equal(seen.bad[0][0].task_id, 2);
    assert_false(seen.bad[0][0].is_retried);
    seen_fini(&seen);
    ops->close(st);
}

static void test_files_aside(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct bad_file bad[] = {sample_bad("k2", "two"), sample_bad("k1", "one"),
                             sample_bad("k2", "two again")};
    struct file_mark m = sample_mark("k1", 1);
    const struct file_marks marks = {.marks = &m, .n_marks = 1};
    struct files_aside aside = {
        .job_id = 1, .files = bad, .n_files = 3, .marks = &marks, .offset_after = "{\"o\": 3}"};
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_STALE); /* last task is 1 */
    aside.last_task_id = 1;
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_STALE); /* and under way */
    assert_says(f, "did not set 3 files of job 1 aside: the job is gone, has an unfinished task");
    aside.job_id = 3;
    aside.last_task_id = 0;
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_STALE);
    aside.job_id = 2;
    aside.last_task_id = 1;
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_STALE);
    aside.last_task_id = 0;
    raw(f->path, "UPDATE meta SET epoch = epoch + 1");
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_STALE);
    raw(f->path, "UPDATE meta SET epoch = epoch - 1");
    assert_untouched(f, st);

    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_OK);
    look(st, &seen);
    assert_string_equal(seen.jobs[1].offset, "{\"o\": 3}");
    assert_int_equal(seen.n_bad[0], 0);
    assert_int_equal(seen.n_bad[1], 2);
    assert_string_equal(seen.bad[1][0].key, "k1"); /* by key */
    assert_string_equal(seen.bad[1][1].reason, "two again");
    assert_tracked(st, 2, "k1=1 ");
    aside = (struct files_aside){.job_id = 2};
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_OK); /* nothing, and no offset */
    look(st, &seen);
    assert_string_equal(seen.jobs[1].offset, "{\"o\": 3}");
    seen_fini(&seen);
    ops->close(st);
}

static void test_decisions(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    struct bad_file bad[] = {sample_bad("k1", "r"), sample_bad("k2", "r"), sample_bad("k3", "r")};
    assert_int_equal(set_aside(f, st, 0, bad, 3), STORE_OK);
    assert_int_equal(ops->file_decide(st, 1, "k1", FILE_RETRY, &f->err), STORE_STALE);
    assert_says(f, "did not retry k1 of job 1: no such file of the job is set aside");
    assert_int_equal(ops->file_decide(st, 2, "k", FILE_SKIP, &f->err), STORE_STALE);
    assert_int_equal(ops->file_decide(st, 1, NULL, FILE_SKIP, &f->err), STORE_STALE);
    assert_says(f, "did not skip the files of job 1");
    raw(f->path, "UPDATE meta SET epoch = epoch + 1");
    assert_int_equal(ops->file_decide(st, 2, "k1", FILE_SKIP, &f->err), STORE_STALE);
    assert_int_equal(ops->file_decide(st, 2, NULL, FILE_RETRY, &f->err), STORE_STALE);
    raw(f->path, "UPDATE meta SET epoch = epoch - 1");
    look(st, &seen);
    assert_int_equal(seen.n_bad[1], 3);

    assert_int_equal(ops->file_decide(st, 2, "k1", FILE_RETRY, &f->err), STORE_OK);
    assert_int_equal(ops->file_decide(st, 2, "k2", FILE_SKIP, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.n_bad[1], 2);
    assert_true(seen.bad[1][0].is_retried);
    assert_false(seen.bad[1][1].is_retried);
    assert_int_equal(ops->file_decide(st, 2, NULL, FILE_RETRY, &f->err), STORE_OK);
    look(st, &seen);
    assert_true(seen.bad[1][0].is_retried && seen.bad[1][1].is_retried);
    assert_int_equal(ops->file_decide(st, 2, NULL, FILE_SKIP, &f->err), STORE_OK);
    look(st, &seen);
    assert_int_equal(seen.n_bad[1], 0);
    seen_fini(&seen);
    ops->close(st);
}

/* Adds files "1" to "n" to job 1 behind the store's back, with its first task committed. */
static void track_many(struct fixture *f, struct store *st, int n)
{
    char sql[256];
    struct file_mark m = sample_mark("0", 1);
    assert_int_equal(commit_marks(f, st, 1, &m, 1), STORE_OK);
    (void)snprintf(sql, sizeof(sql),
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
                   "INSERT INTO tracked_files SELECT 1, CAST(i AS BLOB), i, 1 FROM n",
                   n);
    raw(f->path, sql);
}

/* More than is removed at once: what is left of it is nobody's, whatever happens in between. */
static void test_delete_takes_the_files_along(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    static const char rows[] = "SELECT count(*) FROM tracked_files WHERE set_id = 1";
    struct bad_file bad = sample_bad("k", "r");
    struct job_update u = {.state = JOB_RUNNING};
    enum { MANY = 50000 };
    track_many(f, st, MANY);
    struct files_aside aside = {.job_id = 1, .last_task_id = 1, .files = &bad, .n_files = 1};
    assert_int_equal(ops->files_aside(st, &aside, &f->err), STORE_OK);
    assert_int_equal(ops->job_delete(st, 1, &f->err), STORE_OK);
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM bad_files"), 0);
    int64_t n_left = raw_int(f->path, rows);
    assert_in_range(n_left, 1, MANY - 1); /* some are removed at once, and never all */
    assert_tracked(st, 1, "");

    /* The same id again, as after a clock step: it begins with nothing, and is not swept. */
    insert_job(f, st, 1, "a");
    assert_tracked(st, 1, "");
    assert_int_equal(ops->n_tracked(st, 1), 0);
    struct task_record t = sample_task(1, 1, "{\"o\": 1}");
    struct file_mark m = sample_mark("7", 70);
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(commit_marks(f, st, 1, &m, 1), STORE_OK);
    assert_tracked(st, 1, "7=70 ");
    ops->close(st);
    st = must_open(f);
    assert_true(raw_int(f->path, rows) < n_left);
    for (int i = 0; i < MANY && raw_int(f->path, rows) > 0; i++) {
        n_left = raw_int(f->path, rows);
        assert_int_equal(ops->job_update(st, 2, &u, &f->err), STORE_OK);
        assert_true(raw_int(f->path, rows) < n_left);
    }
    assert_int_equal(ops->job_update(st, 2, &u, &f->err), STORE_OK); /* the empty set itself */
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM file_sets"), 1);
    assert_tracked(st, 1, "7=70 ");
    /* Its number is free now, and low numbers are taken first. */
    t = sample_task(2, 1, "{\"o\": 1}");
    const struct file_marks marks = {.marks = &m, .n_marks = 1};
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(ops->task_commit(st, &t, 0, &marks, &f->err), STORE_OK);
    assert_int_equal(raw_int(f->path, "SELECT set_id FROM file_sets WHERE job_id = 2"), 1);
    assert_tracked(st, 2, "7=70 ");
    ops->close(st);
}

static void test_freed_room_is_used_again(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    enum { MANY = 20000 };
    track_many(f, st, MANY);
    int64_t n_pages = raw_int(f->path, "PRAGMA page_count");
    for (int round = 0; round < 3; round++) {
        struct job_update u = {.state = JOB_RUNNING};
        struct task_record t = sample_task(1, 1, "{\"o\": 1}");
        assert_int_equal(ops->job_delete(st, 1, &f->err), STORE_OK);
        while (raw_int(f->path, "SELECT count(*) FROM file_sets") > 0) {
            assert_int_equal(ops->job_update(st, 2, &u, &f->err), STORE_OK);
        }
        assert_true(raw_int(f->path, "PRAGMA freelist_count") > n_pages / 2);
        insert_job(f, st, 1, "a");
        assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
        track_many(f, st, MANY);
        assert_true(raw_int(f->path, "PRAGMA page_count") <= n_pages + 4);
    }
    ops->close(st);
}

/* An owner that was stopped, lost its lock file and woke up: all it does is refused. */
static void test_zombie_owner(void **state)
{
    struct fixture *f = *state;
    struct store *st = begin_jobs(f);
    char lock[128];
    int status = 0;
    (void)snprintf(lock, sizeof(lock), "%s.lock", f->path);
    assert_int_equal(unlink(lock), 0);
    /* In a process of its own: closing a file drops the locks of the process on it. */
    pid_t pid = fork();
    if (pid == 0) {
        struct store *other = ops->open(f->path, "", &f->err);
        struct task_end end = {.state = TASK_CANCELED, .job = {.state = JOB_RUNNING}};
        bool is_ok = other != NULL && ops->task_end(other, 1, 1, &end, &f->err) == STORE_OK;
        /* It ends as another program: valgrind need not see what it holds. */
        (void)execl(is_ok ? "/bin/true" : "/bin/false", "owner", NULL);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct bad_file bad = sample_bad("k", "r");
    struct file_mark m = sample_mark("a", 1);
    struct task_aside aside = sample_aside(&bad, "{\"o\": 1}");
    assert_int_equal(commit_marks(f, st, 1, &m, 1), STORE_STALE);
    assert_int_equal(ops->task_aside(st, 1, 1, &aside, &f->err), STORE_STALE);
    assert_int_equal(set_aside(f, st, 0, &bad, 1), STORE_STALE);
    assert_int_equal(ops->file_decide(st, 1, NULL, FILE_SKIP, &f->err), STORE_STALE);
    assert_says(f, "another Sluice has taken over");
    look(st, &seen);
    assert_int_equal(seen.tasks[0][0].state, TASK_CANCELED);
    assert_int_equal(seen.n_bad[0] + seen.n_bad[1], 0);
    assert_null(seen.jobs[0].offset);
    assert_tracked(st, 1, "");
    seen_fini(&seen);
    ops->close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_task_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_marks_are_counted_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alter_leaves_the_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stale_commit_marks_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_retry_leaves_the_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_task_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_retry_is_set_aside_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_decisions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_takes_the_files_along, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_room_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zombie_owner, setup, teardown),
    };
    return cmocka_run_group_tests_name("store files", tests, NULL, NULL);
}
