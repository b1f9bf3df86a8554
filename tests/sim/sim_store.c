#include "tests/sim/sim_store.h"

#include <assert.h>
#include <string.h>

static const char *const write_names[] = {
    "job",         "intent", "commit",   "failed", "canceled", "bad file",
    "files aside", "alter",  "decision", "drop",   "create",
};

const char *write_name(enum write_kind kind)
{
    return write_names[kind];
}

void record_create(const struct record *old, struct world *w, struct record *ret)
{
    *ret = (struct record){
        .job = old->job + 1,
        .newest_txn = old->newest_txn,
        .other = {old->other[0], old->other[1]},
        .newest = old->newest,
        .state = JOB_PENDING,
        .is_transactional = world_chance(w, 45),
        .sets_aside = world_chance(w, 75),
        .is_tracking = world_chance(w, 30),
        .is_once = world_chance(w, 10),
    };
    if (ret->is_tracking) {
        ret->overwritten = (enum overwritten)world_random(w, ret->sets_aside ? 3 : 2);
    }
}

/* What the oracle goes by from now on. */
static void begin_job(struct sim_store *st)
{
    struct world *w = st->world;
    w->job = st->rec.job;
    w->is_reload[w->job] = st->rec.overwritten != OVERWRITTEN_IGNORE;
    st->is_held = false;
    st->n_auto = 0;
    for (int unit = 1; unit <= MAX_UNITS; unit++) {
        w->units[unit].passed_ms = 0;
        w->units[unit].is_skipped = false;
    }
}

void store_init(struct sim_store *st, struct world *w, enum bug bug)
{
    memset(st, 0, sizeof(*st));
    st->world = w;
    st->bug = bug;
    const struct record before_all = {.job = -1};
    record_create(&before_all, w, &st->rec);
    st->n_crashes_left = (int)world_random(w, 6);
    st->n_failures_left = (int)world_random(w, 8);
    begin_job(st);
    st->max_resumes = world_chance(w, 50) ? 1 + (int64_t)world_random(w, 3) : 10;
}

/* --- what a write changes ----------------------------------------------------------------------- */

static void put_state(struct record *rec, const struct step_job *job)
{
    rec->state = job->state;
    rec->fail_code = job->fail_code;
    rec->n_resumes = job->n_resumes;
}

static void put_intent(struct record *rec, const struct write *w)
{
    rec->last_task++;
    rec->task = rec->last_task;
    rec->range = w->range;
    rec->intent_ms = w->wall_ms;
    rec->txn_before = w->newest_txn;
    rec->witness = rec->newest;
}

static void set_bit(uint64_t *bits, int unit, bool is_set)
{
    uint64_t bit = UINT64_C(1) << unit;
    *bits = is_set ? *bits | bit : *bits & ~bit;
}

enum known record_known(const struct record *rec, const struct world *w, int unit)
{
    const struct unit *u = &w->units[unit];
    if (!u->is_there) {
        return KNOWN_GONE;
    }
    if (!rec->is_tracking) {
        return unit > rec->offset ? KNOWN_NEW : KNOWN_SAME;
    }
    if (rec->tracked[unit] == 0 || rec->tracked[unit] == u->version) {
        return rec->tracked[unit] == 0 ? KNOWN_NEW : KNOWN_SAME;
    }
    return (rec->is_bad >> unit & 1) != 0 ? KNOWN_MENDED : KNOWN_OVERWRITTEN;
}

bool record_wants(const struct record *rec, enum known known)
{
    return known == KNOWN_NEW || known == KNOWN_MENDED ||
           (known == KNOWN_OVERWRITTEN && rec->overwritten != OVERWRITTEN_IGNORE);
}

/* The files are behind: loaded, or set aside. */
static void pass(struct record *rec, const struct range *r, enum bad bad, int64_t task)
{
    for (int i = 0; i < r->n; i++) {
        int unit = r->units[i];
        rec->tracked[unit] = r->versions[i];
        rec->bad[unit] = (int8_t)bad;
        rec->bad_tasks[unit] = (int8_t)task;
        set_bit(&rec->aside, unit, bad == BAD_ASIDE);
        set_bit(&rec->is_bad, unit, bad == BAD_ASIDE && !r->is_overwritten);
        set_bit(&rec->is_overwritten, unit, r->is_overwritten);
    }
}

static void put_commit(struct record *rec, const struct write *w, enum bug bug)
{
    bool moves = !rec->range.is_retry || bug == BUG_RETRY_MOVES_OFFSET;
    if (bug == BUG_RELOAD_NOT_REMEMBERED && rec->overwritten == OVERWRITTEN_RELOAD) {
        rec->range.versions[0] = 1;
    }
    if (bug == BUG_MARKS_NOT_WITH_COMMIT && rec->is_tracking) {
        struct range first = rec->range;
        first.n = 1; /* the others are forgotten */
        pass(rec, &first, BAD_NONE, 0);
    } else {
        pass(rec, &rec->range, BAD_NONE, 0);
    }
    if (moves) {
        bool is_retry = rec->range.is_retry;
        rec->offset = is_retry ? rec->range.units[0] : rec->range.offset_after;
    }
    if (bug == BUG_COMMIT_TWICE && !rec->range.is_retry) {
        rec->offset++;
    }
    rec->committed_task = rec->task;
    if (w->success.is_there) {
        rec->own = w->success;
        rec->newest = w->success;
    }
    rec->task = 0;
    rec->n_resumes = 0;
    if (rec->state != JOB_PAUSED) {
        rec->fail_code = FAIL_NONE;
    }
    if (w->is_resolved) {
        put_state(rec, w->job);
    }
}

static void put_bad(struct record *rec, enum bug bug)
{
    int64_t task = rec->task;
    pass(rec, &rec->range, bug == BUG_BAD_UNREPORTED ? BAD_NONE : BAD_ASIDE, task);
    if (!rec->range.is_retry) {
        rec->offset = rec->range.offset_after;
    }
    rec->task = 0;
}

static void put_aside(struct record *rec, const struct range *r, enum bug bug)
{
    bool is_unreported =
        r->is_overwritten ? bug == BUG_OVERWRITTEN_UNREPORTED : bug == BUG_UNREADABLE_UNREPORTED;
    pass(rec, r, is_unreported ? BAD_NONE : BAD_ASIDE, 0);
    rec->offset = r->offset_after;
}

static void put_alter(struct record *rec, const struct write *w)
{
    rec->fail_code = w->altered.fail_code;
    rec->is_transactional = w->altered.is_transactional;
    rec->sets_aside = w->altered.sets_aside;
    if (w->unit >= 0) {
        rec->offset = w->unit;
    }
}

/* Gone with all that is known of its files. */
static void put_drop(struct record *rec)
{
    rec->state = JOB_STOPPED;
    rec->fail_code = FAIL_NONE;
    rec->task = 0;
    rec->own.is_there = false;
    rec->aside = 0;
    memset(rec->bad, 0, sizeof(rec->bad));
}

static void apply(struct record *rec, const struct write *w, enum bug bug)
{
    rec->newest_txn = w->newest_txn > rec->newest_txn ? w->newest_txn : rec->newest_txn;
    switch (w->kind) {
    case WRITE_JOB: put_state(rec, w->job); break;
    case WRITE_INTENT: put_intent(rec, w); break;
    case WRITE_COMMIT: put_commit(rec, w, bug); break;
    case WRITE_FAILED:
    case WRITE_CANCELED:
        rec->task = 0;
        put_state(rec, w->job);
        if (bug == BUG_HALVING_DROPS_HALF && w->kind == WRITE_FAILED && w->job->is_data_error &&
            rec->range.n > 1 && rec->sets_aside) {
            rec->offset = rec->range.units[rec->range.n / 2 - 1];
        }
        break;
    case WRITE_BAD: put_bad(rec, bug); break;
    case WRITE_ASIDE: put_aside(rec, &w->range, bug); break;
    case WRITE_ALTER: put_alter(rec, w); break;
    case WRITE_FILE:
        rec->bad[w->unit] = (int8_t)w->decision;
        set_bit(&rec->aside, w->unit, false);
        set_bit(&rec->is_overwritten, w->unit, false);
        break;
    case WRITE_DROP: put_drop(rec); break;
    case WRITE_CREATE: *rec = w->altered; break;
    }
}

/* --- what it expects to find -------------------------------------------------------------------- */

static bool is_as_expected(const struct sim_store *st, const struct record *rec,
                           const struct write *w)
{
    const struct record *now = &st->rec;
    bool is_same_task = now->task == rec->task && rec->task != 0;
    bool is_same_job = now->job == rec->job && now->state != JOB_STOPPED;
    if (st->bug == BUG_ZOMBIE_COMMIT && w->kind == WRITE_COMMIT) {
        return true;
    }
    if (w->epoch != st->epoch && st->bug != BUG_EPOCH_NOT_CHECKED) {
        return false;
    }
    if (is_same_job != (w->kind != WRITE_CREATE)) {
        return false;
    }
    switch (w->kind) {
    case WRITE_INTENT: return now->task == 0 && now->last_task == rec->last_task;
    case WRITE_COMMIT: return is_same_task && now->committed_task == rec->committed_task;
    case WRITE_FAILED:
    case WRITE_CANCELED:
    case WRITE_BAD: return is_same_task;
    case WRITE_ASIDE: return now->task == 0 && now->last_task == rec->last_task;
    case WRITE_ALTER:
        return now->state == JOB_PAUSED && now->last_task == rec->last_task &&
               now->committed_task == rec->committed_task;
    case WRITE_FILE: return now->bad[w->unit] != BAD_NONE;
    case WRITE_DROP:
    case WRITE_CREATE:
    case WRITE_JOB: break;
    }
    return true;
}

/* --- the oracle --------------------------------------------------------------------------------- */

static void check_intent(struct sim_store *st, const struct range *r)
{
    const struct record *rec = &st->rec;
    if (rec->task != 0) {
        world_wrong(st->world, "a task began while another one was open");
    }
    if (!r->is_retry && !rec->is_tracking && r->units[0] <= rec->offset) {
        world_wrong(st->world, "a range does not begin behind the offset");
    }
    if (r->is_retry && r->n != 1) {
        world_wrong(st->world, "a bad file was not tried alone");
    }
}

static void check_commit(struct sim_store *st, const struct record *rec, const struct write *write)
{
    struct world *w = st->world;
    for (int i = 0; i < rec->range.n && !write->is_resolved; i++) {
        const struct unit *u = &w->units[rec->range.units[i]];
        const struct seen *seen = &u->seen[rec->job];
        bool is_visible = (seen->planned >> rec->range.versions[i] & 1) != 0;
        bool was_as_listed = u->changed_ms < rec->range.listed_ms;
        if (!is_visible && (was_as_listed || rec->is_transactional)) {
            world_wrong(w, "the offset moved before the rows were visible");
        }
        if (rec->is_transactional && seen->version != rec->range.versions[i]) {
            world_wrong(w, "another content was loaded than what was planned");
        }
    }
    if (rec->task <= st->rec.committed_task) {
        world_wrong(w, "a task id was used twice");
    }
}

static bool may_be_aside(const struct record *rec, const struct unit *u, int unit, int version,
                         const struct range *r, bool is_planned)
{
    if (r->is_overwritten) {
        return rec->tracked[unit] != 0 && rec->tracked[unit] != version;
    }
    return is_planned ? u->is_unreadable : source_is_bad(u, version);
}

static void check_aside(struct sim_store *st, const struct range *r, bool is_planned)
{
    const struct world *w = st->world;
    for (int i = 0; i < r->n; i++) {
        const struct unit *u = &w->units[r->units[i]];
        const struct seen *seen = &u->seen[w->job];
        bool is_loaded = (seen->planned >> r->versions[i] & 1) != 0;
        if (w->is_reload[w->job] ? is_loaded : seen->rows > 0) {
            world_wrong(st->world, "a file was set aside although it is loaded");
        }
        if (!may_be_aside(&st->rec, u, r->units[i], r->versions[i], r, is_planned)) {
            world_wrong(st->world, "a good file was set aside");
        }
    }
}

static void note_passed(struct sim_store *st, const struct range *r, int from)
{
    struct world *w = st->world;
    if (st->rec.offset > MAX_UNITS) {
        world_wrong(w, "the offset passed the end of the source");
        st->rec.offset = MAX_UNITS; /* a planted bug's: what follows reads units by it */
    }
    for (int unit = from + 1; unit <= st->rec.offset; unit++) {
        w->units[unit].passed_ms = r->listed_ms;
    }
    for (int i = 0; i < r->n; i++) {
        w->units[r->units[i]].passed_ms = r->listed_ms;
    }
}

static void check_write(struct sim_store *st, const struct record *rec, const struct write *w)
{
    switch (w->kind) {
    case WRITE_INTENT: check_intent(st, &w->range); break;
    case WRITE_COMMIT: check_commit(st, rec, w); break;
    case WRITE_BAD: check_aside(st, &rec->range, false); break;
    case WRITE_ASIDE: check_aside(st, &w->range, true); break;
    case WRITE_JOB:
    case WRITE_FAILED:
    case WRITE_CANCELED:
    case WRITE_ALTER:
    case WRITE_FILE:
    case WRITE_DROP:
    case WRITE_CREATE: break;
    }
    if (w->epoch != st->epoch) {
        world_wrong(st->world, "an owner that was taken over changed the store");
    }
}

/* What he asked for, whatever he was told then. */
static void note_user(struct sim_store *st, const struct record *before, const struct write *w)
{
    struct world *world = st->world;
    for (int unit = before->offset + 1; w->kind == WRITE_ALTER && unit <= st->rec.offset; unit++) {
        world->units[unit].is_skipped = true;
        world->units[unit].passed_ms = world->now_ms;
    }
    if (w->kind == WRITE_FILE && w->decision == BAD_NONE) {
        world->units[w->unit].is_skipped = true;
    }
    if (w->is_resumed) {
        st->is_held = false;
    }
}

static void check_budget(struct sim_store *st, const struct write *w)
{
    if (w->kind == WRITE_COMMIT || w->is_resumed) {
        st->n_auto = 0;
    }
    st->n_autos += w->is_auto;
    if (w->is_auto && ++st->n_auto > st->max_resumes) {
        world_wrong(st->world, "a job resumed by itself more often than it may");
    }
}

static void check_written(struct sim_store *st, const struct record *before, const struct write *w)
{
    const struct range *r = w->kind == WRITE_ASIDE ? &w->range : &before->range;
    if (w->kind == WRITE_CREATE) {
        begin_job(st);
        return;
    }
    if (st->rec.offset < before->offset) {
        world_wrong(st->world, "the offset went back");
    }
    if (st->rec.last_task < before->last_task) {
        world_wrong(st->world, "the task ids went back");
    }
    if (w->kind == WRITE_COMMIT || w->kind == WRITE_BAD || w->kind == WRITE_ASIDE) {
        note_passed(st, r, before->offset);
    }
    note_user(st, before, w);
    check_budget(st, w);
    if (w->kind == WRITE_DROP) {
        st->is_held = false;
    }
    st->n_drops += w->kind == WRITE_DROP;
    st->n_overwritten += w->kind == WRITE_ASIDE && r->is_overwritten;
    st->n_aside += w->kind == WRITE_BAD || w->kind == WRITE_ASIDE;
    st->n_retried += w->kind == WRITE_COMMIT && r->is_retry;
    st->is_held |= w->kind == WRITE_ALTER && st->rec.fail_code != before->fail_code;
    st->is_held |= w->job != NULL && w->kind == WRITE_JOB && w->job->fail_code == FAIL_MANUAL_PAUSE;
}

/* --- writing ------------------------------------------------------------------------------------ */

static bool may_crash(struct sim_store *st, unsigned percent)
{
    if (st->n_crashes_left > 0 && world_fault(st->world, percent)) {
        st->n_crashes_left--;
        return true;
    }
    return false;
}

/* Refused; but it may be in the file, in the place of what was refused before. */
static enum written refuse(struct sim_store *st, const struct record *rec,
                           const struct write *write)
{
    bool is_written = world_chance(st->world, 40) && is_as_expected(st, rec, write);
    st->n_failures_left--;
    st->is_failing = true;
    world_tell(st->world, "store: %s is refused%s", write_name(write->kind),
               is_written ? ", and written" : "");
    if (is_written) {
        check_write(st, rec, write);
        st->has_ghost = true;
        st->ghost = *write;
        if (write->job != NULL) {
            st->ghost_job = *write->job;
            st->ghost.job = &st->ghost_job;
        }
    }
    return WRITE_REFUSED;
}

static void put(struct sim_store *st, const struct write *write)
{
    struct record before = st->rec;
    apply(&st->rec, write, st->bug);
    check_written(st, &before, write);
    st->has_ghost = false;
    st->is_failing = false;
}

void store_open(struct sim_store *st)
{
    if (st->has_ghost && world_chance(st->world, 70)) {
        world_tell(st->world, "store: %s is there", write_name(st->ghost.kind));
        st->n_ghosts++;
        put(st, &st->ghost);
    }
    st->has_ghost = false;
    st->is_failing = false;
    st->epoch++;
}

enum written store_write(struct sim_store *st, struct record *rec, const struct write *write)
{
    if (st->n_failures_left > 0 && world_fault(st->world, st->is_failing ? 60 : 5)) {
        return refuse(st, rec, write);
    }
    if (may_crash(st, 4)) {
        world_tell(st->world, "store: crash before %s", write_name(write->kind));
        return WRITE_CRASH;
    }
    if (!is_as_expected(st, rec, write)) {
        st->n_stale++;
        world_tell(st->world, "store: %s is stale", write_name(write->kind));
        return WRITE_STALE;
    }
    check_write(st, rec, write);
    if (rec->task != st->rec.task) { /* only with a planted bug: what the zombie has is written */
        st->rec.task = rec->task;
        st->rec.range = rec->range;
    }
    put(st, write);
    if (may_crash(st, 4)) {
        world_tell(st->world, "store: crash after %s", write_name(write->kind));
        return WRITE_CRASH;
    }
    *rec = st->rec;
    return WRITTEN;
}
