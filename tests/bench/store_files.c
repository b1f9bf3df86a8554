/*
 * What millions of tracked files cost the store: written through task_commit() in batches as a job
 * does, read as a plan does, deleted with their job.
 *
 *     store_files DIRECTORY [FILES] [rising|random]
 *
 * DIRECTORY: where the store is made, and removed again; it decides what is measured, as every commit
 * is synchronised with its disk. FILES: ten million. Both orders of keys when none is named.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "scheduler/store.h"
#include "tests/bench/net.h"

enum { BATCH = 256, KEY_SIZE = 46, JOB = 1, OTHER_JOB = 2, MOST_FILES = 1000000000 };
enum { N_BEGINS = 2000, SIZE_EVERY = 64 };

enum order { RISING, RANDOM };
static const char *const order_names[] = {"rising", "random"};

struct bench {
    enum order order;
    uint64_t n_files;
    char *path; /* owned; of the store */
    struct store *st;
    int64_t last_task; /* of JOB */
};

static const struct store_ops *const ops = &store_sqlite_ops;

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void line(const struct bench *b, const char *what, double value, const char *unit)
{
    printf("| %s | %s | %.*f | %s |\n", order_names[b->order], what, value < 100 ? 2 : 0, value,
           unit);
    (void)fflush(stdout);
}

static void check(enum store_result result, const struct err *err)
{
    if (result != STORE_OK) {
        net_die("the store refused a write: %s", err->msg);
    }
}

/* splitmix64: the i-th of a fixed row of random numbers. */
static uint64_t scramble(uint64_t i)
{
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 45 bytes: a day's folder and a number, or a UUID as many writers take. */
static void make_key(enum order order, uint64_t i, char ret[KEY_SIZE])
{
    uint64_t a = scramble(2 * i);
    uint64_t c = scramble(2 * i + 1);
    int n = order == RISING
                ? snprintf(ret, KEY_SIZE, "day=%05" PRIu64 "/orders-part-%012" PRIu64 ".parquet.gz",
                           i / 100000, i)
                : snprintf(ret, KEY_SIZE,
                           "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64
                           ".jsonl.gz",
                           a >> 32, a >> 16 & 0xffff, a & 0xffff, c >> 48,
                           c & UINT64_C(0xffffffffffff));
    if (n != KEY_SIZE - 1) {
        net_die("a key is %d bytes, not %d", n, KEY_SIZE - 1);
    }
}

static uint64_t size_of(const char *path, const char *tail)
{
    struct stat info = {0};
    _cleanup_free_ char *name = xasprintf("%s%s", path, tail);
    return stat(name, &info) == 0 ? (uint64_t)info.st_size : 0;
}

static void remove_store(const struct bench *b)
{
    static const char *const tails[] = {"", "-wal", "-shm", ".lock", ".key"};
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        _cleanup_free_ char *name = xasprintf("%s%s", b->path, tails[i]);
        (void)unlink(name); /* some are not there */
    }
}

static void open_store(struct bench *b)
{
    struct err err = {0};
    b->st = ops->open(b->path, "", &err);
    if (b->st == NULL) {
        net_die("%s", err.msg);
    }
}

static void add_job(struct bench *b, int64_t id)
{
    struct err err = {0};
    _cleanup_job_record_ struct job_record job = {
        .id = id,
        .name = xasprintf("job_%" PRId64, id),
        .sql = xstrdup("INSERT INTO t SELECT * FROM S3()"),
        .state = JOB_RUNNING,
    };
    check(ops->job_insert(b->st, &job, &err), &err);
}

/* One task of `n` files from number `first` on, as a tracked job writes it. */
static void load_batch(struct bench *b, uint64_t first, uint64_t n)
{
    static char keys[BATCH][KEY_SIZE];
    static struct file_mark marks[BATCH];
    const struct file_marks all = {.marks = marks, .n_marks = (size_t)n};
    struct err err = {0};
    struct task_record task = {
        .job_id = JOB,
        .id = ++b->last_task,
        .label = (char *)"label",
        .state = TASK_PENDING,
        .range = (char *)"{\"files\":[]}",
        .offset_after = (char *)"{\"endFile\":\"k\"}",
        .stat = {.file_number = (int64_t)n},
    };
    for (uint64_t i = 0; i < n; i++) {
        make_key(b->order, first + i, keys[i]);
        marks[i] = (struct file_mark){
            .key = keys[i],
            .tag = (int64_t)scramble(~(first + i)),
            .size = (int64_t)(scramble(first + i) >> 38), /* up to 64 MB */
        };
    }
    check(ops->task_begin(b->st, &task, &err), &err);
    task.finish_ms = 1;
    check(ops->task_commit(b->st, &task, task.id - 1, &all, &err), &err);
}

static void fill(struct bench *b)
{
    double begin = now_s();
    double slowest = 0;
    uint64_t longest_log = 0;
    for (uint64_t i = 0; i < b->n_files; i += BATCH) {
        double before = now_s();
        load_batch(b, i, b->n_files - i < BATCH ? b->n_files - i : BATCH);
        double took = now_s() - before;
        slowest = took > slowest ? took : slowest;
        if (i / BATCH % SIZE_EVERY == 0) {
            uint64_t log = size_of(b->path, "-wal");
            longest_log = log > longest_log ? log : longest_log;
        }
    }
    double took = now_s() - begin;
    double bytes = (double)(size_of(b->path, "") + size_of(b->path, "-wal"));
    line(b, "written", (double)b->n_files / took, "files/s");
    line(b, "a task of 256 files: begin and commit, mean",
         took * 1e3 / ((double)b->n_files / BATCH), "ms");
    line(b, "the same, slowest", slowest * 1e3, "ms");
    line(b, "on disk with the log", bytes / 1e6, "MB");
    line(b, "on disk with the log, a file", bytes / (double)b->n_files, "bytes");
    line(b, "longest log", (double)longest_log / 1e6, "MB");
}

static void walk(struct bench *b)
{
    struct err err = {0};
    struct file_mark m = {0};
    uint64_t n = 0;
    int more = 0;
    double begin = now_s();
    struct file_reader *r = ops->reader_open(b->st, &err);
    if (r == NULL || !ops->reader_ops->begin(r, JOB, NULL, &err)) {
        net_die("%s", err.msg);
    }
    while ((more = ops->reader_ops->next(r, &m, &err)) == 1) {
        n++;
    }
    ops->reader_ops->end(r);
    double took = now_s() - begin;
    if (more != 0 || n != b->n_files) {
        net_die("read %" PRIu64 " of %" PRIu64 " files: %s", n, b->n_files, err.msg);
    }
    line(b, "walk over all", (double)n / took, "files/s");
    begin = now_s();
    for (uint64_t i = 0; i < N_BEGINS; i++) {
        char key[KEY_SIZE];
        make_key(b->order, scramble(i) % b->n_files, key);
        if (!ops->reader_ops->begin(r, JOB, key, &err) || ops->reader_ops->next(r, &m, &err) != 1) {
            net_die("cannot find %s: %s", key, err.msg);
        }
        ops->reader_ops->end(r);
    }
    line(b, "begin a slice anywhere, mean", (now_s() - begin) * 1e6 / N_BEGINS, "us");
    ops->reader_ops->close(r);
}

static void count_job(const struct store_job *job, void *arg)
{
    int64_t *n_tracked = arg;
    *n_tracked += job->job->n_tracked;
}

static void reopen(struct bench *b)
{
    struct err err = {0};
    int64_t n_tracked = 0;
    ops->close(b->st);
    double begin = now_s();
    open_store(b);
    line(b, "open", (now_s() - begin) * 1e3, "ms");
    begin = now_s();
    if (!ops->load(b->st, count_job, &n_tracked, &err) || (uint64_t)n_tracked != b->n_files) {
        net_die("the store counts %" PRId64 " files: %s", n_tracked, err.msg);
    }
    line(b, "load", (now_s() - begin) * 1e3, "ms");
}

/* Rows of a deleted job that are still there: a look behind the store's back. */
static bool has_dead(const struct bench *b)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    static const char sql[] = "SELECT count(*) FROM file_sets WHERE job_id IS NULL";
    if (sqlite3_open_v2(b->path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK || sqlite3_step(q) != SQLITE_ROW) {
        net_die("cannot look into the store: %s", sqlite3_errmsg(db));
    }
    bool is_there = sqlite3_column_int(q, 0) > 0;
    (void)sqlite3_finalize(q); /* repeats the code of the step */
    (void)sqlite3_close(db);   /* nothing is open */
    return is_there;
}

/* The writes of another job, which remove the files bit by bit. */
static void sweep(struct bench *b)
{
    struct err err = {0};
    const struct job_update u = {.state = JOB_RUNNING};
    double slowest = 0;
    double total = 0;
    uint64_t n = 0;
    do {
        for (int i = 0; i < SIZE_EVERY; i++) {
            double before = now_s();
            check(ops->job_update(b->st, OTHER_JOB, &u, &err), &err);
            double took = now_s() - before;
            slowest = took > slowest ? took : slowest;
            total += took;
            n++;
        }
    } while (has_dead(b));
    line(b, "writes until its files are gone", (double)n, "");
    line(b, "such a write, mean", total * 1e3 / (double)n, "ms");
    line(b, "such a write, slowest", slowest * 1e3, "ms");
}

/* DROP JOB, and as many files again: they take the room that was freed. */
static void drop(struct bench *b)
{
    struct err err = {0};
    double begin = now_s();
    check(ops->job_delete(b->st, JOB, &err), &err);
    line(b, "delete the job", (now_s() - begin) * 1e3, "ms");
    sweep(b);
    uint64_t before = size_of(b->path, "");
    add_job(b, JOB);
    b->last_task = 0;
    for (uint64_t i = 0; i < b->n_files / 10; i += BATCH) {
        load_batch(b, i, BATCH);
    }
    line(b, "file's growth by a tenth of the files again",
         (double)(size_of(b->path, "") - before) / 1e6, "MB");
}

static void measure(struct bench *b)
{
    remove_store(b);
    open_store(b);
    add_job(b, JOB);
    add_job(b, OTHER_JOB);
    fill(b);
    walk(b);
    reopen(b);
    drop(b);
    ops->close(b->st);
    remove_store(b);
}

int main(int argc, char **argv)
{
    struct bench b = {.n_files = 10000000};
    bool is_named = argc == 4;
    if (argc < 2 || argc > 4 ||
        (is_named && strcmp(argv[3], "rising") != 0 && strcmp(argv[3], "random") != 0)) {
        net_die("usage: store_files DIRECTORY [FILES] [rising|random]");
    }
    if (argc > 2) {
        b.n_files = net_number(argv[2], MOST_FILES, "FILES");
    }
    b.path = xasprintf("%s/sluice-bench-files.db", argv[1]);
    printf("| keys | what | %" PRIu64 " files | unit |\n|---|---|---|---|\n", b.n_files);
    for (int order = RISING; order <= RANDOM; order++) {
        if (!is_named || strcmp(argv[3], order_names[order]) == 0) {
            b.order = (enum order)order;
            b.last_task = 0;
            measure(&b);
        }
    }
    free(b.path);
    return 0;
}
