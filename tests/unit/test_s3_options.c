#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/s3_options.h"

#define P(k, v)                                                                                    \
    {                                                                                              \
        .key = (char *)(k), .value = (char *)(v)                                                   \
    }

static bool read_two(const struct spec_prop *props, size_t n, struct s3_options *ret,
                     struct err *err)
{
    struct job_spec spec = {.props = (struct spec_prop *)props, .n_props = n};
    return s3_options_read(&spec, ret, err);
}

static void test_defaults(void **state)
{
    struct s3_options o;
    struct err err = {0};
    (void)state;
    assert_true(read_two(NULL, 0, &o, &err));
    assert_false(o.is_tracked || o.is_pausing || o.is_one_time);
    assert_int_equal(o.overwritten, S3_OVERWRITTEN_IGNORE);
}

static void test_values(void **state)
{
    const struct spec_prop all[] = {P("S3.Discovery", "Tracked"), P("s3.overwritten", " RELOAD "),
                                    P("s3.bad_files", "pause"), P("s3.ingestion_mode", "one_time")};
    const struct spec_prop error[] = {P("s3.discovery", "tracked"), P("s3.overwritten", "error")};
    const struct spec_prop plain[] = {P("s3.discovery", "ordered"), P("s3.bad_files", "quarantine"),
                                      P("s3.ingestion_mode", "ordered_list")};
    struct s3_options o;
    struct err err = {0};
    (void)state;
    assert_true(read_two(all, ARRAY_SIZE(all), &o, &err));
    assert_true(o.is_tracked && o.is_pausing && o.is_one_time);
    assert_int_equal(o.overwritten, S3_OVERWRITTEN_RELOAD);
    assert_true(read_two(error, ARRAY_SIZE(error), &o, &err));
    assert_int_equal(o.overwritten, S3_OVERWRITTEN_ERROR);
    assert_true(read_two(plain, ARRAY_SIZE(plain), &o, &err));
    assert_false(o.is_tracked || o.is_pausing || o.is_one_time);
}

static void test_refused(void **state)
{
    static const struct {
        struct spec_prop props[3];
        const char *why;
    } CASES[] = {
        {{P("s3.discovery", "all")}, "s3.discovery must be ordered or tracked, but was all"},
        {{P("s3.discovery", "tracked"), P("s3.overwritten", "")},
         "s3.overwritten must be ignore, reload or error, but was "},
        {{P("s3.bad_files", "skip")}, "s3.bad_files must be quarantine or pause, but was skip"},
        {{P("s3.ingestion_mode", "ONCE")}, "Unsupported s3.ingestion_mode: ONCE"},
        {{P("s3.ingestion_mode", "NOTIFICATION")}, "Unsupported s3.ingestion_mode: NOTIFICATION"},
        {{P("s3.overwritten", "ignore")}, "s3.overwritten needs \"s3.discovery\" = \"tracked\""},
        {{P("s3.discovery", "tracked"), P("s3.overwritten", "error"), P("s3.bad_files", "pause")},
         "cannot be used with \"s3.bad_files\" = \"pause\""},
        {{P("s3.ingestion_mode", "ONE_TIME"), P("offset", "{}")},
         "offset is not supported when s3.ingestion_mode is ONE_TIME"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct s3_options o;
        struct err err = {0};
        size_t n = 0;
        while (n < 3 && CASES[i].props[n].key != NULL) {
            n++;
        }
        assert_false(read_two(CASES[i].props, n, &o, &err));
        if (strstr(err.msg, CASES[i].why) == NULL || strncmp(err.msg, "errCode = 2, ", 13) != 0) {
            fail_msg("%zu: %s", i, err.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
