/*
 * Lets a store grow as jobs that work for long do: tasks in turn of so many jobs, each begun and
 * committed through the store's own interface.
 *
 *     grow STORE JOBS TASKS STEPS    after every TASKS / STEPS tasks one JSON object a line:
 *                                    {"tasks":…, "ns":…, "bytes":…, "wal_bytes":…}
 *
 * The store is in one process's hands; its files are looked at by name.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "scheduler/store.h"
#include "tests/bench/net.h"

enum { MAX_JOBS = 10000, MAX_TASKS = 10000000 };

static const int64_t first_ms = INT64_C(1760000000000); /* some day in 2025 */

static void check(enum store_result result, const struct err *err)
{
    if (result != STORE_OK) {
        net_die("the store refused a write: %s", err->msg);
    }
}

static void add_job(struct store *st, int64_t id)
{
    struct err err = {0};
    _cleanup_job_record_ struct job_record job = {
        .id = id,
        .name = xasprintf("orders_%05" PRId64, id),
        .definer = xstrdup("root"),
        .current_db = xstrdup("shop"),
        .target_db = xstrdup("shop"),
        .target_table = xstrdup("orders"),
        .sql = xasprintf("INSERT INTO shop.orders SELECT * FROM S3(\"uri\" = "
                         "\"s3://bucket/orders/%05" PRId64 "/*.csv\", \"format\" = \"csv\", "
                         "\"s3.secret_key\" = \"secret\")",
                         id),
        .properties = xstrdup("{\"max_interval\":\"10\"}"),
        .comment = xstrdup(""),
        .create_ms = first_ms,
        .state = JOB_RUNNING,
    };
    check(store_sqlite_ops.job_insert(st, &job, &err), &err);
}

static void add_task(struct store *st, int64_t job_id, int64_t id)
{
    struct err err = {0};
    _cleanup_task_record_ struct task_record task = {
        .job_id = job_id,
        .id = id,
        .label = xasprintf("%" PRId64 "_%" PRId64, job_id, id),
        .state = TASK_PENDING,
        .range =
            xasprintf("{\"form\":\"exact\",\"files\":[{\"key\":\"orders/%05" PRId64 "/%08" PRId64
                      ".csv\",\"etag\":\"0123456789abcdef0123456789abcdef\",\"size\":65536}]}",
                      job_id, id),
        .offset_after =
            xasprintf("{\"fileName\":\"orders/%05" PRId64 "/%08" PRId64 ".csv\"}", job_id, id),
        .running_offset = xasprintf("{\"startFileName\":\"%08" PRId64 ".csv\"}", id),
        .create_ms = first_ms + id,
        .start_ms = first_ms + id,
        .stat = {.scanned_rows = 1000, .file_number = 1, .file_size = 65536},
    };
    check(store_sqlite_ops.task_begin(st, &task, &err), &err);
    task.state = TASK_SUCCESS;
    task.finish_ms = task.start_ms + 1;
    task.txn_id = xasprintf("%" PRId64, id);
    check(store_sqlite_ops.task_commit(st, &task, id - 1, NULL, &err), &err);
}

static int64_t size_of(const char *path, const char *suffix)
{
    _cleanup_free_ char *whole = xasprintf("%s%s", path, suffix);
    struct stat st;
    return stat(whole, &st) == 0 ? st.st_size : 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc != 5) {
        net_die("usage: grow STORE JOBS TASKS STEPS");
    }
    int64_t n_jobs = (int64_t)net_number(argv[2], MAX_JOBS, "JOBS");
    int64_t n_tasks = (int64_t)net_number(argv[3], MAX_TASKS, "TASKS");
    int64_t n_steps = (int64_t)net_number(argv[4], 1000, "STEPS");
    struct store *st = store_sqlite_ops.open(argv[1], "", &err);
    if (st == NULL || n_jobs == 0 || n_steps == 0 || n_tasks < n_steps) {
        net_die("%s", st == NULL ? err.msg : "JOBS, STEPS and TASKS are at least 1");
    }
    for (int64_t id = 1; id <= n_jobs; id++) {
        add_job(st, id);
    }
    int64_t begin_us = clock_mono_us();
    for (int64_t i = 0; i < n_tasks; i++) {
        add_task(st, i % n_jobs + 1, i / n_jobs + 1);
        if ((i + 1) % (n_tasks / n_steps) == 0) {
            (void)printf("{\"tasks\":%" PRId64 ",\"ns\":%" PRId64 ",\"bytes\":%" PRId64
                         ",\"wal_bytes\":%" PRId64 "}\n",
                         i + 1, (clock_mono_us() - begin_us) * 1000, size_of(argv[1], ""),
                         size_of(argv[1], "-wal"));
        }
    }
    store_sqlite_ops.close(st);
    return 0;
}
