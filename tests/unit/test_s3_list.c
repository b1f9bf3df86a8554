#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "sources/s3_list.h"
#include "sources/s3_time.h"

#define LIST(inside)                                                                               \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" inside                  \
    "</ListBucketResult>"
#define OBJECT(key, size)                                                                          \
    "<Contents><Key>" key "</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"            \
    "<ETag>&quot;abc&quot;</ETag><Size>" size "</Size><Owner><ID>o</ID></Owner></Contents>"
#define ENDED "<IsTruncated>false</IsTruncated>"

static bool parse(const char *xml, struct s3_page *ret, struct err *err)
{
    *err = (struct err){0};
    return s3_page_parse(span_of(xml), ret, err);
}

static void test_page(void **state)
{
    (void)state;
    struct err err;
    struct s3_page page = {0};
    assert_true(parse(LIST("<Name>b</Name><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"
                           "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>" OBJECT(
                               "a&amp;b.csv", "12") OBJECT("b+%41", "9223372036854775807")),
                      &page, &err));
    assert_int_equal(page.n_objects, 2);
    assert_true(page.is_truncated);
    assert_string_equal(page.objects[0].key, "a&b.csv");
    assert_string_equal(page.objects[0].etag, "abc");
    assert_int_equal(page.objects[0].size, 12);
    assert_true(page.objects[0].modified_ms == INT64_C(1767225600000));
    assert_string_equal(page.objects[1].key, "b+%41"); /* no EncodingType: taken as it is */
    assert_true(page.objects[1].size == INT64_MAX);
    assert_null(page.error_code);
    s3_page_fini(&page);
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } TIMES[] = {
        {"1970-01-01T00:00:01Z", 1000},
        {"2000-02-29T23:59:59.5Z", INT64_C(951868799500)},
        {"2024-12-31T12:34:56.789Z", INT64_C(1735648496789)},
        {"2100-03-01T00:00:00.123456Z", INT64_C(4107542400123)},
        {"", 0},
        {"2024-12-31", 0},
        {"2024-12-31T12:34:56", 0},
        {"2024-12-31T12:34:56.789", 0},
        {"2024-12-31T12:34:56+01:00", 0},
        {"2024-13-31T12:34:56Z", 0},
        {"2024-12-31T24:34:56Z", 0},
        {"2O24-12-31T12:34:56Z", 0},
        {"2024-12-31T12:34:56Zx", 0},
        {"0001-12-31T12:34:56Z", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(TIMES); i++) {
        if (s3_time_ms(span_of(TIMES[i].text)) != TIMES[i].ms) {
            fail_msg("%s: %lld", TIMES[i].text, (long long)s3_time_ms(span_of(TIMES[i].text)));
        }
    }
}

static void test_url_encoding(void **state)
{
    (void)state;
    struct err err;
    struct s3_page page = {0};
    assert_true(
        parse(LIST(OBJECT("a+b%2Bc%25%c3%A9%0A", "1") "<EncodingType>url</EncodingType>" ENDED),
              &page, &err));
    assert_string_equal(page.objects[0].key, "a b+c%\xc3\xa9\n");
    s3_page_fini(&page);
    static const char *const WRONG[] = {
        LIST("<EncodingType>url</EncodingType>" ENDED OBJECT("a%4", "1")),
        LIST("<EncodingType>url</EncodingType>" ENDED OBJECT("a%", "1")),
        LIST("<EncodingType>url</EncodingType>" ENDED OBJECT("a%zz", "1")),
        LIST("<EncodingType>url</EncodingType>" ENDED OBJECT("a%00b", "1")),
    };
    for (size_t i = 0; i < ARRAY_SIZE(WRONG); i++) {
        assert_false(parse(WRONG[i], &page, &err));
        assert_non_null(strstr(err.msg, "wrongly encoded"));
        assert_null(page.objects);
    }
}

static void test_error_document(void **state)
{
    (void)state;
    struct err err;
    struct s3_page page = {0};
    assert_true(parse("<?xml version='1.0'?><Error><Code> NoSuchBucket </Code><Message>m &lt; n"
                      "</Message><Region>eu-1</Region><Nested><Code>x</Code></Nested></Error>",
                      &page, &err));
    assert_string_equal(page.error_code, "NoSuchBucket");
    assert_string_equal(page.error_message, "m < n");
    assert_string_equal(page.error_region, "eu-1");
    s3_page_fini(&page);
    assert_true(parse("<Error/>", &page, &err));
    assert_string_equal(page.error_code, "unnamed");
    s3_page_fini(&page);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const PAIRS[][2] = {
        {"", "not complete XML"},
        {"<ListBucketResult>" ENDED, "not complete XML"},
        {LIST(ENDED) "<x/>", "not complete XML"},
        {"<html></html>", "neither a ListBucketResult nor an Error"},
        {LIST(""), "does not say IsTruncated"},
        {LIST("<IsTruncated>maybe</IsTruncated>"), "neither true nor false"},
        {LIST(ENDED "<Contents><Size>1</Size></Contents>"), "lacks its key or size"},
        {LIST(ENDED "<Contents><Key/><Size>1</Size></Contents>"), "lacks its key or size"},
        {LIST(ENDED "<Contents><Key>a</Key></Contents>"), "lacks its key or size"},
        {LIST(ENDED OBJECT("a", "-1")), "not a number"},
        {LIST(ENDED OBJECT("a", "99999999999999999999")), "not a number"},
        {"<!DOCTYPE a [<!ENTITY e \"x\">]>" LIST(ENDED), "DOCTYPE"},
        {"<!DOCTYPE Error SYSTEM \"file:///etc/passwd\"><Error><Code>&e;</Code></Error>",
         "DOCTYPE"},
        {LIST(ENDED "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a>"
                    "</a></a></a></a></a></a></a></a></a>"),
         "nested too deeply"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(PAIRS); i++) {
        struct err err;
        struct s3_page page = {0};
        assert_false(parse(PAIRS[i][0], &page, &err));
        if (strstr(err.msg, PAIRS[i][1]) == NULL) {
            fail_msg("%zu: %s", i, err.msg);
        }
        assert_int_equal(page.n_objects, 0);
    }
}

/* Cut anywhere, a list never passes for a shorter one. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    static const char XML[] = LIST(ENDED OBJECT("a", "1") OBJECT("b", "2"));
    for (size_t n = 0; n < sizeof(XML) - 1; n++) {
        struct err err = {0};
        struct s3_page page = {0};
        assert_false(s3_page_parse((struct span){XML, n}, &page, &err));
    }
}

static void test_caps(void **state)
{
    (void)state;
    struct err err;
    struct s3_page page = {0};
    struct buf b = buf_with_max(8 << 20);
    buf_append_text(&b, "<ListBucketResult>" ENDED);
    for (int i = 0; i <= S3_MAX_PAGE_OBJECTS; i++) {
        buf_printf(&b, OBJECT("k%06d", "1"), i);
    }
    buf_append_text(&b, "</ListBucketResult>");
    assert_false(parse(buf_text(&b), &page, &err));
    assert_non_null(strstr(err.msg, "more than 10000 objects"));
    buf_reset(&b);
    buf_append_text(&b, "<ListBucketResult>" ENDED "<Contents><Key>");
    for (int i = 0; i <= S3_MAX_TEXT; i++) {
        buf_append_char(&b, 'k');
    }
    buf_append_text(&b, "</Key><Size>1</Size></Contents></ListBucketResult>");
    assert_false(parse(buf_text(&b), &page, &err));
    assert_non_null(strstr(err.msg, "too long"));
    buf_fini(&b);
}

static void check(const char *xml, const char *prefix, const char *start_after, const char *why)
{
    struct err err;
    struct s3_page page = {0};
    assert_true(parse(xml, &page, &err));
    bool is_ok = s3_page_check(&page, span_of(prefix), start_after, &err);
    assert_true(is_ok == (why == NULL));
    if (why != NULL && strstr(err.msg, why) == NULL) {
        fail_msg("%s", err.msg);
    }
    s3_page_fini(&page);
}

static void test_check(void **state)
{
    (void)state;
    static const char AB[] = LIST(ENDED OBJECT("p/a", "1") OBJECT("p/b", "1"));
    check(AB, "p/", NULL, NULL);
    check(AB, "", "p/A", NULL);
    check(AB, "p/", "p/a", "not in byte order");
    check(AB, "p/", "p/c", "not in byte order");
    check(AB, "p/b", NULL, "does not begin with");
    check(LIST(ENDED OBJECT("b", "1") OBJECT("a", "1")), "", NULL, "not in byte order");
    check(LIST(ENDED OBJECT("a", "1") OBJECT("a", "1")), "", NULL, "not in byte order");
    /* U+FF5E before U+10437: byte order, which UTF-16 order is not. */
    check(LIST(ENDED OBJECT("\xef\xbd\x9e", "1") OBJECT("\xf0\x90\x90\xb7", "1")), "", NULL, NULL);
    check(LIST("<IsTruncated>true</IsTruncated>"), "", NULL, "no progress");
}

static void test_shown_key(void **state)
{
    (void)state;
    static const char *const PAIRS[][2] = {
        {"", ""},
        {"a b\xc3\xa9\xf0\x90\x90\xb7", "a b\xc3\xa9\xf0\x90\x90\xb7"},
        {"a\nb\x7f", "a%0Ab%7F"},
        {"a\xff\xc3", "a%FF%C3"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(PAIRS); i++) {
        char *shown = s3_shown_key(span_of(PAIRS[i][0]));
        assert_string_equal(shown, PAIRS[i][1]);
        free(shown);
    }
    char key[400];
    memset(key, '\n', sizeof(key));
    char *shown = s3_shown_key((struct span){key, sizeof(key)});
    assert_true(strlen(shown) <= 200);
    assert_string_equal(shown + strlen(shown) - 6, "%0A...");
    free(shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),      cmocka_unit_test(test_url_encoding),
        cmocka_unit_test(test_times),     cmocka_unit_test(test_error_document),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_caps),      cmocka_unit_test(test_check),
        cmocka_unit_test(test_shown_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
