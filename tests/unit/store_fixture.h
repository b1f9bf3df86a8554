/* What the tests of the store share: a directory of their own, records to write, a look inside. */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <sqlite3.h>

#include "scheduler/store.h"

enum { SEEN_JOBS = 8, SEEN_TASKS = 128, SEEN_BAD = 16 };

struct fixture {
    char dir[64];
    char path[96];
    struct err err;
};

/* Copies of what load() told, for looking at afterwards. */
struct seen {
    struct job_record jobs[SEEN_JOBS];
    struct task_record tasks[SEEN_JOBS][SEEN_TASKS];
    struct bad_file bad[SEEN_JOBS][SEEN_BAD];
    size_t n_jobs;
    size_t n_tasks[SEEN_JOBS];
    size_t n_bad[SEEN_JOBS];
};

static const struct store_ops *const ops = &store_sqlite_ops;

static inline void fixture_init(struct fixture *f)
{
    *f = (struct fixture){0};
    /* In memory where possible: thousands of synchronised writes are made. */
    (void)snprintf(f->dir, sizeof(f->dir), "%s/sluice-store-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/store.db", f->dir);
}

static inline void fixture_fini(struct fixture *f)
{
    DIR *dir = opendir(f->dir);
    struct dirent *entry = NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        }
    }
    (void)closedir(dir);
    assert_int_equal(rmdir(f->dir), 0);
}

static inline struct store *must_open(struct fixture *f)
{
    struct store *st = ops->open(f->path, "", &f->err);
    if (st == NULL) {
        print_error("%s\n", f->err.msg);
    }
    assert_non_null(st);
    return st;
}

/* The texts are literals: never handed to job_record_fini(). */
static inline struct job_record sample_job(int64_t id, const char *name)
{
    return (struct job_record){
        .id = id,
        .name = (char *)name,
        .definer = (char *)"root",
        .target_db = (char *)"db",
        .target_table = (char *)"t",
        .sql = (char *)"INSERT INTO db.t SELECT * FROM S3('uri' = 's3://b/x', 'k' = '\xff')",
        .properties = (char *)"{\"a\": \"b\"}",
        .comment = (char *)"",
        .create_ms = 1700000000000,
        .state = JOB_RUNNING,
    };
}

static inline struct task_record sample_task(int64_t job_id, int64_t id, const char *offset_after)
{
    return (struct task_record){
        .job_id = job_id,
        .id = id,
        .label = (char *)"label",
        .state = TASK_RUNNING,
        .range = (char *)"{\"from\": 1}",
        .offset_after = (char *)offset_after,
        .running_offset = (char *)"{\"running\": 1}",
        .create_ms = 1700000000001 + id,
        .start_ms = 1700000000002 + id,
    };
}

static inline void see(const struct store_job *from, void *arg)
{
    const struct task_record *tasks = from->tasks;
    size_t n_tasks = from->n_tasks;
    struct seen *seen = arg;
    assert_true(seen->n_jobs < SEEN_JOBS && n_tasks <= SEEN_TASKS && from->n_bad <= SEEN_BAD);
    job_record_copy(from->job, &seen->jobs[seen->n_jobs]);
    for (size_t i = 0; i < n_tasks; i++) {
        task_record_copy(&tasks[i], &seen->tasks[seen->n_jobs][i]);
    }
    for (size_t i = 0; i < from->n_bad; i++) {
        bad_file_copy(&from->bad[i], &seen->bad[seen->n_jobs][i]);
    }
    seen->n_bad[seen->n_jobs] = from->n_bad;
    seen->n_tasks[seen->n_jobs++] = n_tasks;
}

static inline void seen_fini(struct seen *seen)
{
    for (size_t i = 0; i < seen->n_jobs; i++) {
        job_record_fini(&seen->jobs[i]);
        for (size_t k = 0; k < seen->n_tasks[i]; k++) {
            task_record_fini(&seen->tasks[i][k]);
        }
        for (size_t k = 0; k < seen->n_bad[i]; k++) {
            bad_file_fini(&seen->bad[i][k]);
        }
    }
    seen->n_jobs = 0;
}

/* Replaces what was seen before. */
static inline void look(struct store *st, struct seen *seen)
{
    struct err err = {0};
    seen_fini(seen);
    bool is_read = ops->load(st, see, seen, &err);
    if (!is_read) {
        print_error("%s\n", err.msg);
    }
    assert_true(is_read);
}

/* SQL behind the store's back, on a connection of its own. */
static inline void raw(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
    if (rc != SQLITE_OK) {
        print_error("%s: %s\n", sql, message);
    }
    sqlite3_free(message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(rc, SQLITE_OK);
}

/*
 * What must hold after any crash: ids rise, the counters and the offset are those of the tasks, no
 * more than one task is unfinished. True for jobs of fewer tasks than are kept.
 */
static inline void check_invariants(const struct seen *seen, size_t at)
{
    const struct job_record *job = &seen->jobs[at];
    int64_t n_succeeded = 0, n_ended = 0, n_unfinished = 0, last_id = 0;
    int64_t committed = 0;
    const char *offset = NULL;
    for (size_t i = 0; i < seen->n_tasks[at]; i++) {
        const struct task_record *t = &seen->tasks[at][i];
        assert_true(t->id > last_id);
        last_id = t->id;
        if (t->state == TASK_SUCCESS) {
            n_succeeded++;
            committed = t->id;
            offset = t->offset_after;
        }
        n_ended += t->state == TASK_FAILED || t->state == TASK_CANCELED;
        n_unfinished += !task_state_is_final(t->state);
    }
    assert_true(n_unfinished <= 1);
    assert_int_equal(job->last_task_id, last_id);
    assert_int_equal(job->committed_task_id, committed);
    assert_int_equal(job->n_succeeded, n_succeeded);
    assert_int_equal(job->n_failed + job->n_canceled, n_ended);
    assert_int_equal(job->stat.scanned_rows, 10 * n_succeeded);
    if (offset == NULL) {
        assert_null(job->offset);
    } else {
        assert_string_equal(job->offset, offset);
    }
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    fixture_init(f);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static inline size_t count_entries(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n - 2;
}

#define assert_says(f, text)                                                                       \
    do {                                                                                           \
        if (strstr((f)->err.msg, text) == NULL) {                                                  \
            print_error("\"%s\" lacks \"%s\"\n", (f)->err.msg, text);                              \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static inline void insert_job(struct fixture *f, struct store *st, int64_t id, const char *name)
{
    struct job_record job = sample_job(id, name);
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
}

static inline struct file_mark sample_mark(const char *key, int64_t tag)
{
    return (struct file_mark){.key = (char *)key, .tag = tag, .size = 1000};
}

static inline struct bad_file sample_bad(const char *key, const char *reason)
{
    return (struct bad_file){
        .key = (char *)key,
        .etag = (char *)"\"etag\"",
        .size = 77,
        .reason = (char *)reason,
        .at_ms = 1700000002000,
    };
}

/* What a job tracks from `from` on, a word a file: "a=1 b=2! " (! for bad). The caller frees it. */
static inline char *tracked(struct store *st, int64_t job_id, const char *from)
{
    struct err err = {0};
    struct file_mark m = {0};
    char *text = NULL;
    size_t n = 0;
    int more = 0;
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    struct file_reader *r = ops->reader_open(st, &err);
    assert_non_null(r);
    assert_true(ops->reader_ops->begin(r, job_id, from, &err));
    while ((more = ops->reader_ops->next(r, &m, &err)) == 1) {
        (void)fprintf(to, "%s=%lld%s ", m.key, (long long)m.tag, m.is_bad ? "!" : "");
    }
    ops->reader_ops->end(r);
    ops->reader_ops->close(r);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(more, 0);
    return text;
}

static inline void assert_tracked(struct store *st, int64_t job_id, const char *expected)
{
    char *text = tracked(st, job_id, NULL);
    assert_string_equal(text, expected);
    free(text);
}

static inline int64_t raw_int(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t i = sqlite3_column_int64(q, 0);
    assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return i;
}

/* Ten rows a task, as check_invariants() expects. */
static inline enum store_result commit(struct fixture *f, struct store *st, struct task_record *t,
                                       int64_t expected)
{
    t->stat = (struct load_stat){10, 200, 1, 300, 2};
    t->finish_ms = 1700000001000;
    t->txn_id = (char *)"4711";
    return ops->task_commit(st, t, expected, NULL, &f->err);
}

#endif
