/* Placeholders, values in their place, and what is UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "parser/lex.h"
#include "parser/params.h"
#include "parser/utf8.h"

static void test_count(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {
        {"", 0},          {"?", 1},           {"? ,?", 2},     {"'?' \"?\" `?` -- ?\n ?", 1},
        {"/* ? */ ?", 1}, {"a?b", 1},         {"'a''?' ?", 1}, {"'\\'?' ?", 1},
        {"# ?\n?", 1},    {"R'\\' ? '?'", 1}, {"'open ?", 0},  {"? 'open ?", 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(params_count(span_of(rows[i].text)), rows[i].n);
    }
}

static void test_put(void **state)
{
    static const struct {
        const char *text;
        const char *expected; /* with -1 in the place of the '?' */
    } rows[] = {
        {"a = ?", "a = -1"},   {"a=?", "a=-1"},           {"?", "-1"},
        {"(?)", "(-1)"},       {"LIMIT?", "LIMIT -1"},    {"?AS x", "-1 AS x"},
        {"5-?-2", "5- -1 -2"}, {"'a'?'b'", "'a' -1 'b'"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf out = buf_with_max(100);
        struct span text = span_of(rows[i].text);
        size_t at = params_next(text, 0);
        params_put(text, 0, at, SPAN_LIT("-1"), &out);
        buf_append(&out, text.p + at + 1, text.n - at - 1);
        assert_string_equal(buf_text(&out), rows[i].expected);
        buf_fini(&out);
    }
}

/* The lexer reads a quoted value back as these very bytes. */
static void test_quote(void **state)
{
    static const struct span rows[] = {
        {"", 0},         {"it's", 4},     {"\\", 1},       {"\\'", 2},  {"a\0b", 3},
        {"\"?\"", 3},    {"\xc3\xa9", 2}, {"\n\r\t\b", 4}, {"'''", 3},  {"\\0\\n", 4},
        {"\xff\xfe", 2}, {"x\\%\\_", 5},  {"\032", 1},     {"%\\%", 3},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_buf_ struct buf out = buf_with_max(100);
        params_quote(rows[i], &out);
        buf_append_text(&out, " = 1");
        struct lex lex = lex_of(buf_span(&out));
        struct tok t = lex_next(&lex);
        size_t n = 0;
        assert_int_equal(t.kind, TOK_STRING);
        assert_int_equal(tok_end(&t), out.len - 4);
        _cleanup_free_ char *back = tok_unquote(&t, &n);
        assert_int_equal(n, rows[i].n);
        assert_memory_equal(back, rows[i].p, n);
    }
}

static void test_sample(void **state)
{
    _cleanup_buf_ struct buf out = buf_with_max(200);
    (void)state;
    params_sample(SPAN_LIT("SELECT ? '?' FROM jobs(\"type\"=?) LIMIT ? OFFSET ? -- ?"), &out);
    assert_string_equal(buf_text(&out),
                        "SELECT 'insert' '?' FROM jobs(\"type\"='insert') LIMIT 1 OFFSET 1 -- ?");
    buf_reset(&out);
    params_sample(SPAN_LIT("ALTER JOB j RESOLVE TASK ? AS COMMITTED 'open ?"), &out);
    assert_string_equal(buf_text(&out), "ALTER JOB j RESOLVE TASK 1 AS COMMITTED 'open ?");
    buf_reset(&out);
    params_sample(SPAN_LIT("CANCEL TASK WHERE taskid=? AND jobName=? AND `TaskId` == ?"), &out);
    assert_string_equal(buf_text(&out),
                        "CANCEL TASK WHERE taskid=1 AND jobName='insert' AND `TaskId` == 1");
    buf_reset(&out);
    params_sample((struct span){NULL, 0}, &out);
    assert_int_equal(out.len, 0);
}

static void test_utf8(void **state)
{
    static const struct {
        struct span text;
        size_t valid;
    } rows[] = {
        {{"", 0}, 0},
        {{"ab\0c", 4}, 4},
        {{"\xc3\xa9\xe5\xa4\xa7\xf0\x9f\x98\x80", 9}, 9},
        {{"a\xe9", 2}, 1},
        {{"\xc3", 1}, 0},
        {{"ab\xe5\xa4", 4}, 2},
        {{"\xc0\x80", 2}, 0},     /* too long for what it says */
        {{"\xe0\x9f\x80", 3}, 0}, /* the same */
        {{"\xed\xa0\x80", 3}, 0}, /* a surrogate */
        {{"\xed\x9f\xbf", 3}, 3},
        {{"\xf0\x8f\x80\x80", 4}, 0}, /* too long */
        {{"\xf4\x8f\xbf\xbf", 4}, 4},
        {{"\xf4\x90\x80\x80", 4}, 0}, /* beyond U+10FFFF */
        {{"\xf5\x80\x80\x80", 4}, 0},
        {{"\x80", 1}, 0},
        {{"\xff", 1}, 0},
        {{"\xe5\x41\x41", 3}, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(utf8_valid(rows[i].text), rows[i].valid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),  cmocka_unit_test(test_put),  cmocka_unit_test(test_quote),
        cmocka_unit_test(test_sample), cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
