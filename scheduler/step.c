#include <assert.h>

#include "scheduler/step_private.h"

enum {
    FIRST_WAIT_MS = 50, /* a COMMITTED load is visible soon: ask soon */
    LONGEST_WAIT_MS = 5000,
    MAX_DOUBLINGS = 5, /* of the resume delay */
    MAX_FACTOR = 30,   /* 300 s with Doris's first delay of 10 s */
};

/* Row: from; column: to. PENDING RUNNING PAUSED STOPPED FINISHED. */
static const bool legal_moves[5][5] = {
    [JOB_PENDING] = {0, 1, 1, 1, 1},  [JOB_RUNNING] = {1, 0, 1, 1, 1},
    [JOB_PAUSED] = {1, 0, 0, 1, 0},   [JOB_STOPPED] = {0, 0, 0, 0, 0},
    [JOB_FINISHED] = {0, 0, 0, 1, 0},
};

static const char *const phase_names[] = {
    "idle",    "planning", "intent",  "aside", "owner",  "loading", "asking",
    "witness", "fencing",  "waiting", "retry", "commit", "end",     "in doubt",
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
    bool has_news_of_task = job->is_canceled || job->is_changed || job->is_loaded ||
                            job->is_committed || job->is_data_error;
    if (has_news_of_task && job->task_id == 0) {
        return false;
    }
    /* What is set aside without a task belongs to a job that goes on. */
    if (job->phase == PHASE_ASIDE && (job->task_id != 0 || job->state == JOB_PAUSED)) {
        return false;
    }
    if (!step_files_check(job)) {
        return false;
    }
    return (job->fail_code == FAIL_NONE) == (job->state != JOB_PAUSED);
}

void step_move(struct step_job *job, enum job_state to)
{
    if (job->state != to) {
        assert(legal_moves[job->state][to]);
        job->state = to;
    }
}

struct step_out step_arm_resume(const struct step_job *job, const struct step_config *config)
{
    if (job->state == JOB_PAUSED && step_is_resumable(job->fail_code)) {
        return step_arm(step_resume_delay_ms(job->n_resumes, config->resume_delay_ms));
    }
    return step_act(ACT_NONE);
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

struct step_out step_wait_in(struct step_job *job, enum step_phase phase)
{
    job->phase = phase;
    return step_arm(next_wait_ms(job));
}

struct step_out step_rest(struct step_job *job, const struct step_config *config)
{
    if (job->task_id != 0 && !step_is_resumable(job->fail_code)) {
        return step_wait_in(job, PHASE_WAITING);
    }
    job->phase = PHASE_IDLE;
    return step_arm_resume(job, config);
}

enum step_reason step_pause(struct step_job *job, enum fail_code code, enum step_reason reason,
                            const struct step_config *config)
{
    if (!step_is_active(job)) {
        return WHY_NONE; /* paused already: the first reason stays */
    }
    /* A store that refuses writes is no failure of the job: it costs no part of the budget. */
    bool has_cost = step_is_resumable(code) && code != FAIL_STORE;
    if (has_cost && job->n_resumes >= config->max_resumes) {
        code = FAIL_CANNOT_RESUME;
        reason = WHY_BUDGET_SPENT;
    }
    step_move(job, JOB_PAUSED);
    job->fail_code = code;
    return reason;
}

struct step_out step_pause_and_store(struct step_job *job, enum fail_code code,
                                     enum step_reason reason, const struct step_config *config)
{
    reason = step_pause(job, code, reason, config);
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
    job->ask_txn = 0;
    job->n_remembered = 0;
    job->proof_ms = 0;
    job->proof_txn = 0;
    job->n_files = 0;
    job->is_retry = false;
    job->is_due = false;
    job->is_refused = false;
    job->unowned_ms = 0;
    job->is_canceled = false;
    job->is_changed = false;
    job->is_data_error = false;
    job->is_committed = false;
    job->is_loaded = false;
    job->is_recovering = false;
    job->resolved_code = FAIL_NONE;
}

static struct step_out plan(struct step_job *job)
{
    step_move(job, JOB_RUNNING);
    job->phase = PHASE_PLANNING;
    return step_act(ACT_PLAN);
}

/* A job with an open task takes that up again; one without plans. */
static struct step_out go_on(struct step_job *job)
{
    if (job->task_id != 0) {
        step_move(job, JOB_RUNNING);
        return step_task_ask(job);
    }
    return plan(job);
}

static struct step_out on_start(struct step_job *job, struct step_time now,
                                const struct step_config *config)
{
    if (job->state == JOB_RUNNING) {
        step_move(job, JOB_PENDING); /* RUNNING is never restored, as in Doris */
    }
    if (job->task_id != 0) {
        /* An earlier life may have sent it any number of times, a moment ago. */
        job->n_sent = 2;
        job->lost_ms = now.mono_ms;
        if (job->fail_code == FAIL_IN_DOUBT || job->fail_code == FAIL_LABEL_TAKEN) {
            /* Nothing new is known, and a label that was not ours must not look like success. */
            job->phase = PHASE_DOUBT;
            return step_act(ACT_NONE);
        }
        job->is_recovering = true;
        return step_task_ask(job);
    }
    return job->state == JOB_PENDING ? step_arm(0) : step_arm_resume(job, config);
}

static struct step_out on_timer(struct step_job *job, struct step_time now,
                                const struct step_config *config)
{
    if (job->phase == PHASE_WAITING) {
        return step_task_ask(job);
    }
    if (job->phase == PHASE_RETRY) {
        return step_task_on_retry(job, now, config);
    }
    if (job->phase != PHASE_IDLE) {
        return step_act(ACT_NONE);
    }
    if (job->state == JOB_PAUSED && step_is_resumable(job->fail_code)) {
        step_move(job, JOB_PENDING);
        job->n_resumes += job->fail_code != FAIL_STORE;
        job->n_tries = 0; /* or an open task would fail again without having been tried */
        job->fail_code = FAIL_NONE;
        return step_act(ACT_STORE_JOB);
    }
    return step_is_active(job) ? go_on(job) : step_act(ACT_NONE);
}

static struct step_out on_plan_canceled(struct step_job *job, const struct step_config *config)
{
    assert(job->phase == PHASE_PLANNING);
    job->phase = PHASE_IDLE;
    return step_is_active(job) ? plan(job)
                               : step_arm_resume(job, config); /* resumed meanwhile, or not */
}

static struct step_out on_no_fe(struct step_job *job, const struct step_config *config)
{
    assert(job->phase == PHASE_PLANNING);
    job->phase = PHASE_IDLE;
    return step_is_active(job) ? step_arm(next_wait_ms(job)) : step_arm_resume(job, config);
}

static struct step_out on_planned(struct step_job *job, enum plan_result result,
                                  const struct step_config *config)
{
    assert(job->phase == PHASE_PLANNING);
    job->phase = PHASE_IDLE;
    if (!step_is_active(job)) {
        return step_arm_resume(job, config); /* paused meanwhile */
    }
    switch (result) {
    case PLAN_RANGE: job->phase = PHASE_INTENT; return step_act(ACT_STORE_INTENT);
    case PLAN_EMPTY: job->n_waits = 0; return step_arm(job->max_interval_ms);
    case PLAN_END: step_move(job, JOB_FINISHED); return step_act(ACT_STORE_JOB);
    case PLAN_ASIDE:
        if (job->sets_aside) {
            job->phase = PHASE_ASIDE;
            return step_act(ACT_STORE_ASIDE);
        }
        return step_pause_and_store(job, FAIL_CANNOT_RESUME, WHY_RUN_ERROR, config);
    case PLAN_REFUSED: return step_pause_and_store(job, FAIL_CANNOT_RESUME, WHY_RUN_ERROR, config);
    case PLAN_FAIL: return step_pause_and_store(job, FAIL_GET_REMOTE_DATA, WHY_RUN_ERROR, config);
    }
    return step_act(ACT_NONE);
}

/* A write that named what it expects found something else: we are not the owner any more. */
static struct step_out on_stale(struct step_job *job, const struct step_config *config)
{
    (void)step_pause(job, FAIL_STORE, WHY_STALE, config); /* not stored: the store is not ours */
    job->phase = PHASE_IDLE;
    if (job->state != JOB_PAUSED) {
        return step_act(ACT_NONE); /* FINISHED: nothing is left to be done */
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
    if (job->resolved_code != FAIL_NONE) {
        /* The user's decision: the task is in doubt as before, and may be decided again. */
        job->phase = PHASE_DOUBT;
        job->fail_code = job->resolved_code;
        job->resolved_code = FAIL_NONE;
        return (struct step_out){
            .action = ACT_NONE,
            .reason = job->fail_code == FAIL_LABEL_TAKEN ? WHY_LABEL_TAKEN : WHY_LABEL_FORGOTTEN};
    }
    if (job->phase == PHASE_COMMIT || job->phase == PHASE_END || job->phase == PHASE_ASIDE ||
        job->phase == PHASE_OWNER) {
        job->phase = PHASE_IDLE;
    }
    if (step_is_active(job)) {
        enum step_reason reason = step_pause(job, FAIL_STORE, WHY_STORE, config);
        return (struct step_out){.action = ACT_STORE_JOB, .reason = reason};
    }
    return job->phase == PHASE_IDLE ? step_rest(job, config) : step_act(ACT_NONE);
}

/* The open task is FAILED or CANCELED now, as is stored. */
static struct step_out on_ended(struct step_job *job, const struct step_config *config)
{
    if (step_is_wanted(job)) {
        assert(job->is_data_error); /* FAILED, and the job goes on: nothing else does that */
        step_files_failed(job);
        close_task(job);
        return plan(job);
    }
    close_task(job);
    /* Active: CANCEL TASK, or another source. The range comes again with the next tick, not at once. */
    return step_is_active(job) ? step_arm(job->max_interval_ms) : step_arm_resume(job, config);
}

static struct step_out on_stored(struct step_job *job, struct step_time now,
                                 const struct step_config *config)
{
    switch (job->phase) {
    case PHASE_INTENT:
        assert(step_is_active(job)); /* stored in the same turn of the loop */
        job->proof_ms = now.mono_ms;
        return step_task_load(job);
    case PHASE_ASIDE: return plan(job); /* stored in the same turn of the loop, too */
    case PHASE_OWNER: return step_task_load(job);
    case PHASE_COMMIT:
        step_files_loaded(job);
        close_task(job);
        job->n_resumes = 0;
        /* Paused meanwhile: the commit cleared the stored reason, so it is written again. */
        return step_is_active(job) ? plan(job) : step_act(ACT_STORE_JOB);
    case PHASE_END: return on_ended(job, config);
    case PHASE_IDLE: return step_is_active(job) ? go_on(job) : step_rest(job, config);
    case PHASE_PLANNING: return step_act(job->state == JOB_PAUSED ? ACT_CANCEL_RUN : ACT_NONE);
    case PHASE_LOADING: return step_act(job->is_canceled ? ACT_CANCEL_RUN : ACT_NONE);
    case PHASE_ASKING:
    case PHASE_WITNESS:
    case PHASE_FENCING:
    case PHASE_WAITING:
    case PHASE_RETRY:
    case PHASE_DOUBT: return step_act(ACT_NONE);
    }
    return step_act(ACT_NONE);
}

bool step_may_pause(const struct step_job *job)
{
    bool is_held = job->fail_code == FAIL_MANUAL_PAUSE || job->fail_code == FAIL_IN_DOUBT ||
                   job->fail_code == FAIL_LABEL_TAKEN;
    return step_is_active(job) || (job->state == JOB_PAUSED && !is_held);
}

static struct step_out on_pause(struct step_job *job)
{
    assert(step_may_pause(job));
    step_move(job, JOB_PAUSED); /* or it is, and does not resume by itself any more */
    job->fail_code = FAIL_MANUAL_PAUSE;
    job->is_canceled = job->task_id != 0;
    return (struct step_out){.action = ACT_STORE_JOB, .reason = WHY_MANUAL};
}

static struct step_out on_resume(struct step_job *job)
{
    assert(job->state == JOB_PAUSED);
    step_move(job, JOB_PENDING);
    job->fail_code = FAIL_NONE;
    job->n_resumes = 0;
    job->n_tries = 0;
    job->is_canceled = false;
    job->is_data_error = false; /* the user may have mended the rows, or the table */
    job->n_bad = 0;
    if (job->phase == PHASE_DOUBT || job->phase == PHASE_WAITING) {
        job->phase = PHASE_IDLE; /* asks once more, at once: the evidence may be there now */
    }
    return step_act(ACT_STORE_JOB);
}

static struct step_out on_resolve(struct step_job *job, bool is_committed)
{
    assert(job->phase == PHASE_DOUBT);
    job->resolved_code = job->fail_code;
    job->fail_code = FAIL_MANUAL_PAUSE; /* the user's turn: RESUME goes on */
    if (is_committed) {
        job->phase = PHASE_COMMIT;
        return (struct step_out){.action = ACT_STORE_COMMIT, .reason = WHY_RESOLVED};
    }
    job->phase = PHASE_END;
    return (struct step_out){.action = ACT_STORE_FAILED, .reason = WHY_RESOLVED};
}

static struct step_out on_cancel(struct step_job *job)
{
    assert(step_is_active(job) && job->task_id != 0);
    job->is_canceled = true;
    return step_act(job->phase == PHASE_LOADING ? ACT_CANCEL_RUN : ACT_NONE);
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
    case EV_LOADED: return step_task_on_loaded(job, event, config);
    case EV_LABEL:
        return job->phase == PHASE_WITNESS
                   ? step_task_on_witness(job, event->u.label, event->now, config)
                   : step_task_on_label(job, event->u.label, event->now, config);
    case EV_FENCED: return step_task_ask(job);
    case EV_STORED:
        if (event->u.stored == STORED_STALE) {
            return on_stale(job, config);
        }
        return event->u.stored == STORED_OK ? on_stored(job, event->now, config)
                                            : on_store_fail(job, config);
    case EV_PAUSE: return on_pause(job);
    case EV_RESUME: return on_resume(job);
    case EV_RESOLVE: return on_resolve(job, event->u.is_committed);
    case EV_CANCEL: return on_cancel(job);
    }
    return step_act(ACT_NONE);
}

struct step_out step(struct step_job *job, const struct step_event *event,
                     const struct step_config *config)
{
    bool is_owner = event->kind == EV_STORED && event->u.stored == STORED_OK;
    if (is_owner || event->kind == EV_START) {
        job->owned_ms = event->now.mono_ms;
    }
    struct step_out out = decide(job, event, config);
    if (out.action == ACT_ASK) {
        step_task_note_ask(job, event->now);
    }
    return out;
}
