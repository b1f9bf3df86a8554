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
    st->is_held = false; /* from here on: step() goes on before it comes back */
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
    if (o->job.phase != PHASE_DOUBT || doris_may_load(w, owner_label(o))) {
        return;
    }
    event.u.is_committed = doris_was_loaded(w, owner_label(o));
    world_tell(w, "user: task %d is %s", (int)o->mem.task,
               event.u.is_committed ? "COMMITTED" : "ABORTED");
    o->sim->counts.resolved++;
    owner_feed(o, event);
}

/* --- ALTER -------------------------------------------------------------------------------------- */

void user_alter(struct owner *o)
{
    struct world *w = &o->sim->world;
    struct write alter = {.kind = WRITE_ALTER, .altered = o->mem, .unit = -1};
    bool may_change_load = o->mem.task == 0 || o->sim->bug == BUG_ALTER_UNDER_TASK;
    if (o->job.state != JOB_PAUSED) {
        return;
    }
    alter.altered.fail_code =
        step_is_resumable(o->job.fail_code) ? FAIL_MANUAL_PAUSE : o->job.fail_code;
    switch (world_random(w, 3)) {
    case 0:
        if (o->mem.overwritten == OVERWRITTEN_ERROR) {
            return;
        }
        alter.altered.sets_aside = !o->mem.sets_aside;
        break;
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
    world_tell(w, "user: ALTER JOB");
    o->sim->counts.alters++;
    struct write state = {.kind = WRITE_JOB, .job = &o->job};
    if (owner_write(o, &state) != WRITTEN || owner_write(o, &alter) != WRITTEN) {
        return;
    }
    o->job.sets_aside = o->mem.sets_aside;
    owner_follow_alter(o);
}

void user_decide(struct owner *o, int unit, enum bad decision)
{
    const struct world *w = &o->sim->world;
    struct write write = {.kind = WRITE_FILE, .unit = unit, .decision = decision};
    world_tell(w, "user: %s FILE %d", decision == BAD_RETRIED ? "RETRY" : "SKIP", unit);
    (void)owner_write(o, &write); /* refused, or stale: he is told */
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

/* --- DROP, CREATE -------------------------------------------------------------------------------- */

/* sched_job_destroy(): what its run finds out, nobody waits for. */
static void drop_run(struct owner *o)
{
    struct world *w = &o->sim->world;
    if (o->run == ACT_LOAD && o->statement >= 0) {
        doris_kill(w, o->statement);
        doris_close(w, o->statement);
    }
    w->doris.unsent[o->index] = 0;
    w->doris.owned[o->index] = 0;
    o->run = ACT_NONE;
    o->timer_ms = -1;
    o->job = (struct step_job){.state = JOB_STOPPED};
}

void user_drop(struct owner *o)
{
    struct write write = {.kind = WRITE_DROP};
    if (o->mem.state == JOB_STOPPED || o->mem.job + 1 == MAX_JOBS) {
        return;
    }
    world_tell(&o->sim->world, "user: DROP JOB");
    if (owner_write(o, &write) == WRITTEN) {
        drop_run(o);
    }
}

void user_create(struct owner *o)
{
    struct write write = {.kind = WRITE_CREATE};
    if (o->mem.state != JOB_STOPPED) {
        return;
    }
    record_create(&o->mem, &o->sim->world, &write.altered);
    world_tell(&o->sim->world, "user: CREATE JOB");
    if (owner_write(o, &write) == WRITTEN) {
        owner_begin(o);
    }
}

/* --- the calm end -------------------------------------------------------------------------------- */

static bool is_ahead(const struct owner *o, int unit)
{
    const struct world *w = &o->sim->world;
    bool is_wanted = record_wants(&o->mem, record_known(&o->mem, w, unit));
    return w->units[unit].is_there && !source_is_loaded(w, unit) &&
           (o->mem.bad[unit] != BAD_ASIDE || is_wanted);
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
    user_create(o);
    if (o->is_alive) {
        user_resolve(o);
    }
    for (int unit = 1; o->is_alive && o->mem.aside != 0 && unit <= w->n_units; unit++) {
        const struct unit *u = &w->units[unit];
        if (o->mem.bad[unit] == BAD_ASIDE && !u->is_unreadable && u->is_there) {
            source_mend(w, unit);
            user_decide(o, unit, BAD_RETRIED);
        } else if (!u->is_there && (o->mem.is_overwritten >> unit & 1) != 0) {
            user_decide(o, unit, BAD_NONE);
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
