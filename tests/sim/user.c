#include "tests/sim/user.h"

static bool is_active(const struct owner *o)
{
    return o->job.state == JOB_PENDING || o->job.state == JOB_RUNNING;
}

void user_pause(struct owner *o)
{
    bool is_hold = o->job.state == JOB_PAUSED;
    if (!step_may_pause(&o->job)) {
        return;
    }
    if (is_hold && o->sim->bug == BUG_HOLD_IS_IGNORED) {
        o->sim->store.is_held = true;
        return;
    }
    o->sim->counts.holds += is_hold;
    owner_change(o, EV_PAUSE);
}

void user_resume(struct owner *o)
{
    struct sim_store *st = &o->sim->store;
    if (o->job.state != JOB_PAUSED || o->job.fail_code == FAIL_LABEL_TAKEN) {
        return;
    }
    bool was_held = st->is_held;
    st->is_held = false;
    owner_change(o, EV_RESUME);
    st->is_held |= was_held && st->rec.fail_code == FAIL_MANUAL_PAUSE;
}

void user_cancel(struct owner *o)
{
    if (is_active(o) && o->job.task_id != 0) {
        o->sim->counts.cancels++;
        owner_feed(o, owner_event(o, EV_CANCEL));
    }
}

void user_resolve(struct owner *o)
{
    struct step_event event = owner_event(o, EV_RESOLVE);
    const struct world *w = &o->sim->world;
    if (o->job.phase != PHASE_DOUBT || doris_may_load(w, o->mem.task)) {
        return;
    }
    event.u.is_committed = doris_was_loaded(w, o->mem.task);
    world_tell(w, "user: task %d is %s", (int)o->mem.task,
               event.u.is_committed ? "COMMITTED" : "ABORTED");
    o->sim->counts.resolved++;
    owner_feed(o, event);
}

/* --- ALTER -------------------------------------------------------------------------------------- */

static void note_skipped(struct owner *o, int from)
{
    struct world *w = &o->sim->world;
    for (int unit = from + 1; unit <= o->sim->store.rec.offset; unit++) {
        w->units[unit].is_skipped = true;
        w->units[unit].passed_ms = w->now_ms;
    }
}

void user_alter(struct owner *o)
{
    struct world *w = &o->sim->world;
    struct write alter = {.kind = WRITE_ALTER, .altered = o->mem, .unit = -1};
    bool may_change_load = o->mem.task == 0 || o->sim->bug == BUG_ALTER_UNDER_TASK;
    if (o->job.state != JOB_PAUSED || step_is_resumable(o->job.fail_code)) {
        return;
    }
    switch (world_random(w, 3)) {
    case 0: alter.altered.sets_aside = !o->mem.sets_aside; break;
    case 1:
        if (!may_change_load) {
            return;
        }
        alter.altered.is_transactional = !o->mem.is_transactional;
        break;
    default:
        if (o->mem.task != 0 || o->mem.is_tracking || o->mem.offset >= w->n_units) {
            return;
        }
        alter.unit = o->mem.offset + (int)world_random(w, 2);
        break;
    }
    int before = o->sim->store.rec.offset;
    world_tell(w, "user: ALTER JOB");
    o->sim->counts.alters++;
    enum written written = owner_write(o, &alter);
    if (written == WRITTEN) {
        o->job.sets_aside = o->mem.sets_aside;
    }
    if (alter.unit >= 0 && (written == WRITTEN || written == WRITE_CRASH)) {
        note_skipped(o, before);
    }
}

void user_decide(struct owner *o, int unit, enum bad decision)
{
    struct world *w = &o->sim->world;
    struct write write = {.kind = WRITE_FILE, .unit = unit, .decision = decision};
    const struct record *stored = &o->sim->store.rec;
    bool was_bad = stored->bad[unit] != BAD_NONE;
    world_tell(w, "user: %s FILE %d", decision == BAD_RETRIED ? "RETRY" : "SKIP", unit);
    (void)owner_write(o, &write); /* refused, or stale: he is told, and nothing has changed */
    if (was_bad && stored->bad[unit] == BAD_NONE) {
        w->units[unit].is_skipped = true;
    }
}

void user_decide_any(struct owner *o)
{
    struct world *w = &o->sim->world;
    int unit = 1 + (int)world_random(w, MAX_UNITS);
    if (o->mem.bad[unit] != BAD_ASIDE) {
        return;
    }
    bool is_retry = !w->units[unit].is_unreadable && world_chance(w, 75);
    if (is_retry && world_chance(w, 60)) {
        source_mend(w, unit);
    }
    user_decide(o, unit, is_retry ? BAD_RETRIED : BAD_NONE);
}

/* --- the calm end -------------------------------------------------------------------------------- */

static bool is_ahead(const struct owner *o, int unit)
{
    const struct unit *u = &o->sim->world.units[unit];
    return u->is_there && u->rows == 0 && o->mem.bad[unit] != BAD_ASIDE;
}

/* With "s3.bad_files"="pause" nothing gets by a bad file: mended, or, for its name, taken away. */
static void mend_ahead(struct owner *o)
{
    struct world *w = &o->sim->world;
    for (int unit = 1; unit <= w->n_units; unit++) {
        if (is_ahead(o, unit) && w->units[unit].is_unreadable) {
            source_delete(w, unit);
        } else if (is_ahead(o, unit)) {
            source_mend(w, unit);
        }
    }
}

void user_help(struct owner *o)
{
    struct world *w = &o->sim->world;
    user_resolve(o);
    for (int unit = 1; o->is_alive && o->mem.aside != 0 && unit <= w->n_units; unit++) {
        const struct unit *u = &w->units[unit];
        if (o->mem.bad[unit] == BAD_ASIDE && !u->is_unreadable && u->is_there) {
            source_mend(w, unit);
            user_decide(o, unit, BAD_RETRIED);
        }
    }
    if (!o->is_alive || o->job.state != JOB_PAUSED || o->job.phase == PHASE_DOUBT) {
        return; /* what is in doubt is decided when nothing of it can run any more */
    }
    if (o->job.fail_code == FAIL_TOO_MANY_ROWS || o->job.fail_code == FAIL_CANNOT_RESUME) {
        mend_ahead(o);
    }
    user_resume(o);
}
