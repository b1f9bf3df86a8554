/* The calendar, texts of times, and time zones: those of the database, and hand-made files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/tzif.h"
#include "proxy/viewtime.h"

/* Every day there is, against a count by hand. */
static void test_calendar(void **state)
{
    (void)state;
    int64_t days = viewtime_days(0, 1, 1);
    for (int year = 0; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= viewtime_month_days(year, month); day++, days++) {
                struct viewtime t;
                if (viewtime_days(year, month, day) != days ||
                    !viewtime_of_seconds(days * 86400 + 86399, &t) || t.year != year ||
                    t.month != month || t.day != day || t.hour != 23 || t.second != 59) {
                    fail_msg("%d-%d-%d", year, month, day);
                }
            }
        }
    }
    assert_int_equal(viewtime_days(1970, 1, 1), 0);
    assert_int_equal(viewtime_weekday(0), 3);
    assert_int_equal(viewtime_weekday(-1), 2);
    struct viewtime t;
    assert_false(viewtime_of_seconds(INT64_MAX, &t));
    assert_false(viewtime_of_seconds(INT64_MIN, &t));
}

static void test_texts(void **state)
{
    static const struct {
        const char *text;
        const char *shown; /* NULL: it is no time */
    } rows[] = {
        {"2026-11-22", "2026-11-22"},
        {"2026-11-22 10:20:30", "2026-11-22 10:20:30"},
        {"2026-11-22T10:20", "2026-11-22 10:20:00"},
        {"2026-11-22 10", "2026-11-22 10:00:00"},
        {" 2026-1-2 3:4:5 ", "2026-01-02 03:04:05"},
        {"2026/11/22", "2026-11-22"},
        {"20261122", "2026-11-22"},
        {"20261122102030", "2026-11-22 10:20:30"},
        {"2026-11-22 10:20:30.5", "2026-11-22 10:20:30.500000"},
        {"2026-11-22 10:20:30.1234567", "2026-11-22 10:20:30.123456"},
        {"2024-02-29", "2024-02-29"},
        {"2026-02-29", NULL},
        {"2026-00-10", NULL},
        {"2026-13-10", NULL},
        {"2026-11-22 24:00:00", NULL},
        {"2026-11-22 10:60:00", NULL},
        {"2026-11-22x", NULL},
        {"", NULL},
        {"\\N", NULL},
        {"2026", NULL},
        {"99999999999999", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct viewtime t;
        char text[VIEWTIME_TEXT_SIZE];
        bool is_ok = viewtime_parse(span_of(rows[i].text), &t);
        if (is_ok != (rows[i].shown != NULL)) {
            fail_msg("%s", rows[i].text);
        }
        if (is_ok) {
            viewtime_format(&t, text);
            assert_string_equal(text, rows[i].shown);
        }
    }
}

static void assert_zone(const char *name, int64_t utc_s, int64_t offset_s)
{
    struct viewzone *z = viewzone_create(name);
    if (z == NULL) {
        fail_msg("%s is not known", name);
    }
    if (viewzone_local_s(z, utc_s) - utc_s != offset_s) {
        fail_msg("%s: %d, not %d", name, (int)(viewzone_local_s(z, utc_s) - utc_s), (int)offset_s);
    }
    assert_int_equal(viewzone_utc_s(z, utc_s + offset_s), utc_s);
    viewzone_destroy(z);
}

static void test_zones(void **state)
{
    (void)state;
    assert_zone("+08:00", 0, 8 * 3600);
    assert_zone("-3:30", 0, -12600);
    assert_zone("Asia/Shanghai", 1763805600, 8 * 3600);
    assert_zone("asia/shanghai", 1763805600, 8 * 3600);
    assert_zone("CST", 1763805600, 8 * 3600);
    assert_zone("UTC", 1763805600, 0);
    assert_zone("America/New_York", 1763805600, -5 * 3600);
    assert_zone("America/New_York", 1751371200, -4 * 3600);
    assert_zone("Australia/Lord_Howe", 1763805600, 11 * 3600);
    assert_zone("Europe/Dublin", 1751371200, 3600);
    assert_zone("Asia/Kolkata", 1763805600, 19800);
    assert_zone("Asia/Shanghai", -2177452800 - 86400, 29143); /* 1900: local mean time */
    assert_zone("Europe/Berlin", INT64_C(4102444800), 3600);  /* 2100, by the rule */
    assert_zone("Europe/Berlin", INT64_C(4118083200), 7200);
}

static void test_zones_of_the_process(void **state)
{
    static const char *const names[] = {
        "SYSTEM",
        "system",
        "No/Such",
        "../../../etc/passwd",
        "/etc/localtime",
        "Asia//Shanghai",
        "",
        "+25:00",
        "+08:00x",
        "zone.tab",
        "Asia/",
        "Asia",
        "+08:60",
        "Asia/../Asia/Tokyo",
        "leapseconds",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct viewzone *z = viewzone_create(names[i]);
        if (z != NULL) {
            fail_msg("%s", names[i]);
        }
    }
    assert_null(viewzone_create(NULL));
    time_t now = 1763805600;
    struct tm parts;
    char expected[VIEWTIME_TEXT_SIZE];
    char text[VIEWTIME_TEXT_SIZE];
    assert_non_null(localtime_r(&now, &parts));
    assert_int_not_equal(strftime(expected, sizeof(expected), "%Y-%m-%d %H:%M:%S", &parts), 0);
    viewzone_format_ms(NULL, (int64_t)now * 1000 + 999, text);
    assert_string_equal(text, expected);
    viewzone_format_ms(NULL, INT64_MAX, text);
    assert_string_equal(text, "");
}

/* As glibc has it, hour by hour over years with a few changes of the law, and by the rule. */
static void test_against_libc(void **state)
{
    static const char *const names[] = {"America/New_York",  "Europe/London",
                                        "Asia/Tehran",       "America/Sao_Paulo",
                                        "Africa/Casablanca", "Australia/Sydney"};
    (void)state;
    _cleanup_free_ char *before = getenv("TZ") != NULL ? xstrdup(getenv("TZ")) : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct viewzone *z = viewzone_create(names[i]);
        assert_non_null(z);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int64_t utc_s = 0; utc_s < INT64_C(4200000000); utc_s += 3600 * 13 + 1) {
            time_t t = (time_t)utc_s;
            struct tm parts;
            assert_non_null(localtime_r(&t, &parts));
            if (viewzone_local_s(z, utc_s) - utc_s != parts.tm_gmtoff) {
                fail_msg("%s at %lld: %lld, not %ld", names[i], (long long)utc_s,
                         (long long)(viewzone_local_s(z, utc_s) - utc_s), parts.tm_gmtoff);
            }
        }
        viewzone_destroy(z);
    }
    assert_int_equal(before != NULL ? setenv("TZ", before, 1) : unsetenv("TZ"), 0);
    tzset();
}

static void test_rules(void **state)
{
    static const char *const good[] = {"CST-8",
                                       "EST5EDT,M3.2.0,M11.1.0",
                                       "<+03>-3",
                                       "IST-1GMT0,M10.5.0,M3.5.0/1",
                                       "XXX3YYY,J1/0,365/167",
                                       "<-0330>3:30:15"};
    static const char *const bad[] = {"",
                                      "8",
                                      "CS-8",
                                      "CST",
                                      "CST-8x",
                                      "<+03-3",
                                      "A1",
                                      "EST5EDT",
                                      "EST99",
                                      "EST5EDT,M13.1.0,M1.1.0",
                                      "EST5EDT,M3.2.0",
                                      "EST5EDT,M3.2.0,M11.1.0,",
                                      "EST5EDT,J0,J1",
                                      "EST5EDT,M3.6.0,M1.1.0"};
    struct tzif_rule rule;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        if (!tzif_parse_rule(span_of(good[i]), &rule)) {
            fail_msg("%s", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (tzif_parse_rule(span_of(bad[i]), &rule)) {
            fail_msg("%s", bad[i]);
        }
    }
}

/* A file of version 1 with one transition; every shorter one is none. */
static void test_cut_files(void **state)
{
    static const char file[] = "TZif\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0"
                               "\0\0\0\0"
                               "\0\0\0\0"
                               "\0\0\0\1"
                               "\0\0\0\2"
                               "\0\0\0\4"
                               "\0\0\0\12"
                               "\1"
                               "\0\0\0\0\0\0"
                               "\0\0\16\20\1\0"
                               "ABC\0";
    struct tzif t;
    size_t n = sizeof(file) - 1;
    (void)state;
    assert_true(tzif_parse((struct span){file, n}, &t));
    assert_int_equal(tzif_offset_s(&t, 9), 0);
    assert_int_equal(tzif_offset_s(&t, 10), 3600);
    for (size_t i = 0; i < n; i++) {
        assert_false(tzif_parse((struct span){file, i}, &t));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar),     cmocka_unit_test(test_texts),
        cmocka_unit_test(test_zones),        cmocka_unit_test(test_zones_of_the_process),
        cmocka_unit_test(test_against_libc), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
