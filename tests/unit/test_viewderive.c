/* Queries that the FE has to run: the text with the rows in it. And what WHERE says of a call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/local.h"
#include "proxy/viewderive.h"
#include "proxy/viewmerge.h"
#include "proxy/viewnarrow.h"
#include "proxy/views.h"

#define J "jobs(\"type\"=\"insert\")"
#define T "tasks(\"type\"=\"insert\")"

static struct job_view *make_job(int64_t id, const char *name, const char *db, const char *comment)
{
    struct job_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    v->rec = (struct job_record){
        .id = id,
        .name = xstrdup(name),
        .definer = xstrdup("root"),
        .target_db = xstrdup(db),
        .target_table = xstrdup("t"),
        .sql = xstrdup("INSERT INTO t SELECT * FROM S3('s3.secret_key'='hush')"),
        .properties = xstrdup(""),
        .comment = xstrdup(comment),
        .state = JOB_RUNNING,
    };
    v->tasks = xcalloc(1, sizeof(struct task_view *));
    struct task_record t = {.job_id = id, .id = id * 10, .label = xstrdup("l")};
    v->tasks[v->n_tasks++] = task_view_create(&t);
    task_record_fini(&t);
    return v;
}

/* A request by a user with LOAD on database "mine", where there are n_jobs jobs and two others. */
static struct view_request *make_request(const char *mysql, size_t n_jobs)
{
    struct view_request *r = view_request_create(NULL, 1);
    struct stmt stmt = {0};
    if (stmt_parse(span_of(mysql), &stmt, &r->err) != STMT_OURS) {
        fail_msg("%s: %s", mysql, r->err.msg);
    }
    r->sql = take_ptr(stmt.u.view.sql);
    r->view = stmt.u.view;
    r->snapshot = xcalloc(1, sizeof(*r->snapshot));
    r->snapshot->jobs = xcalloc(n_jobs + 2, sizeof(struct job_view *));
    for (size_t i = 1; i <= n_jobs; i++) {
        _cleanup_free_ char *name = xasprintf("n%zu", i);
        r->snapshot->jobs[r->snapshot->n_jobs++] = make_job((int64_t)i, name, "mine", "it's");
    }
    r->snapshot->jobs[r->snapshot->n_jobs++] = make_job(INT64_C(1) << 40, "hers", "other", "");
    r->grants.dbs.items = xcalloc(1, sizeof(char *));
    r->grants.dbs.items[r->grants.dbs.n++] = xstrdup("mine");
    r->grants.is_known = true;
    return r;
}

static void assert_derived(const char *mysql, size_t n_jobs, const char *expected)
{
    struct view_request *r = make_request(mysql, n_jobs);
    views_answer(r);
    if (!r->is_ok || r->derived == NULL) {
        fail_msg("%s: %s", mysql, r->err.msg);
    }
    assert_string_equal(r->derived, expected);
    view_request_destroy(r);
}

static void test_text(void **state)
{
    (void)state;
    assert_derived("select j.Name, t.x from " J " j join t on t.x = j.Id", 2,
                   "select j.Name, t.x from (SELECT CAST('1' AS STRING) AS `Id`, CAST('n1' AS "
                   "STRING) AS `Name` UNION ALL SELECT '2', 'n2') j join t on t.x = j.Id");
    assert_derived("select count(*) from " J ", t", 1,
                   "select count(*) from (SELECT CAST('1' AS STRING) AS `Id`) AS `jobs`, t");
    assert_derived(
        "select `comment` from t, " T "x, " J "where 1 = 1", 1,
        "select `comment` from t, (SELECT CAST('10' AS STRING) AS `TaskId`) x, (SELECT "
        "CAST('1' AS STRING) AS `Id`, CAST(UNHEX('69742773') AS STRING) AS `Comment`) AS "
        "`jobs` where 1 = 1");
    assert_derived("select Id from " J ", t", 0,
                   "select Id from (SELECT * FROM (SELECT CAST('' AS STRING) AS `Id`) AS no_row "
                   "WHERE 1 = 0) AS `jobs`, t");
    /* absent values are \N in tasks() */
    assert_derived("select StartTime from t, " T, 1,
                   "select StartTime from t, (SELECT CAST('10' AS STRING) AS `TaskId`, "
                   "CAST(UNHEX('5C4E') AS STRING) AS `StartTime`) AS `tasks`");
    /* what SQLite lacks */
    assert_derived("select any_function_of_doris(Name) from " J, 1,
                   "select any_function_of_doris(Name) from (SELECT CAST('1' AS STRING) AS `Id`, "
                   "CAST('n1' AS STRING) AS `Name`) AS `jobs`");
}

static void test_all_columns(void **state)
{
    static const char *const queries[] = {
        "select * from " J ", t",
        "select jobs.*, 1 from " J ", t",
        "select distinct * from " J " natural join t",
        "select 1 from " J " natural join t",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        struct view_request *r = make_request(queries[i], 2);
        views_answer(r);
        assert_true(r->is_ok);
        assert_non_null(strstr(r->derived, "AS `LastTaskSuccessTime`"));
        assert_null(strstr(r->derived, "hers"));
        assert_null(strstr(r->derived, "68757368")); /* "hush", as put into UNHEX() */
        assert_null(strstr(r->derived, "hush"));
        view_request_destroy(r);
    }
    struct view_request *r = make_request("select 2 * 3, count( * ) from " J ", t", 2);
    views_answer(r);
    assert_null(strstr(r->derived, "`Name`"));
    view_request_destroy(r);
}

/* The FE's rows are among them, and its columns. */
static void test_rows_of_the_fe(void **state)
{
    const char *columns[] = {"Id", "Name", "Lag`Bytes", "LAG`bytes"}; /* one of them twice */
    const char *cells[] = {"77", NULL, "9", "8"};
    struct answer answer = {
        .n_columns = 4, .columns = (char **)columns, .n_rows = 1, .cells = (char **)cells};
    struct view_request *r = make_request("select Name, `Lag``Bytes` from " J ", t", 1);
    (void)state;
    assert_true(viewmerge_read(VIEW_JOBS, &answer, &r->fe[VIEW_JOBS], &r->err));
    views_answer(r);
    assert_true(r->is_ok);
    assert_string_equal(r->derived,
                        "select Name, `Lag``Bytes` from (SELECT CAST('1' AS STRING) AS `Id`, "
                        "CAST('n1' AS STRING) AS `Name` UNION ALL SELECT '77', NULL) AS `jobs`, t");
    view_request_destroy(r);
    r = make_request("select * from " J ", t", 0);
    assert_true(viewmerge_read(VIEW_JOBS, &answer, &r->fe[VIEW_JOBS], &r->err));
    views_answer(r);
    assert_non_null(strstr(r->derived, "CAST('9' AS STRING) AS `Lag``Bytes`) AS `jobs`"));
    view_request_destroy(r);
}

static void test_bounds(void **state)
{
    struct view_request *r = make_request("select Id from " J ", t", VIEWDERIVE_MAX_ROWS + 1);
    (void)state;
    views_answer(r);
    assert_false(r->is_ok);
    assert_int_equal(r->err.code, ERR_NET_PACKET_TOO_LARGE);
    assert_non_null(strstr(r->err.msg, "narrow each by WHERE"));
    view_request_destroy(r);
    r = make_request("select Id from " J " j, t where j.Name = 'n7'", VIEWDERIVE_MAX_ROWS + 1);
    views_answer(r);
    assert_true(r->is_ok);
    assert_string_equal(r->derived, "select Id from (SELECT CAST('7' AS STRING) AS `Id`, CAST('n7' "
                                    "AS STRING) AS `Name`) j, t where j.Name = 'n7'");
    view_request_destroy(r);
}

/* SQLite's own errors, where the FE would say no more. */
static void test_not_for_the_fe(void **state)
{
    static const struct {
        const char *sql;
        int code;
    } rows[] = {
        {"select Nam from " J, 1054},
        {"select load_extension('x') from " J, 1064},
        {"select Name from " J " where", 1064},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct view_request *r = make_request(rows[i].sql, 1);
        views_answer(r);
        assert_false(r->is_ok);
        assert_null(r->derived);
        assert_int_equal(r->err.code, rows[i].code);
        view_request_destroy(r);
    }
}

/* Terms as column=value, joined by ' '. */
static const struct {
    const char *sql;
    const char *terms;
} NARROWS[] = {
    {"select * from " J " where Name = 'a'", "1=a"},
    {"select * from " J " j where J.`Name` = \"a\" and j.Id = 5 group by 1", "1=a 0=5"},
    {"select * from t, " J " j where j.Name = 'a' && t.x = 'b' and t.y > 3", "1=a"},
    {"select * from (select * from " J " where Name = 'a') x, t where x.Id = '3'", "1=a"},
    {"select * from t join " J " on t.x = jobs.Id where jobs.Status = 'a' limit 5", "5=a"},
    {"select * from t where x in (select Id from " J " where Name = 'a')", "1=a"},
    {"select * from " J " j where (j.Name = 'a' or 1 = 1) and j.Id = 7", "0=7"},
    {"select * from " J " j where not j.Name = 'a' and j.Id = 7", "0=7"},
    /* these say nothing, or not enough */
    {"select * from t, " J " j where Name = 'a'", ""},
    {"select * from " J " j left join t on j.Id = t.x where Name = 'a'", ""},
    {"select * from " J " j, t where j.Name = 'a' or t.x = 1", ""},
    {"select * from " J " j, t where j.Name = 'a' || t.x = 1", ""},
    {"select * from " J " j, t where j.Name between 'a' and j.Id = '5'", ""},
    {"select * from " J " j, t where case when j.Name = 'a' and j.Id = '5' then 1 end", ""},
    {"select * from " J " j, t where j.Name = 'a' = 0", ""},
    {"select * from " J " j, t where j.Name = concat('a', 'b')", ""},
    {"select * from " J " j, t where j.Name = 5 and j.Name > 'a'", ""},
    {"select * from " J " j, t where j.Name = 'a\\\\b'", ""},
    {"select * from " J " j union select * from t where Name = 'a'", ""},
    {"select * from " J " j, t where j.Nam = 'a'", ""},
    {"select * from " J " j, t where k.Name = 'a'", ""},
    /* a column called window is not the end of the WHERE */
    {"select * from " J " j, t where j.Name = 'a' and t.window = 1 or 1 = 1", ""},
    {"select * from " J " j, t where j.Name = 'a' and qualify = 1 or 1 = 1", ""},
};

static void test_narrow(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(NARROWS); i++) {
        struct stmt stmt = {0};
        struct err err = {0};
        struct viewnarrow narrow = {0};
        _cleanup_buf_ struct buf shown = buf_with_max(1000);
        assert_int_equal(stmt_parse(span_of(NARROWS[i].sql), &stmt, &err), STMT_OURS);
        viewnarrow_find(span_of(stmt.u.view.text), &stmt.u.view.places[0], &narrow);
        for (size_t k = 0; k < narrow.n; k++) {
            buf_printf(&shown, "%s%zu=%s", k > 0 ? " " : "", narrow.terms[k].column,
                       narrow.terms[k].value);
        }
        if (strcmp(buf_text(&shown), NARROWS[i].terms) != 0) {
            fail_msg("%s: %s", NARROWS[i].sql, buf_text(&shown));
        }
        viewnarrow_fini(&narrow);
        stmt_fini(&stmt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_all_columns),
        cmocka_unit_test(test_rows_of_the_fe), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_not_for_the_fe), cmocka_unit_test(test_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
