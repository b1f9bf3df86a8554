/*
 * Fills a store through its own interface, so that a sluice finds jobs that have worked for long:
 * PAUSED ones, each with so many finished tasks of files that never were.
 *
 *     fill STORE JOBS TASKS       STORE: the path behind sqlite:
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "scheduler/store.h"
#include "tests/bench/net.h"

enum { MAX_JOBS = 100000, TASK_MS = 10000 };

static const int64_t first_ms = INT64_C(1760000000000); /* some day in 2025 */

static void check(enum store_result result, const struct err *err)
{
    if (result != STORE_OK) {
        net_die("the store refused a write: %s", err->msg);
    }
}

static struct job_record make_job(uint64_t i)
{
    return (struct job_record){
        .id = first_ms * 1000000 + (int64_t)i,
        .name = xasprintf("orders_%05" PRIu64, i),
        .definer = xstrdup("root"),
        .current_db = xstrdup("shop"),
        .target_db = xstrdup("shop"),
        .target_table = xasprintf("orders_%05" PRIu64, i),
        .sql = xasprintf("INSERT INTO shop.orders_%05" PRIu64 " SELECT * FROM S3("
                         "\"uri\" = \"s3://bucket/orders/%05" PRIu64 "/*.csv\", "
                         "\"format\" = \"csv\", \"column_separator\" = \",\", "
                         "\"s3.endpoint\" = \"http://127.0.0.1:1\", \"s3.region\" = \"r\", "
                         "\"s3.access_key\" = \"access\", \"s3.secret_key\" = \"secret\")",
                         i, i),
        .properties = xstrdup("{\"max_interval\":\"10\"}"),
        .comment = xstrdup(""),
        .create_ms = first_ms,
        .state = JOB_PAUSED,
        .fail_code = FAIL_MANUAL_PAUSE,
        .fail_msg = xstrdup("Job is paused by the user; RESUME JOB goes on"),
    };
}

static void add_task(const struct store_ops *ops, struct store *st, int64_t job_id, int64_t id)
{
    struct err err = {0};
    _cleanup_task_record_ struct task_record task = {
        .job_id = job_id,
        .id = id,
        .label = xasprintf("%" PRId64 "_%" PRId64, job_id, id),
        .state = TASK_PENDING,
        .range = xasprintf("{\"files\":[\"orders/%06" PRId64 ".csv\"]}", id),
        .offset_after = xasprintf("{\"endFile\":\"orders/%06" PRId64 ".csv\"}", id),
        .running_offset = xasprintf("{\"startFileName\":\"orders/%06" PRId64
                                    ".csv\",\"endFileName\":\"orders/%06" PRId64 ".csv\"}",
                                    id, id),
        .create_ms = first_ms + id * TASK_MS,
        .start_ms = first_ms + id * TASK_MS,
        .stat = {.scanned_rows = 1000, .file_number = 1, .file_size = 65536},
    };
    check(ops->task_begin(st, &task, &err), &err);
    task.state = TASK_SUCCESS;
    task.finish_ms = task.start_ms + TASK_MS / 2;
    task.txn_id = xasprintf("%" PRId64, id);
    check(ops->task_commit(st, &task, id - 1, NULL, &err), &err);
}

int main(int argc, char **argv)
{
    const struct store_ops *ops = &store_sqlite_ops;
    struct err err = {0};
    if (argc != 4) {
        net_die("usage: fill STORE JOBS TASKS");
    }
    uint64_t n_jobs = net_number(argv[2], MAX_JOBS, "JOBS");
    int64_t n_tasks = (int64_t)net_number(argv[3], STORE_TASKS_KEPT, "TASKS");
    struct store *st = ops->open(argv[1], "", &err);
    if (st == NULL) {
        net_die("%s", err.msg);
    }
    for (uint64_t i = 0; i < n_jobs; i++) {
        _cleanup_job_record_ struct job_record job = make_job(i);
        check(ops->job_insert(st, &job, &err), &err);
        for (int64_t id = 1; id <= n_tasks; id++) {
            add_task(ops, st, job.id, id);
        }
    }
    ops->close(st);
    return 0;
}
