/* What an owner's runs find out: run.c, the source and the sink, as their headers promise them. */
#include <assert.h>
#include <string.h>

#include "tests/sim/owner.h"

enum {
    FRESH_MS = SECOND,     /* a listing that is younger needs no check before the load */
    SLOW_MS = 20 * SECOND, /* of a question */
};

static int64_t label_of(const struct owner *o)
{
    int64_t label = owner_label(o);
    return o->sim->bug == BUG_NEW_LABEL_ON_RETRY ? label * 100 + o->n_loads : label;
}

void run_start(struct owner *o, enum step_action action)
{
    assert(o->run == ACT_NONE);
    o->run = action;
    o->is_canceled = false;
    o->is_label_asked = false;
    if (action == ACT_LOAD) {
        o->stage = STAGE_VERIFY;
        o->statement = -1;
        o->n_loads++;
        o->sim->world.doris.unsent[o->index] = label_of(o);
    }
}

void run_cancel(struct owner *o)
{
    o->is_canceled = true;
    if (o->run == ACT_LOAD && o->statement >= 0) {
        doris_kill(&o->sim->world, o->statement);
    }
}

/* --- PLAN ---------------------------------------------------------------------------------------- */

static void add(struct range *r, const struct world *w, int unit)
{
    r->units[r->n] = (int8_t)unit;
    r->versions[r->n] = w->units[unit].version;
    r->n++;
    r->offset_after = unit > r->offset_after ? unit : r->offset_after;
}

/* A bad file that the user wants tried again: first, and alone. */
static bool plan_retry(struct owner *o, struct range *ret)
{
    const struct world *w = &o->sim->world;
    for (int unit = 1; unit <= w->n_units; unit++) {
        if (o->mem.bad[unit] == BAD_RETRIED && w->units[unit].is_there) {
            add(ret, w, unit);
            ret->offset_after = o->mem.offset;
            ret->is_retry = true;
            return true;
        }
    }
    return false;
}

/* s3_fill.c: take(). True: nothing follows it in this plan. */
static bool take(const struct owner *o, int unit, enum known known, struct range *ret)
{
    bool is_unreadable = o->sim->world.units[unit].is_unreadable;
    bool is_alone = known == KNOWN_MENDED;
    add(ret, &o->sim->world, unit);
    if (known == KNOWN_OVERWRITTEN && o->mem.overwritten == OVERWRITTEN_ERROR) {
        ret->is_overwritten = true;
        ret->offset_after = o->mem.offset;
        return true;
    }
    if (is_alone && !is_unreadable) {
        ret->is_retry = true;
        ret->offset_after = o->mem.offset;
        return true;
    }
    return false;
}

static bool is_alone(const struct record *rec, enum known known)
{
    return known == KNOWN_MENDED ||
           (known == KNOWN_OVERWRITTEN && rec->overwritten == OVERWRITTEN_ERROR);
}

static enum plan_result plan_range(struct owner *o, struct range *ret)
{
    struct world *w = &o->sim->world;
    int64_t most = 1 + (int64_t)world_random(w, MAX_RANGE);
    *ret = (struct range){.offset_after = o->mem.offset, .listed_ms = w->now_ms};
    bool is_retry = plan_retry(o, ret);
    if (is_retry && o->sim->bug != BUG_RETRY_NOT_ALONE) {
        return PLAN_RANGE;
    }
    if (o->job.max_files != 0 && o->job.max_files < most) {
        most = o->job.max_files;
    }
    if (!is_retry && (o->mem.is_overwritten & o->mem.aside) != 0) {
        return PLAN_REFUSED; /* the user is to decide first */
    }
    bool is_aside = false;
    for (int unit = 1; unit <= w->n_units && ret->n < most; unit++) {
        enum known known = record_known(&o->mem, w, unit);
        if (!record_wants(&o->mem, known)) {
            continue;
        }
        bool is_other = w->units[unit].is_unreadable != is_aside || is_alone(&o->mem, known);
        if (ret->n > 0 && is_other) {
            break;
        }
        is_aside = w->units[unit].is_unreadable;
        if (take(o, unit, known, ret)) {
            break;
        }
    }
    return ret->n == 0 ? PLAN_EMPTY : is_aside || ret->is_overwritten ? PLAN_ASIDE : PLAN_RANGE;
}

/* The FE's configuration is read with each plan, and with what a label says. */
static void learn_window(struct owner *o)
{
    const struct doris *d = &o->sim->world.doris;
    if (o->sim->bug == BUG_COUNT_WINDOW_IGNORED) {
        o->job.fe_max_txns = INT64_MAX;
    }
    if (!d->is_readable || d->is_down) {
        return;
    }
    o->job.fe_window_ms = o->sim->bug == BUG_FE_WINDOW_IGNORED ? 0 : d->keep_ms / 4;
    if (o->sim->bug != BUG_COUNT_WINDOW_IGNORED) {
        o->job.fe_max_txns = d->keep_n / 4;
    }
}

static void end_plan(struct owner *o)
{
    struct world *w = &o->sim->world;
    struct step_event event = owner_event(o, EV_PLANNED);
    o->run = ACT_NONE;
    if (o->is_canceled) {
        event.kind = EV_PLAN_CANCELED;
    } else if (w->doris.is_down || world_fault(w, 3)) {
        event.kind = EV_NO_FE;
    } else if (world_fault(w, 4)) {
        learn_window(o);
        event.u.plan = world_chance(w, 75) ? PLAN_FAIL : PLAN_REFUSED;
    } else {
        learn_window(o);
        event.u.plan = plan_range(o, &o->planned);
        if (event.u.plan == PLAN_EMPTY && o->mem.is_once && w->is_calm) {
            event.u.plan = PLAN_END; /* nothing is put any more */
        }
    }
    owner_feed(o, event);
}

/* --- LOAD ---------------------------------------------------------------------------------------- */

struct end {
    enum load_result result;
    bool is_data_error;
    bool is_changed;
};

/* What a planted bug makes of an answer. */
static void plant(const struct owner *o, struct end *end)
{
    enum bug bug = o->sim->bug;
    if (bug == BUG_LOST_IS_NOT_SENT && end->result == LOAD_LOST) {
        end->result = LOAD_NOT_SENT;
    }
    if (bug == BUG_LOST_IS_ROLLED_BACK && end->result == LOAD_LOST && o->mem.is_transactional) {
        end->result = LOAD_ROLLED_BACK;
    }
    if (bug == BUG_CANCELED_IS_NOT_SENT && o->is_canceled) {
        end->result = LOAD_NOT_SENT;
    }
    if (bug == BUG_ERROR_IS_NOT_LOADED && end->result == LOAD_REFUSED) {
        end->result = LOAD_NOT_SENT;
    }
    if (bug == BUG_COMMIT_ON_USED && end->result == LOAD_LABEL_USED) {
        end->result = LOAD_VISIBLE;
    }
    if (bug == BUG_COMMITTED_IS_VISIBLE && end->result == LOAD_COMMITTED) {
        end->result = LOAD_VISIBLE;
    }
    if (bug == BUG_OUTAGE_IS_DATA_ERROR && end->result == LOAD_REFUSED) {
        end->is_data_error = true;
    }
}

static bool end_load(struct owner *o, struct end end)
{
    static const char *const names[] = {"VISIBLE", "COMMITTED", "EMPTY", "LABEL_USED",
                                        "REFUSED", "NOT_SENT",  "LOST",  "ROLLED_BACK"};
    struct world *w = &o->sim->world;
    struct step_event event = owner_event(o, EV_LOADED);
    w->doris.unsent[o->index] = 0;
    plant(o, &end);
    o->sim->counts.rolled_back += end.result == LOAD_ROLLED_BACK;
    o->sim->counts.changed += end.is_changed;
    event.u.load.result = end.result;
    event.u.load.is_data_error = end.is_data_error;
    event.u.load.is_changed = end.is_changed;
    o->has_label = end.result != LOAD_EMPTY;
    if (end.result == LOAD_VISIBLE || end.result == LOAD_COMMITTED ||
        end.result == LOAD_LABEL_USED) {
        owner_learn_txn(o, doris_txn_id(w, label_of(o)));
    }
    if (w->is_told) {
        world_tell(w, "owner %d: load of label %d: %s%s%s", o->index, (int)label_of(o),
                   names[end.result], end.is_data_error ? ", bad rows" : "",
                   end.is_changed ? ", the source has changed" : "");
    }
    o->run = ACT_NONE;
    owner_feed(o, event);
    return true;
}

static bool is_same(const struct owner *o)
{
    return source_is_same(&o->sim->world, &o->mem.range);
}

/* A listing of a moment ago is the check; else the source is listed again. */
static bool turn_verify(struct owner *o)
{
    struct world *w = &o->sim->world;
    const struct range *r = &o->mem.range;
    o->verified_ms = r->listed_ms;
    if (o->is_canceled || w->doris.is_down) {
        return end_load(o, (struct end){LOAD_NOT_SENT, false, false});
    }
    if (w->now_ms - r->listed_ms >= FRESH_MS) {
        o->verified_ms = w->now_ms;
        if (world_fault(w, 3)) {
            return end_load(o, (struct end){LOAD_NOT_SENT, false, false});
        }
        if (!is_same(o) && o->sim->bug != BUG_CHANGED_IS_IGNORED) {
            return end_load(o, (struct end){LOAD_NOT_SENT, false, true});
        }
    }
    o->stage = STAGE_SEND;
    return true;
}

static void check_send(const struct owner *o)
{
    struct world *w = &o->sim->world;
    const struct range *r = &o->mem.range;
    for (int i = 0; i < r->n; i++) {
        const struct unit *u = &w->units[r->units[i]];
        bool is_other = !u->is_there || u->version != r->versions[i];
        if (is_other && u->changed_ms < o->verified_ms) {
            world_wrong(w, "a range was sent that had changed at the source before");
        }
    }
}

static bool turn_send(struct owner *o)
{
    struct world *w = &o->sim->world;
    struct range r = o->mem.range;
    r.label = o->mem.job * LABELS + o->mem.task;
    if (o->is_canceled || w->doris.is_down) {
        return end_load(o, (struct end){LOAD_NOT_SENT, false, false});
    }
    if (o->sim->bug == BUG_NEW_RANGE_ON_RETRY && r.n < MAX_RANGE && !r.is_retry &&
        r.units[r.n - 1] < w->n_units && w->units[r.units[r.n - 1] + 1].is_there) {
        add(&r, w, r.units[r.n - 1] + 1);
    }
    check_send(o);
    o->statement = doris_send(w, o->index, label_of(o), &r, o->mem.is_transactional);
    w->doris.unsent[o->index] = 0; /* the statement itself is awaited from here on */
    o->stage = STAGE_WAIT;
    return true;
}

/* An error: is it the fault of files that are not what was planned? */
static bool end_refused(struct owner *o, bool is_data_error)
{
    struct world *w = &o->sim->world;
    struct end end = {LOAD_REFUSED, is_data_error, false};
    if (o->sim->bug != BUG_REFUSED_NOT_VERIFIED) {
        bool is_unknown = world_fault(w, 3);
        end.is_changed = !is_unknown && !is_same(o);
        end.is_data_error = is_data_error && !is_unknown && !end.is_changed;
    }
    return end_load(o, end);
}

/* The INSERT of an explicit transaction has ended, or the link is gone: nothing was committed. */
static bool turn_session(struct owner *o, enum answer answer, bool is_cut)
{
    struct world *w = &o->sim->world;
    bool is_error = answer == ANSWER_ERROR || answer == ANSWER_DATA_ERROR;
    bool is_wanted_bug = is_error && o->sim->bug == BUG_ERROR_IS_COMMITTED;
    if (is_cut || o->is_canceled) {
        doris_close(w, o->statement);
        return end_load(o, (struct end){LOAD_ROLLED_BACK, false, false});
    }
    if (is_error && !is_wanted_bug) {
        doris_close(w, o->statement);
        if (world_fault(w, 10)) { /* no answer to the ROLLBACK */
            return end_load(o, (struct end){LOAD_ROLLED_BACK, false, false});
        }
        return end_refused(o, answer == ANSWER_DATA_ERROR);
    }
    bool is_unknown = world_fault(w, 3);
    bool is_changed = !is_same(o) && o->sim->bug != BUG_NOT_VERIFIED_AT_COMMIT &&
                      o->sim->bug != BUG_CHANGED_IS_IGNORED;
    if (is_unknown || is_changed) {
        doris_close(w, o->statement);
        return end_load(o, (struct end){LOAD_ROLLED_BACK, false, is_changed && !is_unknown});
    }
    doris_commit(w, o->statement);
    o->stage = STAGE_COMMIT;
    return true;
}

static bool is_error_before_commit(const struct owner *o, enum answer answer)
{
    const struct statement *s = &o->sim->world.doris.statements[o->statement];
    return o->stage == STAGE_WAIT && s->has_row &&
           (answer == ANSWER_ERROR || answer == ANSWER_DATA_ERROR);
}

static bool turn_wait(struct owner *o)
{
    struct world *w = &o->sim->world;
    bool is_session = o->mem.is_transactional && o->stage == STAGE_WAIT;
    enum answer answer = doris_answer(w, o->statement);
    bool is_cut = w->doris.is_down || world_fault(w, 3);
    bool is_pending = answer == ANSWER_NOT_YET;
    if (is_pending && !is_cut && !o->is_canceled) {
        is_cut = doris_is_stuck(w, o->statement); /* a timeout of ours */
        if (!is_cut) {
            return false;
        }
    }
    if (is_session &&
        (is_cut || is_pending || answer == ANSWER_READ || is_error_before_commit(o, answer))) {
        return turn_session(o, answer, is_cut || is_pending);
    }
    if (is_cut || is_pending) {
        doris_close(w, o->statement);
        return end_load(o, (struct end){LOAD_LOST, false, false});
    }
    if (world_fault(w, 3)) { /* an error may come although the rows were committed (B3) */
        return end_refused(o, false);
    }
    switch (answer) {
    case ANSWER_OK: return end_load(o, (struct end){LOAD_VISIBLE, false, !is_same(o)});
    case ANSWER_COMMITTED: return end_load(o, (struct end){LOAD_COMMITTED, false, false});
    case ANSWER_EMPTY: return end_load(o, (struct end){LOAD_EMPTY, false, !is_same(o)});
    case ANSWER_USED: return end_load(o, (struct end){LOAD_LABEL_USED, false, false});
    case ANSWER_ERROR: return end_refused(o, false);
    case ANSWER_DATA_ERROR: return end_refused(o, true);
    case ANSWER_NOT_YET:
    case ANSWER_READ: break;
    }
    return false;
}

static bool turn_load(struct owner *o)
{
    switch (o->stage) {
    case STAGE_VERIFY: return turn_verify(o);
    case STAGE_SEND: return turn_send(o);
    case STAGE_WAIT:
    case STAGE_COMMIT: break;
    }
    return turn_wait(o);
}

/* --- LABEL, FENCE -------------------------------------------------------------------------------- */

static bool is_silent(struct owner *o)
{
    struct world *w = &o->sim->world;
    bool is_out = !w->is_calm && w->doris.silent_until_ms > w->now_ms;
    return w->doris.is_down || is_out || world_fault(w, 5);
}

static enum label_state ask_label(struct owner *o)
{
    struct world *w = &o->sim->world;
    o->n_remembered = 0;
    if (is_silent(o)) {
        return LABEL_UNREACHABLE;
    }
    enum label_state state = doris_label(w, label_of(o));
    if (state != LABEL_UNKNOWN) {
        owner_learn_txn(o, doris_txn_id(w, label_of(o)));
    }
    bool may_be_proof = state == LABEL_UNKNOWN || state == LABEL_ABORTED;
    if (may_be_proof && world_fault(w, 40)) {
        /* The FE's configuration could not be read, so nobody knows for how long it is one. */
        return o->sim->bug == BUG_WINDOW_NOT_READ ? state : LABEL_UNREACHABLE;
    }
    if (may_be_proof) {
        learn_window(o);
    }
    if (state == LABEL_UNKNOWN && !o->mem.is_transactional) {
        bool is_ignored = o->sim->bug == BUG_REMEMBERED_IGNORED;
        o->n_remembered = is_ignored ? 0 : doris_n_remembered(w);
    }
    if (state == LABEL_UNKNOWN && o->sim->bug == BUG_UNKNOWN_IS_ABSENT) {
        return LABEL_ABORTED;
    }
    if (state == LABEL_COMMITTED && o->sim->bug == BUG_COMMITTED_IS_VISIBLE) {
        return LABEL_VISIBLE;
    }
    return state;
}

static void end_ask(struct owner *o, enum label_state state)
{
    static const char *const names[] = {"UNKNOWN", "PREPARE", "PRECOMMITTED", "COMMITTED",
                                        "VISIBLE", "ABORTED", "UNREACHABLE",  "ABSENT"};
    struct step_event event = owner_event(o, EV_LABEL);
    event.u.label = state;
    if (o->run == ACT_ASK) {
        o->job.n_remembered = o->n_remembered;
    }
    if (o->sim->bug == BUG_NO_FENCE_ON_CLOSE) {
        o->job.lost_ms = 0;
    }
    world_tell(&o->sim->world, "owner %d: label %d is %s", o->index, (int)o->mem.task,
               names[state]);
    o->run = ACT_NONE;
    owner_feed(o, event);
}

/*
 * No row of the task: it has not committed, as long as that of the one before is there. Else the
 * table was emptied, or that one was of guarantee "label", and the FE's memory has to do.
 */
static enum label_state ask_row(struct owner *o)
{
    struct world *w = &o->sim->world;
    int64_t before = owner_label(o) - o->mem.task + o->mem.committed_task;
    bool is_sure = o->mem.committed_task == 0 || doris_has_row(w, before);
    if (w->doris.is_down) {
        return LABEL_UNREACHABLE;
    }
    if (doris_has_row(w, owner_label(o))) {
        return LABEL_VISIBLE;
    }
    if (is_sure || o->sim->bug == BUG_EMPTIED_IS_ABSENT) {
        return LABEL_ABSENT;
    }
    o->n_remembered = doris_n_remembered(w);
    return LABEL_UNKNOWN;
}

/* What the label says, a row knows better. */
static enum label_state check_row(const struct owner *o, enum label_state state)
{
    const struct world *w = &o->sim->world;
    bool may_be_there = state == LABEL_ABORTED || state == LABEL_UNREACHABLE;
    bool is_there = !w->doris.is_down && doris_has_row(w, owner_label(o));
    return may_be_there && is_there ? LABEL_VISIBLE : state;
}

/* Guarantee "transactional": the label first, and the offset row a moment later. */
static bool turn_ask(struct owner *o)
{
    struct world *w = &o->sim->world;
    enum bug bug = o->sim->bug;
    if (!o->mem.is_transactional) {
        end_ask(o, ask_label(o));
        return true;
    }
    if (!o->is_label_asked) {
        o->is_label_asked = true;
        o->asked = ask_label(o);
        o->is_row_there = doris_has_row(w, owner_label(o));
        if (bug == BUG_ROW_WITHOUT_LABEL && o->asked != LABEL_UNREACHABLE) {
            o->asked = LABEL_UNKNOWN;
        }
        o->answer_ms = w->now_ms + (world_fault(w, 15) ? (int64_t)world_random(w, SLOW_MS) : 0);
        if (o->asked != LABEL_UNKNOWN && bug != BUG_ROW_BEFORE_LABEL) {
            end_ask(o, check_row(o, o->asked));
        }
        return true;
    }
    if (w->now_ms < o->answer_ms) {
        return false;
    }
    if (bug == BUG_ROW_BEFORE_LABEL) {
        o->asked = ask_label(o);
        end_ask(o, o->asked != LABEL_UNKNOWN ? o->asked
                   : o->is_row_there         ? LABEL_VISIBLE
                                             : LABEL_ABSENT);
        return true;
    }
    o->has_label = false;
    end_ask(o, ask_row(o));
    return true;
}

static void ask_witness(struct owner *o)
{
    struct world *w = &o->sim->world;
    const struct success *s =
        o->sim->bug == BUG_WITNESS_TOO_YOUNG ? &o->mem.newest : &o->mem.witness;
    bool is_known =
        doris_remembers(w, s->serial, s->finished_ms) || o->sim->bug == BUG_WITNESS_ALWAYS_KNOWN;
    end_ask(o, is_silent(o) ? LABEL_UNREACHABLE : is_known ? LABEL_VISIBLE : LABEL_UNKNOWN);
}

bool run_turn(struct owner *o)
{
    switch (o->run) {
    case ACT_LOAD: return turn_load(o);
    case ACT_PLAN: end_plan(o); return true;
    case ACT_ASK: return turn_ask(o);
    case ACT_ASK_WITNESS: ask_witness(o); return true;
    case ACT_FENCE:
        if (!world_fault(&o->sim->world, 10)) {
            doris_fence(&o->sim->world, label_of(o));
        }
        o->run = ACT_NONE;
        owner_feed(o, owner_event(o, EV_FENCED));
        return true;
    case ACT_NONE:
    case ACT_STORE_INTENT:
    case ACT_STORE_COMMIT:
    case ACT_STORE_FAILED:
    case ACT_STORE_CANCELED:
    case ACT_STORE_BAD:
    case ACT_STORE_ASIDE:
    case ACT_STORE_JOB:
    case ACT_CANCEL_RUN:
    case ACT_ARM: break;
    }
    return false;
}
