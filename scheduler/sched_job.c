#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

enum {
    PLAN_TIMEOUT_MS = 120 * 1000,
    ASK_TIMEOUT_MS = 20 * 1000,
    LOAD_GRACE_MS = 60 * 1000, /* the FE ends a statement by itself; we wait a little longer */
};

static void touch(struct job *j)
{
    job_view_unref(j->view);
    j->view = NULL;
}

/* What Doris may take for one statement: the job's own session variables win over ours. */
int64_t sched_job_timeout_s(const struct sched *s, const struct job_body *body)
{
    static const char *const keys[] = {"session.insert_timeout", "session.query_timeout"};
    int64_t longest = s->options.task_timeout_s;
    for (size_t i = 0; body != NULL && i < ARRAY_SIZE(keys); i++) {
        const char *text = spec_prop_get(body->spec->props, body->spec->n_props, keys[i]);
        int64_t n = 0;
        if (text != NULL && span_to_int64(span_of(text), 1, INT32_MAX, &n) && n > longest) {
            longest = n;
        }
    }
    return longest;
}

/* Takes the body, NULL when the SQL is not understood. */
static void set_body(struct job *j, struct job_body *body)
{
    const struct sched_options *o = &j->sched->options;
    int64_t interval_s = body != NULL ? body->spec->max_interval_s : o->default_interval_s;
    int64_t timeout_s = sched_job_timeout_s(j->sched, body);
    int64_t life_ms = timeout_s * 1000 + LOAD_GRACE_MS;
    job_body_unref(j->body);
    j->body = body;
    j->statement_timeout_s = timeout_s;
    j->step.max_interval_ms = interval_s * 1000;
    if (j->step.task_id == 0 || life_ms > j->step.statement_life_ms) {
        j->step.statement_life_ms = life_ms; /* a statement that was sent keeps its limit */
    }
}

void sched_job_count(const struct job *j, int64_t n)
{
    struct sched_counters *c = &j->sched->counters;
    atomic_fetch_add(&c->jobs[j->rec.state], n);
    if (j->rec.state == JOB_PAUSED) {
        atomic_fetch_add(&c->paused[j->rec.fail_code], n);
    }
}

struct job *sched_job_create(struct sched *s, const struct job_record *rec, struct job_body *body)
{
    struct job *j = xcalloc(1, sizeof(*j));
    j->sched = s;
    job_record_copy(rec, &j->rec);
    j->step = (struct step_job){
        .state = rec->state,
        .fail_code = rec->fail_code,
        .n_resumes = rec->n_resumes,
    };
    set_body(j, body);
    sched_job_count(j, 1);
    return j;
}

void sched_job_destroy(struct job *j)
{
    if (j == NULL) {
        return;
    }
    wheel_unset(&j->sched->wheel, &j->timer);
    sched_job_count(j, -1);
    if (j->run != NULL) {
        j->run->owner = NULL;
        cancel_raise(&j->run->cancel);
    }
    if (j->step.is_recovering) {
        j->sched->n_recovering--;
    }
    for (size_t i = 0; i < j->n_tasks; i++) {
        task_view_unref(j->tasks[i]);
    }
    job_view_unref(j->view);
    job_body_unref(j->body);
    job_record_fini(&j->rec);
    task_record_fini(&j->task);
    plan_fini(&j->plan);
    free(j->end_offset);
    free(j->runtime_msg);
    free(j->trace.plan_error);
    sched_job_forget_news(j);
    free(j);
}

static void keep_finished(struct job *j, const struct task_record *task)
{
    if (j->n_tasks == STORE_TASKS_KEPT) {
        task_view_unref(j->tasks[0]);
        memmove(&j->tasks[0], &j->tasks[1], (STORE_TASKS_KEPT - 1) * sizeof(struct task_view *));
        j->n_tasks--;
    }
    j->tasks[j->n_tasks++] = task_view_create(task);
}

/* --- following the machine -------------------------------------------------------------------- */

static void log_paused(const struct job *j, enum step_reason reason)
{
    bool is_asked = reason == WHY_MANUAL || reason == WHY_RESOLVED;
    log_warn("job.paused", "job", j->rec.name, "code", fail_code_name(j->step.fail_code), "task",
             LOG_FMT("%" PRId64, j->task.id), "user", is_asked ? j->actor : NULL, "reason",
             j->rec.fail_msg, NULL);
}

static void log_resumed(const struct job *j, enum fail_code code)
{
    log_info("job.resumed", "job", j->rec.name, "by", j->actor != NULL ? "user" : "auto", "user",
             j->actor, "code", fail_code_name(code), NULL);
}

/* After step(): the record follows the machine. */
static void follow(struct job *j, enum step_reason reason)
{
    if (j->step.state != j->rec.state) {
        log_debug("job.state", "job", j->rec.name, "from", job_state_name(j->rec.state), "to",
                  job_state_name(j->step.state), "phase", step_phase_name(j->step.phase), NULL);
        sched_job_forget_news(j);
    }
    if (j->rec.state == JOB_PAUSED && j->step.state != JOB_PAUSED) {
        log_resumed(j, j->rec.fail_code);
    }
    sched_trace_moved(j, j->rec.state);
    sched_job_count(j, -1);
    j->rec.state = j->step.state;
    j->rec.fail_code = j->step.fail_code;
    j->rec.n_resumes = j->step.n_resumes;
    sched_job_count(j, 1);
    if (reason != WHY_NONE) {
        sched_set_text(&j->rec.fail_msg, sched_job_reason_text(j, reason));
        atomic_fetch_add(&j->sched->counters.in_doubt, j->step.phase == PHASE_DOUBT);
        log_paused(j, reason);
    } else if (j->step.fail_code == FAIL_NONE) {
        sched_set_text(&j->rec.fail_msg, NULL);
    }
    touch(j);
}

/* --- runs ------------------------------------------------------------------------------------- */

static struct run *begin_run(struct job *j, enum run_kind kind, int64_t timeout_ms)
{
    const struct sched_options *o = &j->sched->options;
    assert(j->run == NULL && j->body != NULL);
    struct run *run = run_create(kind, j->body, o->sink_ops, o->sink);
    run->owner = j;
    run->timeout_ms = timeout_ms;
    run->statement_timeout_s = o->task_timeout_s;
    j->run = run;
    return run;
}

static void start_plan(struct job *j)
{
    if (sched_must_hold(j)) {
        j->is_held = true;
        return;
    }
    struct run *run = begin_run(j, RUN_PLAN, PLAN_TIMEOUT_MS);
    run->offset = j->rec.offset != NULL ? xstrdup(j->rec.offset) : NULL;
    sched_submit(j->sched, run);
}

static void start_load(struct job *j)
{
    int64_t timeout_ms = j->statement_timeout_s * 1000 + LOAD_GRACE_MS;
    struct run *run = begin_run(j, RUN_LOAD, timeout_ms);
    run->range = xstrdup(j->task.range);
    run->label = xstrdup(j->task.label);
    j->task.state = TASK_RUNNING;
    j->task.start_ms = clock_wall_ms();
    touch(j);
    sched_submit(j->sched, run);
}

static void start_label_run(struct job *j, enum run_kind kind, int64_t task_id)
{
    struct run *run = begin_run(j, kind, ASK_TIMEOUT_MS);
    run->db = xstrdup(j->rec.target_db);
    run->label = xasprintf("%" PRId64 "_%" PRId64, j->rec.id, task_id);
    sched_submit(j->sched, run);
}

void sched_job_release_held(struct sched *s)
{
    for (size_t i = 0; i < s->n_jobs && !s->is_stopping; i++) {
        struct job *j = s->jobs[i];
        if (j->is_held && !sched_must_hold(j)) {
            j->is_held = false;
            if (j->step.state == JOB_RUNNING) {
                start_plan(j);
            } else {
                sched_job_event(j, &(struct step_event){.kind = EV_PLAN_CANCELED});
            }
        }
    }
}

/* --- writes ----------------------------------------------------------------------------------- */

static struct step_event stored(enum store_result result)
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
        j->step.task_id = j->task.id;
        j->step.intent_ms = j->task.create_ms;
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
    keep_finished(j, &j->task);
    task_record_fini(&j->task);
}

static enum store_result store_commit(struct job *j)
{
    const struct sched_options *o = &j->sched->options;
    j->task.state = TASK_SUCCESS;
    j->task.finish_ms = clock_wall_ms();
    enum store_result result =
        o->store_ops->task_commit(o->store, &j->task, j->rec.committed_task_id, NULL, &j->last_err);
    if (result != STORE_OK) {
        j->task.state = TASK_RUNNING;
        j->task.finish_ms = 0;
        return result;
    }
    sched_set_text(&j->rec.offset, xstrdup(j->task.offset_after));
    j->rec.committed_task_id = j->task.id;
    j->rec.n_succeeded++;
    atomic_fetch_add(&j->sched->counters.tasks_succeeded, 1);
    atomic_fetch_add(&j->sched->counters.rows_loaded, j->task.stat.scanned_rows);
    j->rec.last_success_ms = j->task.finish_ms;
    add_stat(&j->rec.stat, &j->task.stat);
    j->step.has_witness = j->task.txn_id != NULL;
    j->step.witness_ms = j->task.finish_ms;
    log_info("task.success", "job", j->rec.name, "label", j->task.label, "rows",
             LOG_FMT("%" PRId64, j->task.stat.scanned_rows), "ms",
             LOG_FMT("%" PRId64, j->task.finish_ms - j->task.create_ms), NULL);
    close_open_task(j);
    return result;
}

static enum store_result store_end(struct job *j, enum task_state state)
{
    const struct sched_options *o = &j->sched->options;
    struct task_end end = {
        .state = state,
        .error = state == TASK_CANCELED ? "task cancelled" : j->last_err.msg,
        .first_error = j->task.first_error,
        .tracking_url = j->task.tracking_url,
        .finish_ms = clock_wall_ms(),
        .job = {j->rec.state, j->rec.fail_code, j->rec.fail_msg, j->rec.n_resumes},
    };
    struct err err = {0};
    enum store_result result = o->store_ops->task_end(o->store, j->rec.id, j->task.id, &end, &err);
    if (result != STORE_OK) {
        j->last_err = err;
        return result;
    }
    j->task.state = state;
    j->task.finish_ms = end.finish_ms;
    sched_set_text(&j->task.error, xstrdup(end.error));
    atomic_fetch_add(state == TASK_FAILED ? &j->sched->counters.tasks_failed
                                          : &j->sched->counters.tasks_canceled,
                     1);
    j->rec.n_failed += state == TASK_FAILED;
    j->rec.n_canceled += state == TASK_CANCELED;
    log_warn("task.ended", "job", j->rec.name, "label", j->task.label, "state",
             task_state_name(state), "reason", end.error, NULL);
    if (state == TASK_CANCELED && j->step.state == JOB_RUNNING) {
        sched_set_text(&j->runtime_msg,
                       xasprintf("Task %" PRId64 " was canceled; its range comes again, as another "
                                 "task, at %" PRId64,
                                 j->task.id, clock_wall_ms() + j->step.max_interval_ms));
    } else if (j->step.is_canceled) {
        sched_set_text(&j->runtime_msg, NULL);
    }
    close_open_task(j);
    return result;
}

static enum store_result write_state(struct job *j, const struct step_job *wanted, const char *msg,
                                     struct err *err)
{
    const struct sched_options *o = &j->sched->options;
    struct job_update update = {wanted->state, wanted->fail_code, msg, wanted->n_resumes};
    return o->store_ops->job_update(o->store, j->rec.id, &update, err);
}

static enum store_result store_job(struct job *j)
{
    struct err err = {0};
    enum store_result result = write_state(j, &j->step, j->rec.fail_msg, &err);
    if (result != STORE_OK && j->step.fail_code != FAIL_STORE) {
        j->last_err = err; /* else the first refusal tells more than that of its own report */
    }
    return result;
}

/* --- actions ---------------------------------------------------------------------------------- */

static bool is_write(enum step_action action)
{
    return action == ACT_STORE_INTENT || action == ACT_STORE_COMMIT || action == ACT_STORE_FAILED ||
           action == ACT_STORE_CANCELED || action == ACT_STORE_JOB;
}

static enum store_result write_action(struct job *j, enum step_action action)
{
    switch (action) {
    case ACT_STORE_INTENT: return store_intent(j);
    case ACT_STORE_COMMIT: return store_commit(j);
    case ACT_STORE_FAILED: return store_end(j, TASK_FAILED);
    case ACT_STORE_CANCELED: return store_end(j, TASK_CANCELED);
    case ACT_STORE_BAD:
    case ACT_STORE_ASIDE: break;
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

static void start_action(struct job *j, const struct step_out *out)
{
    if (j->sched->is_stopping && out->action != ACT_CANCEL_RUN) {
        return; /* the next start goes on from the store */
    }
    switch (out->action) {
    case ACT_PLAN: start_plan(j); break;
    case ACT_LOAD: start_load(j); break;
    case ACT_ASK: start_label_run(j, RUN_ASK, j->task.id); break;
    case ACT_ASK_WITNESS: start_label_run(j, RUN_ASK, j->rec.committed_task_id); break;
    case ACT_FENCE: start_label_run(j, RUN_FENCE, j->task.id); break;
    case ACT_CANCEL_RUN:
        if (j->run != NULL) {
            cancel_raise(&j->run->cancel);
        } else if (j->is_held) {
            j->is_held = false;
            sched_job_event(j, &(struct step_event){.kind = EV_PLAN_CANCELED});
        }
        break;
    case ACT_ARM: sched_arm(j->sched, j, out->delay_ms); break;
    case ACT_NONE:
    case ACT_STORE_INTENT:
    case ACT_STORE_COMMIT:
    case ACT_STORE_FAILED:
    case ACT_STORE_CANCELED:
    case ACT_STORE_BAD:
    case ACT_STORE_ASIDE:
    case ACT_STORE_JOB: break;
    }
}

static void count_recovery(struct job *j, bool was_recovering)
{
    struct sched *s = j->sched;
    if (was_recovering && !j->step.is_recovering) {
        s->n_recovering--;
        log_info("job.recovered", "job", j->rec.name, "task", LOG_FMT("%" PRId64, j->task.id),
                 "phase", step_phase_name(j->step.phase), NULL);
        sched_job_release_held(s);
    } else if (!was_recovering && j->step.is_recovering) {
        s->n_recovering++;
    }
}

void sched_job_event(struct job *j, const struct step_event *event)
{
    struct step_event next = *event;
    bool was_recovering = j->step.is_recovering;
    struct step_out out = {0};
    do {
        out = step(&j->step, &next, &j->sched->options.step);
        assert(step_check(&j->step));
        follow(j, out.reason);
        if (is_write(out.action)) {
            enum store_result result = write_action(j, out.action);
            note_write(j, step_phase_name(j->step.phase), result);
            next = stored(result);
        }
    } while (is_write(out.action));
    touch(j);
    start_action(j, &out);
    count_recovery(j, was_recovering);
}

enum store_result sched_job_change(struct job *j, enum step_event_kind kind, struct err *err)
{
    struct step_event event = {.kind = kind, .now = sched_now()};
    struct step_job trial = j->step;
    struct step_out out = step(&trial, &event, &j->sched->options.step);
    assert(out.action == ACT_STORE_JOB);
    _cleanup_free_ char *msg = sched_job_reason_text(j, out.reason);
    enum store_result result = write_state(j, &trial, msg, err);
    if (result == STORE_OK) {
        j->step = trial;
        follow(j, out.reason);
        event = stored(result);
        sched_job_event(j, &event);
    }
    return result;
}

void sched_job_say(struct job *j, char *text)
{
    sched_set_text(&j->runtime_msg, text);
    touch(j);
}

/* --- start ------------------------------------------------------------------------------------ */

/* What is known of the source's end is never behind where the job itself stands. */
static void raise_end(struct job *j, const char *offset)
{
    if (j->body == NULL || offset == NULL) {
        return;
    }
    if (j->end_offset == NULL || j->body->ops->is_later(offset, j->end_offset)) {
        sched_set_text(&j->end_offset, j->body->ops->show_offset(offset));
    }
}

void sched_job_restore_task(struct job *j, const struct task_record *task)
{
    if (task_state_is_final(task->state)) {
        keep_finished(j, task);
        if (task->id == j->rec.committed_task_id) {
            j->step.has_witness = task->txn_id != NULL;
            j->step.witness_ms = task->finish_ms;
            raise_end(j,
                      task->offset_after); /* the newest known until the source is listed again */
            raise_end(j, j->rec.offset);   /* an ALTER JOB has moved it since */
        }
        return;
    }
    assert(j->task.id == 0); /* the store keeps at most one */
    task_record_copy(task, &j->task);
    j->step.task_id = task->id;
    j->step.intent_ms = task->create_ms;
    raise_end(j, task->offset_after);
}

void sched_job_start(struct job *j)
{
    if (j->body != NULL && j->step.state != JOB_FINISHED) {
        sched_job_event(j, &(struct step_event){.kind = EV_START, .now = sched_now()});
    }
}

void sched_job_alter(struct job *j, struct job_record *to, struct job_body *body)
{
    bool was_unusable = j->body == NULL;
    struct step_event event = {.kind = EV_PAUSE, .now = sched_now()};
    sched_job_count(j, -1);
    job_record_fini(&j->rec);
    j->rec = *to;
    *to = (struct job_record){0};
    sched_job_count(j, 1);
    set_body(j, body);
    if (j->end_offset != NULL) {
        raise_end(j, j->rec.offset);
    }
    touch(j);
    if (was_unusable) {
        j->step.fail_code = j->rec.fail_code;
        sched_job_start(j); /* as after a restart: a task that is open is asked for */
    } else if (j->step.fail_code != j->rec.fail_code) {
        (void)step(&j->step, &event, &j->sched->options.step); /* what it wants stored is */
        assert(j->step.fail_code == j->rec.fail_code);
        event = stored(STORE_OK);
        sched_job_event(j, &event);
    }
}
