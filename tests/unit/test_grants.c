/* SHOW GRANTS as every Doris from 2.0 on answers it: who may LOAD into what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/grants.h"
#include "proxy/local.h"
#include "sources/fe_grants.h"

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
    assert_true(grants_read(&answer, "u", &g, &err));
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
    assert_false(grants_read(&failed, "u", &g, &err));
    assert_int_equal(err.code, 2013);
    static const char *const other[] = {"Grants for u@%"};
    struct answer mysql = {.n_columns = 1, .columns = (char **)other};
    assert_false(grants_read(&mysql, "u", &g, &err));
}

/* A name for each cell: the columns of AuthProcDir.TITLE_NAMES by version. */
static const char *const columns_2_0[] = {
    "UserIdentity",  "Password",   "Roles",    "GlobalPrivs",   "CatalogPrivs",
    "DatabasePrivs", "TablePrivs", "ColPrivs", "ResourcePrivs", "WorkloadGroupPrivs"};
static const char *const columns_4_1[] = {"UserIdentity",      "Comment",
                                          "Password",          "Roles",
                                          "GlobalPrivs",       "CatalogPrivs",
                                          "DatabasePrivs",     "TablePrivs",
                                          "ColPrivs",          "ResourcePrivs",
                                          "CloudClusterPrivs", "CloudStagePrivs",
                                          "StorageVaultPrivs", "WorkloadGroupPrivs",
                                          "ComputeGroupPrivs"};
static const char *const columns_in_capitals[] = {"USERIDENTITY", "globalprivs", "TABLEPRIVS"};

static void test_columns_by_name(void **state)
{
    static const char *const of_2_0[] = {"'u'@'%'",  "Yes",
                                         "operator", NULL,
                                         NULL,       "internal.a: Select_priv Load_priv ",
                                         NULL,       NULL,
                                         NULL,       "normal: Usage_priv "};
    static const char *const of_4_1[] = {"'u'@'%'",
                                         "",
                                         "Yes",
                                         "r1,r2",
                                         NULL,
                                         NULL,
                                         "internal.a: Select_priv,Load_priv",
                                         NULL,
                                         "internal.b.t: Load_priv[c]",
                                         "Load_priv: Load_priv",
                                         NULL,
                                         NULL,
                                         NULL,
                                         "internal.b: Load_priv",
                                         "b: Usage_priv"};
    static const char *const of_capitals[] = {"'u'@'%'", "Node_priv", "internal.a.t: Load_priv"};
    static const struct {
        const char *const *columns, *const *cells;
        size_t n;
    } versions[] = {
        {columns_2_0, of_2_0, ARRAY_SIZE(columns_2_0)},
        {columns_4_1, of_4_1, ARRAY_SIZE(columns_4_1)},
        {columns_in_capitals, of_capitals, ARRAY_SIZE(columns_in_capitals)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        struct answer answer = {.n_columns = versions[i].n,
                                .columns = (char **)versions[i].columns,
                                .n_rows = 1,
                                .cells = (char **)versions[i].cells};
        struct grants g = {0};
        struct err err = {0};
        assert_true(grants_read(&answer, "u", &g, &err));
        assert_true(g.is_known);
        assert_string_equal(g.identity, "'u'@'%'");
        assert_true(grants_may_load(&g, "a", "t"));
        /* Nothing of a column, a resource, a workload group or NODE is LOAD on a table. */
        assert_false(grants_may_load(&g, "b", "t"));
        grants_fini(&g);
    }
}

/* What Doris never writes, or only with names it does not allow, gives nothing. */
static void test_odd_names(void **state)
{
    static const struct {
        const char *catalog, *db, *table;
        const char *asked_db, *asked_table;
        bool may;
    } cases[] = {
        {NULL, NULL, "internal.a.b.c: Load_priv", "a", "b.c", false},
        {NULL, NULL, "internal.a.b.c: Load_priv", "a.b", "c", false},
        {NULL, NULL, "internal.a: Load_priv", "a", "t", false},
        {NULL, "internal.a.b: Load_priv", NULL, "a", "b", false},
        {NULL, "internal.a.b: Load_priv", NULL, "a.b", "t", true},
        {"internal.a: Load_priv", NULL, NULL, "a", "t", false},
        {NULL, "internal: Load_priv", NULL, "a", "t", false},
        {NULL, "internal.: Load_priv", NULL, "", "t", false},
        {NULL, "Internal.a: Load_priv", NULL, "a", "t", false},
        {NULL, "internal.A: Load_priv", NULL, "a", "t", false},
        {NULL, NULL, "internal.a.T: Load_priv", "a", "t", false},
        {NULL, "internal.a%: Load_priv", NULL, "ab", "t", false},
        {NULL, "internal.a_: Load_priv", NULL, "ab", "t", false},
        {NULL, "internal.*: Load_priv", NULL, "ab", "t", true},
        {NULL, NULL, "internal.a.*: Load_priv", "a", "t", true},
        {NULL, NULL, "internal.a.*: Load_priv", "b", "t", false},
        {NULL, NULL, "*.*.*: Load_priv", "b", "t", true},
        {"*: Load_priv", NULL, NULL, "b", "t", true},
        {NULL, "hive.a: Load_priv; internal.a: Select_priv", NULL, "a", "t", false},
        {NULL, NULL, "hive.internal.a: Load_priv", "internal", "a", false},
        {NULL, "internal.default_cluster:a: Load_priv", NULL, "a", "t", true},
        {NULL, "internal.a: Load_priv: Select_priv", NULL, "a", "t", false},
        {NULL, "internal.d\xc3\xa4ten: Load_priv", NULL, "d\xc3\xa4ten", "t", true},
        {NULL, NULL, "internal.a.my-table: Load_priv", "a", "my-table", true},
        {NULL, NULL, "internal.a.it's: Load_priv", "a", "it's", true},
        {NULL, NULL, "internal.a.`t`: Load_priv", "a", "t", false},
        {NULL, NULL, "internal.a.x, y: Load_priv", "a", "x, y", true},
        {NULL, NULL, "internal.a.t: Select_priv; Load_priv", "a", "t", false},
        {"\\N", "\\N", "\\N", "a", "t", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct grants g = read_row("\\N", cases[i].catalog, cases[i].db, cases[i].table);
        bool may = grants_may_load(&g, cases[i].asked_db, cases[i].asked_table);
        if (may != cases[i].may) {
            fail_msg("case %zu: LOAD on %s.%s is %d", i, cases[i].asked_db, cases[i].asked_table,
                     may);
        }
        grants_fini(&g);
    }
}

static void test_rows_of_others(void **state)
{
    static const char *const names[] = {"UserIdentity", "GlobalPrivs", "TablePrivs"};
    static const char *const cells[] = {
        "'root'@'%'",
        "Admin_priv",
        NULL, /* */
        "'u'@'10.%'",
        NULL,
        "internal.a.t: Load_priv",
        "'ux'@'%'",
        "Admin_priv",
        NULL,
        NULL,
        "Admin_priv",
        NULL,
        "'u'@['host.example']",
        "Select_priv",
        "internal.a.v: Load_priv",
    };
    struct answer answer = {
        .n_columns = 3, .columns = (char **)names, .n_rows = 5, .cells = (char **)cells};
    struct grants g = {0};
    struct err err = {0};
    assert_true(grants_read(&answer, "u", &g, &err));
    assert_string_equal(g.identity, "'u'@'10.%'");
    assert_true(grants_may_load(&g, "a", "t"));
    assert_true(grants_may_load(&g, "a", "v"));
    assert_false(grants_may_load(&g, "a", "x"));
    struct grants copy = grants_copy(&g);
    grants_fini(&g);
    assert_false(g.is_known);
    assert_false(grants_may_load(&g, "a", "t"));
    assert_true(grants_may_load(&copy, "a", "t"));
    assert_false(grants_may_load(&copy, "b", "t"));
    grants_fini(&copy);
    assert_false(grants_read(&answer, "nobody", &g, &err));
    assert_non_null(strstr(err.msg, "nothing about user 'nobody'"));
    answer.n_rows = 0;
    assert_false(grants_read(&answer, "u", &g, &err));
}

/* Other privileges than LOAD: those that the offset table takes. */
static void test_other_privileges(void **state)
{
    const char *cell = "internal.a: Select_priv,Load_priv; internal.b.t: Create_priv; "
                       "internal.c: Admin_priv";
    (void)state;
    assert_true(fe_grants_give(cell, "Select_priv", "a", "t"));
    assert_false(fe_grants_give(cell, "Create_priv", "a", "t"));
    assert_true(fe_grants_give(cell, "Create_priv", "b", "t"));
    assert_false(fe_grants_give(cell, "Create_priv", "b", "u"));
    assert_true(fe_grants_give(cell, "Create_priv", "c", "t"));
    assert_false(fe_grants_give(NULL, "Create_priv", "c", "t"));
    assert_true(fe_grants_has_global_of("Load_priv,Create_priv", "Create_priv"));
    assert_false(fe_grants_has_global_of("Load_priv", "Create_priv"));
    assert_false(fe_grants_has_global_of(NULL, "Create_priv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scopes),          cmocka_unit_test(test_other_privileges),
        cmocka_unit_test(test_columns_by_name), cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_rows_of_others),  cmocka_unit_test(test_denied_in_doris_words),
        cmocka_unit_test(test_no_answer_is_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
