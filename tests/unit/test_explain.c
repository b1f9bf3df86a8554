/* The lines of an EXPLAIN: levels, order, summary; and how numbers are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "scheduler/explain.h"

static void assert_line(const struct explain *e, size_t i, enum explain_level level,
                        const char *item, const char *text)
{
    assert_true(i < e->n);
    assert_int_equal(e->lines[i].level, level);
    assert_string_equal(e->lines[i].item, item);
    assert_string_equal(e->lines[i].text, text);
}

static void test_order(void **state)
{
    struct explain e = {.section = EXPLAIN_STATEMENT};
    struct explain more = {.section = EXPLAIN_NAME};
    (void)state;
    explain_add(&e, "c", "%d", 3);
    e.section = EXPLAIN_NAME;
    explain_warn(&e, "a", "1");
    explain_fail(&more, "b", "2");
    explain_move(&e, &more);
    assert_int_equal(more.n, 0);
    explain_move(&e, &more); /* nothing is left to move */
    explain_sum_up(&e, "fine", "not fine");
    explain_sort(&e);
    assert_int_equal(e.n, 4);
    assert_line(&e, 0, EXPLAIN_ERROR, "summary",
                "1 problem and 1 warning: not fine; see the lines marked ERROR");
    assert_line(&e, 1, EXPLAIN_WARNING, "a", "1");
    assert_line(&e, 2, EXPLAIN_ERROR, "b", "2");
    assert_line(&e, 3, EXPLAIN_FACT, "c", "3");
    explain_fini(&e);
    assert_int_equal(e.n, 0);
}

static void test_summary(void **state)
{
    struct explain e = {0};
    (void)state;
    explain_sum_up(&e, "fine", "not fine");
    assert_line(&e, 0, EXPLAIN_OK, "summary", "fine");
    explain_warn(&e, "a", "1");
    explain_warn(&e, "a", "2");
    explain_sum_up(&e, "fine", "not fine");
    assert_line(&e, 3, EXPLAIN_WARNING, "summary",
                "fine, with 2 warnings: see the lines marked WARNING");
    explain_fini(&e);
    explain_fail(&e, "a", "1");
    explain_fail(&e, "a", "2");
    explain_sum_up(&e, "fine", "not fine");
    assert_line(&e, 2, EXPLAIN_ERROR, "summary",
                "2 problems: not fine; see the lines marked ERROR");
    explain_fini(&e);
}

static void test_level_names(void **state)
{
    (void)state;
    assert_string_equal(explain_level_name(EXPLAIN_FACT), "");
    assert_string_equal(explain_level_name(EXPLAIN_OK), "OK");
    assert_string_equal(explain_level_name(EXPLAIN_WARNING), "WARNING");
    assert_string_equal(explain_level_name(EXPLAIN_ERROR), "ERROR");
}

static void test_numbers(void **state)
{
    static const struct {
        char *(*make)(int64_t);
        int64_t n;
        const char *text;
    } cases[] = {
        {explain_bytes, 0, "0 bytes"},
        {explain_bytes, 999, "999 bytes"},
        {explain_bytes, 1000, "1.0 kB (1000 bytes)"},
        {explain_bytes, 999949, "999.9 kB (999949 bytes)"},
        {explain_bytes, 999950, "1.0 MB (999950 bytes)"},
        {explain_bytes, 10737418240, "10.7 GB (10737418240 bytes)"},
        {explain_bytes, INT64_MAX, "9223.4 PB (9223372036854775807 bytes)"},
        {explain_span_ms, -5, "0 ms"},
        {explain_span_ms, 999, "999 ms"},
        {explain_span_ms, 59999, "59 s"},
        {explain_span_ms, 60000, "1 min"},
        {explain_span_ms, 185000, "3 min 5 s"},
        {explain_span_ms, 43200000, "12 h"},
        {explain_span_ms, 7860000, "2 h 11 min"},
        {explain_span_ms, INT64_C(277200000), "3 d 5 h"},
        {explain_time, INT64_C(1714564800123), "2024-05-01 12:00:00 UTC"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *text = cases[i].make(cases[i].n);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
