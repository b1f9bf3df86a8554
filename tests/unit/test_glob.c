#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "sources/glob.h"

static const struct {
    const char *pattern;
    const char *matches[6];
    const char *others[8];
} CASES[] = {
    {"a/b.csv", {"a/b.csv"}, {"a/b.csvx", "a/b_csv", "xa/b.csv", "", "a/b.cs"}},
    {"a/*.csv", {"a/.csv", "a/x.csv", "a/x.y.csv"}, {"a/b/c.csv", "a/x.csv.gz", "a/x"}},
    {"a/**.csv", {"a/.csv", "a/x.csv", "a/b/c.csv"}, {"b/x.csv", "a/x"}},
    {"**", {"", "a", "a/b/c"}, {NULL}},
    {"*", {"", "a"}, {"a/b", "/"}},
    {"a*b*c", {"abc", "aXbYc", "abbcc"}, {"ab", "ac", "abcd", "a/bc"}},
    {"a?c",
     {"abc",
      "a\xc3\xa9"
      "c",
      "a\xf0\x90\x90\xb7"
      "c"},
     {"ac", "a/c", "abbc"}},
    {"[a-c]x", {"ax", "cx"}, {"dx", "x", "aax", "[x"}},
    {"[!a-c]x", {"dx", "-x", "\xc3\xa9x"}, {"ax", "x", "/x"}},
    {"[\xc3\xa0-\xc3\xa9]", {"\xc3\xa9", "\xc3\xa0"}, {"\xc3", "e", "\xc3\xaa"}},
    {"[]x]", {"]", "x"}, {"a", "[]x]"}},
    {"[a-]", {"a", "-"}, {"b"}},
    {"[*?\\{]", {"*", "?", "\\", "{"}, {"a", ""}},
    {"{a,b/c,d*}", {"a", "b/c", "d", "dxx"}, {"b", "c", "d/x", "a,", ""}},
    {"x{,y}z", {"xz", "xyz"}, {"xyyz", "x,z"}},
    {"p{1..3,7,z}", {"p1", "p3", "p7", "pz"}, {"p0", "p4", "p01", "p12", "p", "p1..3"}},
    {"f{8..12}.csv", {"f8.csv", "f12.csv"}, {"f7.csv", "f13.csv", "f08.csv", "f1.csv", "f012.csv"}},
    {"f{3..1}", {"f1", "f2", "f3"}, {"f0", "f4"}},
    {"{0..10}{0..10}", {"00", "100", "1010"}, {"0", "11x", "011x", "1100x"}},
    {"{-1..3}", {"-1..3"}, {"1"}},
    {"a,b}c]", {"a,b}c]"}, {"a"}},
    {"\\*\\{\\\\", {"*{\\"}, {"x{\\", "\\*\\{\\\\"}},
    {"", {""}, {"a"}},
    {"*a*a*a*a*a*b", {"aaaaab", "xaxaxaxaxab"}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}},
};

static struct glob *compile(const char *pattern)
{
    struct err err = {0};
    struct glob *g = glob_create(span_of(pattern), &err);
    if (g == NULL) {
        fail_msg("%s: %s", pattern, err.msg);
    }
    return g;
}

static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct glob *g = compile(CASES[i].pattern);
        for (size_t k = 0; k < 6 && CASES[i].matches[k] != NULL; k++) {
            if (!glob_match(g, span_of(CASES[i].matches[k]))) {
                fail_msg("%s does not match %s", CASES[i].pattern, CASES[i].matches[k]);
            }
        }
        for (size_t k = 0; k < 8 && CASES[i].others[k] != NULL; k++) {
            if (glob_match(g, span_of(CASES[i].others[k]))) {
                fail_msg("%s matches %s", CASES[i].pattern, CASES[i].others[k]);
            }
        }
        glob_destroy(g);
    }
}

static void test_literal_prefix(void **state)
{
    (void)state;
    static const char *const PAIRS[][2] = {
        {"a/b/*.csv", "a/b/"}, {"a/b", "a/b"}, {"a{b,c}", "a"},     {"*", ""},
        {"a/x\\*y", "a/x"},    {"a[b]", "a"},  {"a,b}c?", "a,b}c"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(PAIRS); i++) {
        struct glob *g = compile(PAIRS[i][0]);
        assert_true(span_eq_text(glob_literal_prefix(g), PAIRS[i][1]));
        glob_destroy(g);
    }
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const PAIRS[][2] = {
        {"a[b", "character 2"},     {"a{b,c", "character 2"},      {"a{b,{c}}", "nested"},
        {"a\\", "nothing follows"}, {"[z-a]", "backwards"},        {"[a/b]", "cannot hold '/'"},
        {"[^a]", "[!...]"},         {"x{a,[b}", "'[' has no ']'"}, {"[", "'[' has no ']'"},
        {"[]", "'[' has no ']'"},   {"{", "'{' has no '}'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(PAIRS); i++) {
        struct err err = {0};
        assert_null(glob_create(span_of(PAIRS[i][0]), &err));
        if (strstr(err.msg, PAIRS[i][1]) == NULL) {
            fail_msg("%s: %s", PAIRS[i][0], err.msg);
        }
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct err err = {0};
    char *pattern = xcalloc(1, GLOB_MAX_PATTERN + 2);
    char *text = xcalloc(1, GLOB_MAX_TEXT + 2);
    memset(pattern, '*', GLOB_MAX_PATTERN + 1);
    memset(text, 'a', GLOB_MAX_TEXT + 1);
    assert_null(glob_create(span_of(pattern), &err));
    struct glob *g = compile("**");
    assert_true(glob_match(g, (struct span){text, GLOB_MAX_TEXT}));
    assert_false(glob_match(g, (struct span){text, GLOB_MAX_TEXT + 1}));
    glob_destroy(g);
    free(pattern);
    free(text);
}

/* Exponential for a backtracking matcher: hours instead of milliseconds. */
static void test_time_is_bounded(void **state)
{
    (void)state;
    char pattern[401];
    char text[1025];
    for (size_t i = 0; i < 400; i++) {
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    }
    pattern[399] = 'b';
    pattern[400] = '\0';
    memset(text, 'a', sizeof(text) - 1);
    text[1024] = '\0';
    struct glob *g = compile(pattern);
    int64_t start = clock_mono_us();
    assert_false(glob_match(g, span_of(text)));
    assert_true(clock_mono_us() - start < 1000000);
    glob_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),         cmocka_unit_test(test_literal_prefix),
        cmocka_unit_test(test_malformed),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_time_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
