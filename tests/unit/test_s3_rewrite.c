#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "sources/s3_rewrite.h"

static const char LIST_RANGE[] = "{\"form\":\"list\",\"dir\":\"in/\",\"files\":["
                                 "{\"key\":\"in/a.csv\",\"etag\":\"x\",\"size\":1},"
                                 "{\"key\":\"in/it's \\\"b\\\".csv\",\"etag\":\"x\",\"size\":1}]}";

/* A statement cut in pieces: <before> LABEL <between> URI <behind>. */
struct pieces {
    const char *before;
    const char *label; /* what the user wrote, "" for nothing */
    const char *between;
    const char *uri; /* the literal */
    const char *behind;
};

static void make(const struct pieces *p, struct insert_spec *insert, struct spec_prop *uri)
{
    *insert = (struct insert_spec){
        .sql = xasprintf("%s%s%s%s%s", p->before, p->label, p->between, p->uri, p->behind)};
    insert->sql_len = strlen(insert->sql);
    insert->label_at = strlen(p->before);
    insert->label_end = insert->label_at + strlen(p->label);
    *uri = (struct spec_prop){.value_at = insert->label_end + strlen(p->between)};
    uri->value_end = uri->value_at + strlen(p->uri);
}

static void expect(const struct pieces *p, const char *range, const char *label,
                   const char *expected)
{
    struct insert_spec insert;
    struct spec_prop uri;
    struct err err = {0};
    make(p, &insert, &uri);
    char *sql = s3_rewrite(&insert, &uri, SPAN_LIT("s3://b/"), range, label, &err);
    assert_non_null(sql);
    assert_string_equal(sql, expected);
    free(sql);
    free(insert.sql);
}

static void test_list(void **state)
{
    (void)state;
    struct pieces p = {"INSERT INTO db.t", "", " (a) SELECT * FROM S3('uri' = ", "'s3://b/in/*'",
                       ", 'format'='csv')"};
    expect(&p, LIST_RANGE, "7_1",
           "INSERT INTO db.t WITH LABEL `7_1` (a) SELECT * FROM S3('uri' = "
           "'s3://b/in/{a.csv,it''s \"b\".csv}', 'format'='csv')");
    expect(&p, LIST_RANGE, NULL,
           "INSERT INTO db.t (a) SELECT * FROM S3('uri' = "
           "'s3://b/in/{a.csv,it''s \"b\".csv}', 'format'='csv')");
    p.uri = "\"s3://b/in/*\"";
    p.label = " with label `mine`";
    expect(&p, LIST_RANGE, "7_1",
           "INSERT INTO db.t WITH LABEL `7_1` (a) SELECT * FROM S3('uri' = "
           "\"s3://b/in/{a.csv,it's \"\"b\"\".csv}\", 'format'='csv')");
    expect(&p, LIST_RANGE, "",
           "INSERT INTO db.t (a) SELECT * FROM S3('uri' = "
           "\"s3://b/in/{a.csv,it's \"\"b\"\".csv}\", 'format'='csv')");
    expect(&p, LIST_RANGE, NULL,
           "INSERT INTO db.t with label `mine` (a) SELECT * FROM S3('uri' = "
           "\"s3://b/in/{a.csv,it's \"\"b\"\".csv}\", 'format'='csv')");
}

static void test_exact(void **state)
{
    (void)state;
    struct pieces p = {"INSERT INTO t", "", " SELECT * FROM S3(\"uri\"=", "\"s3://b/in/*\"", ")"};
    expect(&p, "{\"form\":\"exact\",\"pattern\":\"in/a\\\\*\",\"files\":[{\"key\":\"in/a*\"}]}",
           "l", "INSERT INTO t WITH LABEL `l` SELECT * FROM S3(\"uri\"=\"s3://b/in/a\\\\*\")");
}

static void test_uri_before_label(void **state)
{
    (void)state;
    struct pieces p = {"WITH c AS (SELECT * FROM S3('uri'=", "'u'", ")) INSERT INTO t", "",
                       " SELECT * FROM c"};
    struct insert_spec insert;
    struct spec_prop uri;
    struct err err = {0};
    make(&p, &insert, &uri);
    size_t label_at = uri.value_at;
    uri.value_at = insert.label_at;
    uri.value_end = insert.label_end;
    insert.label_at = insert.label_end = label_at;
    char *sql = s3_rewrite(&insert, &uri, SPAN_LIT("s3://b/"), LIST_RANGE, "l", &err);
    assert_string_equal(sql, "WITH c AS (SELECT * FROM S3('uri'="
                             "'s3://b/in/{a.csv,it''s \"b\".csv}')) INSERT INTO t WITH LABEL `l` "
                             "SELECT * FROM c");
    free(sql);
    free(insert.sql);
}

static void test_damaged_ranges(void **state)
{
    (void)state;
    static const char *const RANGES[] = {
        "",
        "[]",
        "{}",
        "{\"form\":\"list\"}",
        "{\"form\":\"list\",\"dir\":\"d/\",\"files\":[]}",
        "{\"form\":\"list\",\"dir\":\"d/\",\"files\":[{\"key\":\"x/a\"}]}",
        "{\"form\":\"list\",\"dir\":\"d/\",\"files\":[{}]}",
        "{\"form\":\"list\",\"dir\":\"d/\",\"files\":[7]}",
        "{\"form\":\"exact\"}",
        "{\"form\":\"exact\",\"pattern\":\"\"}",
        "{\"form\":\"other\",\"pattern\":\"a\"}",
        "{\"form\":\"exact\",\"pattern\":7}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(RANGES); i++) {
        struct err err = {0};
        assert_null(s3_range_pattern(RANGES[i], &err));
        assert_non_null(strstr(err.msg, "damaged"));
    }
}

/* ---- property: only the two places change, and the literal reads back as the uri ---- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

/* n bytes, all values but NUL, quotes and backslashes often. */
static char *random_text(uint32_t *seed, size_t max)
{
    static const char OFTEN[] = "'\"\\`,{}*() \n";
    size_t n = next_random(seed) % (uint32_t)(max + 1);
    char *text = xcalloc(1, n + 1);
    for (size_t i = 0; i < n; i++) {
        uint32_t r = next_random(seed);
        text[i] = r % 2 == 0 ? OFTEN[r / 2 % (sizeof(OFTEN) - 1)] : (char)(1 + r / 2 % 255);
    }
    return text;
}

/* As Doris reads a string literal: doubled quotes first, then backslashes. */
static char *read_literal(struct span literal)
{
    struct buf b = buf_with_max(1 << 16);
    char quote = literal.p[0];
    for (size_t i = 1; i + 1 < literal.n; i++) {
        char c = literal.p[i];
        if (c == quote || c == '\\') {
            assert_true(i + 2 < literal.n && literal.p[i + 1] == c); /* the literal must not end */
            i++;
        }
        buf_append_char(&b, c);
    }
    return buf_take_text(&b);
}

static void check_random(uint32_t seed)
{
    char *parts[4];
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        parts[i] = random_text(&seed, 40);
    }
    struct pieces p = {parts[0], "", parts[1], seed % 2 == 0 ? "'old'" : "\"old\"", parts[2]};
    struct insert_spec insert;
    struct spec_prop uri;
    struct err err = {0};
    make(&p, &insert, &uri);
    struct span head = span_of(parts[3]);
    char *sql = s3_rewrite(&insert, &uri, head, LIST_RANGE, "1_2", &err);
    char *expected_head = xasprintf("%s WITH LABEL `1_2`%s", p.before, p.between);
    size_t n = strlen(sql);
    size_t n_head = strlen(expected_head);
    size_t n_tail = strlen(p.behind);
    assert_true(n > n_head + n_tail + 2);
    assert_memory_equal(sql, expected_head, n_head);
    assert_memory_equal(sql + n - n_tail, p.behind, n_tail);
    struct span literal = span_between(sql + n_head, sql + n - n_tail);
    assert_true(literal.p[0] == p.uri[0] && literal.p[literal.n - 1] == p.uri[0]);
    char *value = read_literal(literal);
    char *expected = xasprintf("%sin/{a.csv,it's \"b\".csv}", parts[3]);
    assert_string_equal(value, expected);
    free(value);
    free(expected);
    free(expected_head);
    free(sql);
    free(insert.sql);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        free(parts[i]);
    }
}

static void test_nothing_else_changes(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 5000; seed++) {
        check_random(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_uri_before_label),
        cmocka_unit_test(test_damaged_ranges),
        cmocka_unit_test(test_nothing_else_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
