/* The reader of tracked files: the order of keys, its snapshot, threads beside the writer, the log. */
#include "tests/unit/store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "base/span.h"
#include "base/xmalloc.h"

/* Commits a task of job 1 with these marks. */
static void commit_all(struct fixture *f, struct store *st, int64_t id, struct file_mark *marks,
                       size_t n)
{
    struct task_record t = sample_task(1, id, "{\"o\": 1}");
    const struct file_marks all = {.marks = marks, .n_marks = n};
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    t.finish_ms = 5;
    assert_int_equal(ops->task_commit(st, &t, id - 1, &all, &f->err), STORE_OK);
}

static struct file_reader *must_read(struct fixture *f, struct store *st)
{
    struct file_reader *r = ops->reader_open(st, &f->err);
    if (r == NULL) {
        print_error("%s\n", f->err.msg);
    }
    assert_non_null(r);
    return r;
}

enum { N_KEYS = 700, LONGEST_KEY = 1100 };

/* Every single byte, pairs of them, prefixes of each other, long ones; from a fixed seed. */
static size_t make_keys(struct file_mark *ret)
{
    unsigned seed = 4711;
    size_t n = 0;
    for (int byte = 1; byte < 256; byte++) {
        ret[n].key = xasprintf("%c", byte);
        n++;
        ret[n].key = xasprintf("p/%c%c", byte, 256 - byte);
        n++;
    }
    ret[n++].key = xstrdup("");
    while (n < N_KEYS) {
        size_t len = 1 + (size_t)rand_r(&seed) % (n % 50 == 0 ? LONGEST_KEY : 6);
        char *key = xcalloc(len + 1, 1);
        for (size_t i = 0; i < len; i++) {
            key[i] = (char)(1 + rand_r(&seed) % 255);
        }
        ret[n++].key = key;
    }
    for (size_t i = 0; i < n; i++) {
        ret[i].tag = i % 3 == 0 ? INT64_MIN + (int64_t)i : (int64_t)i * 1234567;
        ret[i].size = i == 0 ? 0 : i == 1 ? INT64_MAX : (int64_t)(i * 99991);
        ret[i].is_bad = i % 7 == 0 || i == 1;
    }
    return n;
}

static int compare_keys(const void *a, const void *b)
{
    const struct file_mark *left = a;
    const struct file_mark *right = b;
    return span_cmp(span_of(left->key), span_of(right->key));
}

/* Equal keys are neighbours, and one is enough: the store would keep the last one written. */
static size_t sort_unique(struct file_mark *marks, size_t n)
{
    size_t n_kept = 0;
    qsort(marks, n, sizeof(*marks), compare_keys);
    for (size_t i = 0; i < n; i++) {
        if (n_kept > 0 && strcmp(marks[i].key, marks[n_kept - 1].key) == 0) {
            free(marks[i].key);
        } else {
            marks[n_kept++] = marks[i];
        }
    }
    return n_kept;
}

static void expect_from(struct file_reader *r, const struct file_mark *marks, size_t n,
                        const char *from)
{
    struct err err = {0};
    struct file_mark got = {0};
    assert_true(ops->reader_ops->begin(r, 1, from, &err));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ops->reader_ops->next(r, &got, &err), 1);
        assert_string_equal(got.key, marks[i].key);
        assert_int_equal(got.tag, marks[i].tag);
        assert_int_equal(got.size, marks[i].size);
        assert_int_equal(got.is_bad, marks[i].is_bad);
    }
    assert_int_equal(ops->reader_ops->next(r, &got, &err), 0);
    assert_int_equal(ops->reader_ops->next(r, &got, &err), 0);
    ops->reader_ops->end(r);
}

static void test_keys_are_bytes_in_order(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    static struct file_mark marks[N_KEYS];
    size_t n = sort_unique(marks, make_keys(marks));
    insert_job(f, st, 1, "a");
    insert_job(f, st, 2, "b");
    assert_true(n > 600);
    /* Backwards: the order is the store's own work. */
    for (size_t i = 0; i < n; i++) {
        commit_all(f, st, (int64_t)i + 1, &marks[n - 1 - i], 1);
    }
    assert_int_equal(ops->n_tracked(st, 1), n);
    struct file_reader *r = must_read(f, st);
    expect_from(r, marks, n, NULL);
    expect_from(r, marks, n, "");
    for (size_t i = 0; i < n; i += 17) {
        expect_from(r, marks + i, n - i, marks[i].key);
        _cleanup_free_ char *behind = xasprintf("%s\x01", marks[i].key);
        size_t next = i + 1;
        while (next < n && strcmp(marks[next].key, behind) < 0) {
            next++; /* strcmp() compares unsigned bytes, too */
        }
        expect_from(r, marks + next, n - next, behind);
    }
    expect_from(r, NULL, 0, "\xff\xff\xff\xff\xff\xff\xff\xff");
    ops->reader_ops->close(r);
    ops->close(st);
    for (size_t i = 0; i < n; i++) {
        free(marks[i].key);
    }
}

static void test_what_is_not_begun(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct file_mark got = {0};
    struct file_mark m = sample_mark("a", 1);
    insert_job(f, st, 1, "a");
    struct file_reader *r = must_read(f, st);
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 0);
    ops->reader_ops->end(r);
    assert_true(ops->reader_ops->begin(r, 1, NULL, &f->err)); /* tracks nothing yet */
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 0);
    commit_all(f, st, 1, &m, 1);
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 0);
    assert_true(ops->reader_ops->begin(r, 1, NULL, &f->err)); /* ends the one before */
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 1);
    ops->reader_ops->end(r);
    ops->reader_ops->end(r);
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 0);
    assert_true(ops->reader_ops->begin(r, 99, NULL, &f->err)); /* no such job */
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 0);
    ops->reader_ops->close(r); /* not ended */
    ops->reader_ops->close(NULL);
    ops->close(st);
}

/* Files that are added, changed and deleted with their job meanwhile are as they were. */
static void test_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    struct file_mark old[] = {sample_mark("a", 1), sample_mark("c", 3), sample_mark("e", 5)};
    struct file_mark new[] = {sample_mark("b", 20), sample_mark("c", 30), sample_mark("d", 40)};
    struct file_mark got = {0};
    insert_job(f, st, 1, "a");
    commit_all(f, st, 1, old, 3);
    struct file_reader *r = must_read(f, st);
    assert_true(ops->reader_ops->begin(r, 1, NULL, &f->err));
    commit_all(f, st, 2, new, 3); /* after begin(), before the first next() */
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 1);
    assert_string_equal(got.key, "a");
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 1);
    assert_string_equal(got.key, "c");
    assert_int_equal(got.tag, 3);
    assert_int_equal(ops->job_delete(st, 1, &f->err), STORE_OK);
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 1);
    assert_string_equal(got.key, "e");
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 0);
    ops->reader_ops->end(r);
    assert_true(ops->reader_ops->begin(r, 1, NULL, &f->err));
    assert_int_equal(ops->reader_ops->next(r, &got, &f->err), 0);
    ops->reader_ops->close(r);
    ops->close(st);
}

enum { N_READERS = 4, N_FILES = 1000, N_WRITES = 60 };

struct readers {
    struct store *st;
    atomic_bool is_over;
    atomic_int n_walks;
    atomic_bool is_wrong;
};

/* All files of a walk are of one commit. */
static bool walk(struct file_reader *r, struct err *err)
{
    struct file_mark m = {0};
    int64_t tag = -1;
    int n = 0;
    int more = 0;
    bool is_one = ops->reader_ops->begin(r, 1, NULL, err);
    while (is_one && (more = ops->reader_ops->next(r, &m, err)) == 1) {
        is_one = tag == -1 || tag == m.tag;
        tag = m.tag;
        n++;
    }
    ops->reader_ops->end(r);
    return is_one && more == 0 && n == N_FILES;
}

static void *read_on(void *arg)
{
    struct readers *all = arg;
    struct err err = {0};
    struct file_reader *r = ops->reader_open(all->st, &err);
    while (r != NULL && !atomic_load(&all->is_over)) {
        if (!walk(r, &err)) {
            atomic_store(&all->is_wrong, true);
            break;
        }
        (void)atomic_fetch_add(&all->n_walks, 1);
    }
    atomic_store(&all->is_wrong, atomic_load(&all->is_wrong) || r == NULL);
    ops->reader_ops->close(r);
    return NULL;
}

static void mark_all(struct fixture *f, struct store *st, int64_t id)
{
    static char keys[N_FILES][16];
    static struct file_mark marks[N_FILES];
    for (int i = 0; i < N_FILES; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "%08d", i);
        marks[i] = sample_mark(keys[i], id);
    }
    commit_all(f, st, id, marks, N_FILES);
}

static void test_readers_beside_a_writer(void **state)
{
    struct fixture *f = *state;
    struct readers all = {.st = must_open(f)};
    pthread_t threads[N_READERS];
    insert_job(f, all.st, 1, "a");
    mark_all(f, all.st, 1);
    for (int i = 0; i < N_READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &all), 0);
    }
    int64_t id = 2;
    for (; id < N_WRITES; id++) {
        mark_all(f, all.st, id);
    }
    atomic_store(&all.is_over, true);
    for (int i = 0; i < N_READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_false(atomic_load(&all.is_wrong));
    assert_true(atomic_load(&all.n_walks) > N_READERS);
    ops->close(all.st);
}

static int64_t log_size(const struct fixture *f)
{
    char path[128];
    struct stat info = {0};
    (void)snprintf(path, sizeof(path), "%s-wal", f->path);
    return stat(path, &info) == 0 ? info.st_size : 0;
}

/*
 * Readers that overlap, so that one always reads an older state: each goes on for some writes, or
 * for a tenth of a second when the writer has no more.
 */
struct relay {
    struct store *st;
    pthread_mutex_t lock;
    pthread_cond_t has_written;
    int64_t n_written;
    int64_t n_begun;
    bool is_over;
    bool is_wrong;
};

static void hold(struct relay *relay)
{
    struct timespec until;
    enum { A_TENTH_NS = 100000000, SECOND_NS = 1000000000, N_HELD = 5 };
    int rc = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (until.tv_nsec + A_TENTH_NS) / SECOND_NS;
    until.tv_nsec = (until.tv_nsec + A_TENTH_NS) % SECOND_NS;
    (void)pthread_mutex_lock(&relay->lock);
    int64_t end = relay->n_written + N_HELD;
    relay->n_begun++;
    while (rc == 0 && relay->n_written < end && !relay->is_over) {
        rc = pthread_cond_timedwait(&relay->has_written, &relay->lock, &until);
    }
    (void)pthread_mutex_unlock(&relay->lock);
}

static void *read_in_turn(void *arg)
{
    struct relay *relay = arg;
    struct err err = {0};
    bool is_over = false;
    struct file_reader *r = ops->reader_open(relay->st, &err);
    bool is_ok = r != NULL;
    while (is_ok && !is_over) {
        is_ok = ops->reader_ops->begin(r, 1, NULL, &err);
        hold(relay);
        ops->reader_ops->end(r);
        (void)pthread_mutex_lock(&relay->lock);
        is_over = relay->is_over;
        (void)pthread_mutex_unlock(&relay->lock);
    }
    ops->reader_ops->close(r);
    (void)pthread_mutex_lock(&relay->lock);
    relay->is_wrong = relay->is_wrong || !is_ok;
    (void)pthread_mutex_unlock(&relay->lock);
    return NULL;
}

/* Writes about 1.4 MB to the log. */
static void write_much(struct fixture *f, struct store *st)
{
    enum { MUCH = 1 << 20 };
    static char text[MUCH + 1];
    memset(text, 'x', MUCH);
    struct job_update u = {JOB_PAUSED, FAIL_INTERNAL, text, 0};
    assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_OK);
}

/* However much is written meanwhile: without the gate it would be 300 MB. */
static void test_the_log_does_not_grow_for_ever(void **state)
{
    struct fixture *f = *state;
    struct relay relay = {.st = must_open(f),
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .has_written = PTHREAD_COND_INITIALIZER};
    pthread_t threads[N_READERS];
    int64_t longest = 0;
    enum { N_MUCH = 220, MB = 1 << 20, HIGHEST_MB = 200 };
    insert_job(f, relay.st, 1, "a");
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_in_turn, &relay), 0);
    }
    for (int i = 0; i < N_MUCH; i++) {
        write_much(f, relay.st);
        (void)pthread_mutex_lock(&relay.lock);
        relay.n_written++;
        (void)pthread_cond_broadcast(&relay.has_written);
        (void)pthread_mutex_unlock(&relay.lock);
        longest = log_size(f) > longest ? log_size(f) : longest;
    }
    (void)pthread_mutex_lock(&relay.lock);
    relay.is_over = true;
    (void)pthread_cond_broadcast(&relay.has_written);
    (void)pthread_mutex_unlock(&relay.lock);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_false(relay.is_wrong);
    assert_true(relay.n_begun > 10);
    assert_true(longest < HIGHEST_MB * MB);
    ops->close(relay.st);
}

/*
 * A reader that stays does not stop the writer, and others only for a moment; when it is gone the
 * log is cut.
 */
static void test_a_reader_that_stays(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    enum { N_MUCH = 60, MB = 1 << 20 };
    insert_job(f, st, 1, "a");
    struct file_reader *r = must_read(f, st);
    assert_true(ops->reader_ops->begin(r, 1, NULL, &f->err));
    for (int i = 0; i < N_MUCH; i++) {
        write_much(f, st);
    }
    assert_true(log_size(f) > 64 * MB);
    struct file_reader *other = must_read(f, st);
    assert_true(ops->reader_ops->begin(other, 1, NULL, &f->err)); /* two seconds */
    ops->reader_ops->close(other);
    ops->reader_ops->end(r);
    write_much(f, st);
    assert_true(log_size(f) < 8 * MB);
    assert_true(ops->reader_ops->begin(r, 1, NULL, &f->err)); /* the gate is open again */
    ops->reader_ops->end(r);
    ops->close(st); /* before its reader */
    ops->reader_ops->close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keys_are_bytes_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readers_beside_a_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_log_does_not_grow_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_that_stays, setup, teardown),
    };
    return cmocka_run_group_tests_name("store reader", tests, NULL, NULL);
}
