/* SHOW GRANTS as 2.0, 3.0 and 4.0 answer it: who may LOAD into what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/grants.h"
#include "proxy/local.h"

static const char *const columns_3_0[] = {
    "UserIdentity", "Comment",       "Password",   "Roles",    "GlobalPrivs",
    "CatalogPrivs", "DatabasePrivs", "TablePrivs", "ColPrivs",
};

/* Reads one row; NULL cells are SQL NULL. */
static struct grants read_row(const char *global, const char *catalog, const char *db,
                              const char *table)
{
    const char *cells[] = {"'u'@'%'", "", "Yes", "", global, catalog, db, table, NULL};
    struct answer answer = {
        .n_columns = ARRAY_SIZE(columns_3_0),
        .columns = (char **)columns_3_0,
        .n_rows = 1,
        .cells = (char **)cells,
    };
    struct grants g = {0};
    struct err err = {0};
    assert_true(grants_read(&answer, &g, &err));
    return g;
}

static void test_scopes(void **state)
{
    static const struct {
        const char *global, *catalog, *db, *table;
        bool t1, t2, other_db;
    } cases[] = {
        {NULL, NULL, NULL, NULL, false, false, false},
        {"Admin_priv", NULL, NULL, NULL, true, true, true},
        {"Select_priv,Load_priv", NULL, NULL, NULL, true, true, true},
        {"Select_priv", NULL, NULL, NULL, false, false, false},
        {NULL, "internal: Load_priv", NULL, NULL, true, true, true},
        {NULL, "hive: Load_priv", NULL, NULL, false, false, false},
        {NULL, NULL, "internal.a: Select_priv,Load_priv; internal.b: Select_priv", NULL, true, true,
         false},
        {NULL, NULL, "internal.b: Load_priv; internal.a: Select_priv", NULL, false, false, true},
        {NULL, NULL, NULL, "internal.a.t1: Load_priv", true, false, false},
        {NULL, NULL, NULL, "internal.a.t1: Select_priv Load_priv  (false)", true, false, false},
        {NULL, NULL, NULL, "internal.a.t: Load_priv", false, false, false},
        {NULL, NULL, "internal.a: Load_privilege", NULL, false, false, false},
        {"", "", "", "", false, false, false},
        {NULL, NULL, ";;: ;internal.a:Load_priv;", NULL, true, true, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct grants g = read_row(cases[i].global, cases[i].catalog, cases[i].db, cases[i].table);
        assert_int_equal(grants_may_load(&g, "a", "t1"), cases[i].t1);
        assert_int_equal(grants_may_load(&g, "a", "t2"), cases[i].t2);
        assert_int_equal(grants_may_load(&g, "b", "x"), cases[i].other_db);
        grants_fini(&g);
    }
}

static void test_denied_in_doris_words(void **state)
{
    struct grants g = read_row(NULL, NULL, NULL, NULL);
    struct err err = {0};
    assert_false(grants_deny_load(&g, "d", "t", &err));
    assert_int_equal(err.code, 1142);
    assert_string_equal(err.sqlstate, "42000");
    assert_non_null(strstr(err.msg, "LOAD command denied to user 'u'@'%' for table 'd.t'"));
    grants_fini(&g);
}

static void test_no_answer_is_no(void **state)
{
    struct grants g = {0};
    struct err err = {0};
    struct answer failed = {.is_error = true};
    (void)err_set(&failed.err, 2013, "HY000", "lost");
    assert_false(grants_read(&failed, &g, &err));
    assert_int_equal(err.code, 2013);
    static const char *const other[] = {"Grants for u@%"};
    struct answer mysql = {.n_columns = 1, .columns = (char **)other};
    assert_false(grants_read(&mysql, &g, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_denied_in_doris_words),
        cmocka_unit_test(test_no_answer_is_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
