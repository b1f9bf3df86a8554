#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/kill_decide.h"

enum { USER = 4, HOST = 2, BUSY = 1 };

struct party {
    size_t backend;
    unsigned bits;
};

/* The session that kills is at FE 0. `first` and `second` are indices into parties. */
static const struct {
    const char *name;
    size_t n;
    struct party parties[4];
    enum kill_action wanted;
    size_t first, second;
} cases[] = {
    {"unknown here: the FE may know it", 0, {{0}}, KILL_FORWARD, 0, 0},
    {"ours, at our FE", 1, {{0, USER}}, KILL_FORWARD, 0, 0},
    {"another user's, at our FE: the FE decides", 1, {{0, 0}}, KILL_FORWARD, 0, 0},
    {"ours, at another FE", 1, {{1, USER}}, KILL_REMOTE, 0, 0},
    {"another user's, at another FE", 1, {{2, HOST | BUSY}}, KILL_REMOTE, 0, 0},
    {"both: the same user's counts, here", 2, {{0, USER}, {1, HOST | BUSY}}, KILL_FORWARD, 0, 0},
    {"both: the same user's counts, there", 2, {{0, HOST | BUSY}, {1, USER}}, KILL_REMOTE, 1, 0},
    {"same user: the host", 2, {{0, USER | BUSY}, {1, USER | HOST}}, KILL_REMOTE, 1, 0},
    {"same user: the host, here", 2, {{1, USER | BUSY}, {0, USER | HOST}}, KILL_FORWARD, 0, 0},
    {"same user and host: busy, there (Ctrl-C)",
     2,
     {{0, USER | HOST}, {1, USER | HOST | BUSY}},
     KILL_REMOTE,
     1,
     0},
    {"same user and host: busy, here",
     2,
     {{0, USER | HOST | BUSY}, {1, USER | HOST}},
     KILL_FORWARD,
     0,
     0},
    {"alike: nobody can tell", 2, {{0, USER | HOST}, {1, USER | HOST}}, KILL_AMBIGUOUS, 0, 1},
    {"alike elsewhere", 2, {{2, USER | BUSY}, {1, USER | BUSY}}, KILL_AMBIGUOUS, 0, 1},
    {"alike, but a third is better", 3, {{0, HOST}, {1, HOST}, {2, USER}}, KILL_REMOTE, 2, 0},
    {"the better one first", 3, {{2, USER}, {0, HOST}, {1, HOST}}, KILL_REMOTE, 0, 0},
    {"alike at one FE: its number is one", 2, {{1, USER}, {1, USER}}, KILL_REMOTE, 0, 0},
    {"alike, twice", 3, {{0, USER}, {1, USER}, {2, USER}}, KILL_AMBIGUOUS, 0, 2},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kill_party parties[4];
        size_t first = 0;
        size_t second = 0;
        for (size_t k = 0; k < cases[i].n; k++) {
            unsigned bits = cases[i].parties[k].bits;
            parties[k] = (struct kill_party){
                .backend = cases[i].parties[k].backend,
                .is_same_user = (bits & USER) != 0,
                .is_same_host = (bits & HOST) != 0,
                .is_busy = (bits & BUSY) != 0,
            };
        }
        print_message("%s\n", cases[i].name);
        assert_int_equal(kill_decide(parties, cases[i].n, 0, &first, &second), cases[i].wanted);
        assert_int_equal(first, cases[i].first);
        assert_int_equal(second, cases[i].second);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
