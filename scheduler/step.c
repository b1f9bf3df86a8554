#include <assert.h>

#include "scheduler/step.h"

enum {
    FIRST_WAIT_MS = 50, /* a COMMITTED load is visible soon: ask soon */
    LONGEST_WAIT_MS = 5000,
    MAX_DOUBLINGS = 5,             /* of the resume delay */
    MAX_FACTOR = 30,               /* 300 s with Doris's first delay of 10 s */
    SHORT_MEMORY_MS = 3600 * 1000, /* a witness forgotten sooner tells of a short label window */
};

/* Row: from; column: to. PENDING RUNNING PAUSED STOPPED FINISHED. */
static const bool legal_moves[5][5] = {
    [JOB_PENDING] = {0, 1, 1, 1, 1},  [JOB_RUNNING] = {1, 0, 1, 1, 1},
    [JOB_PAUSED] = {1, 0, 0, 1, 0},   [JOB_STOPPED] = {0, 0, 0, 0, 0},
    [JOB_FINISHED] = {0, 0, 0, 1, 0},
};

static const char *const phase_names[] = {
    "idle",    "planning", "intent", "loading", "asking", "witness",
    "fencing", "waiting",  "retry",  "commit",  "end",    "in doubt",
};

bool step_may_move(enum job_state from, enum job_state to)
{
    return legal_moves[from][to];
}

const char *step_phase_name(enum step_phase phase)
{
    return phase_names[phase];
}

int64_t step_resume_delay_ms(int64_t n_resumes, int64_t first_ms)
{
    int64_t doublings = n_resumes < MAX_DOUBLINGS ? n_resumes : MAX_DOUBLINGS;
    int64_t factor = (int64_t)1 << doublings;
    return first_ms * (factor < MAX_FACTOR ? factor : MAX_FACTOR);
}

bool step_is_resumable(enum fail_code code)
{
    return code == FAIL_INTERNAL || code == FAIL_GET_REMOTE_DATA || code == FAIL_STORE;
}

static bool is_active(const struct step_job *job)
{
    return job->state == JOB_PENDING || job->state == JOB_RUNNING;
}

bool step_check(const struct step_job *job)
{
    bool needs_task = job->phase >= PHASE_LOADING;
    if (needs_task && job->task_id == 0) {
        return false;
    }
    if (job->state == JOB_FINISHED && (job->task_id != 0 || job->phase != PHASE_IDLE)) {
        return false;
    }
    /* In doubt is a reason to be paused, and nothing else moves a job out of that phase. */
    if (job->phase == PHASE_DOUBT && job->state != JOB_PAUSED) {
        return false;
    }
    return (job->fail_code == FAIL_NONE) == (job->state != JOB_PAUSED);
}

/* The one setter of the job's state. */
static void move(struct step_job *job, enum job_state to)
{
    if (job->state != to) {
        assert(legal_moves[job->state][to]);
        job->state = to;
    }
}

static struct step_out act(enum step_action action)
{
    return (struct step_out){.action = action};
}

static struct step_out arm(int64_t delay_ms)
{
    return (struct step_out){.action = ACT_ARM, .delay_ms = delay_ms};
}

static struct step_out arm_resume(const struct step_job *job, const struct step_config *config)
{
    if (job->state == JOB_PAUSED && step_is_resumable(job->fail_code)) {
        return arm(step_resume_delay_ms(job->n_resumes, config->resume_delay_ms));
    }
    return act(ACT_NONE);
}

static int64_t next_wait_ms(struct step_job *job)
{
    int64_t delay = FIRST_WAIT_MS;
    for (int64_t i = 0; i < job->n_waits && delay < LONGEST_WAIT_MS; i++) {
        delay *= 2;
    }
    job->n_waits++;
    return delay < LONGEST_WAIT_MS ? delay : LONGEST_WAIT_MS;
}

static struct step_out wait_in(struct step_job *job, enum step_phase phase)
{
    job->phase = phase;
    return arm(next_wait_ms(job));
}

/* Makes the job PAUSED in memory; the caller adds the action that stores it. */
static enum step_reason pause(struct step_job *job, enum fail_code code, enum step_reason reason,
                              const struct step_config *config)
{
    if (!is_active(job)) {
        return WHY_NONE; /* paused already: the first reason stays */
    }
    /* A store that refuses writes is no failure of the job: it costs no part of the budget. */
    bool has_cost = step_is_resumable(code) && code != FAIL_STORE;
    if (has_cost && job->n_resumes >= config->max_resumes) {
        code = FAIL_CANNOT_RESUME;
        reason = WHY_BUDGET_SPENT;
    }
    move(job, JOB_PAUSED);
    job->fail_code = code;
    return reason;
}

static struct step_out pause_and_store(struct step_job *job, enum fail_code code,
                                       enum step_reason reason, const struct step_config *config)
{
    reason = pause(job, code, reason, config);
    return (struct step_out){.action = reason != WHY_NONE ? ACT_STORE_JOB : ACT_NONE,
                             .reason = reason};
}

static void close_task(struct step_job *job)
{
    job->phase = PHASE_IDLE;
    job->task_id = 0;
    job->intent_ms = 0;
    job->n_sent = 0;
    job->n_tries = 0;
    job->n_waits = 0;
    job->lost_ms = 0;
    job->ask_ms = 0;
    job->proof_ms = 0;
    job->is_refused = false;
    job->unowned_ms = 0;
    job->is_canceled = false;
    job->is_data_error = false;
    job->is_committed = false;
    job->is_loaded = false;
    job->is_recovering = false;
}

static struct step_out plan(struct step_job *job)
{
    move(job, JOB_RUNNING);
    job->phase = PHASE_PLANNING;
    return act(ACT_PLAN);
}

static struct step_out load(struct step_job *job)
{
    move(job, JOB_RUNNING);
    job->phase = PHASE_LOADING;
    job->n_tries++;
    job->unowned_ms = 0;
    return act(ACT_LOAD);
}

static struct step_out commit(struct step_job *job)
{
    job->is_loaded = true;
    job->phase = PHASE_COMMIT;
    return act(ACT_STORE_COMMIT);
}

static struct step_out ask(struct step_job *job)
{
    if (job->is_loaded) {
        return commit(job); /* told before, and the label may be forgotten since */
    }
    job->phase = PHASE_ASKING;
    return act(ACT_ASK);
}

/* A job with an open task takes that up again; one without plans. */
static struct step_out go_on(struct step_job *job)
{
    if (job->task_id != 0) {
        move(job, JOB_RUNNING);
        return ask(job);
    }
    return plan(job);
}

/* When the label was asked, a statement whose answer was lost could still begin its transaction. */
static bool may_straggle(const struct step_job *job)
{
    int64_t age = job->ask_ms - job->lost_ms;
    return job->lost_ms != 0 && (age < 0 || age < job->statement_life_ms);
}

static struct step_out end_failed(struct step_job *job, bool may_close,
                                  const struct step_config *config)
{
    enum fail_code code = job->is_data_error ? FAIL_TOO_MANY_ROWS : FAIL_INTERNAL;
    if (!may_close) {
        job->phase = PHASE_IDLE;
        return pause_and_store(job, code, WHY_RUN_ERROR, config);
    }
    enum step_reason reason = pause(job, code, WHY_RUN_ERROR, config);
    job->phase = PHASE_END;
    return (struct step_out){.action = ACT_STORE_FAILED, .reason = reason};
}

/* The task's range is certainly not in the target. */
static struct step_out not_loaded(struct step_job *job, const struct step_config *config)
{
    bool may_close = !may_straggle(job);
    job->is_recovering = false;
    job->proof_ms = job->ask_ms;
    if (!is_active(job)) {
        job->phase = may_close ? PHASE_END : PHASE_IDLE;
        return may_close ? act(ACT_STORE_CANCELED) : arm_resume(job, config);
    }
    if (job->is_data_error || job->n_tries >= config->n_tries) {
        return end_failed(job, may_close, config);
    }
    if (job->n_tries == 0) {
        return load(job);
    }
    job->n_waits = job->n_tries - 1; /* what was waited for before is over */
    return wait_in(job, PHASE_RETRY);
}

static struct step_out doubt(struct step_job *job, enum step_reason reason,
                             const struct step_config *config)
{
    enum fail_code code = reason == WHY_LABEL_TAKEN ? FAIL_LABEL_TAKEN : FAIL_IN_DOUBT;
    job->phase = PHASE_DOUBT;
    job->is_recovering = false;
    if (job->state == JOB_PAUSED) {
        /* Stronger than any other reason, MANUAL included: RESUME has to find it. */
        job->fail_code = code;
        return (struct step_out){.action = ACT_STORE_JOB, .reason = reason};
    }
    return pause_and_store(job, code, reason, config);
}

static struct step_out on_start(struct step_job *job, struct step_time now,
                                const struct step_config *config)
{
    if (job->state == JOB_RUNNING) {
        move(job, JOB_PENDING); /* RUNNING is never restored, as in Doris */
    }
    if (job->task_id != 0) {
        /* An earlier life may have sent it any number of times, a moment ago. */
        job->n_sent = 2;
        job->lost_ms = now.mono_ms;
        if (job->fail_code == FAIL_IN_DOUBT || job->fail_code == FAIL_LABEL_TAKEN) {
            /* Nothing new is known, and a label that was not ours must not look like success. */
            job->phase = PHASE_DOUBT;
            return act(ACT_NONE);
        }
        job->is_recovering = true;
        return ask(job);
    }
    return job->state == JOB_PENDING ? arm(0) : arm_resume(job, config);
}

/* Sending again is safe as long as a straggler, if any, that was loaded since is remembered yet. */
static bool is_proof_fresh(const struct step_job *job, struct step_time now,
                           const struct step_config *config)
{
    return job->lost_ms == 0 || now.mono_ms - job->proof_ms < config->label_window_ms;
}

static struct step_out on_retry(struct step_job *job, struct step_time now,
                                const struct step_config *config)
{
    if (is_active(job)) {
        return is_proof_fresh(job, now, config) ? load(job) : ask(job);
    }
    /* Paused meanwhile. Without a straggler the proof cannot have aged. */
    return job->lost_ms == 0 ? not_loaded(job, config) : ask(job);
}

static struct step_out on_timer(struct step_job *job, struct step_time now,
                                const struct step_config *config)
{
    if (job->phase == PHASE_WAITING) {
        return ask(job);
    }
    if (job->phase == PHASE_RETRY) {
        return on_retry(job, now, config);
    }
    if (job->phase != PHASE_IDLE) {
        return act(ACT_NONE);
    }
    if (job->state == JOB_PAUSED && step_is_resumable(job->fail_code)) {
        move(job, JOB_PENDING);
        job->n_resumes += job->fail_code != FAIL_STORE;
        job->n_tries = 0; /* or an open task would fail again without having been tried */
        job->fail_code = FAIL_NONE;
        return act(ACT_STORE_JOB);
    }
    return is_active(job) ? go_on(job) : act(ACT_NONE);
}

static struct step_out on_plan_canceled(struct step_job *job, const struct step_config *config)
{
    assert(job->phase == PHASE_PLANNING);
    job->phase = PHASE_IDLE;
    return is_active(job) ? plan(job) : arm_resume(job, config); /* resumed meanwhile, or not */
}

static struct step_out on_no_fe(struct step_job *job, const struct step_config *config)
{
    assert(job->phase == PHASE_PLANNING);
    job->phase = PHASE_IDLE;
    return is_active(job) ? arm(next_wait_ms(job)) : arm_resume(job, config);
}

static struct step_out on_planned(struct step_job *job, enum plan_result result,
                                  const struct step_config *config)
{
    assert(job->phase == PHASE_PLANNING);
    job->phase = PHASE_IDLE;
    if (!is_active(job)) {
        return arm_resume(job, config); /* paused meanwhile */
    }
    switch (result) {
    case PLAN_RANGE: job->phase = PHASE_INTENT; return act(ACT_STORE_INTENT);
    case PLAN_EMPTY: job->n_waits = 0; return arm(job->max_interval_ms);
    case PLAN_END: move(job, JOB_FINISHED); return act(ACT_STORE_JOB);
    case PLAN_FAIL: return pause_and_store(job, FAIL_GET_REMOTE_DATA, WHY_RUN_ERROR, config);
    }
    return act(ACT_NONE);
}

static struct step_out on_loaded(struct step_job *job, const struct step_event *event,
                                 const struct step_config *config)
{
    assert(job->phase == PHASE_LOADING);
    enum load_result result = event->u.load.result;
    job->is_data_error = event->u.load.is_data_error;
    job->n_sent += result != LOAD_NOT_SENT && result != LOAD_LABEL_USED;
    job->is_committed |= result == LOAD_COMMITTED;
    job->is_refused = result == LOAD_REFUSED;
    switch (result) {
    case LOAD_VISIBLE:
    case LOAD_EMPTY: return commit(job);
    case LOAD_COMMITTED: job->n_waits = 0; return wait_in(job, PHASE_WAITING);
    case LOAD_LABEL_USED: return job->n_sent > 0 ? ask(job) : doubt(job, WHY_LABEL_TAKEN, config);
    case LOAD_REFUSED: return ask(job);
    case LOAD_LOST: job->lost_ms = event->now.mono_ms; return ask(job);
    case LOAD_NOT_SENT:
        /* An outage, no failure of the task: nothing was tried. */
        job->n_tries -= job->n_tries > 0; /* RESUME may have set it back meanwhile */
        return is_active(job) ? wait_in(job, PHASE_RETRY) : not_loaded(job, config);
    }
    return act(ACT_NONE);
}

/* PREPARE with no statement of ours: it ends by itself, or is fenced. */
static struct step_out on_prepare(struct step_job *job, struct step_time now,
                                  const struct step_config *config)
{
    if (job->unowned_ms == 0) {
        job->unowned_ms = now.mono_ms;
    }
    if (now.mono_ms - job->unowned_ms >= config->fence_after_ms) {
        job->unowned_ms = 0; /* give the fence time before the next one */
        job->phase = PHASE_FENCING;
        return act(ACT_FENCE);
    }
    return wait_in(job, PHASE_WAITING);
}

/* Whatever was loaded since the last proof cannot be forgotten already. */
static bool is_young(const struct step_job *job, struct step_time now,
                     const struct step_config *config)
{
    int64_t age = job->proof_ms != 0 ? now.mono_ms - job->proof_ms : now.wall_ms - job->intent_ms;
    return age >= 0 && age < config->label_window_ms;
}

static struct step_out decide_by_age(struct step_job *job, struct step_time now,
                                     const struct step_config *config)
{
    return is_young(job, now, config) ? not_loaded(job, config)
                                      : doubt(job, WHY_LABEL_FORGOTTEN, config);
}

static struct step_out on_unknown(struct step_job *job, struct step_time now,
                                  const struct step_config *config)
{
    if (job->is_committed) {
        return doubt(job, WHY_LABEL_FORGOTTEN, config);
    }
    if (job->n_sent == 0) {
        return not_loaded(job, config);
    }
    if (job->is_refused && is_young(job, now, config)) {
        return not_loaded(job, config);
    }
    if (job->has_witness) {
        job->phase = PHASE_WITNESS;
        return act(ACT_ASK_WITNESS);
    }
    return decide_by_age(job, now, config);
}

static struct step_out on_label(struct step_job *job, enum label_state label, struct step_time now,
                                const struct step_config *config)
{
    assert(job->phase == PHASE_ASKING);
    if (label != LABEL_UNREACHABLE && label != LABEL_UNKNOWN) {
        job->is_recovering = false; /* remembered; its end, if it is to come, starts the window */
        if (job->n_sent == 0 && label != LABEL_ABORTED) {
            return doubt(job, WHY_LABEL_TAKEN, config);
        }
    }
    job->is_committed |= label == LABEL_COMMITTED;
    switch (label) {
    case LABEL_VISIBLE: return commit(job);
    case LABEL_COMMITTED:
    case LABEL_UNREACHABLE: return wait_in(job, PHASE_WAITING);
    case LABEL_PREPARE:
    case LABEL_PRECOMMITTED: return on_prepare(job, now, config);
    case LABEL_ABORTED:
        if (job->n_sent == 1) {
            job->lost_ms = 0; /* the lost statement was this one, and it is dead */
        }
        return not_loaded(job, config);
    case LABEL_UNKNOWN: return on_unknown(job, now, config);
    }
    return act(ACT_NONE);
}

static struct step_out on_witness(struct step_job *job, enum label_state label,
                                  struct step_time now, const struct step_config *config)
{
    int64_t age = now.wall_ms - job->witness_ms;
    switch (label) {
    case LABEL_VISIBLE:
    case LABEL_COMMITTED: return not_loaded(job, config);
    case LABEL_UNREACHABLE: return wait_in(job, PHASE_WAITING);
    case LABEL_UNKNOWN:
    case LABEL_PREPARE:
    case LABEL_PRECOMMITTED:
    case LABEL_ABORTED:
        return age >= SHORT_MEMORY_MS ? decide_by_age(job, now, config)
                                      : doubt(job, WHY_LABEL_FORGOTTEN, config);
    }
    return act(ACT_NONE);
}

/* A write that named what it expects found something else: we are not the owner any more. */
static struct step_out on_stale(struct step_job *job, const struct step_config *config)
{
    (void)pause(job, FAIL_STORE, WHY_STALE, config); /* not stored: the store is not ours */
    job->phase = PHASE_IDLE;
    if (job->state != JOB_PAUSED) {
        return act(ACT_NONE); /* FINISHED: nothing is left to be done */
    }
    job->fail_code = FAIL_CANNOT_RESUME;
    return (struct step_out){.action = ACT_NONE, .reason = WHY_STALE};
}

/*
 * The store refused. What it had is still true: a task that was not stored does not exist, one that
 * was not closed is open and will be asked for again.
 */
static struct step_out on_store_fail(struct step_job *job, const struct step_config *config)
{
    if (job->phase == PHASE_INTENT) {
        close_task(job);
    }
    if (job->phase == PHASE_COMMIT || job->phase == PHASE_END) {
        job->phase = PHASE_IDLE;
    }
    if (is_active(job)) {
        enum step_reason reason = pause(job, FAIL_STORE, WHY_STORE, config);
        return (struct step_out){.action = ACT_STORE_JOB, .reason = reason};
    }
    if (job->phase == PHASE_IDLE && job->task_id != 0 && !step_is_resumable(job->fail_code)) {
        /* Paused by the user, yet the task wants its end written. */
        return wait_in(job, PHASE_WAITING);
    }
    return job->phase == PHASE_IDLE ? arm_resume(job, config) : act(ACT_NONE);
}

static struct step_out on_stored(struct step_job *job, struct step_time now,
                                 const struct step_config *config)
{
    switch (job->phase) {
    case PHASE_INTENT:
        assert(is_active(job)); /* stored in the same turn of the loop */
        job->proof_ms = now.mono_ms;
        return load(job);
    case PHASE_COMMIT:
        close_task(job);
        job->n_resumes = 0;
        /* Paused meanwhile: the commit cleared the stored reason, so it is written again. */
        return is_active(job) ? plan(job) : act(ACT_STORE_JOB);
    case PHASE_END: close_task(job); return is_active(job) ? arm(0) : arm_resume(job, config);
    case PHASE_IDLE:
        if (is_active(job)) {
            return go_on(job);
        }
        return arm_resume(job, config);
    case PHASE_PLANNING: return act(job->state == JOB_PAUSED ? ACT_CANCEL_RUN : ACT_NONE);
    case PHASE_LOADING: return act(job->is_canceled ? ACT_CANCEL_RUN : ACT_NONE);
    case PHASE_ASKING:
    case PHASE_WITNESS:
    case PHASE_FENCING:
    case PHASE_WAITING:
    case PHASE_RETRY:
    case PHASE_DOUBT: return act(ACT_NONE);
    }
    return act(ACT_NONE);
}

static struct step_out on_pause(struct step_job *job)
{
    assert(is_active(job));
    move(job, JOB_PAUSED);
    job->fail_code = FAIL_MANUAL_PAUSE;
    job->is_canceled = job->task_id != 0;
    return (struct step_out){.action = ACT_STORE_JOB, .reason = WHY_MANUAL};
}

static struct step_out on_resume(struct step_job *job)
{
    assert(job->state == JOB_PAUSED);
    move(job, JOB_PENDING);
    job->fail_code = FAIL_NONE;
    job->n_resumes = 0;
    job->n_tries = 0;
    job->is_canceled = false;
    job->is_data_error = false; /* the user may have mended the rows, or the table */
    if (job->phase == PHASE_DOUBT) {
        job->phase = PHASE_IDLE; /* asks once more: the evidence may be there now */
    }
    return act(ACT_STORE_JOB);
}

static struct step_out on_resolve(struct step_job *job, bool is_committed)
{
    assert(job->phase == PHASE_DOUBT);
    job->fail_code = FAIL_MANUAL_PAUSE; /* the user's turn: RESUME goes on */
    if (is_committed) {
        job->phase = PHASE_COMMIT;
        return (struct step_out){.action = ACT_STORE_COMMIT, .reason = WHY_RESOLVED};
    }
    job->phase = PHASE_END;
    return (struct step_out){.action = ACT_STORE_FAILED, .reason = WHY_RESOLVED};
}

static struct step_out decide(struct step_job *job, const struct step_event *event,
                              const struct step_config *config)
{
    switch (event->kind) {
    case EV_START: return on_start(job, event->now, config);
    case EV_TIMER: return on_timer(job, event->now, config);
    case EV_PLANNED: return on_planned(job, event->u.plan, config);
    case EV_PLAN_CANCELED: return on_plan_canceled(job, config);
    case EV_NO_FE: return on_no_fe(job, config);
    case EV_LOADED: return on_loaded(job, event, config);
    case EV_LABEL:
        return job->phase == PHASE_WITNESS ? on_witness(job, event->u.label, event->now, config)
                                           : on_label(job, event->u.label, event->now, config);
    case EV_FENCED: return ask(job);
    case EV_STORED:
        if (event->u.stored == STORED_STALE) {
            return on_stale(job, config);
        }
        return event->u.stored == STORED_OK ? on_stored(job, event->now, config)
                                            : on_store_fail(job, config);
    case EV_PAUSE: return on_pause(job);
    case EV_RESUME: return on_resume(job);
    case EV_RESOLVE: return on_resolve(job, event->u.is_committed);
    }
    return act(ACT_NONE);
}

struct step_out step(struct step_job *job, const struct step_event *event,
                     const struct step_config *config)
{
    struct step_out out = decide(job, event, config);
    if (out.action == ACT_ASK) {
        job->ask_ms = event->now.mono_ms;
    }
    return out;
}
