/* Where a text of several statements is cut, and what is together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/script.h"
#include "parser/stmt.h"

/* "o" is ours. */
static bool is_o(struct span statement)
{
    struct lex lex = lex_of(statement);
    struct tok t = lex_next(&lex);
    return tok_is_word(&t, "o");
}

/* Parts as "ours[text]" and "fe[text]", the last one with a full stop. */
static char *parts_of(struct span text, script_claim_fn claim)
{
    struct script script = script_of(text, claim);
    struct script_part part = {0};
    struct buf out = buf_with_max(1 << 20);
    while (script_next(&script, &part)) {
        buf_printf(&out, "%s[%.*s]%s", part.is_ours ? "ours" : "fe", SPAN_ARG(part.text),
                   part.is_last ? "." : "");
    }
    assert_true(buf_ok(&out));
    return buf_take_text(&out);
}

static const struct {
    const char *text;
    const char *parts;
} rows[] = {
    {"", ""},
    {" ;; -- nothing", ""},
    {"o", "ours[o]."},
    {"o;", "ours[o]."},
    {"a", "fe[a]."},
    {"a;b ; c;", "fe[a;b ; c]."},
    {"a; o; b", "fe[a]ours[o]fe[b]."},
    {"o;o", "ours[o]ours[o]."},
    {"a;b;o ;c;d", "fe[a;b]ours[o ]fe[c;d]."},
    {" /* x */ a -- y\n; o", "fe[/* x */ a -- y\n]ours[o]."},
    {"/* x */ o; /* z */", "ours[o]."},
    {"o; /* c */ ; a", "ours[o]fe[a]."},
    {"o; -- c\n a", "ours[o]fe[-- c\n a]."},
    {"a;; ;b; o", "fe[a;; ;b]ours[o]."},
    {"a ';o;' `;o;` \";o;\" /* ;o; */ -- ;o;\n; o", "fe[a ';o;' `;o;` \";o;\" /* ;o; */ -- ;o;\n]"
                                                    "ours[o]."},
    {"a; 'open; o", "fe[a; 'open; o]."},
    {"o; /* open; o", "ours[o]fe[/* open; o]."},
    {"BEGIN; o; COMMIT", "fe[BEGIN]ours[o]fe[COMMIT]."},
    {"BEGIN WORK; o", "fe[BEGIN WORK]ours[o]."},
    {"BEGIN x; o; END; o", "fe[BEGIN x; o; END; o]."},
    {"o; CREATE OR REPLACE PROCEDURE p() BEGIN o; END; o",
     "ours[o]fe[CREATE OR REPLACE PROCEDURE p() BEGIN o; END; o]."},
    {"create definer = a@b function f o; o", "fe[create definer = a@b function f o; o]."},
    {"CREATE TABLE procedure (a INT); o", "fe[CREATE TABLE procedure (a INT)]ours[o]."},
    {"a; DECLARE x; o", "fe[a; DECLARE x; o]."},
};

static void test_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *parts = parts_of(span_of(rows[i].text), is_o);
        assert_string_equal(parts, rows[i].parts);
    }
    _cleanup_free_ char *with_nul = parts_of((struct span){"a;o\0\0", 5}, is_o);
    assert_string_equal(with_nul, "fe[a]ours[o].");
}

static void test_real_statements(void **state)
{
    (void)state;
    _cleanup_free_ char *parts = parts_of(
        SPAN_LIT("USE shop; PAUSE JOB WHERE jobName = 'x;y' ; SELECT 'jobs()'; SELECT * FROM "
                 "jobs(\"type\"=\"insert\"); SELECT * FROM jobs(\"type\"=\"mv\")"),
        stmt_claims);
    assert_string_equal(parts, "fe[USE shop]ours[PAUSE JOB WHERE jobName = 'x;y' ]"
                               "fe[SELECT 'jobs()']ours[SELECT * FROM jobs(\"type\"=\"insert\")]"
                               "fe[SELECT * FROM jobs(\"type\"=\"mv\")].");
}

/* Many empty and many small statements: linear, no recursion. */
static void test_many(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf text = buf_with_max(1 << 20);
    for (int i = 0; i < 100000; i++) {
        buf_append_text(&text, i % 2 == 0 ? "o;;" : "a;");
    }
    struct script script = script_of(buf_span(&text), is_o);
    struct script_part part = {0};
    size_t n = 0;
    while (script_next(&script, &part)) {
        assert_int_equal(part.is_ours, n % 2 == 0);
        n++;
    }
    assert_int_equal(n, 100000);
    assert_true(part.is_last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_real_statements),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
