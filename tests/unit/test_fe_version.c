#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/fe_version.h"

static void reads_the_number_behind_any_words(void **state)
{
    static const struct {
        const char *text;
        int version;
    } table[] = {
        {"Doris version doris-2.0.15-rc05-1ab9e1f0a1", 2000},
        {"Doris version doris-2.1.7-rc03-443e87e203", 2001},
        {"Doris version doris-3.0.4-rc02-e95bd1ee3b", 3000},
        {"Doris version doris-3.1.0-rc02", 3001},
        {"Doris version doris-4.0.1-rc02-791725594d", 4000},
        {"doris-4.1.0", 4001},
        {"Our cluster 7 version ours-4.0.1-rc02", 4000},
        {"SelectDB Core Version: 3.0.12", 3000},
        {"10.2.3", 10002},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        assert_int_equal(fe_version_parse(span_of(table[i].text)), table[i].version);
    }
}

static void is_zero_when_there_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "Doris version trunk",
        "Doris version doris-0.0.0--0b5a7e3c1f",
        "2.1",
        "2.1.",
        "2..1",
        "2021.1.1",
        "Debian 12",
        "99999999999999999999.1.1",
        ".2.1.7",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(fe_version_parse(span_of(texts[i])), 0);
    }
    assert_int_equal(fe_version_parse((struct span){.p = "2.1.7", .n = 4}), 0);
    assert_int_equal(fe_version_parse((struct span){0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_number_behind_any_words),
        cmocka_unit_test(is_zero_when_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
