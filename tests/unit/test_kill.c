#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "parser/kill.h"

static void test_ours(void **state)
{
    static const struct {
        const char *sql;
        bool is_query;
        uint32_t id;
    } cases[] = {
        {"KILL 7", false, 7},
        {"kill connection 7", false, 7},
        {"Kill Query 4294967295", true, UINT32_MAX},
        {"KILL QUERY 0;", true, 0},
        {" ; KILL\n12 ; ; ", false, 12},
        {"/* x */ KILL /* KILL 8 */ QUERY -- 9\n 7 # end", true, 7},
        {"KILL 007", false, 7},
        {"/*+ hint */KILL 7", false, 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kill_stmt found = {0};
        print_message("%s\n", cases[i].sql);
        assert_true(kill_parse(span_of(cases[i].sql), &found));
        assert_int_equal(found.is_query, cases[i].is_query);
        assert_int_equal(found.id, cases[i].id);
    }
}

static void test_foreign(void **state)
{
    static const char *const cases[] = {
        "",
        ";",
        "KILL",
        "KILL QUERY",
        "KILL CONNECTION",
        "KILL -1",
        "KILL +1",
        "KILL 1.0",
        "KILL 1e3",
        "KILL 4294967296",
        "KILL 99999999999999999999999",
        "KILL '7'",
        "KILL QUERY \"a-query-id\"",
        "KILL 7 8",
        "KILL 7; SELECT 1",
        "KILL 7; KILL 8",
        "KILL @id",
        "KILL CONNECTION_ID()",
        "KILL QUERY CONNECTION 7",
        "KILL CONNECTION QUERY 7",
        "KILL HARD CONNECTION 7",
        "KILL USER u",
        "KILLALL 7",
        "`KILL` 7",
        "SELECT 'KILL 7'",
        "EXPLAIN KILL 7",
        "KILL 7 /* never ends",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kill_stmt found = {.id = 42};
        print_message("%s\n", cases[i]);
        assert_false(kill_parse(span_of(cases[i]), &found));
        assert_int_equal(found.id, 42);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
