/* The tokenizer: each text against the tokens Doris's lexer cuts it into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/lex.h"

enum { MAX_TEXT = 4096 };

static const char *const KIND_NAMES[] = {
    [TOK_END] = "end", [TOK_WORD] = "w",   [TOK_QUOTED] = "q", [TOK_STRING] = "s",
    [TOK_INT] = "i",   [TOK_NUMBER] = "n", [TOK_OP] = "o",     [TOK_ERROR] = "error",
};

/* kind:text of every token, separated by blanks. */
static void describe(struct span text, struct buf *out)
{
    struct lex lex = lex_of(text);
    for (;;) {
        struct tok t = lex_next(&lex);
        if (t.kind == TOK_END) {
            assert_int_equal(lex_next(&lex).kind, TOK_END);
            return;
        }
        buf_printf(out, "%s%s:%.*s", out->len > 0 ? " " : "", KIND_NAMES[t.kind], SPAN_ARG(t.text));
        if (t.kind == TOK_ERROR) {
            assert_int_equal(lex_next(&lex).kind, TOK_ERROR);
            return;
        }
    }
}

static const struct {
    const char *text;
    const char *tokens;
} TOKENS[] = {
    {"", ""},
    {"  \t\r\n", ""},
    {"select a", "w:select w:a"},
    {"a$b _c \xc3\xa9t\xc3\xa9", "w:a$b w:_c w:\xc3\xa9t\xc3\xa9"},
    /* numbers, and words that begin like one */
    {"1 12 007", "i:1 i:12 i:007"},
    {"1.5 .5 1. 1e3 1.5E-3 1e+3", "n:1.5 n:.5 n:1. n:1e3 n:1.5E-3 n:1e+3"},
    {"1L 2s 3Y 4BD", "n:1L n:2s n:3Y n:4BD"},
    {"1e 1a 0x1F 12Lx 1e3x", "w:1e w:1a w:0x1F w:12Lx w:1e3x"},
    {"1.5x", "i:1 o:. w:5x"},
    {"db.1t", "w:db o:. w:1t"},
    {"a.b.c", "w:a o:. w:b o:. w:c"},
    {"-5", "o:- i:5"},
    /* strings */
    {"'a' \"b\"", "s:'a' s:\"b\""},
    {"'a''b' \"a\"\"b\"", "s:'a''b' s:\"a\"\"b\""},
    {"'a\\'b' \"\\\"\" '\\\\'", "s:'a\\'b' s:\"\\\"\" s:'\\\\'"},
    {"'a\"b' \"a'b\"", "s:'a\"b' s:\"a'b\""},
    {"'' \"\"", "s:'' s:\"\""},
    {"'a;b--c/*d*/#e'", "s:'a;b--c/*d*/#e'"},
    {"R'a\\' r\"b\\\"", "s:R'a\\' s:r\"b\\\""},
    {"xr'a'", "w:xr s:'a'"},
    {"'a' 'b'", "s:'a' s:'b'"},
    /* quoted names */
    {"`a b` `a``b` `'` ``", "q:`a b` q:`a``b` q:`'` q:``"},
    {"`a\\`", "q:`a\\`"},
    /* comments */
    {"a -- b\nc", "w:a w:c"},
    {"a --b\nc", "w:a w:c"},
    {"a--", "w:a"},
    {"a - -b", "w:a o:- o:- w:b"},
    {"-- a \\\n b\nc", "w:c"},
    {"-- a\rb # c\rd --\r\ne", "w:b w:d w:e"},
    {"-- a \\\r\nb -- \\\n c\rd --\\", "w:b w:d"},
    {"a # b\nc", "w:a w:c"},
    {"a/* b */c", "w:a w:c"},
    {"/* a /* b */ c */d", "w:d"},
    {"/*+ SET_VAR(a=1) */a", "w:a"},
    {"/*! a */b", "w:b"},
    {"/**/a/***/b", "w:a w:b"},
    {"/*'*/a", "w:a"},
    {"a / b * c", "w:a o:/ w:b o:* w:c"},
    /* operators */
    {"a<=>b<>c!=d", "w:a o:<=> w:b o:<> w:c o:!= w:d"},
    {"<= >= < > = == !< !>", "o:<= o:>= o:< o:> o:= o:== o:!< o:!>"},
    {"&& || & | ! ~ ^ %", "o:&& o:|| o:& o:| o:! o:~ o:^ o:%"},
    {"@@a @b :c := -> ... ?", "o:@@ w:a o:@ w:b o:: w:c o::= o:-> o:... o:?"},
    {"f(a,b);", "w:f o:( w:a o:, w:b o:) o:;"},
    {"[a]{b}\\", "o:[ w:a o:] o:{ w:b o:} o:\\"},
    /* what never ends */
    {"a 'b", "w:a error:'b"},
    {"a \"b\\\"", "w:a error:\"b\\\""},
    {"'a\\", "error:'a\\"},
    {"'a''", "error:'a''"},
    {"a `b``", "w:a error:`b``"},
    {"R'a", "error:R'a"},
    {"a /* b", "w:a error:/* b"},
    {"/* /* */ a", "error:/* /* */ a"},
    {"/*/", "error:/*/"},
};

static void test_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(TOKENS); i++) {
        _cleanup_buf_ struct buf out = buf_with_max(MAX_TEXT);
        describe(span_of(TOKENS[i].text), &out);
        assert_string_equal(buf_text(&out), TOKENS[i].tokens);
    }
}

static void test_offsets(void **state)
{
    (void)state;
    struct lex lex = lex_of(SPAN_LIT(" ab /* c */ 'd'  "));
    struct tok t = lex_next(&lex);
    assert_int_equal(t.at, 1);
    assert_int_equal(tok_end(&t), 3);
    assert_int_equal(lex_peek(&lex).at, 12);
    t = lex_next(&lex);
    assert_int_equal(t.at, 12);
    assert_int_equal(tok_end(&t), 15);
    t = lex_next(&lex);
    assert_int_equal(t.at, 17);
    assert_int_equal(t.text.n, 0);
}

/* A NUL is a byte like any other, and nothing behind the span is looked at. */
static void test_bounds(void **state)
{
    (void)state;
    _cleanup_buf_ struct buf out = buf_with_max(MAX_TEXT);
    struct lex nul = lex_of((struct span){"a\0b", 3});
    assert_int_equal(lex_next(&nul).kind, TOK_WORD);
    assert_int_equal(lex_next(&nul).kind, TOK_OP);
    assert_int_equal(lex_next(&nul).kind, TOK_WORD);
    assert_int_equal(lex_next(&nul).kind, TOK_END);
    describe((struct span){"abc", 2}, &out);
    assert_string_equal(buf_text(&out), "w:ab");
    buf_reset(&out);
    describe((struct span){"1'23'", 3}, &out);
    assert_string_equal(buf_text(&out), "i:1 error:'2");
    struct lex none = lex_of((struct span){NULL, 0});
    assert_int_equal(lex_next(&none).kind, TOK_END);
}

static const struct {
    const char *token;
    const char *text;
    size_t n;
} UNQUOTED[] = {
    {"word", "word", 4},
    {"`a``b\\n`", "a`b\\n", 5},
    {"'it''s'", "it's", 4},
    {"\"a\"\"b'c\"", "a\"b'c", 5},
    {"'\\n\\t\\r\\b\\Z'", "\n\t\r\b\032", 5},
    {"'a\\0b'", "a\0b", 3},
    {"'\\'\\\"\\\\\\x'", "'\"\\x", 4},
    {"'10\\%\\_'", "10\\%\\_", 6},
    {"R'a\\nb'", "a\\nb", 4},
    {"''", "", 0},
    {"12", "12", 2},
};

static void test_unquote(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(UNQUOTED); i++) {
        size_t n = 0;
        struct lex lex = lex_of(span_of(UNQUOTED[i].token));
        struct tok t = lex_next(&lex);
        _cleanup_free_ char *text = tok_unquote(&t, &n);
        assert_int_equal(n, UNQUOTED[i].n);
        assert_memory_equal(text, UNQUOTED[i].text, n + 1);
    }
}

static const struct {
    const char *text;
    const char *statements; /* joined by '|' */
} SPLITS[] = {
    {"", ""},
    {" ; ;; -- x\n", ""},
    {"a", "a"},
    {"a;", "a"},
    {"; a b ;c;;d ", "a b |c|d "},
    {"select ';' ; b", "select ';' |b"},
    {"select `;`;b", "select `;`|b"},
    {"a -- ; b\n;c", "a -- ; b\n|c"},
    {"a /* ; /* ; */ ; */ ;c", "a /* ; /* ; */ ; */ |c"},
    {"a # ;\n;b", "a # ;\n|b"},
    {"a R'\\';b", "a R'\\'|b"},
    {"a 'b;c", "a 'b;c"},
    {"'b;c", "'b;c"},
    {"a\\;b", "a\\|b"},
    {"1-1;2/1;", "1-1|2/1"},
};

static void test_statements(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(SPLITS); i++) {
        _cleanup_buf_ struct buf out = buf_with_max(MAX_TEXT);
        struct lex lex = lex_of(span_of(SPLITS[i].text));
        struct span statement;
        while (lex_statement(&lex, &statement)) {
            buf_append_text(&out, out.len > 0 ? "|" : "");
            buf_append_span(&out, statement);
        }
        assert_string_equal(buf_text(&out), SPLITS[i].statements);
    }
}

static void test_skim(void **state)
{
    (void)state;
    static const bool STOPS[256] = {['x'] = true, ['`'] = true};
    struct span s = SPAN_LIT("'x' /*x*/ -- x\n \"x\" a-b/c `x` x");
    size_t at = lex_skim(s, 0, STOPS);
    assert_int_equal(s.p[at], '`');
    at = lex_skim(s, lex_skip(s, at), STOPS);
    assert_int_equal(at, s.n - 1);
    assert_int_equal(lex_skim(s, s.n, STOPS), s.n);
    assert_int_equal(lex_skim(SPAN_LIT("'x"), 0, STOPS), 2);
    assert_int_equal(lex_skip(SPAN_LIT("'x"), 0), 2);
}

static void test_keywords(void **state)
{
    (void)state;
    static const char *const WORDS[] = {"FROM", "JOIN", NULL};
    struct lex lex = lex_of(SPAN_LIT("From `from` 'from' <="));
    struct tok word = lex_next(&lex);
    struct tok name = lex_next(&lex);
    struct tok string = lex_next(&lex);
    struct tok op = lex_next(&lex);
    assert_true(tok_is_word(&word, "FROM"));
    assert_false(tok_is_word(&word, "FRO"));
    assert_false(tok_is_word(&name, "FROM"));
    assert_false(tok_is_word(&string, "FROM"));
    assert_true(tok_is_one_of(&word, WORDS));
    assert_false(tok_is_one_of(&name, WORDS));
    assert_true(tok_is_name(&word) && tok_is_name(&name) && !tok_is_name(&string));
    assert_true(tok_is_op(&op, "<="));
    assert_false(tok_is_op(&op, "<"));
    assert_false(tok_is_op(&word, "From"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),     cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_bounds),     cmocka_unit_test(test_unquote),
        cmocka_unit_test(test_statements), cmocka_unit_test(test_skim),
        cmocka_unit_test(test_keywords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
