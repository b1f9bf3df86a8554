/*
 * Random schedules against step(): crashes at any write, lost answers, late and lost statements,
 * publish delays, aborts, a label memory that ends, clocks that jump, users who pause, resume and
 * cancel tasks.
 * Oracle: every unit exactly once in the target, task ids rise, the offset never goes back and never
 * runs ahead of the rows, what a user paused waits for him, and in the end the stream moves.
 *
 *     sim [N [FIRST]]         N schedules from seed FIRST on; each planted bug must be found
 *     sim --seed S [BUG]      one schedule, told step by step
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "tests/sim/shell.h"

enum {
    TURNS = 400,       /* with faults */
    CALM_TURNS = 4000, /* without: the stream must get through */
    DEFAULT_SCHEDULES = 100000,
    BUG_SCHEDULES = 20000,
    N_UNITS = 40,
};

struct totals {
    int64_t crashes;
    int64_t doubts;
    int64_t units;
    int64_t cancels;
    int64_t holds;
};

/* How long Doris remembers, and what the clock does: only what step.h says it can live with. */
static void choose_conditions(struct world *w)
{
    static const int64_t memories_ms[] = {61 * 1000, 5 * 60 * 1000, 3600 * 1000, 12 * 3600 * 1000};
    w->memory_ms = memories_ms[world_random(w, 4)];
}

static void disturb(struct world *w, struct shell *s)
{
    switch (world_random(w, 60)) {
    case 0:
        if (s->n_crashes_left > 0) {
            s->n_crashes_left--;
            shell_crash(s);
        }
        break;
    case 1: world_die(w); break;
    case 2:
    case 3:
    case 4: w->is_down = false; break;
    case 5: shell_pause(s); break;
    case 6:
    case 7: shell_resume(s); break;
    case 8: shell_resolve(s); break;
    case 11: shell_cancel(s); break;
    case 9: world_advance(w, (int64_t)world_random(w, 4 * 3600 * 1000)); break;
    case 10:
        if (w->memory_ms >= 12 * 3600 * 1000) {
            w->skew_ms = (int64_t)world_random(w, 2 * 3600 * 1000) - 3600 * 1000;
        }
        break;
    default: break;
    }
}

static void grow(struct world *w)
{
    if (w->n_units < N_UNITS && world_chance(w, 20)) {
        w->n_units++;
    }
}

static void tell(const struct world *w, const struct shell *s)
{
    (void)printf("%9" PRId64 " %+" PRId64 " %-8s %-9s task %" PRId64
                 " [%d..%d] label %-10s offset %d"
                 " units %d sent %d%s%s\n",
                 w->now_ms, w->skew_ms, job_state_name(s->job.state), step_phase_name(s->job.phase),
                 s->store.task, s->store.range.first, s->store.range.last,
                 label_state_name(world_label(w, s->store.task)), s->store.offset, w->n_units,
                 w->n_statements, w->is_down ? " FE-down" : "", w->is_calm ? " calm" : "");
}

static void tell_end(const struct world *w)
{
    for (int i = 0; i < w->n_statements; i++) {
        const struct statement *st = &w->statements[i];
        (void)printf("statement %d: label %" PRId64 " [%d..%d] %s%s%s%s\n", i, st->label,
                     st->range.first, st->range.last,
                     st->txn < 0 ? "never began" : label_state_name(w->txns[st->txn].state),
                     st->is_orphan ? ", orphan" : "", st->is_killed ? ", killed" : "",
                     st->will_fail ? ", fails" : "");
    }
}

static void run_faults(struct world *w, struct shell *s, bool is_told)
{
    for (int i = 0; i < TURNS && w->wrong == NULL; i++) {
        world_advance(w, (int64_t)world_random(w, world_chance(w, 5) ? 20000 : 200));
        grow(w);
        disturb(w, s);
        (void)shell_turn(s);
        if (is_told) {
            tell(w, s);
        }
    }
}

/* No more faults: whatever was begun must end, and everything must arrive. */
static void run_calm(struct world *w, struct shell *s, bool is_told)
{
    w->is_calm = true;
    w->is_down = false;
    for (int i = 0; i < CALM_TURNS && w->wrong == NULL; i++) {
        world_advance(w, 1000);
        shell_resolve(s);
        shell_resume(s);
        (void)shell_turn(s);
        if (is_told) {
            tell(w, s);
        }
        if (s->store.offset >= w->n_units && s->store.task == 0 && i > 10) {
            return;
        }
    }
    if (w->wrong == NULL) {
        w->wrong = "the stream does not get through";
    }
}

static const char *check_rows(const struct world *w)
{
    for (int unit = 1; unit <= w->n_units; unit++) {
        if (w->rows[unit] != 1) {
            return w->rows[unit] == 0 ? "a unit is missing" : "a unit was loaded twice";
        }
    }
    return NULL;
}

static const char *run_schedule(uint64_t seed, enum bug bug, bool is_told, struct totals *totals)
{
    struct world w;
    struct shell s;
    world_init(&w, seed);
    choose_conditions(&w);
    shell_init(&s, &w, bug);
    run_faults(&w, &s, is_told);
    run_calm(&w, &s, is_told);
    totals->crashes += s.n_crashes;
    totals->doubts += s.n_doubts;
    totals->units += w.n_units;
    totals->cancels += s.n_cancels;
    totals->holds += s.n_holds;
    /* A straggler that appears now is one that was let go too early. */
    world_advance(&w, 2 * 3600 * 1000);
    if (is_told) {
        tell_end(&w);
    }
    return w.wrong != NULL ? w.wrong : check_rows(&w);
}

static bool check_product(uint64_t first, uint64_t n)
{
    struct totals totals = {0};
    for (uint64_t seed = first; seed < first + n; seed++) {
        const char *wrong = run_schedule(seed, BUG_NONE, false, &totals);
        if (wrong != NULL) {
            (void)printf("seed %" PRIu64 ": %s; replay: sim --seed %" PRIu64 "\n", seed, wrong,
                         seed);
            return false;
        }
    }
    (void)printf("%" PRIu64 " schedules, %" PRId64 " units, %" PRId64 " crashes, %" PRId64
                 " times in doubt, %" PRId64 " cancellations, %" PRId64
                 " holds: every unit exactly once\n",
                 n, totals.units, totals.crashes, totals.doubts, totals.cancels, totals.holds);
    return totals.holds > 0 || n < 1000;
}

static bool check_bug(enum bug bug)
{
    struct totals totals = {0};
    for (uint64_t seed = 1; seed <= BUG_SCHEDULES; seed++) {
        const char *wrong = run_schedule(seed, bug, false, &totals);
        if (wrong != NULL) {
            (void)printf("planted %-22s found by seed %5" PRIu64 ": %s\n", bug_names[bug], seed,
                         wrong);
            return true;
        }
    }
    (void)printf("planted %-22s NOT FOUND in %d schedules\n", bug_names[bug], BUG_SCHEDULES);
    return false;
}

static enum bug bug_from(const char *name)
{
    for (int i = 0; i < N_BUGS; i++) {
        if (strcmp(bug_names[i], name) == 0) {
            return (enum bug)i;
        }
    }
    return BUG_NONE;
}

static uint64_t number(const char *text, uint64_t if_missing)
{
    uint64_t n = 0;
    return text != NULL && span_to_uint64(span_of(text), &n) ? n : if_missing;
}

int main(int argc, char **argv)
{
    struct totals totals = {0};
    if (argc > 2 && strcmp(argv[1], "--seed") == 0) {
        enum bug bug = bug_from(argc > 3 ? argv[3] : "none");
        const char *wrong = run_schedule(number(argv[2], 1), bug, true, &totals);
        (void)printf("%s\n", wrong != NULL ? wrong : "every unit exactly once");
        return wrong != NULL;
    }
    bool is_ok = check_product(number(argc > 2 ? argv[2] : NULL, 1),
                               number(argc > 1 ? argv[1] : NULL, DEFAULT_SCHEDULES));
    for (int bug = BUG_NONE + 1; bug < N_BUGS; bug++) {
        is_ok = check_bug((enum bug)bug) && is_ok;
    }
    return is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
