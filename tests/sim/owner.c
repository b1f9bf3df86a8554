#include "tests/sim/owner.h"

#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"

static const char *const event_names[] = {
    "start",  "timer",  "planned", "plan canceled", "no FE",   "loaded", "label",
    "fenced", "stored", "PAUSE",   "RESUME",        "RESOLVE", "CANCEL",
};

static const char *const action_names[] = {
    "nothing",
    "plan",
    "store INTENT",
    "load",
    "ask",
    "ask witness",
    "fence",
    "store COMMIT",
    "store FAILED",
    "store CANCELED",
    "store bad file",
    "store files aside",
    "store job",
    "cancel the run",
    "arm",
};

int64_t owner_wall_ms(const struct owner *o)
{
    return o->sim->world.now_ms + o->skew_ms;
}

int64_t owner_label(const struct owner *o)
{
    bool is_name = o->sim->bug == BUG_LABELS_BY_NAME;
    return (is_name ? 0 : o->mem.job * LABELS) + o->mem.task;
}

struct step_event owner_event(const struct owner *o, enum step_event_kind kind)
{
    return (struct step_event){.kind = kind, .now = {owner_wall_ms(o), o->sim->world.now_ms}};
}

void owner_learn_txn(struct owner *o, int64_t id)
{
    o->newest_txn = id > o->newest_txn ? id : o->newest_txn;
}

/* Why step() wants something stored. */
struct cause {
    bool is_resolved; /* the user decided */
    bool is_auto;     /* resumed by itself, at the cost of the budget */
};

/* --- writes ------------------------------------------------------------------------------------- */

static enum write_kind kind_of(enum step_action action)
{
    switch (action) {
    case ACT_STORE_INTENT: return WRITE_INTENT;
    case ACT_STORE_COMMIT: return WRITE_COMMIT;
    case ACT_STORE_FAILED: return WRITE_FAILED;
    case ACT_STORE_CANCELED: return WRITE_CANCELED;
    case ACT_STORE_BAD: return WRITE_BAD;
    case ACT_STORE_ASIDE: return WRITE_ASIDE;
    case ACT_NONE:
    case ACT_PLAN:
    case ACT_LOAD:
    case ACT_ASK:
    case ACT_ASK_WITNESS:
    case ACT_FENCE:
    case ACT_STORE_JOB:
    case ACT_CANCEL_RUN:
    case ACT_ARM: break;
    }
    return WRITE_JOB;
}

static bool is_write(enum step_action action)
{
    return action == ACT_STORE_JOB || kind_of(action) != WRITE_JOB;
}

/* step() reads what the shell has to set. */
static void set_task(struct owner *o)
{
    const struct record *rec = &o->mem;
    bool is_open = rec->task != 0;
    const struct success *witness =
        o->sim->bug == BUG_WITNESS_TOO_YOUNG ? &rec->newest : &rec->witness;
    o->job.task_id = rec->task;
    o->job.intent_ms = is_open ? rec->intent_ms : 0;
    o->job.proof_txn = is_open ? rec->txn_before : 0;
    o->job.n_files = is_open ? rec->range.n : 0;
    o->job.is_retry = is_open && rec->range.is_retry;
    o->job.has_witness = is_open && witness->is_there;
    o->job.witness_ms = witness->ms;
}

static void find_success(const struct owner *o, struct success *ret)
{
    const struct doris *d = &o->sim->world.doris;
    *ret = (struct success){.ms = owner_wall_ms(o)};
    for (int i = 0; i < d->n_txns && o->has_label; i++) {
        const struct txn *t = &d->txns[i];
        if (t->label == owner_label(o) && t->state == TXN_VISIBLE) {
            ret->serial = t->serial;
            ret->finished_ms = t->finished_ms;
            ret->is_there = true;
        }
    }
}

/* Of the planted bug only: what the store refused once, it is not asked for again. */
static bool is_believed(const struct owner *o, const struct write *w)
{
    return o->sim->bug == BUG_REFUSED_IS_IGNORED && o->has_failed && w->kind == WRITE_JOB;
}

/* For a second it may send the task without another write: step.h assumes a Doris that remembers. */
static void note_owned(struct owner *o)
{
    struct doris *d = &o->sim->world.doris;
    d->owned[o->index] = o->mem.task != 0 ? owner_label(o) : 0;
    d->owned_until_ms[o->index] = o->sim->world.now_ms + SECOND;
}

enum written owner_write(struct owner *o, struct write *w)
{
    if (is_believed(o, w)) {
        return WRITTEN;
    }
    w->epoch = o->epoch;
    w->newest_txn = o->newest_txn;
    enum written written = store_write(&o->sim->store, &o->mem, w);
    if (written == WRITE_CRASH) {
        owner_crash(o);
    } else if (written == WRITE_REFUSED) {
        o->has_failed = w->kind != WRITE_JOB || o->has_failed;
    } else if (written == WRITTEN) {
        o->has_failed = false;
        note_owned(o);
    }
    return written;
}

static enum written write_action(struct owner *o, enum step_action action,
                                 const struct cause *cause)
{
    struct write w = {.kind = kind_of(action), .job = &o->job, .wall_ms = owner_wall_ms(o)};
    if (w.kind == WRITE_INTENT || w.kind == WRITE_ASIDE) {
        w.range = o->planned;
    }
    if (w.kind == WRITE_COMMIT) {
        find_success(o, &w.success);
    }
    w.is_resolved = cause->is_resolved;
    w.is_auto = cause->is_auto;
    enum written written = owner_write(o, &w);
    if (written == WRITTEN && w.kind == WRITE_INTENT) {
        set_task(o);
        o->has_label = false;
        o->n_loads = 0;
    }
    return written;
}

static struct step_event stored(const struct owner *o, enum written written)
{
    struct step_event event = owner_event(o, EV_STORED);
    event.u.stored = written == WRITTEN       ? STORED_OK
                     : written == WRITE_STALE ? STORED_STALE
                                              : STORED_FAIL;
    return event;
}

/* --- following step() --------------------------------------------------------------------------- */

static void check_job(struct owner *o)
{
    if (!step_check(&o->job)) {
        world_wrong(&o->sim->world, "an invariant of step_check() is broken");
    }
    if (o == o->sim->current && o->sim->store.is_held && o->job.state != JOB_PAUSED) {
        world_wrong(&o->sim->world, "a job that the user paused went on by itself");
    }
}

static struct step_out do_step(struct owner *o, const struct step_event *event)
{
    const struct step_config config = {
        .max_resumes = o->sim->store.max_resumes,
        .resume_delay_ms = 10 * SECOND,
        .label_window_ms = 60 * SECOND,
        .fence_after_ms = 5 * SECOND,
        .n_tries = 4,
        .max_bad = 2,
    };
    enum step_phase before = o->job.phase;
    o->job.newest_txn = o->newest_txn;
    if (o->sim->bug == BUG_RESENT_WITHOUT_STORE) {
        o->job.owned_ms = event->now.mono_ms;
    }
    struct step_out out = step(&o->job, event, &config);
    o->sim->counts.steps++;
    o->sim->counts.doubts += o->job.phase == PHASE_DOUBT && before != PHASE_DOUBT;
    if (o->sim->world.is_told) {
        world_tell(&o->sim->world, "owner %d: %s -> %s; %s, %s, task %d [%d..%d], offset %d",
                   o->index, event_names[event->kind], action_names[out.action],
                   job_state_name(o->job.state), step_phase_name(o->job.phase), (int)o->mem.task,
                   o->mem.range.units[0],
                   o->mem.range.units[o->mem.range.n > 0 ? o->mem.range.n - 1 : 0], o->mem.offset);
    }
    check_job(o);
    return out;
}

static void carry_out(struct owner *o, const struct step_out *out)
{
    switch (out->action) {
    case ACT_PLAN:
    case ACT_LOAD:
    case ACT_ASK:
    case ACT_ASK_WITNESS:
    case ACT_FENCE: run_start(o, out->action); break;
    case ACT_CANCEL_RUN: run_cancel(o); break;
    case ACT_ARM: o->timer_ms = o->sim->world.now_ms + out->delay_ms; break;
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

void owner_feed(struct owner *o, struct step_event event)
{
    struct cause cause = {.is_resolved = event.kind == EV_RESOLVE};
    for (;;) {
        bool was_held_up = event.kind == EV_TIMER && o->job.state == JOB_PAUSED &&
                           o->job.phase == PHASE_IDLE && o->job.fail_code != FAIL_STORE;
        struct step_out out = do_step(o, &event);
        cause.is_auto = was_held_up && o->job.state != JOB_PAUSED;
        if (!is_write(out.action)) {
            carry_out(o, &out);
            return;
        }
        enum written written = write_action(o, out.action, &cause);
        if (written == WRITE_CRASH) {
            return;
        }
        event = stored(o, written);
    }
}

void owner_change(struct owner *o, enum step_event_kind kind)
{
    struct step_event event = owner_event(o, kind);
    struct step_job before = o->job;
    struct step_out out = do_step(o, &event);
    struct step_job after = o->job;
    assert(out.action == ACT_STORE_JOB);
    o->job = before;
    struct write w = {.kind = WRITE_JOB, .job = &after, .is_resumed = kind == EV_RESUME};
    enum written written = owner_write(o, &w);
    if (written == WRITTEN) {
        o->job = after;
        owner_feed(o, stored(o, written));
    }
}

void owner_follow_alter(struct owner *o)
{
    struct step_event event = owner_event(o, EV_PAUSE);
    if (o->job.fail_code != o->mem.fail_code) {
        (void)do_step(o, &event); /* what it wants stored is */
        assert(o->job.fail_code == o->mem.fail_code);
        owner_feed(o, stored(o, WRITTEN));
    }
}

/* --- life --------------------------------------------------------------------------------------- */

/* Set aside since the last success, as the store tells. */
static int64_t count_bad(const struct record *rec)
{
    int64_t n = 0;
    for (int i = 1; i <= MAX_UNITS; i++) {
        n += rec->bad[i] != BAD_NONE && rec->bad_tasks[i] > rec->committed_task;
    }
    return n;
}

/*
 * Which success was before the open task's INTENT, the store does not tell: of the same job each one
 * was; of another one when its next task began with fewer transactions known, and the clock does not
 * say otherwise (sched_txn.c).
 */
static void find_witness(const struct owner *o, struct record *rec)
{
    rec->witness = rec->own;
    for (int i = 0; i < 2; i++) {
        const struct success *other = &rec->other[i];
        bool is_before = o->sim->bug == BUG_CLOCK_ORDERS_WITNESS
                             ? other->ms <= rec->intent_ms
                             : other->next_before < rec->txn_before && other->ms < rec->intent_ms;
        bool is_newer = !rec->witness.is_there || other->ms > rec->witness.ms;
        if (other->is_there && is_before && is_newer) {
            rec->witness = *other;
        }
    }
}

void owner_begin(struct owner *o)
{
    o->mem = o->sim->store.rec;
    o->job = (struct step_job){
        .state = o->mem.state,
        .fail_code = o->mem.fail_code,
        .n_resumes = o->sim->bug == BUG_BUDGET_FORGOTTEN ? 0 : o->mem.n_resumes,
        .max_interval_ms = SECOND,
        .statement_life_ms = STATEMENT_LIFE_MS,
        .sets_aside = o->mem.sets_aside,
        .n_bad = count_bad(&o->mem),
    };
    o->run = ACT_NONE;
    o->timer_ms = -1;
    o->has_label = true; /* not known: a success that is found by its label has one */
    o->has_failed = false;
    set_task(o);
    note_owned(o); /* as step() does with EV_START */
    if (o->mem.state != JOB_STOPPED) {
        owner_feed(o, owner_event(o, EV_START));
    }
}

void owner_open(struct owner *o)
{
    struct sim_store *st = &o->sim->store;
    store_open(st);
    find_witness(o, &st->rec);
    o->epoch = st->epoch;
    o->sim->current = o;
    o->is_alive = true;
    o->starts_ms = 0;
    o->frozen_until_ms = 0;
    o->newest_txn = st->rec.newest_txn;
    world_tell(&o->sim->world, "owner %d opens the store, epoch %d", o->index, (int)o->epoch);
    owner_begin(o);
}

static void spoil_store(struct owner *o)
{
    struct record *rec = &o->sim->store.rec;
    if (o->sim->bug == BUG_INTENT_NOT_DURABLE) {
        rec->task = 0;
    }
    if (o->sim->bug == BUG_TASK_IDS_REUSED && rec->task == 0 && rec->last_task > 0) {
        rec->last_task--;
    }
}

void owner_crash(struct owner *o)
{
    struct world *w = &o->sim->world;
    o->sim->counts.crashes++;
    world_tell(w, "owner %d crashes", o->index);
    for (int i = 0; i < w->doris.n_active; i++) {
        if (w->doris.statements[w->doris.active[i]].owner == o->index) {
            doris_close(w, w->doris.active[i]);
        }
    }
    w->doris.unsent[o->index] = 0;
    o->is_alive = false;
    if (o == o->sim->current) {
        o->sim->current = NULL;
        o->starts_ms = w->now_ms + 1 + (int64_t)world_random(w, 20 * SECOND);
        spoil_store(o);
    }
}

bool owner_turn(struct owner *o)
{
    const struct world *w = &o->sim->world;
    if (!o->is_alive || o->frozen_until_ms > w->now_ms) {
        return false;
    }
    if (o->run != ACT_NONE && run_turn(o)) {
        return true;
    }
    if (o->is_alive && o->timer_ms >= 0 && o->timer_ms <= w->now_ms) {
        o->timer_ms = -1;
        owner_feed(o, owner_event(o, EV_TIMER));
        return true;
    }
    return false;
}
