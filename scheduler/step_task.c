/* The open task: what was found out about its load, and what that means. */
#include <assert.h>

#include "scheduler/step_private.h"

enum {
    SHORT_MEMORY_MS = 3600 * 1000, /* a witness forgotten sooner tells of a short label window */
    DEFAULT_MAX_TXNS = 2000 / 4,   /* of label_num_threshold as Doris has it by default */
    OWNED_MS = 1000,               /* a write so young shows that the store is ours */
};

struct step_out step_task_load(struct step_job *job)
{
    step_move(job, JOB_RUNNING);
    job->phase = PHASE_LOADING;
    job->n_tries++;
    job->is_due = false;
    job->unowned_ms = 0;
    return step_act(ACT_LOAD);
}

/* Sends it again, as its owner: a write tells, unless the last one is a moment ago. */
static struct step_out load_again(struct step_job *job, struct step_time now)
{
    int64_t age = now.mono_ms - job->owned_ms;
    if (age >= 0 && age < OWNED_MS) {
        return step_task_load(job);
    }
    step_move(job, JOB_RUNNING);
    job->phase = PHASE_OWNER;
    return step_act(ACT_STORE_JOB);
}

static struct step_out commit(struct step_job *job)
{
    job->is_loaded = true;
    job->phase = PHASE_COMMIT;
    return step_act(ACT_STORE_COMMIT);
}

struct step_out step_task_ask(struct step_job *job)
{
    if (job->is_loaded) {
        return commit(job); /* told before, and the label may be forgotten since */
    }
    job->phase = PHASE_ASKING;
    return step_act(ACT_ASK);
}

/* When the label was asked, a statement whose answer was lost could still begin its transaction. */
static bool may_straggle(const struct step_job *job)
{
    int64_t age = job->ask_ms - job->lost_ms;
    return job->lost_ms != 0 && (age < 0 || age < job->statement_life_ms);
}

int64_t step_window_ms(const struct step_job *job, const struct step_config *config)
{
    bool is_shorter = job->fe_window_ms > 0 && job->fe_window_ms < config->label_window_ms;
    return is_shorter ? job->fe_window_ms : config->label_window_ms;
}

int64_t step_window_txns(const struct step_job *job)
{
    return job->fe_max_txns > 0 ? job->fe_max_txns : DEFAULT_MAX_TXNS;
}

/*
 * The FE drops labels of a database when it has more than it keeps, the oldest first: one that was
 * dropped has left it with as many. This tells after a restart, too, when no newer transaction has
 * been seen yet. Of what it keeps a quarter is the margin, which of three labels is all.
 */
static bool may_be_pushed_out(const struct step_job *job)
{
    return (job->n_remembered + 2) / 3 >= step_window_txns(job);
}

/* Whatever was loaded since the last proof cannot be forgotten already. */
static bool is_young(const struct step_job *job, struct step_time now,
                     const struct step_config *config)
{
    int64_t age = job->proof_ms != 0 ? now.mono_ms - job->proof_ms : now.wall_ms - job->intent_ms;
    int64_t n_txns = job->newest_txn - job->proof_txn;
    return age >= 0 && age < step_window_ms(job, config) && n_txns >= 0 &&
           n_txns < step_window_txns(job) && !may_be_pushed_out(job);
}

void step_task_note_ask(struct step_job *job, struct step_time now)
{
    job->ask_ms = now.mono_ms;
    job->ask_txn = job->newest_txn;
}

static struct step_out end_failed(struct step_job *job, bool may_close,
                                  const struct step_config *config)
{
    enum fail_code code = job->is_data_error ? FAIL_TOO_MANY_ROWS : FAIL_INTERNAL;
    if (!may_close) {
        job->phase = PHASE_IDLE;
        return step_pause_and_store(job, code, WHY_RUN_ERROR, config);
    }
    enum step_reason reason = step_pause(job, code, WHY_RUN_ERROR, config);
    job->phase = PHASE_END;
    return (struct step_out){.action = ACT_STORE_FAILED, .reason = reason};
}

/* Refused for its rows: which of its files it is, is found out, if the job sets files aside. */
static struct step_out end_bad(struct step_job *job, bool may_close,
                               const struct step_config *config)
{
    bool is_hopeless = !job->is_retry && job->n_bad >= config->max_bad;
    if (!job->sets_aside || is_hopeless) {
        return end_failed(job, may_close, config);
    }
    if (!may_close) {
        return step_wait_in(job, PHASE_WAITING);
    }
    job->phase = PHASE_END;
    return step_act(job->n_files > 1 ? ACT_STORE_FAILED : ACT_STORE_BAD);
}

/* Paused, CANCEL TASK, or another source: the task stays open as long as a straggler can be left. */
static struct step_out end_canceled(struct step_job *job, bool may_close,
                                    const struct step_config *config)
{
    if (may_close) {
        job->phase = PHASE_END;
        return step_act(ACT_STORE_CANCELED);
    }
    return step_is_active(job) ? step_wait_in(job, PHASE_WAITING) : step_rest(job, config);
}

/* The task's range is certainly not in the target. */
static struct step_out not_loaded(struct step_job *job, struct step_time now,
                                  const struct step_config *config)
{
    bool may_close = !may_straggle(job);
    job->is_recovering = false;
    if (job->ask_ms != 0) {
        job->proof_ms = job->ask_ms;
        job->proof_txn = job->ask_txn;
    }
    if (!step_is_wanted(job)) {
        return end_canceled(job, may_close, config);
    }
    if (job->is_data_error) {
        return end_bad(job, may_close, config);
    }
    if (job->n_tries >= config->n_tries) {
        return end_failed(job, may_close, config);
    }
    if (job->n_tries == 0 || job->is_due) {
        return load_again(job, now);
    }
    job->n_waits = job->n_tries - 1; /* what was waited for before is over */
    return step_wait_in(job, PHASE_RETRY);
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
    return step_pause_and_store(job, code, reason, config);
}

/* Sending again is safe as long as a straggler, if any, that was loaded since is remembered yet. */
static bool is_proof_fresh(const struct step_job *job, struct step_time now,
                           const struct step_config *config)
{
    return job->lost_ms == 0 || is_young(job, now, config);
}

struct step_out step_task_on_retry(struct step_job *job, struct step_time now,
                                   const struct step_config *config)
{
    if (step_is_wanted(job)) {
        job->is_due = !is_proof_fresh(job, now, config);
        return job->is_due ? step_task_ask(job) : load_again(job, now);
    }
    /* Paused or canceled meanwhile. Without a straggler the proof cannot have aged. */
    return job->lost_ms == 0 ? not_loaded(job, now, config) : step_task_ask(job);
}

struct step_out step_task_on_loaded(struct step_job *job, const struct step_event *event,
                                    const struct step_config *config)
{
    assert(job->phase == PHASE_LOADING);
    enum load_result result = event->u.load.result;
    bool is_loaded = result == LOAD_VISIBLE || result == LOAD_EMPTY || result == LOAD_COMMITTED;
    job->is_changed |= event->u.load.is_changed && !is_loaded;
    job->is_data_error = event->u.load.is_data_error && !job->is_changed;
    job->n_sent += result != LOAD_NOT_SENT && result != LOAD_LABEL_USED;
    job->is_committed |= result == LOAD_COMMITTED;
    job->is_refused = result == LOAD_REFUSED;
    switch (result) {
    case LOAD_VISIBLE:
    case LOAD_EMPTY: return commit(job);
    case LOAD_COMMITTED: job->n_waits = 0; return step_wait_in(job, PHASE_WAITING);
    case LOAD_LABEL_USED:
        return job->n_sent > 0 ? step_task_ask(job) : doubt(job, WHY_LABEL_TAKEN, config);
    case LOAD_ROLLED_BACK:
        if (job->lost_ms != 0) {
            return step_task_ask(job); /* an earlier statement may have committed meanwhile */
        }
        step_task_note_ask(job, event->now); /* no better proof than that of the one connection */
        return not_loaded(job, event->now, config);
    case LOAD_REFUSED: return step_task_ask(job);
    case LOAD_LOST: job->lost_ms = event->now.mono_ms; return step_task_ask(job);
    case LOAD_NOT_SENT:
        /* An outage, no failure of the task: nothing was tried. */
        job->n_tries -= job->n_tries > 0; /* RESUME may have set it back meanwhile */
        return step_is_wanted(job) ? step_wait_in(job, PHASE_RETRY)
                                   : not_loaded(job, event->now, config);
    }
    return step_act(ACT_NONE);
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
        return step_act(ACT_FENCE);
    }
    return step_wait_in(job, PHASE_WAITING);
}

static struct step_out decide_by_age(struct step_job *job, struct step_time now,
                                     const struct step_config *config)
{
    return is_young(job, now, config) ? not_loaded(job, now, config)
                                      : doubt(job, WHY_LABEL_FORGOTTEN, config);
}

static struct step_out on_unknown(struct step_job *job, struct step_time now,
                                  const struct step_config *config)
{
    if (job->is_committed) {
        return doubt(job, WHY_LABEL_FORGOTTEN, config);
    }
    if (job->n_sent == 0) {
        return not_loaded(job, now, config);
    }
    if (job->is_refused && is_young(job, now, config)) {
        return not_loaded(job, now, config);
    }
    if (job->has_witness) {
        job->phase = PHASE_WITNESS;
        return step_act(ACT_ASK_WITNESS);
    }
    return decide_by_age(job, now, config);
}

struct step_out step_task_on_label(struct step_job *job, enum label_state label,
                                   struct step_time now, const struct step_config *config)
{
    assert(job->phase == PHASE_ASKING);
    if (label != LABEL_UNREACHABLE && label != LABEL_UNKNOWN) {
        job->is_recovering = false; /* remembered; its end, if it is to come, starts the window */
        if (job->n_sent == 0 && label != LABEL_ABORTED && label != LABEL_ABSENT) {
            return doubt(job, WHY_LABEL_TAKEN, config);
        }
    }
    job->is_committed |= label == LABEL_COMMITTED;
    switch (label) {
    case LABEL_VISIBLE: return commit(job);
    case LABEL_COMMITTED:
    case LABEL_UNREACHABLE: return step_wait_in(job, PHASE_WAITING);
    case LABEL_PREPARE:
    case LABEL_PRECOMMITTED: return on_prepare(job, now, config);
    case LABEL_ABORTED:
        if (job->n_sent == 1) {
            job->lost_ms = 0; /* the lost statement was this one, and it is dead */
        }
        return not_loaded(job, now, config);
    case LABEL_ABSENT:
        return job->is_committed ? doubt(job, WHY_LABEL_FORGOTTEN, config)
                                 : not_loaded(job, now, config);
    case LABEL_UNKNOWN: return on_unknown(job, now, config);
    }
    return step_act(ACT_NONE);
}

struct step_out step_task_on_witness(struct step_job *job, enum label_state label,
                                     struct step_time now, const struct step_config *config)
{
    int64_t age = now.wall_ms - job->witness_ms;
    switch (label) {
    case LABEL_VISIBLE:
    case LABEL_COMMITTED: return not_loaded(job, now, config);
    case LABEL_UNREACHABLE: return step_wait_in(job, PHASE_WAITING);
    case LABEL_UNKNOWN:
    case LABEL_PREPARE:
    case LABEL_PRECOMMITTED:
    case LABEL_ABORTED:
    case LABEL_ABSENT:
        return age >= SHORT_MEMORY_MS ? decide_by_age(job, now, config)
                                      : doubt(job, WHY_LABEL_FORGOTTEN, config);
    }
    return step_act(ACT_NONE);
}
