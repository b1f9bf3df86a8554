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
    j->watch = (struct source_watch){.n_late = -1, .n_overwritten = -1};
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
    free(j->end_reason);
    free(j->trace.plan_error);
    sched_files_fini(j);
    sched_answer_fini(&j->task_answer);
    sched_answer_fini(&j->witness_answer);
    sched_job_forget_news(j);
    free(j);
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
    run->job_id = j->rec.id;
    j->run = run;
    return run;
}

/* What the source can tell late files by: when its tasks passed what they passed. */
static void give_passes(const struct job *j, struct run *run)
{
    run->passes = xcalloc(j->n_tasks, sizeof(struct task_view *));
    for (size_t i = 0; i < j->n_tasks; i++) {
        const struct task_record *task = &j->tasks[i]->rec;
        if (task->state == TASK_SUCCESS && !task->is_retry && task->offset_after != NULL) {
            run->passes[run->n_passes++] = task_view_ref(j->tasks[i]);
        }
    }
}

static void start_plan(struct job *j)
{
    if (sched_must_hold(j)) {
        j->is_held = true;
        return;
    }
    struct run *run = begin_run(j, RUN_PLAN, PLAN_TIMEOUT_MS);
    run->offset = j->rec.offset != NULL ? xstrdup(j->rec.offset) : NULL;
    run->max_files = j->step.max_files;
    run->bad = bad_view_ref(sched_files_view(j));
    give_passes(j, run);
    sched_submit(j->sched, run);
}

static void name_task(const struct job *j, struct run *run)
{
    run->task_id = j->task.id;
    run->succeeded_id = j->rec.committed_task_id;
    run->range = xstrdup(j->task.range);
    run->label = xstrdup(j->task.label);
    run->offset = xstrdup(j->task.offset_after);
}

/*
 * As long as the answer of an earlier statement is lost, "not loaded" is true of one moment: later
 * that statement may have been loaded, and its label be forgotten, which nothing would refuse. What
 * waits for a thread, a source or an FE for that long is not sent, but asked about once more.
 */
static int64_t send_by_us(const struct job *j)
{
    int64_t limit_ms = j->sched->send_within_ms;
    int64_t window_ms = step_window_ms(&j->step, &j->sched->options.step);
    if (window_ms > 0 && window_ms < limit_ms) {
        limit_ms = window_ms;
    }
    return j->step.lost_ms == 0 ? 0 : clock_mono_us() + limit_ms * 1000;
}

static void start_load(struct job *j)
{
    int64_t timeout_ms = j->statement_timeout_s * 1000 + LOAD_GRACE_MS;
    struct run *run = begin_run(j, RUN_LOAD, timeout_ms);
    name_task(j, run);
    run->listed_us = j->listed_us;
    run->send_by_us = send_by_us(j);
    run->is_proven = j->step.n_suspects > 0 || (j->rec.n_succeeded > 0 && !j->is_new_insert);
    j->task.state = TASK_RUNNING;
    j->task.start_ms = clock_wall_ms();
    touch(j);
    sched_submit(j->sched, run);
}

static void start_label_run(struct job *j, enum run_kind kind)
{
    struct run *run = begin_run(j, kind, ASK_TIMEOUT_MS);
    run->db = xstrdup(j->rec.target_db);
    if (kind == RUN_ASK && spec_guarantee(j->body->spec) == GUARANTEE_TRANSACTIONAL) {
        name_task(j, run);
    } else {
        run->label = xstrdup(j->task.label);
    }
    sched_submit(j->sched, run);
}

static void start_witness_run(struct job *j)
{
    struct run *run = begin_run(j, RUN_ASK, ASK_TIMEOUT_MS);
    run->db = xstrdup(j->rec.target_db);
    run->label = xasprintf("%" PRId64 "_%" PRId64, j->witness.job_id, j->witness.task_id);
    sched_submit(j->sched, run);
}

void sched_job_release_held(struct sched *s)
{
    const char *db = NULL; /* asked about last: most neighbours load into the same one */
    bool must_hold = false;
    for (size_t i = 0; i < s->n_jobs && !s->is_stopping; i++) {
        struct job *j = s->jobs[i];
        if (j->is_held && (db == NULL || strcmp(db, j->rec.target_db) != 0)) {
            db = j->rec.target_db;
            must_hold = sched_must_hold(j);
        }
        if (!j->is_held || must_hold) {
            continue;
        }
        j->is_held = false;
        if (j->step.state == JOB_RUNNING) {
            start_plan(j);
        } else {
            sched_job_event(j, &(struct step_event){.kind = EV_PLAN_CANCELED});
        }
    }
}

/* --- actions ---------------------------------------------------------------------------------- */

static void start_action(struct job *j, const struct step_out *out)
{
    if (j->sched->is_stopping && out->action != ACT_CANCEL_RUN) {
        return; /* the next start goes on from the store */
    }
    switch (out->action) {
    case ACT_PLAN: start_plan(j); break;
    case ACT_LOAD: start_load(j); break;
    case ACT_ASK: start_label_run(j, RUN_ASK); break;
    case ACT_ASK_WITNESS: start_witness_run(j); break;
    case ACT_FENCE: start_label_run(j, RUN_FENCE); break;
    case ACT_CANCEL_RUN:
        if (j->run != NULL) {
            cancel_raise(&j->run->cancel);
        } else if (j->is_held) {
            j->is_held = false;
            sched_job_event(j, &(struct step_event){.kind = EV_PLAN_CANCELED});
        }
        break;
    case ACT_ARM: sched_arm(j->sched, j, sched_pace(j, out->delay_ms)); break;
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
        sched_txn_update(j);
        out = step(&j->step, &next, &j->sched->options.step);
        assert(step_check(&j->step));
        follow(j, out.reason);
        if (sched_is_write(out.action)) {
            next = sched_write(j, out.action);
        }
    } while (sched_is_write(out.action));
    touch(j);
    start_action(j, &out);
    count_recovery(j, was_recovering);
}

enum store_result sched_job_change(struct job *j, enum step_event_kind kind, struct err *err)
{
    struct step_event event = {.kind = kind, .now = sched_now()};
    sched_txn_update(j);
    struct step_job trial = j->step;
    struct step_out out = step(&trial, &event, &j->sched->options.step);
    assert(out.action == ACT_STORE_JOB);
    _cleanup_free_ char *msg = sched_job_reason_text(j, out.reason);
    enum store_result result = sched_write_state(j, &trial, msg, err);
    if (result == STORE_OK) {
        j->step = trial;
        follow(j, out.reason);
        event = sched_stored(result);
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

void sched_follow_task(struct job *j)
{
    const struct task_record *task = &j->task;
    j->step.task_id = task->id;
    j->step.intent_ms = task->create_ms;
    j->step.proof_txn = task->txn_before;
    j->step.n_files = task->stat.file_number;
    j->step.is_retry = task->is_retry;
    sched_answer_fini(&j->task_answer);
    sched_answer_fini(&j->witness_answer);
}

void sched_job_restore_task(struct job *j, const struct task_record *task)
{
    if (task_state_is_final(task->state)) {
        sched_keep_finished(j, task);
        if (task->id == j->rec.committed_task_id) {
            raise_end(j,
                      task->offset_after); /* the newest known until the source is listed again */
            raise_end(j, j->rec.offset);   /* an ALTER JOB has moved it since */
        }
        return;
    }
    assert(j->task.id == 0); /* the store keeps at most one */
    task_record_copy(task, &j->task);
    sched_follow_task(j);
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
        event = sched_stored(STORE_OK);
        sched_job_event(j, &event);
    }
}
