/*
 * Random schedules against step(): README.md says what is modelled and what the oracle wants.
 *
 *     sim [N [FIRST]]         N schedules from seed FIRST on; then each planted bug must be found
 *     sim --only N [FIRST]    the schedules alone
 *     sim --seed S [BUG]      one schedule, told step by step
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "tests/sim/schedule.h"

enum {
    DEFAULT_SCHEDULES = 100000,
    BUG_SCHEDULES = 20000,
    SEEN_BY = 1000, /* so many schedules must contain a little of everything */
};

static void print_counts(const struct counts *c)
{
    (void)printf("%" PRId64 " files, %" PRId64 " steps, %" PRId64 " crashes, %" PRId64
                 " takeovers, %" PRId64 " frozen owners, %" PRId64 " stale writes, %" PRId64
                 " times in doubt, %" PRId64 " resolved, %" PRId64 " cancellations, %" PRId64
                 " holds, %" PRId64 " alterations, %" PRId64 " changed sources, %" PRId64
                 " rolled back, %" PRId64 " times files set aside, %" PRId64 " retried, %" PRId64
                 " unseen bursts, %" PRId64 " refused writes that were made, %" PRId64
                 " automatic resumes, %" PRId64 " jobs dropped, %" PRId64
                 " overwritten files, %" PRId64 " times the offset table emptied\n",
                 c->files, c->steps, c->crashes, c->takeovers, c->zombies, c->stale, c->doubts,
                 c->resolved, c->cancels, c->holds, c->alters, c->changed, c->rolled_back, c->aside,
                 c->retried, c->untold, c->ghosts, c->autos, c->drops, c->overwritten, c->emptied);
}

/* A model that never does what it is made for would pass, too. */
static bool has_seen_all(const struct counts *c)
{
    const int64_t all[] = {c->files,   c->crashes,     c->takeovers, c->zombies,     c->stale,
                           c->doubts,  c->resolved,    c->cancels,   c->holds,       c->alters,
                           c->changed, c->rolled_back, c->aside,     c->retried,     c->untold,
                           c->ghosts,  c->autos,       c->drops,     c->overwritten, c->emptied};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] == 0) {
            (void)printf("the schedules never contained what is counted %zuth\n", i + 1);
            return false;
        }
    }
    return true;
}

static bool check_product(uint64_t first, uint64_t n)
{
    struct counts counts = {0};
    for (uint64_t seed = first; seed < first + n; seed++) {
        const char *wrong = schedule_run(seed, BUG_NONE, false, &counts);
        if (wrong != NULL) {
            (void)printf("seed %" PRIu64 ": %s; see it with: sim --seed %" PRIu64 "\n", seed, wrong,
                         seed);
            return false;
        }
    }
    (void)printf("%" PRIu64 " schedules from seed %" PRIu64 ": every file exactly once; ", n,
                 first);
    print_counts(&counts);
    return n < SEEN_BY || has_seen_all(&counts);
}

static bool check_bug(enum bug bug)
{
    struct counts counts = {0};
    for (uint64_t seed = 1; seed <= BUG_SCHEDULES; seed++) {
        const char *wrong = schedule_run(seed, bug, false, &counts);
        if (wrong != NULL && !schedule_is_stuck(wrong)) {
            (void)printf("planted %-22s found by seed %5" PRIu64 ": %s\n", bug_names[bug], seed,
                         wrong);
            return true;
        }
    }
    (void)printf("planted %-22s NOT FOUND in %d schedules\n", bug_names[bug], BUG_SCHEDULES);
    return false;
}

static uint64_t number(const char *text, uint64_t if_missing)
{
    uint64_t n = 0;
    return text != NULL && span_to_uint64(span_of(text), &n) ? n : if_missing;
}

static int tell_seed(const char *seed, const char *bug_name)
{
    struct counts counts = {0};
    enum bug bug = bug_name != NULL ? bug_from(bug_name) : BUG_NONE;
    if (bug == N_BUGS) {
        (void)printf("there is no planted bug %s\n", bug_name);
        return EXIT_FAILURE;
    }
    const char *wrong = schedule_run(number(seed, 1), bug, true, &counts);
    (void)printf("%s\n", wrong != NULL ? wrong : "every file exactly once");
    return wrong != NULL ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--seed") == 0) {
        return tell_seed(argv[2], argc > 3 ? argv[3] : NULL);
    }
    bool is_only = argc > 2 && strcmp(argv[1], "--only") == 0;
    int at = is_only ? 2 : 1;
    bool is_ok = check_product(number(argc > at + 1 ? argv[at + 1] : NULL, 1),
                               number(argc > at ? argv[at] : NULL, DEFAULT_SCHEDULES));
    for (int bug = BUG_NONE + 1; bug < N_BUGS && !is_only; bug++) {
        is_ok = check_bug((enum bug)bug) && is_ok;
    }
    return is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
