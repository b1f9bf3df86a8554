#include "tests/sim/schedule.h"

#include <string.h>

#include "tests/sim/user.h"

enum {
    TURNS = 260,       /* with faults */
    CALM_TURNS = 3000, /* without: the stream must get through */
    LAST_TURNS = 30,   /* nothing more may happen: whatever was late has begun by then */
    LONG_MS = 4 * 3600 * SECOND,
    FROZEN_MS = 1200 * SECOND, /* step.h: with a straggler's delay, within a statement's life */
};

static const char hangs[] = "the stream does not get through";
static const char ran_out[] = "the simulation ran out of statements";

struct schedule {
    struct sim sim;
    struct owner owners[MAX_OWNERS];
    int64_t most_skew_ms;
    bool is_busy;   /* other clients load much into the database */
    bool is_shared; /* so does another job, and the clock is bad */
};

/* --- faults -------------------------------------------------------------------------------------- */

/*
 * The wall clock counts for what an earlier life wrote down. step.h: between two of them it errs by
 * less than what the label memory is longer than the window.
 */
static void choose_skew(struct schedule *s)
{
    const struct doris *d = &s->sim.world.doris;
    int64_t window_ms = 60 * SECOND;
    window_ms = d->is_readable && d->keep_ms / 4 < window_ms ? d->keep_ms / 4 : window_ms;
    int64_t rest_ms = (d->keep_ms - window_ms) / 2;
    s->most_skew_ms = rest_ms < 3600 * SECOND ? rest_ms : 3600 * SECOND;
    if (d->rate > 0 && s->most_skew_ms > window_ms / 2) {
        s->most_skew_ms = window_ms / 2;
    }
}

static void jump_clock(struct schedule *s, struct owner *o)
{
    struct world *w = &s->sim.world;
    o->skew_ms = (int64_t)world_random(w, (uint64_t)s->most_skew_ms * 2 + 1) - s->most_skew_ms;
    world_tell(w, "owner %d: its clock is wrong by %d ms", o->index, (int)o->skew_ms);
}

/* A long time passes; but a statement that is to be sent is sent within its life. */
static void jump_ahead(struct schedule *s)
{
    struct world *w = &s->sim.world;
    int64_t most_ms = LONG_MS;
    for (int i = 0; i < MAX_OWNERS; i++) {
        if (w->doris.unsent[i] != 0) {
            most_ms = 20 * SECOND;
        }
    }
    world_advance(w, (int64_t)world_random(w, (uint64_t)most_ms));
}

static void take_over(struct schedule *s)
{
    const struct owner *now = s->sim.current;
    struct owner *other = now != NULL ? &s->owners[1 - now->index] : NULL;
    if (other == NULL || other->is_alive) {
        return;
    }
    s->sim.counts.takeovers++;
    other->skew_ms = 0;
    if (world_chance(&s->sim.world, 30)) {
        jump_clock(s, other);
    }
    owner_open(other);
}

static void freeze(struct schedule *s)
{
    struct owner *o = s->sim.current;
    struct world *w = &s->sim.world;
    if (o == NULL || o->frozen_until_ms > w->now_ms) {
        return;
    }
    o->frozen_until_ms = w->now_ms + (int64_t)world_random(w, FROZEN_MS);
    s->sim.counts.zombies++;
    world_tell(w, "owner %d is frozen for %d s", o->index,
               (int)((o->frozen_until_ms - w->now_ms) / SECOND));
    if (world_chance(w, 70)) {
        take_over(s);
    }
}

/* Other clients' transactions, which an owner's other jobs see, or most of them. */
static void burst(struct schedule *s)
{
    struct owner *o = s->sim.current;
    struct world *w = &s->sim.world;
    if (o == NULL && w->doris.is_countable) {
        doris_burst(w); /* nobody is there to hear of it: how many there are tells later */
        s->sim.counts.untold++;
    }
    if (o == NULL || o->frozen_until_ms > w->now_ms || w->doris.is_down) {
        return;
    }
    doris_burst(w);
    owner_learn_txn(o,
                    w->doris.next_id - 1 - (int64_t)world_random(w, (uint64_t)w->doris.keep_n / 4));
    if (o->newest_txn > s->sim.store.rec.newest_txn) {
        s->sim.store.rec.newest_txn = o->newest_txn; /* with a task of another job */
    }
}

/* The job's own last row has to have been there, or nothing shows that it is gone. */
static void empty_rows(struct schedule *s)
{
    const struct record *rec = &s->sim.store.rec;
    if (rec->committed_task != 0) {
        doris_empty_rows(&s->sim.world);
        s->sim.counts.emptied++;
    }
}

static void put_other(struct record *rec, const struct success *success)
{
    rec->other[1] = rec->other[0];
    rec->other[0] = *success;
    rec->newest = *success;
}

/* Another job of the owner loads into the same database. */
static void load_other(struct schedule *s)
{
    struct owner *o = s->sim.current;
    struct world *w = &s->sim.world;
    if (o == NULL || o->frozen_until_ms > w->now_ms || w->doris.is_down) {
        return;
    }
    struct success success = {
        .ms = owner_wall_ms(o),
        .serial = ++w->doris.n_finished,
        .finished_ms = w->now_ms,
        .is_there = true,
    };
    /* Its transaction may have begun before others that have ended. */
    owner_learn_txn(o, w->doris.next_id++ - (int64_t)world_random(w, 20));
    success.next_before = o->newest_txn;
    put_other(&s->sim.store.rec, &success);
    s->sim.store.has_ghost = false; /* its task has taken the place */
    put_other(&o->mem, &success);
}

static struct owner *any_owner(struct schedule *s)
{
    struct owner *o = &s->owners[world_random(&s->sim.world, MAX_OWNERS)];
    if (!o->is_alive || o->frozen_until_ms > s->sim.world.now_ms) {
        o = s->sim.current;
    }
    return o != NULL && o->frozen_until_ms <= s->sim.world.now_ms ? o : NULL;
}

static void crash_one(struct schedule *s, struct owner *o)
{
    if (o != s->sim.current || s->sim.store.n_crashes_left > 0) {
        s->sim.store.n_crashes_left -= o == s->sim.current;
        owner_crash(o);
    }
}

static void ask_owner(struct schedule *s, struct owner *o, uint64_t what)
{
    switch (what) {
    case 0: user_pause(o); break;
    case 1:
    case 2: user_resume(o); break;
    case 3: user_cancel(o); break;
    case 4: user_resolve(o); break;
    case 5: user_alter(o); break;
    case 6:
    case 7:
    case 8: user_decide_any(o); break;
    case 9: crash_one(s, o); break;
    case 10: jump_clock(s, o); break;
    default: break;
    }
}

static void disturb(struct schedule *s)
{
    struct world *w = &s->sim.world;
    struct owner *o = NULL;
    uint64_t what = world_random(w, 90);
    switch (what) {
    case 89: doris_die(w); break;
    case 88:
    case 87:
    case 86:
    case 85: w->doris.is_down = false; break;
    case 84: jump_ahead(s); break;
    case 83: take_over(s); break;
    case 82: freeze(s); break;
    case 81:
    case 80: burst(s); break;
    case 79: load_other(s); break;
    case 74:
        o = any_owner(s);
        if (o != NULL && world_chance(w, 15)) {
            user_drop(o);
        }
        break;
    case 73:
        if (world_chance(w, 30)) {
            empty_rows(s);
        }
        break;
    case 75: w->doris.silent_until_ms = w->now_ms + (int64_t)world_random(w, 60 * SECOND); break;
    case 78:
    case 77:
    case 76: source_change(w); break;
    default:
        o = what <= 10 ? any_owner(s) : NULL;
        if (o != NULL) {
            ask_owner(s, o, what);
        }
    }
}

static void create_again(struct schedule *s)
{
    struct owner *o = s->sim.current;
    bool is_frozen = o != NULL && o->frozen_until_ms > s->sim.world.now_ms;
    if (o != NULL && !is_frozen && o->mem.state == JOB_STOPPED && world_chance(&s->sim.world, 25)) {
        user_create(o);
    }
}

/* --- turns --------------------------------------------------------------------------------------- */

/* False: nobody had anything to do. */
static bool turn(struct schedule *s)
{
    struct world *w = &s->sim.world;
    bool is_busy = false;
    for (int i = 0; i < MAX_OWNERS; i++) {
        struct owner *o = &s->owners[i];
        if (!o->is_alive && o->starts_ms != 0 && o->starts_ms <= w->now_ms) {
            owner_open(o);
            is_busy = true;
        } else {
            is_busy |= owner_turn(o);
        }
    }
    return is_busy;
}

/* Up to the next timer, when there is nothing to be done before; runs are looked at each `look_ms`. */
static int64_t until_timer(const struct schedule *s, int64_t most_ms, int64_t look_ms)
{
    const struct world *w = &s->sim.world;
    for (int i = 0; i < MAX_OWNERS; i++) {
        const struct owner *o = &s->owners[i];
        int64_t due_ms =
            o->is_alive ? (o->run == ACT_NONE ? o->timer_ms : w->now_ms) : o->starts_ms;
        int64_t in_ms = due_ms > w->now_ms ? due_ms - w->now_ms : look_ms;
        if (due_ms > 0 && in_ms < most_ms) {
            most_ms = in_ms;
        }
    }
    return most_ms;
}

static void run_faults(struct schedule *s)
{
    struct world *w = &s->sim.world;
    bool is_busy = true;
    for (int i = 0; i < TURNS && w->wrong == NULL; i++) {
        int64_t ms = (int64_t)world_random(w, world_chance(w, 4) ? 20 * SECOND : 200);
        world_advance(w, is_busy ? ms : ms + until_timer(s, 5 * SECOND, 50));
        if (world_chance(w, 18)) {
            source_grow(w);
        }
        if (s->is_busy && world_chance(w, s->sim.current == NULL ? 50 : 12)) {
            burst(s);
        }
        if (s->is_shared && world_chance(w, 15)) {
            load_other(s);
        }
        if (s->is_shared && s->sim.current != NULL && world_chance(w, 12)) {
            jump_clock(s, s->sim.current);
        }
        if ((s->is_shared || s->is_busy) && s->sim.current != NULL && world_chance(w, 2)) {
            crash_one(s, s->sim.current);
        }
        if (s->sim.store.has_ghost && s->sim.current != NULL && world_chance(w, 30)) {
            crash_one(s, s->sim.current);
        }
        disturb(s);
        create_again(s);
        is_busy = turn(s);
    }
}

static bool is_done(const struct schedule *s)
{
    const struct owner *o = s->sim.current;
    const struct world *w = &s->sim.world;
    const struct record *rec = &s->sim.store.rec;
    if (o != NULL && rec->state == JOB_FINISHED) {
        return rec->task == 0;
    }
    if (o == NULL || rec->task != 0 || o->job.phase != PHASE_IDLE || rec->state == JOB_PAUSED ||
        rec->state == JOB_STOPPED) {
        return false;
    }
    for (int unit = 1; unit <= w->n_units; unit++) {
        bool is_retried = w->units[unit].is_there && rec->bad[unit] == BAD_RETRIED;
        if (is_retried || record_wants(rec, record_known(rec, w, unit))) {
            return false;
        }
    }
    return true;
}

/* A task that waits for the end of a straggler's life does so for half an hour. */
static int64_t calm_ms(const struct schedule *s)
{
    const struct owner *o = s->sim.current;
    bool is_waiting =
        o != NULL && o->is_alive && (o->job.phase == PHASE_WAITING || o->job.phase == PHASE_DOUBT);
    return is_waiting ? 60 * SECOND : until_timer(s, 5 * SECOND, 500);
}

/* No more faults: whatever was begun must end, and everything must arrive. */
static void run_calm(struct schedule *s)
{
    struct world *w = &s->sim.world;
    w->is_calm = true;
    w->doris.is_down = false;
    for (int i = 0; i < MAX_OWNERS; i++) {
        s->owners[i].frozen_until_ms = 0;
    }
    world_tell(w, "no more faults");
    for (int i = 0; i < CALM_TURNS && w->wrong == NULL; i++) {
        bool is_busy = turn(s);
        if (!is_busy && is_done(s)) {
            return;
        }
        world_advance(w, is_busy ? 50 : calm_ms(s));
        if (s->sim.current != NULL && s->sim.current->frozen_until_ms <= w->now_ms) {
            user_help(s->sim.current);
        }
    }
    world_wrong(w, hangs);
}

static void run_last(struct schedule *s)
{
    struct world *w = &s->sim.world;
    for (int i = 0; i < LAST_TURNS && w->wrong == NULL; i++) {
        world_advance(w, FROZEN_MS / LAST_TURNS * 2);
        (void)turn(s);
    }
}

/* --- the oracle ---------------------------------------------------------------------------------- */

/* Not in the target: what says so? */
static bool is_excused(const struct sim_store *st, int unit)
{
    const struct world *w = st->world;
    const struct unit *u = &w->units[unit];
    const struct record *rec = &st->rec;
    bool is_reported_late = u->passed_ms != 0 && u->changed_ms >= u->passed_ms;
    if (rec->bad[unit] != BAD_NONE || u->is_skipped) {
        return true;
    }
    if (w->is_reload[w->job]) {
        return false; /* whatever it was, it is loaded as it is */
    }
    return rec->is_tracking ? rec->tracked[unit] != 0 && is_reported_late : is_reported_late;
}

static void check_target(struct sim *sim)
{
    struct world *w = &sim->world;
    for (int unit = 1; unit <= w->n_units; unit++) {
        const struct unit *u = &w->units[unit];
        bool is_loaded = source_is_loaded(w, unit);
        if (u->is_there && !is_loaded && !is_excused(&sim->store, unit)) {
            world_tell(w, "file %d is not in the target", unit);
            world_wrong(w, "a file is missing, and nothing says so");
        }
        bool is_aside = sim->store.rec.bad[unit] == BAD_ASIDE;
        if (u->is_there && is_loaded && is_aside) {
            world_wrong(w, "a file that is loaded is shown as set aside");
        }
        for (int job = 0; job < MAX_JOBS; job++) {
            sim->counts.files += u->seen[job].rows;
        }
    }
}

static void add_counts(struct counts *to, const struct sim *sim)
{
    const struct counts *c = &sim->counts;
    to->files += c->files;
    to->crashes += c->crashes;
    to->doubts += c->doubts;
    to->cancels += c->cancels;
    to->holds += c->holds;
    to->takeovers += c->takeovers;
    to->zombies += c->zombies;
    to->changed += c->changed;
    to->rolled_back += c->rolled_back;
    to->resolved += c->resolved;
    to->alters += c->alters;
    to->untold += c->untold;
    to->emptied += c->emptied;
    to->ghosts += sim->store.n_ghosts;
    to->autos += sim->store.n_autos;
    to->drops += sim->store.n_drops;
    to->overwritten += sim->store.n_overwritten;
    to->steps += c->steps;
    to->stale += sim->store.n_stale;
    to->aside += sim->store.n_aside;
    to->retried += sim->store.n_retried;
}

const char *schedule_run(uint64_t seed, enum bug bug, bool is_told, struct counts *counts)
{
    static struct schedule s; /* large, and the same memory is warm */
    struct world *w = &s.sim.world;
    world_init(w, seed);
    w->is_told = is_told;
    s.sim.bug = bug;
    s.sim.counts = (struct counts){0};
    store_init(&s.sim.store, w, bug);
    choose_skew(&s);
    s.is_busy = world_chance(w, 35);
    s.is_shared = world_chance(w, 50);
    for (int i = 0; i < MAX_OWNERS; i++) {
        s.owners[i] = (struct owner){.sim = &s.sim, .index = i};
    }
    owner_open(&s.owners[0]);
    run_faults(&s);
    run_calm(&s);
    run_last(&s);
    check_target(&s.sim);
    add_counts(counts, &s.sim);
    return w->wrong;
}

bool schedule_is_stuck(const char *wrong)
{
    return strcmp(wrong, hangs) == 0 || strcmp(wrong, ran_out) == 0;
}
