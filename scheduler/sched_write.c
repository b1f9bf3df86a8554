/*
 * What the store gets of a job: each write is one transaction, and memory follows when it is
 * durable, never before.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

void sched_keep_finished(struct job *j, const struct task_record *task)
{
    if (j->n_tasks == STORE_TASKS_KEPT) {
        task_view_unref(j->tasks[0]);
        memmove(&j->tasks[0], &j->tasks[1], (STORE_TASKS_KEPT - 1) * sizeof(struct task_view *));
        j->n_tasks--;
    }
    struct task_record kept = *task;
    kept.range = NULL; /* not needed any more, and it may be a megabyte: as the store has it */
    j->tasks[j->n_tasks++] = task_view_create(&kept);
}

struct step_event sched_stored(enum store_result result)
{
    struct step_event event = {.kind = EV_STORED, .now = sched_now()};
    switch (result) {
    case STORE_OK: event.u.stored = STORED_OK; break;
    case STORE_STALE:
    case STORE_DUPLICATE: event.u.stored = STORED_STALE; break;
    case STORE_FAIL: event.u.stored = STORED_FAIL; break;
    }
    return event;
}

static void note_write(struct job *j, const char *what, enum store_result result)
{
    if (result == STORE_STALE || result == STORE_DUPLICATE) {
        atomic_fetch_add(&j->sched->counters.stale_writes, 1);
        log_error("store.stale", "job", j->rec.name, "write", what, "task",
                  LOG_FMT("%" PRId64, j->task.id), NULL);
    } else if (result == STORE_FAIL) {
        atomic_fetch_add(&j->sched->counters.failed_writes, 1);
        log_error("store.failed", "job", j->rec.name, "write", what, "reason", j->last_err.msg,
                  NULL);
    }
}

static void take_plan(struct job *j)
{
    struct plan *p = &j->plan;
    task_record_fini(&j->task);
    j->task = (struct task_record){
        .job_id = j->rec.id,
        .id = j->rec.last_task_id + 1,
        .label = xasprintf("%" PRId64 "_%" PRId64, j->rec.id, j->rec.last_task_id + 1),
        .state = TASK_PENDING,
        .range = take_ptr(p->range),
        .offset_after = take_ptr(p->offset_after),
        .running_offset = take_ptr(p->running_offset),
        .create_ms = clock_wall_ms(),
        .txn_before = j->sched->newest_txn,
        .is_retry = p->is_retry,
        .stat = {.file_number = p->n_files, .file_size = p->n_bytes, .load_bytes = p->n_bytes},
    };
    plan_fini(p);
}

static enum store_result store_intent(struct job *j)
{
    const struct sched_options *o = &j->sched->options;
    take_plan(j);
    enum store_result result = o->store_ops->task_begin(o->store, &j->task, &j->last_err);
    if (result == STORE_OK) {
        j->rec.last_task_id = j->task.id;
        sched_follow_task(j);
        sched_txn_begin(j);
        log_debug("task.begin", "job", j->rec.name, "label", j->task.label, NULL);
    } else {
        task_record_fini(&j->task);
    }
    return result;
}

static void add_stat(struct load_stat *to, const struct load_stat *from)
{
    to->scanned_rows += from->scanned_rows;
    to->load_bytes += from->load_bytes;
    to->file_number += from->file_number;
    to->file_size += from->file_size;
    to->filtered_rows += from->filtered_rows;
}

static void close_open_task(struct job *j)
{
    sched_keep_finished(j, &j->task);
    task_record_fini(&j->task);
    sched_set_text(&j->end_reason, NULL);
}

/* --- what is remembered with an offset ------------------------------------------------------------ */

/* The source's share of a commit, or of setting the one file aside. */
static bool get_marks(struct job *j, struct file_marks *ret, struct bad_file *ret_bad)
{
    const struct job_body *b = j->body;
    return b->ops->marks(b->source, j->task.range, ret_bad != NULL, ret, ret_bad, &j->last_err) ||
           err_prefix(&j->last_err, "task %" PRId64 " of job %s cannot be closed: ", j->task.id,
                      j->rec.name);
}

static void follow_marks(struct job *j, const struct file_marks *marks)
{
    const struct sched_options *o = &j->sched->options;
    for (size_t i = 0; i < marks->n_settled; i++) {
        sched_files_remove(j, marks->settled[i]);
    }
    if (marks->n_marks > 0) {
        int64_t n = o->store_ops->n_tracked(o->store, j->rec.id);
        j->rec.n_tracked = n >= 0 ? n : j->rec.n_tracked;
    }
}

static void move_offset(struct job *j, const char *offset)
{
    if (!j->task.is_retry) {
        sched_set_text(&j->rec.offset, xstrdup(offset));
    }
}

/* --- the ends of a task --------------------------------------------------------------------------- */

static void follow_commit(struct job *j)
{
    move_offset(j, j->task.offset_after);
    j->is_new_insert = false;
    j->rec.committed_task_id = j->task.id;
    j->rec.n_succeeded++;
    atomic_fetch_add(&j->sched->counters.tasks_succeeded, 1);
    atomic_fetch_add(&j->sched->counters.rows_loaded, j->task.stat.scanned_rows);
    j->rec.last_success_ms = j->task.finish_ms;
    add_stat(&j->rec.stat, &j->task.stat);
    sched_txn_succeeded(j, &j->task);
    log_info("task.success", "job", j->rec.name, "label", j->task.label, "rows",
             LOG_FMT("%" PRId64, j->task.stat.scanned_rows), "ms",
             LOG_FMT("%" PRId64, j->task.finish_ms - j->task.create_ms), NULL);
    close_open_task(j);
}

static enum store_result store_commit(struct job *j)
{
    const struct sched_options *o = &j->sched->options;
    _cleanup_file_marks_ struct file_marks marks = {0};
    if (!get_marks(j, &marks, NULL)) {
        return STORE_FAIL;
    }
    j->task.state = TASK_SUCCESS;
    j->task.finish_ms = clock_wall_ms();
    enum store_result result = o->store_ops->task_commit(
        o->store, &j->task, j->rec.committed_task_id, &marks, &j->last_err);
    if (result != STORE_OK) {
        j->task.state = TASK_RUNNING;
        j->task.finish_ms = 0;
        return result;
    }
    follow_marks(j, &marks);
    follow_commit(j);
    return result;
}

/* Why it ended, for tasks().ErrorMsg; the caller owns it. */
static char *end_text(const struct job *j, enum task_state state)
{
    if (state != TASK_CANCELED) {
        return xstrdup(j->last_err.msg);
    }
    return j->step.is_changed ? xasprintf("source changed: %s", j->last_err.msg)
                              : xstrdup("task cancelled");
}

static void say_canceled(struct job *j)
{
    if (j->step.state == JOB_RUNNING) {
        sched_set_text(&j->runtime_msg,
                       xasprintf("Task %" PRId64 " was canceled%s; its range comes again, as "
                                 "another task, at %" PRId64,
                                 j->task.id,
                                 j->step.is_changed ? ", since its files have changed" : "",
                                 clock_wall_ms() + sched_idle_ms(j)));
    } else if (j->step.is_canceled || j->step.is_changed) {
        sched_set_text(&j->runtime_msg, NULL);
    }
}

static void follow_end(struct job *j, const struct task_end *end)
{
    bool is_failed = end->state == TASK_FAILED;
    j->task.state = end->state;
    j->task.finish_ms = end->finish_ms;
    sched_set_text(&j->task.error, xstrdup(end->error));
    atomic_fetch_add(
        is_failed ? &j->sched->counters.tasks_failed : &j->sched->counters.tasks_canceled, 1);
    j->rec.n_failed += is_failed;
    j->rec.n_canceled += !is_failed;
    log_warn("task.ended", "job", j->rec.name, "label", j->task.label, "state",
             task_state_name(end->state), "reason", end->error, NULL);
    if (!is_failed) {
        say_canceled(j);
    }
    close_open_task(j);
}

static struct task_end make_end(const struct job *j, enum task_state state, const char *error)
{
    return (struct task_end){
        .state = state,
        .error = error,
        .first_error = j->task.first_error,
        .tracking_url = j->task.tracking_url,
        .finish_ms = clock_wall_ms(),
        .job = {j->rec.state, j->rec.fail_code, j->rec.fail_msg, j->rec.n_resumes},
    };
}

/* The store did not take the end of the task; its reason is kept for the next time. */
static void note_not_ended(struct job *j, const struct err *err)
{
    sched_set_text(&j->end_reason, xstrdup(j->last_err.msg));
    j->last_err = *err;
}

static void recall_reason(struct job *j)
{
    if (j->end_reason != NULL) {
        (void)err_say(&j->last_err, "%s", j->end_reason);
    }
}

static enum store_result store_end(struct job *j, enum task_state state)
{
    const struct sched_options *o = &j->sched->options;
    struct err err = {0};
    recall_reason(j);
    _cleanup_free_ char *error = end_text(j, state);
    struct task_end end = make_end(j, state, error);
    enum store_result result = o->store_ops->task_end(o->store, j->rec.id, j->task.id, &end, &err);
    if (result != STORE_OK) {
        note_not_ended(j, &err);
        return result;
    }
    follow_end(j, &end);
    return result;
}

/* --- files that are set aside --------------------------------------------------------------------- */

/* The first bad row tells more than that there are bad rows. The caller owns it. */
static char *bad_reason(const struct job *j)
{
    const char *first = j->task.first_error;
    return first != NULL && strstr(j->last_err.msg, first) == NULL
               ? xasprintf("%s. First bad row: %s", j->last_err.msg, first)
               : xstrdup(j->last_err.msg);
}

static enum store_result store_bad(struct job *j)
{
    const struct sched_options *o = &j->sched->options;
    _cleanup_file_marks_ struct file_marks marks = {0};
    _cleanup_bad_file_ struct bad_file bad = {0};
    struct err err = {0};
    recall_reason(j);
    if (!get_marks(j, &marks, &bad)) {
        return STORE_FAIL;
    }
    sched_set_text(&bad.reason, bad_reason(j));
    bad.task_id = j->task.id;
    bad.at_ms = clock_wall_ms();
    struct task_aside aside = {
        .end = make_end(j, TASK_FAILED, j->last_err.msg),
        .offset_after = j->task.is_retry ? NULL : j->task.offset_after,
        .file = &bad,
        .marks = &marks,
    };
    enum store_result result =
        o->store_ops->task_aside(o->store, j->rec.id, j->task.id, &aside, &err);
    if (result != STORE_OK) {
        note_not_ended(j, &err); /* behind it, `aside` borrows from the older one */
        return result;
    }
    follow_marks(j, &marks);
    sched_files_put(j, &bad);
    sched_files_log(j, "file.aside", &bad);
    move_offset(j, j->task.offset_after);
    follow_end(j, &aside.end);
    return result;
}

/* Found by the plan: there is no task. */
static enum store_result store_aside(struct job *j)
{
    const struct sched_options *o = &j->sched->options;
    struct plan *p = &j->plan;
    struct files_aside aside = {
        .job_id = j->rec.id,
        .last_task_id = j->rec.last_task_id,
        .offset_after = p->offset_after,
        .files = p->bad,
        .n_files = p->n_bad,
        .marks = &p->marks,
    };
    enum store_result result = o->store_ops->files_aside(o->store, &aside, &j->last_err);
    if (result == STORE_OK) {
        follow_marks(j, &p->marks);
        for (size_t i = 0; i < p->n_bad; i++) {
            sched_files_put(j, &p->bad[i]);
            sched_files_log(j, "file.aside", &p->bad[i]);
        }
        if (p->offset_after != NULL) { /* else it stays, as in the store */
            sched_set_text(&j->rec.offset, take_ptr(p->offset_after));
        }
    }
    plan_fini(p);
    return result;
}

/* --- the job -------------------------------------------------------------------------------------- */

enum store_result sched_write_state(struct job *j, const struct step_job *wanted, const char *msg,
                                    struct err *err)
{
    const struct sched_options *o = &j->sched->options;
    struct job_update update = {wanted->state, wanted->fail_code, msg, wanted->n_resumes};
    return o->store_ops->job_update(o->store, j->rec.id, &update, err);
}

static enum store_result store_job(struct job *j)
{
    struct err err = {0};
    enum store_result result = sched_write_state(j, &j->step, j->rec.fail_msg, &err);
    if (result != STORE_OK && j->step.fail_code != FAIL_STORE) {
        j->last_err = err; /* else the first refusal tells more than that of its own report */
    }
    return result;
}

bool sched_is_write(enum step_action action)
{
    return action == ACT_STORE_INTENT || action == ACT_STORE_COMMIT || action == ACT_STORE_FAILED ||
           action == ACT_STORE_CANCELED || action == ACT_STORE_BAD || action == ACT_STORE_ASIDE ||
           action == ACT_STORE_JOB;
}

static enum store_result carry_out(struct job *j, enum step_action action)
{
    switch (action) {
    case ACT_STORE_INTENT: return store_intent(j);
    case ACT_STORE_COMMIT: return store_commit(j);
    case ACT_STORE_FAILED: return store_end(j, TASK_FAILED);
    case ACT_STORE_CANCELED: return store_end(j, TASK_CANCELED);
    case ACT_STORE_BAD: return store_bad(j);
    case ACT_STORE_ASIDE: return store_aside(j);
    case ACT_STORE_JOB: return store_job(j);
    case ACT_NONE:
    case ACT_PLAN:
    case ACT_LOAD:
    case ACT_ASK:
    case ACT_ASK_WITNESS:
    case ACT_FENCE:
    case ACT_CANCEL_RUN:
    case ACT_ARM: break;
    }
    assert(!"not a write");
    return STORE_FAIL;
}

struct step_event sched_write(struct job *j, enum step_action action)
{
    enum store_result result = carry_out(j, action);
    note_write(j, step_phase_name(j->step.phase), result);
    return sched_stored(result);
}
