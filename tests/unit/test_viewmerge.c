/* The FE's own rows: columns by name, what is missing, what is new, and which errors are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/local.h"
#include "proxy/viewmerge.h"

#define J "jobs(\"type\"=\"insert\")"
#define T "tasks(\"type\"=\"insert\")"

static struct viewmerge *read(enum view_table table, const char **columns, size_t n,
                              const char **cells, size_t n_rows)
{
    struct answer answer = {
        .n_columns = n, .columns = (char **)columns, .n_rows = n_rows, .cells = (char **)cells};
    struct viewmerge *m = NULL;
    struct err err = {0};
    if (!viewmerge_read(table, &answer, &m, &err)) {
        fail_msg("%s", err.msg);
    }
    return m;
}

static const char *cell(const struct viewmerge *m, enum view_table table, size_t row,
                        const char *name)
{
    size_t i = viewcols_find(table, span_of(name));
    assert_true(i != SIZE_MAX);
    return viewmerge_cell(m, row, i);
}

static void test_by_name(void **state)
{
    const char *columns[] = {"name", "LagBytes", "ID", "Status", "New"};
    const char *cells[] = {"a", "5", "17", NULL, "x", "b", NULL, "18", "RUNNING", ""};
    struct viewmerge *m = read(VIEW_JOBS, columns, 5, cells, 2);
    (void)state;
    assert_int_equal(viewmerge_n_rows(m), 2);
    assert_string_equal(cell(m, VIEW_JOBS, 0, "Id"), "17");
    assert_string_equal(cell(m, VIEW_JOBS, 1, "name"), "b");
    assert_null(cell(m, VIEW_JOBS, 0, "Status"));
    assert_string_equal(cell(m, VIEW_JOBS, 0, "EndOffset"), "");
    assert_int_equal(viewmerge_n_extra(m), 2);
    assert_string_equal(viewmerge_extra_name(m, 0), "LagBytes");
    size_t n_ours = viewcols_count(VIEW_JOBS);
    assert_string_equal(viewmerge_cell(m, 0, n_ours), "5");
    assert_null(viewmerge_cell(m, 1, n_ours));
    assert_string_equal(viewmerge_cell(m, 0, n_ours + 1), "x");
    viewmerge_destroy(m);
    const char *of_tasks[] = {"TaskId", "JobId"};
    const char *task[] = {"1", "17"};
    m = read(VIEW_TASKS, of_tasks, 2, task, 1);
    assert_string_equal(cell(m, VIEW_TASKS, 0, "RunningOffset"), "\\N");
    viewmerge_destroy(m);
    assert_int_equal(viewmerge_n_rows(NULL) + viewmerge_n_extra(NULL), 0);
}

/* A Doris of a hundred columns more. */
static void test_many_columns(void **state)
{
    const char *columns[130] = {"Id", "Name"};
    const char *cells[130] = {"1", "n"};
    (void)state;
    for (size_t i = 2; i < ARRAY_SIZE(columns); i++) {
        columns[i] = xasprintf("c%zu", i);
        cells[i] = "v";
    }
    struct viewmerge *m = read(VIEW_JOBS, columns, ARRAY_SIZE(columns), cells, 1);
    assert_int_equal(viewmerge_n_extra(m), VIEWMERGE_MAX_EXTRA);
    assert_string_equal(viewmerge_extra_name(m, VIEWMERGE_MAX_EXTRA - 1), "c33");
    viewmerge_destroy(m);
    for (size_t i = 2; i < ARRAY_SIZE(columns); i++) {
        free((char *)columns[i]);
    }
}

static void test_errors(void **state)
{
    static const struct {
        const char *msg;
        int code;
        bool is_none;
    } rows[] = {
        {"errCode = 2, detailMessage = Could not find table function jobs", 1105, true},
        {"errCode = 2, detailMessage = Can not found function 'jobs'", 1105, true},
        {"errCode = 2, detailMessage = only ADMIN priv can operate", 1105, true},
        {"FUNCTION jobs does not exist", 1305, true},
        {"You have an error in your SQL syntax", 1064, true},
        {"errCode = 2, detailMessage = There is no scanNode Backend available.", 1105, false},
        {"Access denied; you need (at least one of) the (ADMIN) privilege(s)", 1227, false},
        {"Node catalog is not ready, please wait for a while", 1105, false},
        {"the FE closed the connection", 1152, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct answer answer = {.is_error = true};
        struct viewmerge *m = NULL;
        struct err err = {0};
        (void)err_set(&answer.err, rows[i].code, "HY000", "%s", rows[i].msg);
        assert_int_equal(viewmerge_read(VIEW_TASKS, &answer, &m, &err), rows[i].is_none);
        assert_null(m);
        if (!rows[i].is_none) {
            assert_int_equal(err.code, rows[i].code);
            assert_non_null(strstr(err.msg, rows[i].msg));
            assert_non_null(strstr(err.msg, "tasks() cannot be answered completely"));
        }
    }
}

static const struct {
    const char *sql;
    const char *jobs; /* what stands behind the function */
    const char *tasks;
} QUESTIONS[] = {
    {"select * from " J, "", ""},
    {"select * from " J " where Name = 'a' and Status = 'x'", " WHERE Name = 'a'", ""},
    {"select * from " T " t where t.JobName = 'a' and t.TaskId = 7", "",
     " WHERE JobName = 'a' AND TaskId = '7'"},
    {"select * from " T " where JobId = '05' and TaskId = 07", "", ""},
    {"select * from " J " where Name = 'it''s'", "", ""},
    {"select * from " J " where Name = 'a' or Id = 1", "", ""},
    {"select * from " J " a, " J " b where a.Name = 'a'", "", ""},
    {"select * from " J " j, " T " t where j.Name = 'a' and t.JobId = j.Id", " WHERE Name = 'a'",
     ""},
};

static void test_question(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(QUESTIONS); i++) {
        struct stmt stmt = {0};
        struct err err = {0};
        assert_int_equal(stmt_parse(span_of(QUESTIONS[i].sql), &stmt, &err), STMT_OURS);
        for (int table = 0; table < VIEW_TABLES; table++) {
            _cleanup_buf_ struct buf out = buf_with_max(2000);
            viewmerge_question(table, &stmt.u.view, &out);
            _cleanup_free_ char *end = xasprintf(
                "* FROM %s(\"type\"=\"insert\")%s LIMIT 1000000000", viewcols_table(table),
                table == VIEW_JOBS ? QUESTIONS[i].jobs : QUESTIONS[i].tasks);
            assert_non_null(strstr(buf_text(&out), end));
        }
        stmt_fini(&stmt);
    }
}

/* What dry_run_query = true makes of it; and an OK packet. */
static void test_answer_to_something_else(void **state)
{
    const char *columns[] = {"ReturnedRows"};
    const char *cells[] = {"4"};
    struct answer answers[] = {
        {.n_columns = 1, .columns = (char **)columns, .n_rows = 1, .cells = (char **)cells}, {0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct viewmerge *m = NULL;
        struct err err = {0};
        assert_false(viewmerge_read(VIEW_JOBS, &answers[i], &m, &err));
        assert_non_null(strstr(err.msg, "dry_run_query"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_many_columns),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_answer_to_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
