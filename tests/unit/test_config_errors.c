/* All errors of a configuration at once, and where a relative path of the store leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/config.h"

static struct err told[32];
static size_t n_told;

static void tell(const struct err *err)
{
    assert_true(n_told < ARRAY_SIZE(told));
    told[n_told++] = *err;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static size_t load_all(const char *text, const char *set)
{
    char path[] = "/tmp/sluice-config-errors-XXXXXX";
    struct config config = {0};
    struct err err = {0};
    const char *env[] = {"SLUICE_LOG_FORMAT=xml", NULL};
    const char *sets[] = {set, NULL};
    struct config_sources from = {
        .file = path, .environ = (char *const *)env, .sets = sets, .each_error = tell};
    n_told = 0;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    write_file(path, text);
    assert_false(config_load(&from, &config, &err));
    assert_int_equal(unlink(path), 0);
    assert_true(n_told > 0);
    assert_string_equal(err.msg, told[0].msg);
    return n_told;
}

/* Who is told of each error need not mend one and look again. */
static void test_all_errors(void **state)
{
    static const char *const wanted[] = {
        ":2: proxy.workers: \"x\" is not",
        ":4: the line is neither", /* and :5: belongs to nobody knows what */
        ":7: the line is longer than",
        ":8: there is a control",
        ":9: log.: there is no",
        ":10: log.level: \"loud\" is none",
        "environment SLUICE_LOG_FORMAT: ",
        "--set a: write"};
    (void)state;
    _cleanup_free_ char *blanks = xcalloc(9000, 1);
    memset(blanks, ' ', 8999);
    _cleanup_free_ char *text =
        xasprintf("\xef\xbb\xbf[proxy] ; c\nworkers = x\n  ; c\n[nonsense ;]\nastray = 1\n[log]\n"
                  "%s\n\x01\n= 1\nlevel = loud",
                  blanks);
    (void)load_all(text, "a=b");
    assert_int_equal(n_told, ARRAY_SIZE(wanted));
    for (size_t i = 0; i < n_told; i++) {
        assert_non_null(strstr(told[i].msg, wanted[i]));
    }
    /* There is an end to it. */
    assert_int_equal(load_all("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n"
                              "19\n20\n21\n",
                              "a=b"),
                     21);
    assert_non_null(strstr(told[19].msg, ":20: "));
    assert_non_null(strstr(told[20].msg, "the first 20 errors"));
}

static void expect_store(const char *set, const char *path)
{
    const char *sets[] = {set, NULL};
    struct config_sources from = {.sets = sets};
    struct config config = {0};
    struct err err = {0};
    assert_true(config_load(&from, &config, &err));
    _cleanup_free_ char *found = config_store_path(&config);
    assert_string_equal(found, path);
    config_fini(&config);
}

static void test_store_path(void **state)
{
    (void)state;
    _cleanup_free_ char *here = getcwd(NULL, 0);
    _cleanup_free_ char *relative = xasprintf("%s/b.db", here);
    expect_store("store.url=sqlite:/a/b.db", "/a/b.db");
    expect_store("store.url=sqlite:b.db", relative);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_errors),
        cmocka_unit_test(test_store_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
