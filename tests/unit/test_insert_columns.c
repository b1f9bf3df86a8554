/* Target and SELECT columns side by side, and the query of a rewritten INSERT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/insert_columns.h"
#include "sources/insert_explain.h"

enum {
    TINY = 1,
    INT = 3,
    DOUBLE = 5,
    NULL_TYPE = 6,
    BIG = 8,
    DATETIME = 12,
    DECIMAL = 246,
    TEXT = 254
};

/* Target: id BIGINT NOT NULL, name VARCHAR, amount DECIMAL(10,2), day DATE, n INT DEFAULT 1. */
static struct insert_columns make_target(void)
{
    struct insert_columns c = {.has_selects = true};
    insert_columns_add_target(&c, "id", "bigint", "No", NULL, "");
    insert_columns_add_target(&c, "name", "varchar(64)", "Yes", NULL, "NONE");
    insert_columns_add_target(&c, "amount", "decimal(10,2)", "Yes", "\\N", "NONE");
    insert_columns_add_target(&c, "day", "date", "Yes", NULL, "NONE");
    insert_columns_add_target(&c, "n", "int", "No", "1", "NONE");
    return c;
}

static const struct explain_line *find(const struct explain *e, const char *item)
{
    for (size_t i = 0; i < e->n; i++) {
        if (strcmp(e->lines[i].item, item) == 0) {
            return &e->lines[i];
        }
    }
    fail_msg("no line \"%s\"", item);
    return NULL;
}

static void assert_says(const struct explain *e, const char *item, enum explain_level level,
                        const char *words)
{
    const struct explain_line *line = find(e, item);
    if (line->level != level || strstr(line->text, words) == NULL) {
        fail_msg("%s: \"%s\" (%s) lacks \"%s\"", item, line->text, explain_level_name(line->level),
                 words);
    }
}

static void test_all_fit(void **state)
{
    struct insert_columns c = make_target();
    struct insert_spec insert = {0};
    struct explain e = {0};
    (void)state;
    insert_columns_add_select(&c, "c1", TEXT, 0);
    insert_columns_add_select(&c, "name", TEXT, 0);
    insert_columns_add_select(&c, "c3", DECIMAL, 2);
    insert_columns_add_select(&c, "c4", TEXT, 0);
    insert_columns_add_select(&c, "c5", TINY, 0);
    insert_columns_explain(&c, &insert, &e);
    assert_int_equal(e.n, 5);
    assert_int_equal(explain_count(&e, EXPLAIN_FACT), 5);
    assert_says(&e, "column 1", EXPLAIN_FACT, "id bigint NOT NULL <- c1 TEXT");
    assert_says(&e, "column 3", EXPLAIN_FACT, "amount decimal(10,2) <- c3 DECIMAL");
    explain_fini(&e);
    insert_columns_fini(&c);
}

static void test_what_does_not_fit(void **state)
{
    struct insert_columns c = make_target();
    struct insert_spec insert = {0};
    struct explain e = {0};
    (void)state;
    insert_columns_add_select(&c, "NULL", NULL_TYPE, 0);
    insert_columns_add_select(&c, "ID", TEXT, 0);
    insert_columns_add_select(&c, "c3", DECIMAL, 4);
    insert_columns_add_select(&c, "c4", DATETIME, 0);
    insert_columns_add_select(&c, "c5", BIG, 0);
    insert_columns_add_select(&c, "c6", 9999, 0);
    insert_columns_explain(&c, &insert, &e);
    assert_says(&e, "number of columns", EXPLAIN_ERROR, "the SELECT has 6 and the target takes 5");
    assert_says(&e, "column 1", EXPLAIN_ERROR, "takes no NULL");
    assert_says(&e, "column 2", EXPLAIN_WARNING, "has a column id elsewhere");
    assert_says(&e, "column 3", EXPLAIN_WARNING, "fewer digits");
    assert_says(&e, "column 4", EXPLAIN_WARNING, "time of day");
    assert_says(&e, "column 5", EXPLAIN_WARNING, "too large");
    assert_says(&e, "column 6", EXPLAIN_FACT, "nothing <- c6 a type of Doris's own");
    explain_fini(&e);
    insert_columns_fini(&c);
}

static void test_fractions(void **state)
{
    struct insert_columns c = {.has_selects = true};
    struct insert_spec insert = {0};
    struct explain e = {0};
    (void)state;
    insert_columns_add_target(&c, "a", "int", "Yes", NULL, NULL);
    insert_columns_add_target(&c, "b", "float", NULL, NULL, NULL);
    insert_columns_add_target(&c, "c", "smallint", "Yes", NULL, NULL);
    insert_columns_add_target(&c, "d", "largeint", "Yes", NULL, NULL);
    insert_columns_add_target(&c, "e", "datetime(3)", "Yes", NULL, NULL);
    insert_columns_add_select(&c, "x", DOUBLE, 0);
    insert_columns_add_select(&c, "x", DOUBLE, 0);
    insert_columns_add_select(&c, "x", DECIMAL, 1);
    insert_columns_add_select(&c, "x", BIG, 0);
    insert_columns_add_select(&c, "x", DATETIME, 6);
    insert_columns_explain(&c, &insert, &e);
    assert_says(&e, "column 1", EXPLAIN_WARNING, "decimal point");
    assert_says(&e, "column 2", EXPLAIN_WARNING, "7 digits");
    assert_says(&e, "column 3", EXPLAIN_WARNING, "decimal point");
    assert_says(&e, "column 4", EXPLAIN_FACT, "d largeint <- x BIGINT");
    assert_says(&e, "column 5", EXPLAIN_FACT, "e datetime(3) <- x DATETIME");
    explain_fini(&e);
    insert_columns_fini(&c);
}

static void test_listed_columns(void **state)
{
    struct insert_columns c = make_target();
    char amount[] = "AMOUNT";
    char wrong[] = "wrong";
    char *names[] = {amount, wrong};
    struct insert_spec insert = {.columns = names, .n_columns = 2};
    struct explain e = {0};
    (void)state;
    insert_columns_add_select(&c, "c1", INT, 0);
    insert_columns_explain(&c, &insert, &e);
    assert_says(&e, "number of columns", EXPLAIN_ERROR, "listed behind the table");
    assert_says(&e, "column 1", EXPLAIN_FACT, "amount decimal(10,2) <- c1 INT");
    assert_says(&e, "column", EXPLAIN_ERROR, "wrong, which the INSERT lists");
    /* id has no default; n has one. */
    assert_says(&e, "column not listed", EXPLAIN_ERROR, "id bigint NOT NULL has no default");
    assert_int_equal(explain_count(&e, EXPLAIN_ERROR), 3);
    explain_fini(&e);
    insert_columns_fini(&c);
}

static void test_unknown_select(void **state)
{
    struct insert_columns c = make_target();
    struct insert_spec insert = {0};
    struct explain e = {0};
    (void)state;
    c.has_selects = false;
    insert_columns_explain(&c, &insert, &e);
    assert_int_equal(e.n, 5);
    assert_says(&e, "column 1", EXPLAIN_FACT, "id bigint NOT NULL <- ?");
    explain_fini(&e);
    insert_columns_fini(&c);
}

static void check_query(const char *sql, const char *uri, size_t insert_at, size_t query_at,
                        const char *new_uri, const char *expected)
{
    const char *at = strstr(sql, uri);
    struct spec_prop prop = {.value_at = (size_t)(at - sql),
                             .value_end = (size_t)(at - sql) + strlen(uri)};
    struct insert_spec insert = {
        .sql = (char *)sql,
        .sql_len = strlen(sql),
        .insert_at = insert_at,
        .query_at = query_at,
        .tvf_props = &prop,
        .n_tvf_props = 1,
    };
    _cleanup_free_ char *rewritten =
        xasprintf("%.*s%s%s", (int)(at - sql), sql, new_uri, at + strlen(uri));
    _cleanup_free_ char *query = insert_explain_query(&insert, rewritten);
    assert_string_equal(query, expected);
}

static void test_query(void **state)
{
    (void)state;
    check_query("INSERT INTO t (a) SELECT 1 FROM S3('u')", "'u'", 0, 18, "'longer'",
                "SELECT 1 FROM S3('longer')");
    check_query("INSERT INTO t SELECT 1 FROM S3('uuuu')", "'uuuu'", 0, 14, "'u'",
                "SELECT 1 FROM S3('u')");
    check_query("WITH x AS (S3('u')) INSERT INTO t SELECT 1", "'u'", 20, 34, "'longer'",
                "WITH x AS (S3('longer')) SELECT 1");
    check_query("WITH x AS (S3('uuuu')) INSERT INTO t SELECT 1", "'uuuu'", 23, 37, "'u'",
                "WITH x AS (S3('u')) SELECT 1");
    check_query("INSERT INTO t SELECT 1 FROM S3('u')", "'u'", 0, 14, "'u'",
                "SELECT 1 FROM S3('u')");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_fit),        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_fractions),      cmocka_unit_test(test_listed_columns),
        cmocka_unit_test(test_unknown_select), cmocka_unit_test(test_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
