/* The command line: what is taken, what is refused, what is printed, deploy/sluice.conf too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/config_table.h"
#include "proxy/options.h"

enum { MAX_ARGS = 8 };

struct line {
    char texts[MAX_ARGS][64];
    char *argv[MAX_ARGS + 1];
    int argc;
    struct options options;
    struct err err;
};

/* The words of `text`, behind the name of the program. */
static bool parse(struct line *l, const char *text)
{
    *l = (struct line){.argc = 1, .texts = {"sluice"}};
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, " ");
        (void)snprintf(l->texts[l->argc++], sizeof(l->texts[0]), "%.*s", (int)n, p);
        p += n + strspn(p + n, " ");
    }
    for (int i = 0; i < l->argc; i++) {
        l->argv[i] = l->texts[i];
    }
    return options_parse(l->argc, l->argv, &l->options, &l->err);
}

static void expect_action(const char *text, enum options_action action)
{
    struct line l;
    assert_true(parse(&l, text));
    assert_int_equal(l.options.action, action);
    options_fini(&l.options);
}

static void test_actions(void **state)
{
    expect_action("", OPTIONS_RUN);
    expect_action("--check-config", OPTIONS_CHECK_CONFIG);
    expect_action("--check-config --check-config", OPTIONS_CHECK_CONFIG);
    expect_action("--print-config", OPTIONS_PRINT_CONFIG);
    expect_action("--help", OPTIONS_HELP);
    expect_action("-h", OPTIONS_HELP);
    expect_action("--version", OPTIONS_VERSION);
    expect_action("-V", OPTIONS_VERSION);
}

static void test_arguments(void **state)
{
    static const char *const lines[] = {"-c a --set x.y=1 --set z --check-config",
                                        "--set=x.y=1 --config=a --set z",
                                        "--set x.y=1 -ca --set z"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct line l;
        assert_true(parse(&l, lines[i]));
        assert_string_equal(l.options.config_file, "a");
        assert_int_equal(l.options.n_sets, 2);
        assert_string_equal(l.options.sets[0], "x.y=1");
        assert_string_equal(l.options.sets[1], "z");
        assert_null(l.options.sets[2]);
        options_fini(&l.options);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *line;
        const char *text;
    } wrong[] = {
        {"-x", "there is no option -x"},
        {"--odd", "there is no option --odd"},
        {"-c", "an argument is missing after -c"},
        {"--config", "an argument is missing after --config"},
        {"--check-config --set", "an argument is missing after --set"},
        {"--help=1", "no argument is taken by --help=1"},
        {"start", "there is no use for the argument start"},
        {"--check-config -- start", "there is no use for the argument start"},
    };
    struct line l;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[128];
        assert_false(parse(&l, wrong[i].line));
        (void)snprintf(text, sizeof(text), "%s; sluice --help lists the options", wrong[i].text);
        assert_string_equal(l.err.msg, text);
    }
    assert_false(parse(&l, "-c a -c b"));
    assert_string_equal(l.err.msg, "--config is given twice, a and b; there is one file");
    assert_false(parse(&l, "--help --version"));
    assert_non_null(strstr(l.err.msg, "--version does not go with another of its kind"));
}

static void test_config_file(void **state)
{
    struct options o = {0};
    const char *texts[] = {"A=1", "SLUICE_CONFIG=from-env", NULL};
    char *const *env = (char *const *)texts;
    assert_null(options_config_file(&o, NULL, "/nowhere/at/all"));
    assert_string_equal(options_config_file(&o, NULL, "/dev/null"), "/dev/null");
    assert_string_equal(options_config_file(&o, env, "/dev/null"), "from-env");
    o.config_file = "given";
    assert_string_equal(options_config_file(&o, env, "/dev/null"), "given");
}

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    print(to);
    assert_int_equal(fclose(to), 0);
    return text;
}

static void test_help_names_everything_in_80_columns(void **state)
{
    _cleanup_free_ char *text = printed(options_print_help);
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        assert_non_null(strstr(text, config_table_keys[i].name));
        assert_non_null(strstr(text, config_table_keys[i].section));
    }
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        assert_true(n <= 80);
        p += n + 1;
    }
    assert_non_null(strstr(text, "  -c, --config FILE\n"));
    assert_non_null(strstr(text, options_fallback_file));
}

static void test_version(void **state)
{
    _cleanup_free_ char *text = printed(options_print_version);
    assert_string_equal(text, "sluice " SLUICE_VERSION "\n");
}

/* The tests run in the root of the sources. After a change of the table:
 * sluice --print-config > deploy/sluice.conf */
static void test_shipped_config_is_the_printed_one(void **state)
{
    static char shipped[65536];
    FILE *file = fopen("deploy/sluice.conf", "re");
    assert_non_null(file);
    shipped[fread(shipped, 1, sizeof(shipped) - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    _cleanup_free_ char *text = printed(config_print);
    assert_string_equal(shipped, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_config_file),
        cmocka_unit_test(test_help_names_everything_in_80_columns),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_shipped_config_is_the_printed_one),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
