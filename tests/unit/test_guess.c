#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/guess.h"

static void test_whole_texts(void **state)
{
    static const struct {
        const char *text;
        enum guess wanted;
    } cases[] = {
        {"CREATE JOB j ON STREAMING DO INSERT INTO t SELECT 1", GUESS_YES},
        {"create\tjob", GUESS_YES},
        {"  \n; pause job x", GUESS_YES},
        {"/* c */ RESUME JOB x", GUESS_YES},
        {"-- c\nDROP JOB x", GUESS_YES},
        {"# c\nALTER JOB x", GUESS_YES},
        {"(select * from jobs('type'='insert'))", GUESS_YES},
        {"SELECT * FROM Tasks('type'='insert')", GUESS_YES},
        {"with a as (select 1) select * from jobs('type'='insert')", GUESS_YES},
        {"CANCEL TASK WHERE jobName = 'x'", GUESS_YES},
        {"EXPLAIN CREATE JOB", GUESS_YES},
        {"SHOW JOB", GUESS_YES},
        {"SELECT 1", GUESS_NO},
        {"select jo, b, tas, k from jjo bta skk", GUESS_NO},
        {"create table t (a int)", GUESS_NO},
        {"INSERT INTO jobs VALUES (1)", GUESS_NO},
        {"creates job", GUESS_NO},
        {"", GUESS_NO},
        {"   ", GUESS_NO},
        {"SET @job = 1", GUESS_NO},
        {"\xff\xfejob", GUESS_NO},
        {"show jo", GUESS_NO},
        {"show asK", GUESS_NO},
        {"show ask task", GUESS_YES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum guess got = guess_is_local(span_of(cases[i].text), true);
        if (got != cases[i].wanted) {
            fail_msg("%s: %d", cases[i].text, (int)got);
        }
    }
}

/* Whatever is said of a part must not contradict what the whole turns out to be. */
static void test_every_part_agrees(void **state)
{
    static const char *const texts[] = {
        "  create JOB j",
        "select * from tasks('type'='insert')",
        "insert into job select 1",
        "select a from b",
        "sel",
        "crea",
        "/* x",
        "with",
        "drop  database d",
        "select a, b, c, d from a_table_with_a_long_name where nothing stands there, task",
        "select a, b, c, d from a_table_with_a_long_name where nothing stands there, jo task",
        "select a, b, c, d from a_table_with_a_long_name where nothing stands there, tas jOB",
        "select a, b, c, d from a_table_with_a_long_name where nothing stands there, tas jo",
        "select a, b, c, d, task from a_table_with_a_long_name where nothing stands behind it",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct span whole = span_of(texts[i]);
        enum guess wanted = guess_is_local(whole, true);
        assert_int_not_equal(wanted, GUESS_MORE);
        for (size_t n = 0; n <= whole.n; n++) {
            enum guess got = guess_is_local((struct span){whole.p, n}, false);
            if (got != GUESS_MORE && got != wanted) {
                fail_msg("%s: %zu bytes say %d, all say %d", texts[i], n, (int)got, (int)wanted);
            }
            struct guess_place place = {0};
            got = guess_is_local_on((struct span){whole.p, n}, &place, false);
            if (got == GUESS_MORE) {
                assert_int_equal(guess_is_local_on(whole, &place, true), wanted);
            }
            assert_int_equal(place.seen, 0);
        }
    }
}

static void test_foreign_texts_stream_early(void **state)
{
    (void)state;
    assert_int_equal(guess_is_local(SPAN_LIT("INSERT INTO t VALUES (1"), false), GUESS_NO);
    assert_int_equal(guess_is_local(SPAN_LIT("create"), false), GUESS_MORE);
    assert_int_equal(guess_is_local(SPAN_LIT("crea"), false), GUESS_MORE);
    assert_int_equal(guess_is_local(SPAN_LIT("crex"), false), GUESS_NO);
    assert_int_equal(guess_is_local(SPAN_LIT(""), false), GUESS_MORE);
}

static void test_scripts(void **state)
{
    static const struct {
        const char *text;
        bool wanted;
    } cases[] = {
        {"USE shop; CREATE JOB j ON STREAMING DO INSERT INTO t SELECT 1", true},
        {"set @a = 1;drop job where jobName = 'j';set @b = 2", true},
        {"insert into t values (1);\n select * from tasks('type'='insert')", true},
        {"INSERT INTO t VALUES ('a; job')", true}, /* the parser knows better */
        {"USE job", false},
        {"USE job;", false},
        {"USE job; ;\n", false},
        {" insert into t SELECT * FROM tasks('type'='insert')", true},
        {"INSERT INTO jobs VALUES (1); COMMIT", true}, /* likewise */
        {"INSERT INTO t VALUES (1); COMMIT", false},
        {"USE shop; SELECT 1", false},
        {";", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (guess_is_hidden(span_of(cases[i].text)) != cases[i].wanted) {
            fail_msg("%s", cases[i].text);
        }
    }
    assert_false(guess_is_hidden((struct span){0}));
}

static void test_kill(void **state)
{
    static const struct {
        const char *text;
        bool wanted;
    } cases[] = {
        {"KILL 5", true},
        {" ;\tkill query 5", true},
        {"/* stop */ Kill 5", true},
        {"-- x\nKILL 5", true},
        {"SELECT 'kill'", false},
        {"/* a comment */ SELECT 1", false},
        {"KIL", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (guess_is_kill(span_of(cases[i].text)) != cases[i].wanted) {
            fail_msg("%s", cases[i].text);
        }
    }
    assert_false(guess_is_kill((struct span){0}));
}

static void test_rights(void **state)
{
    static const struct {
        const char *text;
        bool wanted;
    } cases[] = {
        {"REVOKE LOAD_PRIV ON a.b FROM 'u'", true},
        {"/* x */ grant ALL ON *.* TO 'u'", true},
        {"SET PASSWORD = PASSWORD('x')", true},
        {"create user x", true},
        {"DROP ROLE r", true},
        {"ALTER USER x ACCOUNT_LOCK", true},
        {"SELECT 1; ; revoke 'r' FROM 'u'", true},
        {"SET @revoke = 1", false},
        {"CREATE TABLE user (a INT)", false},
        {"SELECT 'x; REVOKE', `grant` FROM t; SELECT 2 -- ; GRANT", false},
        {"SHOW GRANTS", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (guess_changes_rights(span_of(cases[i].text), true) != cases[i].wanted) {
            fail_msg("%s", cases[i].text);
        }
    }
    assert_true(guess_changes_rights(span_of("SELE"), false)); /* nobody knows yet */
    assert_false(guess_changes_rights((struct span){0}, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_texts),
        cmocka_unit_test(test_every_part_agrees),
        cmocka_unit_test(test_foreign_texts_stream_early),
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
