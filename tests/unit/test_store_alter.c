/* job_alter() of the SQLite store: all columns or none, only of the job that was meant, no traces. */
#include "tests/unit/store_fixture.h"

#include <time.h>

static struct seen seen; /* too large for the stack; emptied by every test */

static struct job_record paused_job(void)
{
    struct job_record job = sample_job(1, "a");
    job.state = JOB_PAUSED;
    job.fail_code = FAIL_MANUAL_PAUSE;
    job.fail_msg = (char *)"by the user";
    return job;
}

static struct job_record altered_job(void)
{
    struct job_record job = paused_job();
    job.sql = (char *)"INSERT INTO db.t SELECT c1 FROM S3('uri' = 's3://b/x', 'k' = 'new')";
    job.properties = (char *)"{\"a\": \"c\"}";
    job.offset = (char *)"{\"at\": 3}";
    job.fail_msg = (char *)"altered";
    return job;
}

static void assert_altered(const struct job_record *got)
{
    struct job_record job = altered_job();
    assert_string_equal(got->sql, job.sql);
    assert_string_equal(got->properties, job.properties);
    assert_string_equal(got->offset, job.offset);
    assert_string_equal(got->fail_msg, job.fail_msg);
    assert_int_equal(got->state, JOB_PAUSED);
}

static void test_altered(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct job_record job = paused_job();
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
    insert_job(f, st, 2, "b");
    job = altered_job();
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_OK);
    for (int life = 0; life < 2; life++) {
        look(st, &seen);
        assert_altered(&seen.jobs[0]);
        assert_string_equal(seen.jobs[1].properties, "{\"a\": \"b\"}");
        assert_int_equal(seen.jobs[1].state, JOB_RUNNING);
        ops->close(st);
        st = must_open(f);
    }
    seen_fini(&seen);
    ops->close(st);
}

/* Each thing it names in turn is another than the store has. */
static void test_compare_and_set(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct job_record job = paused_job();
    struct job_update running = {JOB_RUNNING, FAIL_NONE, NULL, 0};
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
    struct task_record t = sample_task(1, 1, "{\"at\": 1}");
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(commit(f, st, &t, 0), STORE_OK);

    job = altered_job();
    job.committed_task_id = 1;
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_STALE); /* last_task_id 0 */
    job.last_task_id = 1;
    job.committed_task_id = 0;
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_STALE);
    assert_says(f, "did not alter job a");
    job.committed_task_id = 1;
    job.id = 2;
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_STALE);
    job.id = 1;
    assert_int_equal(ops->job_update(st, 1, &running, &f->err), STORE_OK);
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_STALE); /* not PAUSED */
    raw(f->path, "UPDATE jobs SET state = 'PAUSED'");
    raw(f->path, "UPDATE meta SET epoch = epoch + 1");
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_STALE); /* not the owner */
    assert_says(f, "another Sluice");
    raw(f->path, "UPDATE meta SET epoch = epoch - 1");
    look(st, &seen);
    assert_string_equal(seen.jobs[0].properties, "{\"a\": \"b\"}");
    assert_string_equal(seen.jobs[0].offset, "{\"at\": 1}");
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_OK);
    look(st, &seen);
    assert_altered(&seen.jobs[0]);
    seen_fini(&seen);
    ops->close(st);
}

/* The column as it is on the disk, encrypted or not; the caller frees it. */
static char *stored_sql(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT \"sql\" FROM jobs", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    char *text = strdup((const char *)sqlite3_column_text(q, 0));
    assert_non_null(text);
    assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return text;
}

static bool is_in_file(const char *path, const char *tail, const char *text)
{
    static char bytes[4 << 20];
    char name[128];
    (void)snprintf(name, sizeof(name), "%s%s", path, tail);
    FILE *file = fopen(name, "re");
    if (file == NULL) {
        return false;
    }
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    return memmem(bytes, n, text, strlen(text)) != NULL;
}

/* Credentials that were taken out are gone, from the log as well, while the store is in use. */
static void test_no_trace_of_the_old(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct job_record job = paused_job();
    char large[9000]; /* more than a page: it has pages of its own, which are freed */
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    job.sql = large;
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
    char *old = stored_sql(f->path);
    old[200] = '\0'; /* within one page */
    assert_true(is_in_file(f->path, "", old) || is_in_file(f->path, "-wal", old));
    job = altered_job();
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_OK);
    assert_false(is_in_file(f->path, "", old));
    assert_false(is_in_file(f->path, "-wal", old));
    free(old);
    ops->close(st);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Somebody reads the log where the old is: nobody waits for that, the next write makes up for it. */
static void test_a_reader_is_in_the_way(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct job_record job = paused_job();
    struct job_update u = {JOB_PAUSED, FAIL_NONE, NULL, 0};
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
    struct file_reader *r = ops->reader_open(st, &f->err);
    assert_non_null(r);
    assert_true(ops->reader_ops->begin(r, 1, NULL, &f->err));
    char *old = stored_sql(f->path);
    int64_t least_ms = INT64_MAX; /* of three: the machine may be busy */
    job = altered_job();
    for (int i = 0; i < 3; i++) {
        int64_t before_ms = now_ms();
        assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_OK);
        int64_t took_ms = now_ms() - before_ms;
        least_ms = took_ms < least_ms ? took_ms : least_ms;
    }
    assert_true(least_ms < 400); /* a locked store is waited for longer */
    assert_true(is_in_file(f->path, "", old) || is_in_file(f->path, "-wal", old));
    ops->reader_ops->close(r);
    assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_OK);
    assert_false(is_in_file(f->path, "", old));
    assert_false(is_in_file(f->path, "-wal", old));
    free(old);
    ops->close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_altered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compare_and_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_trace_of_the_old, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_is_in_the_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
