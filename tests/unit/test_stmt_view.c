/*
 * The places of jobs() and tasks() in a query, where rows are put for the FE to run it; and when only
 * the FE can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"

#define J "jobs(\"type\"=\"insert\")"
#define T "tasks(\"type\"=\"insert\")"

/* Each place becomes <J> or <T>, with the alias that is to be added behind it. */
static const struct {
    const char *sql;
    const char *shown;
    bool is_for_fe;
} ROWS[] = {
    {"select * from " J, "select * from <J jobs>", false},
    {"select * from " J " where 1 = 1", "select * from <J jobs> where 1 = 1", false},
    {"select * from " T " t, " J "as j", "select * from <T> t, <J>as j", false},
    {"select * from JOB ( type = insert ) order by 1", "select * from <J job> order by 1", false},
    {"select * from job(type=insert) `job`", "select * from <J> `job`", false},
    {"select /*+ SET_VAR(a=1) */ * from -- c\n" T "-- c",
     "select /*+ SET_VAR(a=1) */ * from -- c\n"
     "<T tasks>-- c",
     false},
    {"(select Id from " J ") union all (select JobId from " T ")",
     "(select Id from <J jobs>) union all (select JobId from <T tasks>)", false},
    {"select * from " J " qualify row_number() over (order by Id) = 1",
     "select * from <J jobs> qualify row_number() over (order by Id) = 1", false},
    {"select * from " J " j join t on t.a = j.Id", "select * from <J> j join t on t.a = j.Id",
     true},
    {"select * from t where a in (select Id from " J ")",
     "select * from t where a in (select Id from <J jobs>)", true},
    {"select * from " J " a, jobs(\"type\"=\"mv\") b",
     "select * from <J> a, jobs(\"type\"=\"mv\") b", true},
    {"select * from " J ", numbers(\"number\"=\"3\")",
     "select * from <J jobs>, numbers(\"number\"=\"3\")", true},
    {"select * from information_schema.tables, " J,
     "select * from information_schema.tables, <J jobs>", true},
    {"with x as (select * from x) select * from x, " J,
     "with x as (select * from x) select * from x, <J jobs>", true},
    {"with x as (select * from t) select * from x, " J,
     "with x as (select * from t) select * from x, <J jobs>", true},
    {"with x as (select * from " J ") select * from x",
     "with x as (select * from <J jobs>) select "
     "* from x",
     false},
    {"select @a from " J, "select @a from <J jobs>", true},
    {"select split_by_string(Name, '_')[1] from " J,
     "select split_by_string(Name, '_')[1] from <J jobs>", true},
    {"select * from " J " into outfile \"s3://b/x\"",
     "select * from <J jobs> into outfile \"s3://b/x\"", true},
    {"SHOW JOBS LIKE 'a%'", NULL, false},
    /* SQLite would read another thing of that name, or a text */
    {"with tasks as (select Name from " J ") select * from " T " t",
     "with tasks as (select Name from <J jobs>) select * from <T> t", true},
    {"with a as (select 1), `Jobs` (x) as (select 2) select * from " J,
     "with a as (select 1), `Jobs` (x) as (select 2) select * from <J jobs>", true},
    {"select 1 from " J " where Definer = current_user",
     "select 1 from <J jobs> where Definer = current_user", true},
    {"select date '2026-01-01' from " J, "select date '2026-01-01' from <J jobs>", true},
    {"select j.date, j.current_user from " J " j", "select j.date, j.current_user from <J> j",
     false},
    {"select Name from " J " where Name = 'a\\0'", "select Name from <J jobs> where Name = 'a\\0'",
     true},
};

/* Kept as a C string: with a NUL in it the places would be behind its end. */
static void test_nul(void **state)
{
    static const char *const BEFORE[] = {"select '", "select 1 /* ", "select "};
    static const char *const BEHIND[] = {"' from " J, " */ from " J ", t", " 1 from " J};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(BEFORE); i++) {
        _cleanup_buf_ struct buf sql = buf_with_max(1000);
        struct stmt s = {0};
        struct err err = {0};
        buf_append_text(&sql, BEFORE[i]);
        buf_append_char(&sql, '\0');
        buf_append_text(&sql, BEHIND[i]);
        assert_int_equal(stmt_parse(buf_span(&sql), &s, &err), STMT_BAD);
        assert_non_null(strstr(err.msg, "contains a NUL byte"));
    }
}

static char *show(const struct stmt_view *view)
{
    struct buf out = buf_with_max(1 << 16);
    size_t at = 0;
    for (size_t i = 0; i < view->n_places; i++) {
        const struct stmt_view_place *p = &view->places[i];
        buf_append(&out, view->text + at, p->at - at);
        buf_printf(&out, "<%c%s%s>", p->is_tasks ? 'T' : 'J', p->alias != NULL ? " " : "",
                   p->alias != NULL ? p->alias : "");
        at = p->end;
    }
    buf_append_text(&out, view->text + at);
    return buf_take_text(&out);
}

static void test_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        struct stmt s = {0};
        struct err err = {0};
        if (stmt_parse(span_of(ROWS[i].sql), &s, &err) != STMT_OURS) {
            fail_msg("%s: %s", ROWS[i].sql, err.msg);
        }
        assert_int_equal(s.kind, STMT_VIEW_QUERY);
        _cleanup_free_ char *shown = show(&s.u.view);
        if (ROWS[i].shown != NULL) {
            assert_string_equal(shown, ROWS[i].shown);
        } else {
            assert_int_equal(s.u.view.n_places, 1);
        }
        assert_int_equal(s.u.view.sql == NULL, ROWS[i].is_for_fe);
        stmt_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_nul)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
