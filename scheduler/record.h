/*
 * Jobs and tasks as they are stored and shown: plain records, no behaviour beyond copying. All
 * texts are owned by the record, UTF-8, NULL when absent. Times are wall-clock milliseconds, 0 when
 * not yet reached. Owned by one thread at a time.
 */
#ifndef SCHEDULER_RECORD_H
#define SCHEDULER_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/xmalloc.h"

/* Names as in Doris (job/common/JobStatus.java); the moves between them are in step.h. */
enum job_state { JOB_PENDING, JOB_RUNNING, JOB_PAUSED, JOB_STOPPED, JOB_FINISHED };
/* As in Doris (job/common/TaskStatus.java). */
enum task_state { TASK_PENDING, TASK_RUNNING, TASK_SUCCESS, TASK_FAILED, TASK_CANCELED };

/* Why a job is PAUSED. The first six are Doris's FailureReason; the last two are ours. */
enum fail_code {
    FAIL_NONE,
    FAIL_INTERNAL,        /* INTERNAL_ERR */
    FAIL_MANUAL_PAUSE,    /* MANUAL_PAUSE_ERR */
    FAIL_TOO_MANY_ROWS,   /* TOO_MANY_FAILURE_ROWS_ERR */
    FAIL_GET_REMOTE_DATA, /* GET_REMOTE_DATA_ERROR */
    FAIL_CANNOT_RESUME,   /* CANNOT_RESUME_ERR */
    FAIL_IN_DOUBT,        /* IN_DOUBT: nothing can tell whether a task was loaded */
    FAIL_LABEL_TAKEN,     /* LABEL_TAKEN: Doris has a label that we never used */
    FAIL_STORE,           /* STORE_ERR: the store refused a write */
};

enum { N_FAIL_CODES = FAIL_STORE + 1 }; /* no code itself: switches name those above */

/* Cumulative for a job, of one load for a task. */
struct load_stat {
    int64_t scanned_rows;
    int64_t load_bytes;
    int64_t file_number;
    int64_t file_size;
    int64_t filtered_rows;
};

struct job_record {
    int64_t id;       /* unique over all Sluices: wall-clock microseconds and a random part */
    char *name;       /* unique in the store, case-sensitive */
    char *definer;    /* user name only */
    char *current_db; /* database that resolves unqualified names; may be NULL */
    char *target_db;
    char *target_table;
    char *sql;        /* the INSERT, byte for byte, secrets included */
    char *properties; /* JSON object of texts, as given; "" when none was given */
    char *comment;    /* "" when none */
    int64_t create_ms;
    enum job_state state;
    enum fail_code fail_code;
    char *fail_msg;            /* NULL when healthy */
    int64_t n_resumes;         /* automatic ones since the last success or RESUME */
    char *offset;              /* JSON, committed; NULL before the first commit */
    int64_t last_task_id;      /* highest ever given out; 0 = none */
    int64_t committed_task_id; /* highest that ended in SUCCESS; 0 = none */
    int64_t n_succeeded, n_failed, n_canceled;
    int64_t last_success_ms;
    int64_t n_tracked; /* files remembered with "s3.discovery"="tracked" */
    struct load_stat stat;
};

struct task_record {
    int64_t job_id;
    int64_t id;  /* rises by one per job */
    char *label; /* <job id>_<task id> */
    enum task_state state;
    char *range;          /* JSON, the source's own: what exactly is loaded */
    char *offset_after;   /* JSON, becomes the job's offset on success */
    char *running_offset; /* JSON for tasks().RunningOffset */
    int64_t create_ms, start_ms, finish_ms;
    char *error;       /* NULL when none */
    char *first_error; /* first bad row, as Doris told; NULL when none */
    char *tracking_url;
    char *txn_id;       /* decimal, as Doris told; NULL when unknown */
    int64_t txn_before; /* newest transaction of Doris known at the INTENT, 0 = none */
    bool is_retry;      /* of a bad file: success leaves the job's offset alone */
    struct load_stat stat;
};

const char *job_state_name(enum job_state state);
const char *task_state_name(enum task_state state);
const char *fail_code_name(enum fail_code code); /* "" for FAIL_NONE */
bool job_state_from_name(const char *name, enum job_state *ret);
bool task_state_from_name(const char *name, enum task_state *ret);
bool fail_code_from_name(const char *name, enum fail_code *ret);

static inline bool task_state_is_final(enum task_state state)
{
    return state >= TASK_SUCCESS;
}

/* fini frees the texts and zeroes the record; NULL texts are fine. */
void job_record_fini(struct job_record *r);
void task_record_fini(struct task_record *r);
void job_record_copy(const struct job_record *from, struct job_record *ret);
void task_record_copy(const struct task_record *from, struct task_record *ret);

#define _cleanup_job_record_  _cleanup_(job_record_fini)
#define _cleanup_task_record_ _cleanup_(task_record_fini)

#endif
