/*
 * A Doris: labels, transactions, and a memory of both that ends by age and by count. Facts:
 * ingest.md (top, d, h), doris-ports.md B2 to B6, C1 to C3, G.
 */
#include <assert.h>
#include <string.h>

#include "tests/sim/world.h"

enum {
    CLEAN_MS = 30 * SECOND,         /* transaction_clean_interval_second */
    TXN_TIMEOUT_MS = 1800 * SECOND, /* insert_timeout and query_timeout of the session */
    LATEST_MS = 300 * SECOND,       /* a straggler begins by then */
    PUBLISH_MS = 90 * SECOND,       /* at most, of a slow one */
    CONFIG_WINDOW_MS = 60 * SECOND,
    SHARES = 4, /* step.h: of keep_n one may be running, one unseen, half of one is usual */
    PAST_SLICES = 64,
    JUMP_SLICES = 16,
};

/*
 * step.h: unless the FE's configuration can be read, labels are kept at least as long and as many
 * as the defaults promise. Readable, it may be anything.
 */
static void choose_memory(struct world *w)
{
    static const int64_t safe_ms[] = {61 * SECOND, 300 * SECOND, 3600 * SECOND, 12 * 3600 * SECOND};
    static const int64_t any_ms[] = {5 * SECOND, 20 * SECOND, 60 * SECOND, 12 * 3600 * SECOND};
    static const int64_t any_n[] = {10, 10, 100, 2000};
    struct doris *d = &w->doris;
    d->is_readable = world_chance(w, 50);
    d->is_countable = world_chance(w, 60);
    d->keep_ms = d->is_readable ? any_ms[world_random(w, 4)] : safe_ms[world_random(w, 4)];
    d->keep_n = d->is_readable ? any_n[world_random(w, 4)] : 2000;
    int64_t window_ms =
        d->is_readable && d->keep_ms / 4 < CONFIG_WINDOW_MS ? d->keep_ms / 4 : CONFIG_WINDOW_MS;
    int64_t most = d->keep_n / SHARES / 2 * 1000 * SECOND / window_ms;
    d->rate = world_chance(w, 50) ? 0 : (int64_t)world_random(w, (uint64_t)most + 1);
}

void doris_init(struct world *w)
{
    struct doris *d = &w->doris;
    d->n_statements = 0;
    d->n_active = 0;
    d->n_committed = 0;
    d->n_txns = 0;
    d->is_down = false;
    d->rate_rest = 0;
    d->silent_until_ms = 0;
    d->next_id = 1 + (int64_t)world_random(w, 1000000);
    d->n_finished = (int64_t)world_random(w, 5000);
    d->n_running = 0;
    d->next_clean_ms = w->now_ms + (int64_t)world_random(w, CLEAN_MS);
    d->forgotten_serial = 0;
    d->forgotten_ms = 0;
    d->n_past = 0;
    d->past_serial = d->n_finished;
    d->aged_serial = d->n_finished;
    memset(d->unsent, 0, sizeof(d->unsent));
    memset(d->owned, 0, sizeof(d->owned));
    memset(d->rows_written, 0, sizeof(d->rows_written));
    choose_memory(w);
}

/* --- transactions ------------------------------------------------------------------------------ */

static void finish(struct world *w, struct txn *t, enum txn_state state)
{
    t->state = state;
    t->finished_ms = w->now_ms;
    t->serial = ++w->doris.n_finished;
}

static void make_visible(struct world *w, struct txn *t)
{
    finish(w, t, TXN_VISIBLE);
    w->doris.n_committed--;
    for (int i = 0; i < t->n; i++) {
        struct seen *seen = &w->units[t->units[i]].seen[t->job];
        uint64_t planned = UINT64_C(1) << t->planned[i];
        bool was_loaded = w->is_reload[t->job] ? (seen->planned & planned) != 0 : seen->rows > 0;
        if (was_loaded) {
            world_wrong(w, "a file was loaded twice");
        }
        seen->version = t->versions[i];
        seen->planned |= planned;
        seen->rows++;
    }
    if (t->has_row) {
        int64_t task = t->label % LABELS;
        w->doris.rows_written[t->label / LABELS % MAX_JOBS][task / 64 % 4] |= UINT64_C(1)
                                                                              << task % 64;
    }
    world_tell(w, "doris: label %d is VISIBLE", (int)t->label);
}

/* The newest transaction of a label that the FE still knows; -1 when none. */
static int find_txn(const struct doris *d, int64_t label)
{
    for (int i = d->n_txns - 1; i >= 0; i--) {
        if (d->txns[i].label == label && !d->txns[i].is_forgotten) {
            return i;
        }
    }
    return -1;
}

/* step.h: Doris remembers a label for longer than it takes a lost statement to begin. */
static bool is_awaited(const struct doris *d, int64_t label, int64_t now_ms)
{
    for (int i = 0; i < MAX_OWNERS; i++) {
        bool is_owned = d->owned[i] == label && d->owned_until_ms[i] >= now_ms;
        if (d->unsent[i] == label || is_owned) {
            return true;
        }
    }
    for (int i = 0; i < d->n_active; i++) {
        const struct statement *s = &d->statements[d->active[i]];
        if (s->label == label && s->txn < 0 && !s->is_over) {
            return true;
        }
    }
    return false;
}

static void drop_past(struct doris *d, int64_t until_ms)
{
    int n = 0;
    while (n < d->n_past && d->past[n].ms <= until_ms) {
        d->past_serial = d->past[n++].serial;
    }
    if (n > 0) {
        d->n_past -= n;
        memmove(d->past, d->past + n, (size_t)d->n_past * sizeof(d->past[0]));
    }
}

/* What has finished since it was called last did so at `ms`, or little later. */
static void note_past(struct doris *d, int64_t ms)
{
    struct past *last = d->n_past > 0 ? &d->past[d->n_past - 1] : NULL;
    if (d->n_finished == (last != NULL ? last->serial : d->past_serial)) {
        return;
    }
    if (last != NULL && ms - last->ms < d->keep_ms / PAST_SLICES) {
        last->serial = d->n_finished;
        return;
    }
    drop_past(d, ms - d->keep_ms);
    assert(d->n_past < MAX_PAST);
    d->past[d->n_past++] = (struct past){ms, d->n_finished};
}

int64_t doris_n_remembered(const struct world *w)
{
    const struct doris *d = &w->doris;
    int64_t last = d->aged_serial > d->forgotten_serial ? d->aged_serial : d->forgotten_serial;
    return d->is_countable ? d->n_finished - last : 0;
}

/* Every 30 seconds: what is too old, and the oldest of too many, whatever their age. */
static void clean(struct world *w)
{
    struct doris *d = &w->doris;
    d->next_clean_ms = w->now_ms + CLEAN_MS - (int64_t)world_random(w, 1000);
    d->forgotten_ms = w->now_ms - d->keep_ms;
    drop_past(d, d->forgotten_ms);
    d->aged_serial = d->past_serial;
    if (d->n_finished - d->keep_n > d->forgotten_serial) {
        d->forgotten_serial = d->n_finished - d->keep_n;
    }
    for (int i = 0; i < d->n_txns; i++) {
        struct txn *t = &d->txns[i];
        bool is_final = t->state == TXN_VISIBLE || t->state == TXN_ABORTED;
        if (is_final && !t->is_forgotten && !doris_remembers(w, t->serial, t->finished_ms) &&
            !is_awaited(d, t->label, w->now_ms)) {
            t->is_forgotten = true;
            world_tell(w, "doris: label %d is forgotten", (int)t->label);
        }
    }
}

bool doris_remembers(const struct world *w, int64_t serial, int64_t ms)
{
    return serial > w->doris.forgotten_serial && ms > w->doris.forgotten_ms;
}

/* --- statements -------------------------------------------------------------------------------- */

static void begin(struct world *w, struct statement *s)
{
    struct doris *d = &w->doris;
    int known = find_txn(d, s->label);
    int n_there = 0;
    for (int i = 0; i < s->range.n; i++) {
        n_there += w->units[s->range.units[i]].is_there;
    }
    if (s->is_killed || (s->has_row && s->is_closed)) {
        s->is_over = true;
        s->will_fail = true;
        return;
    }
    if (known >= 0 && d->txns[known].state != TXN_ABORTED) {
        s->is_over = true; /* refused: no transaction of its own */
        return;
    }
    if (n_there == 0) {
        s->is_over = true; /* the planner proved it empty, or refused: no file matches */
        s->will_fail |= s->has_row;
        s->is_empty = !s->will_fail;
        return;
    }
    if (d->n_txns == MAX_TXNS) {
        world_wrong(w, "the simulation ran out of statements");
        return;
    }
    struct txn *t = &d->txns[d->n_txns];
    *t = (struct txn){
        .label = s->label,
        .id = d->next_id++,
        .has_row = s->has_row,
        .job = (int)(s->range.label / LABELS),
    };
    for (int i = 0; i < s->range.n;
         i++) { /* the FE lists at plan time: what is not there is left out */
        if (w->units[s->range.units[i]].is_there) {
            t->planned[t->n] = s->range.versions[i];
            t->units[t->n++] = s->range.units[i];
        }
    }
    s->txn = d->n_txns++;
    world_tell(w, "doris: label %d begins, txn %d", (int)s->label, (int)t->id);
}

/* The BEs read what is there now, which may not be what was listed. False: an error. */
static bool read_files(struct world *w, struct statement *s, struct txn *t)
{
    for (int i = 0; i < t->n; i++) {
        const struct unit *u = &w->units[t->units[i]];
        if (!u->is_there) {
            return false;
        }
        t->versions[i] = u->version;
        if (source_is_bad(u, u->version)) {
            s->is_data_error = true;
            return false;
        }
    }
    return !s->will_fail && !s->is_killed;
}

static void abort_txn(struct world *w, struct statement *s, struct txn *t)
{
    finish(w, t, TXN_ABORTED);
    s->is_over = true;
    world_tell(w, "doris: label %d is ABORTED", (int)t->label);
}

static void commit_txn(struct world *w, struct statement *s, struct txn *t)
{
    bool is_slow = world_fault(w, 20);
    t->state = TXN_COMMITTED;
    w->doris.n_committed++;
    t->visible_ms = w->now_ms + (is_slow ? (int64_t)world_random(w, PUBLISH_MS) : 0);
    s->is_over = true;
    world_tell(w, "doris: label %d is COMMITTED", (int)t->label);
}

static void move_session(struct world *w, struct statement *s, struct txn *t)
{
    if (!s->is_read && (s->ends_ms <= w->now_ms || s->is_killed)) {
        s->is_read = true;
        if (!read_files(w, s, t)) { /* a failed statement does not fail the transaction */
            s->will_fail = true;
            t->n = 0;
        }
    }
    if (s->commit_ms != 0 && s->commit_ms <= w->now_ms) {
        commit_txn(w, s, t);
    } else if (s->is_closed && s->commit_ms == 0 && s->ends_ms <= w->now_ms) {
        abort_txn(w, s, t);
    }
}

static void move_statement(struct world *w, struct statement *s)
{
    if (!s->is_over && s->txn < 0 && s->begins_ms <= w->now_ms) {
        begin(w, s);
    }
    if (s->is_over || s->txn < 0) {
        return;
    }
    struct txn *t = &w->doris.txns[s->txn];
    if (t->state != TXN_PREPARE) {
        s->is_over = true; /* fenced meanwhile */
    } else if (w->now_ms - s->begins_ms >= TXN_TIMEOUT_MS) {
        abort_txn(w, s, t);
    } else if (s->is_orphan) {
        return;
    } else if (s->has_row) {
        move_session(w, s, t);
    } else if (s->ends_ms <= w->now_ms || s->is_killed) {
        if (read_files(w, s, t)) {
            commit_txn(w, s, t);
        } else {
            abort_txn(w, s, t);
        }
    }
}

/* Other clients of the database; what finishes also has begun. */
static void others(struct world *w, int64_t ms)
{
    struct doris *d = &w->doris;
    d->rate_rest += d->rate * ms;
    int64_t n = d->rate_rest / (1000 * SECOND);
    int64_t n_old = ms > d->keep_ms ? n / ms * (ms - d->keep_ms) : 0;
    int64_t last_ms = ms < d->keep_ms ? ms : d->keep_ms;
    int64_t n_slices = last_ms > d->keep_ms / JUMP_SLICES ? JUMP_SLICES : 1;
    d->rate_rest -= n * 1000 * SECOND;
    d->next_id += n;
    d->n_finished += n_old;
    note_past(d, w->now_ms - ms);
    n -= n_old;
    for (int64_t i = 0; i < n_slices; i++) {
        d->n_finished += n * (i + 1) / n_slices - n * i / n_slices;
        note_past(d, w->now_ms - last_ms + last_ms * i / n_slices);
    }
}

void doris_burst(struct world *w)
{
    struct doris *d = &w->doris;
    if (d->is_down) {
        return;
    }
    if (world_chance(w, 30)) {
        d->n_finished += d->n_running; /* no new ids */
        d->n_running = 0;
        note_past(d, w->now_ms);
        return;
    }
    int64_t n = (int64_t)world_random(w, (uint64_t)d->keep_n * 2) + 1;
    int64_t n_stay = (int64_t)world_random(w, (uint64_t)(d->keep_n / SHARES) + 1);
    n_stay = n_stay < n ? n_stay : n;
    d->next_id += n + (int64_t)world_random(w, 20); /* and of other databases */
    d->n_finished += n - n_stay;
    d->n_finished += d->n_running;
    d->n_running = n_stay;
    note_past(d, w->now_ms);
    if (world_chance(w, 50)) {
        d->next_clean_ms = w->now_ms;
    }
    world_tell(w, "doris: %d transactions of other clients, the next id is %d", (int)n,
               (int)d->next_id);
}

void doris_advance(struct world *w, int64_t ms)
{
    struct doris *d = &w->doris;
    if (d->is_down) {
        return;
    }
    others(w, ms);
    int n_active = 0;
    for (int i = 0; i < d->n_active; i++) {
        struct statement *s = &d->statements[d->active[i]];
        move_statement(w, s);
        if (!s->is_over) {
            d->active[n_active++] = d->active[i];
        }
    }
    d->n_active = n_active;
    for (int i = d->n_txns - 1; i >= 0 && d->n_committed > 0; i--) {
        struct txn *t = &d->txns[i];
        if (t->state == TXN_COMMITTED && t->visible_ms <= w->now_ms) {
            make_visible(w, t);
        }
    }
    note_past(d, w->now_ms);
    if (w->now_ms >= d->next_clean_ms) {
        clean(w);
    }
}

int doris_send(struct world *w, int owner, int64_t label, const struct range *range, bool has_row)
{
    struct doris *d = &w->doris;
    if (d->n_statements == MAX_STATEMENTS) {
        world_wrong(w, "the simulation ran out of statements");
        return 0;
    }
    int64_t wait_ms = (int64_t)world_random(w, world_fault(w, 10) ? LATEST_MS : 50);
    struct statement *s = &d->statements[d->n_statements];
    *s = (struct statement){
        .label = label,
        .range = *range,
        .owner = owner,
        .begins_ms = w->now_ms + wait_ms,
        .ends_ms = w->now_ms + wait_ms + (int64_t)world_random(w, 5000),
        .has_row = has_row,
        .will_fail = world_fault(w, 10),
        .is_orphan = world_fault(w, 4),
        .txn = -1,
    };
    world_tell(w, "doris: owner %d sends label %d%s", owner, (int)label,
               wait_ms > 50 ? ", it is late" : "");
    d->active[d->n_active++] = d->n_statements;
    return d->n_statements++;
}

enum answer doris_answer(const struct world *w, int statement)
{
    const struct statement *s = &w->doris.statements[statement];
    if (s->txn < 0) {
        if (!s->is_over) {
            return ANSWER_NOT_YET;
        }
        return s->will_fail ? ANSWER_ERROR : s->is_empty ? ANSWER_EMPTY : ANSWER_USED;
    }
    switch (w->doris.txns[s->txn].state) {
    case TXN_VISIBLE: return ANSWER_OK;
    case TXN_COMMITTED: return ANSWER_COMMITTED;
    case TXN_ABORTED: return s->is_data_error ? ANSWER_DATA_ERROR : ANSWER_ERROR;
    case TXN_PREPARE: break;
    }
    if (s->is_read && s->commit_ms == 0) {
        return s->is_data_error ? ANSWER_DATA_ERROR : s->will_fail ? ANSWER_ERROR : ANSWER_READ;
    }
    return ANSWER_NOT_YET;
}

void doris_commit(struct world *w, int statement)
{
    struct statement *s = &w->doris.statements[statement];
    s->commit_ms = w->now_ms + (int64_t)world_random(w, world_fault(w, 10) ? LATEST_MS : 50);
    world_tell(w, "doris: COMMIT of label %d is sent", (int)s->label);
}

void doris_kill(struct world *w, int statement)
{
    if (!w->doris.is_down) {
        w->doris.statements[statement].is_killed = true; /* best effort: it may have committed */
    }
}

void doris_close(struct world *w, int statement)
{
    w->doris.statements[statement].is_closed = true;
}

bool doris_is_stuck(const struct world *w, int statement)
{
    const struct statement *s = &w->doris.statements[statement];
    return s->is_orphan || s->begins_ms > w->now_ms + 10 * SECOND ||
           s->commit_ms > w->now_ms + 10 * SECOND;
}

void doris_die(struct world *w)
{
    struct doris *d = &w->doris;
    d->is_down = true;
    world_tell(w, "doris: the FE dies");
    for (int i = 0; i < d->n_active; i++) {
        struct statement *s = &d->statements[d->active[i]];
        if (s->txn < 0) {
            s->will_fail |= !s->is_over;
            s->is_over = true; /* had not begun: gone with the FE */
        } else {
            s->is_orphan = true; /* PREPARE stays until it is fenced, or times out */
        }
    }
}

/* --- what may be asked ------------------------------------------------------------------------- */

enum label_state doris_label(const struct world *w, int64_t label)
{
    static const enum label_state states[] = {[TXN_PREPARE] = LABEL_PREPARE,
                                              [TXN_COMMITTED] = LABEL_COMMITTED,
                                              [TXN_VISIBLE] = LABEL_VISIBLE,
                                              [TXN_ABORTED] = LABEL_ABORTED};
    int i = find_txn(&w->doris, label);
    if (w->doris.is_down) {
        return LABEL_UNREACHABLE;
    }
    return i >= 0 ? states[w->doris.txns[i].state] : LABEL_UNKNOWN;
}

int64_t doris_txn_id(const struct world *w, int64_t label)
{
    int i = find_txn(&w->doris, label);
    return i >= 0 ? w->doris.txns[i].id : 0;
}

bool doris_has_row(const struct world *w, int64_t label)
{
    int64_t task = label % LABELS;
    return (w->doris.rows_written[label / LABELS % MAX_JOBS][task / 64 % 4] >> task % 64 & 1) != 0;
}

void doris_empty_rows(struct world *w)
{
    memset(w->doris.rows_written, 0, sizeof(w->doris.rows_written));
    world_tell(w, "doris: the offset table is emptied");
}

void doris_fence(struct world *w, int64_t label)
{
    int i = find_txn(&w->doris, label);
    if (!w->doris.is_down && i >= 0 && w->doris.txns[i].state == TXN_PREPARE) {
        finish(w, &w->doris.txns[i], TXN_ABORTED);
        world_tell(w, "doris: label %d is fenced", (int)label);
    }
}

bool doris_was_loaded(const struct world *w, int64_t label)
{
    for (int i = 0; i < w->doris.n_txns; i++) {
        if (w->doris.txns[i].label == label && w->doris.txns[i].state == TXN_VISIBLE) {
            return true;
        }
    }
    return false;
}

bool doris_may_load(const struct world *w, int64_t label)
{
    const struct doris *d = &w->doris;
    for (int i = 0; i < d->n_txns; i++) {
        const struct txn *t = &d->txns[i];
        if (t->label == label && (t->state == TXN_PREPARE || t->state == TXN_COMMITTED)) {
            return true;
        }
    }
    return is_awaited(d, label, w->now_ms);
}
