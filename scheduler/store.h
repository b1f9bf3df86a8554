/*
 * Where jobs, tasks and offsets survive a crash. One backend is one `const struct store_ops`
 * (scheduler/store_sqlite.c); main picks it by the scheme of store.url. Only the scheduler's thread
 * calls a store.
 *
 * Every call that returns STORE_OK is durable: it survives kill -9 and a power cut. Every write is
 * one transaction, all or nothing. Writes are compare-and-set: they name what they expect to find,
 * and a store that finds something else changes nothing and says STORE_STALE:
 *
 *   owner epoch   open() takes over the store by raising its epoch. A write by an older owner, one
 *                 that was stopped and woke up, say, is stale.
 *   task ids      task_begin() wants task.id == last_task_id + 1 and no unfinished task of the job;
 *                 task_commit() wants the task to be the job's unfinished one and
 *                 committed_task_id == expected_committed.
 *
 * STORE_FAIL (full disk, I/O error, corrupt file) fills err; nothing was changed, and the same call
 * may be tried again later.
 */
#ifndef SCHEDULER_STORE_H
#define SCHEDULER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/files.h"
#include "scheduler/record.h"

enum store_result { STORE_OK, STORE_STALE, STORE_DUPLICATE, STORE_FAIL };

enum { STORE_TASKS_KEPT = 100 }; /* finished tasks kept per job; older ones are pruned */

struct store;

/* What job_update() writes: all of it, every time. */
struct job_update {
    enum job_state state;
    enum fail_code fail_code;
    const char *fail_msg; /* borrowed, NULL clears */
    int64_t n_resumes;
};

/* How a task ended other than by success. */
struct task_end {
    enum task_state state; /* TASK_FAILED or TASK_CANCELED */
    const char *error;     /* borrowed; for FAILED never NULL */
    const char *first_error;
    const char *tracking_url;
    int64_t finish_ms;
    struct job_update job; /* written with it */
};

/* A bad file that its task failed with. Written with the task's end: see task_aside(). */
struct task_aside {
    struct task_end end;      /* FAILED, and the job stays what it is */
    const char *offset_after; /* borrowed; the job's offset from now on. NULL: a retry, it stays */
    const struct bad_file *file;
    const struct file_marks *marks;
};

/* Bad files that were never tried: see files_aside(). All borrowed. */
struct files_aside {
    int64_t job_id;
    int64_t last_task_id;     /* expected */
    const char *offset_after; /* NULL: it stays */
    const struct bad_file *files;
    size_t n_files;
    const struct file_marks *marks;
};

enum file_decision { FILE_RETRY, FILE_SKIP };

/* Gets each job with its tasks, oldest task first, and its bad files by key; owns none of them. */
struct store_job {
    const struct job_record *job;
    const struct task_record *tasks;
    size_t n_tasks;
    const struct bad_file *bad;
    size_t n_bad;
};
typedef void (*store_load_fn)(const struct store_job *job, void *arg);

struct store_ops {
    const char *scheme; /* "sqlite" */

    /*
     * `location` is the URL behind "scheme:". Creates what is not there (mode 0600), refuses what
     * is not ours, what a newer version wrote, and what another process has open, each with a
     * sentence that says so. NULL on failure.
     *
     * Texts that may hold secrets are encrypted with the key in the file `key_file`; "" is a file
     * beside the store. The file is made together with the store and never afterwards: a store whose
     * key is missing, wrong or open to others is refused.
     */
    struct store *(*open)(const char *location, const char *key_file, struct err *err);
    void (*close)(struct store *st);
    int64_t (*epoch)(const struct store *st);

    bool (*load)(struct store *st, store_load_fn each, void *arg, struct err *err);

    /* STORE_DUPLICATE: the name is taken. */
    enum store_result (*job_insert)(struct store *st, const struct job_record *job,
                                    struct err *err);
    /* Removes the job, its tasks and what is known of its files. STORE_STALE: there is none. */
    enum store_result (*job_delete)(struct store *st, int64_t job_id, struct err *err);
    enum store_result (*job_update)(struct store *st, int64_t job_id, const struct job_update *u,
                                    struct err *err);
    /*
     * ALTER JOB: sql, properties, offset, fail_code and fail_msg become those of `job`, and no older
     * text of them stays behind in the file. STORE_STALE: the job is gone, not PAUSED, or
     * last_task_id or committed_task_id is another one.
     */
    enum store_result (*job_alter)(struct store *st, const struct job_record *job, struct err *err);

    /* The INTENT: range and label are durable before anything is sent. */
    enum store_result (*task_begin)(struct store *st, const struct task_record *task,
                                    struct err *err);
    /*
     * The only call that moves an offset over what was loaded: task -> SUCCESS (stat, finish_ms,
     * txn_id, first_error of `task`), job offset := task->offset_after unless it is_retry,
     * committed_task_id := task->id, counters and statistics added, n_resumes cleared, and the failure
     * unless the job is PAUSED. `marks` (NULL: none) become tracked files, n_tracked counts them, and
     * bad files that are settled are removed. Prunes old tasks. The range of a task that has ended,
     * in whichever way, is "" from then on.
     */
    enum store_result (*task_commit)(struct store *st, const struct task_record *task,
                                     int64_t expected_committed, const struct file_marks *marks,
                                     struct err *err);
    /* task -> FAILED or CANCELED, counters added, the job's state written; offset untouched. */
    enum store_result (*task_end)(struct store *st, int64_t job_id, int64_t task_id,
                                  const struct task_end *end, struct err *err);

    /*
     * Two calls that move an offset over what was not loaded, and say so by bad files (an older row
     * of the same key is replaced). task_aside() ends the job's unfinished task as FAILED;
     * files_aside() wants that there is none.
     */
    enum store_result (*task_aside)(struct store *st, int64_t job_id, int64_t task_id,
                                    const struct task_aside *aside, struct err *err);
    enum store_result (*files_aside)(struct store *st, const struct files_aside *aside,
                                     struct err *err);
    /*
     * The user's decision about a bad file, with key NULL about all of the job, in one transaction.
     * FILE_SKIP removes it. STORE_STALE: there is none.
     */
    enum store_result (*file_decide)(struct store *st, int64_t job_id, const char *key,
                                     enum file_decision decision, struct err *err);

    /* job_record.n_tracked as it is stored now; one read. -1: it cannot be read. */
    int64_t (*n_tracked)(struct store *st, int64_t job_id);

    /*
     * Another connection for a runner's thread; any thread may call it while the store is open.
     * What is written while a reader reads is kept twice: a slice ends within a second or so, and
     * begin() may wait up to two seconds for the others' when that has become much.
     */
    struct file_reader *(*reader_open)(const struct store *st, struct err *err);
    const struct file_reader_ops *reader_ops;
};

extern const struct store_ops store_sqlite_ops;

#endif
