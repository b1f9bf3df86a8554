/* jobs() and tasks() over a snapshot: columns, values, rights, and what a query may not do. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/views.h"

static struct job_view *make_job(int64_t id, const char *name, const char *db)
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
        .properties = xstrdup("{\"max_interval\":\"1\"}"),
        .comment = xstrdup("it's"),
        .state = JOB_RUNNING,
        .create_ms = INT64_C(1758538737484),
        .n_succeeded = id,
        .offset = xstrdup("{\"fileName\":\"a.csv\"}"),
    };
    v->tasks = xcalloc(3, sizeof(struct task_view *));
    for (int64_t i = 1; i <= 3; i++) {
        struct task_record t = {.job_id = id,
                                .id = i,
                                .label = xasprintf("%d_%d", (int)id, (int)i),
                                .state = i < 3 ? TASK_SUCCESS : TASK_PENDING};
        v->tasks[v->n_tasks++] = task_view_create(&t);
        task_record_fini(&t);
    }
    return v;
}

/* The answer's packets of a query by a user with LOAD on database "mine", or its error. */
static struct view_request *ask_as(enum result_format format, const char *zone, const char *mysql)
{
    struct view_request *r = view_request_create(NULL, 1);
    r->form.format = format;
    r->time_zone = zone != NULL ? xstrdup(zone) : NULL;
    struct stmt stmt = {0};
    assert_int_equal(stmt_parse(span_of(mysql), &stmt, &r->err), STMT_OURS);
    r->sql = take_ptr(stmt.u.view.sql);
    stmt_fini(&stmt);
    r->snapshot = xcalloc(1, sizeof(*r->snapshot));
    r->snapshot->jobs = xcalloc(3, sizeof(struct job_view *));
    r->snapshot->jobs[r->snapshot->n_jobs++] = make_job(1, "one", "mine");
    r->snapshot->jobs[r->snapshot->n_jobs++] = make_job(2, "two", "mine");
    r->snapshot->jobs[r->snapshot->n_jobs++] = make_job(3, "three", "other");
    r->grants.is_known = true;
    r->grants.dbs.items = xcalloc(1, sizeof(char *));
    r->grants.dbs.items[r->grants.dbs.n++] = xstrdup("mine");
    views_answer(r);
    return r;
}

static struct view_request *ask(const char *mysql)
{
    return ask_as(RESULT_FORMAT_TEXT, NULL, mysql);
}

/* Cells of the text protocol, rows apart by '|', cells by ','; small results only. */
static char *cells_of(const struct buf *packets)
{
    struct buf out = buf_with_max(1 << 20);
    const unsigned char *p = (const unsigned char *)packets->data;
    size_t at = 0;
    int n_eof = 0;
    while (at + 4 <= packets->len) {
        size_t n = p[at] | (size_t)p[at + 1] << 8 | (size_t)p[at + 2] << 16;
        const unsigned char *body = p + at + 4;
        at += 4 + n;
        if (n < 9 && body[0] == 0xfe) {
            n_eof++;
            continue;
        }
        for (size_t i = 0; n_eof == 1 && i < n;) {
            assert_true(body[i] < 0xfb);
            buf_append(&out, body + i + 1, body[i]);
            i += 1U + body[i];
            buf_append_char(&out, i < n ? ',' : '|');
        }
    }
    return buf_take_text(&out);
}

static void assert_cells(const char *mysql, const char *expected)
{
    struct view_request *r = ask(mysql);
    if (!r->is_ok) {
        fail_msg("%s: %s", mysql, r->err.msg);
    }
    _cleanup_free_ char *cells = cells_of(&r->packets);
    assert_string_equal(cells, expected);
    view_request_destroy(r);
}

static void test_queries(void **state)
{
    assert_cells("select Name from jobs(\"type\"=\"insert\")", "one|two|");
    assert_cells("SELECT name FROM jobs('type'='insert') WHERE ExecuteType = streaming",
                 "one|two|");
    assert_cells("select Name from job(type=insert) where executetype = 'STREAMING' and Name='two'",
                 "two|");
    assert_cells("select Name from jobs(\"type\"=\"insert\") where Name = \"one\"", "one|");
    assert_cells("select count(*) from jobs(\"type\"=\"insert\")", "2|");
    assert_cells("select JobName, TaskId from tasks(\"type\"=\"insert\") where JobId = 2 limit 2",
                 "two,3|two,2|"); /* newest first */
    assert_cells("select Name, Status from jobs(\"type\"=\"insert\") where Name='absent'", "");
    assert_cells("select CurrentOffset, Comment from jobs(\"type\"=\"insert\") order by Id desc "
                 "limit 1",
                 "{\"fileName\":\"a.csv\"},it's|");
    assert_cells("select ErrorMsg, FinishTime, FirstErrorMsg from tasks(\"type\"=\"insert\") "
                 "limit 1",
                 "\\N,\\N,|");
    assert_cells("select j.Name, count(*) from jobs(\"type\"=\"insert\") j join "
                 "tasks(\"type\"=\"insert\") t on t.JobId = j.Id where t.Status = success "
                 "group by j.Name order by 1",
                 "one,2|two,2|");
}

static void test_others_jobs_are_invisible(void **state)
{
    assert_cells("select Name from jobs(\"type\"=\"insert\") where Name = 'three'", "");
    assert_cells("select count(*) from tasks(\"type\"=\"insert\") where JobId = 3", "0|");
}

static void test_secret_is_masked(void **state)
{
    struct view_request *r = ask("select * from jobs(\"type\"=\"insert\")");
    assert_true(r->is_ok);
    assert_null(memmem(r->packets.data, r->packets.len, "hush", 4));
    assert_non_null(memmem(r->packets.data, r->packets.len, "ExecuteSql", 10));
    view_request_destroy(r);
}

static void test_column_that_is_not_there(void **state)
{
    struct view_request *r = ask("select Nme from jobs(\"type\"=\"insert\")");
    assert_false(r->is_ok);
    assert_int_equal(r->err.code, 1054);
    assert_string_equal(r->err.sqlstate, "42S22");
    assert_non_null(strstr(r->err.msg, "'Nme'"));
    assert_non_null(strstr(r->err.msg, "jobs() has Id, Name, "));
    view_request_destroy(r);
}

static void test_only_reading(void **state)
{
    static const char *const statements[] = {
        "ATTACH DATABASE '/tmp/x' AS x",
        "PRAGMA user_version",
        "CREATE TABLE x(a)",
        "SELECT load_extension('x')",
    };
    for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
        struct view_request *r = view_request_create(NULL, 1);
        r->snapshot = xcalloc(1, sizeof(*r->snapshot));
        r->sql = xstrdup(statements[i]);
        views_answer(r);
        assert_false(r->is_ok);
        view_request_destroy(r);
    }
}

#define JOBS_1 " from jobs(\"type\"=\"insert\") limit 1"

static void test_functions(void **state)
{
    (void)state;
    assert_cells(
        "select instr('añb', 'b'), instr('ab', 'x'), instr('ab', ''), instr('aab', 'ab')" JOBS_1,
        "3,0,1,2|");
    assert_cells(
        "select replace('a.b.', '.', '--'), replace('ab', '', 'x'), replace(15, 5, 'é')" JOBS_1,
        "a--b--,ab,1é|");
    assert_cells("select trim('éxaéx', 'éx'), ltrim('xxa', 'x'), rtrim('axx', 'x'), trim(' a '),"
                 " trim('xx', 'x')" JOBS_1,
                 "a,a,a,a,|");
    assert_cells(
        "select coalesce(instr(null, 'x'), replace('a', null, 'b'), trim('a', null), 7)" JOBS_1,
        "7|");
}

/* One call must not take hours: no time limit reaches into it. */
static void test_no_long_call(void **state)
{
#define LONG "repeat(repeat('a', 1000), 4000)"
#define HALF "repeat(repeat('a', 1000), 2000)"
    static const char *const expressions[] = {
        "instr(" LONG ", concat(" HALF ", 'b'))",
        "replace(" LONG ", concat(" HALF ", 'b'), '')",
        "trim(" LONG ", concat(" HALF ", 'b'))",
        "" LONG " like concat('%', repeat(repeat('a', 1000), 20), 'b')",
        "replace(" LONG ", 'a', " LONG ")",
        "json_patch('{}', '{}')",
        "printf('%.*c', 2000000000, 'x')", /* 7 s, for no result */
        LONG " glob concat('*', repeat('a', 400), 'b')",
        "json_set(concat('[', " HALF ", ']'), '$[1]', 1)",
        "json_extract('[1,2]', '$[0]', '$[1]')",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expressions); i++) {
        _cleanup_free_ char *sql = xasprintf("select %s%s", expressions[i], JOBS_1);
        struct view_request *r = ask(sql);
        if (r->is_ok != (i < 3)) {
            fail_msg("%s: %s", sql, r->err.msg);
        }
        view_request_destroy(r);
    }
}

/* The time limit of a query counts what others do on a busy machine, too. */
static bool is_out_of_time(const struct view_request *r)
{
    return !r->is_ok && strstr(r->err.msg, "took longer than") != NULL;
}

/* 100 texts of 4 MB in one row. */
static void test_memory_is_bounded(void **state)
{
    struct buf sql = buf_with_max(10000);
    (void)state;
    for (int i = 0; i < 100; i++) {
        buf_printf(&sql, "%s repeat(concat(%d, repeat('a', 400)), 10000)", i == 0 ? "select" : ",",
                   i);
    }
    buf_append_text(&sql, " from jobs(\"type\"=\"insert\") where Id = 0 or length(Name) > 0");
    (void)sqlite3_memory_highwater(1);
    struct view_request *r = ask(buf_text(&sql));
    for (int tries = 1; tries < 4 && is_out_of_time(r); tries++) {
        view_request_destroy(r);
        r = ask(buf_text(&sql));
    }
    assert_false(r->is_ok);
    assert_non_null(strstr(r->err.msg, "more than the 256 MB"));
    /* the store shares SQLite's hard limit, 128 MB above: it must not feel this */
    assert_in_range(sqlite3_memory_highwater(1) >> 20, 256, 256 + 16);
    view_request_destroy(r);
    buf_fini(&sql);
    assert_cells("select Name from jobs(\"type\"=\"insert\")", "one|two|");
}

/* --- the threads --- */

struct replies {
    struct event_base *base;
    struct view_request *all[4]; /* owned, in order */
    size_t n;
    size_t n_wanted;
};

static void on_reply(struct msg *m, void *arg)
{
    struct replies *to = arg;
    to->all[to->n++] = (struct view_request *)m;
    if (to->n == to->n_wanted) {
        (void)event_base_loopbreak(to->base);
    }
}

static struct view_request *make_query(struct msgq *to, uint64_t id, const char *sql)
{
    struct view_request *r = view_request_create(to, id);
    r->sql = xstrdup(sql);
    return r;
}

static char *counting_to(int64_t n)
{
    return xasprintf("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
                     "WHERE n < %" PRId64 ") SELECT COUNT(*) FROM c",
                     n);
}

static int64_t own_cpu_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * How far this machine counts in three times the time of the first lane, when it has nothing else to
 * do: a busy one takes longer, and may be less busy when it counts again.
 */
static int64_t count_of_long(void)
{
    enum { TRIED_MS = 100, LONG_MS = 750 };
    int64_t n = 1000;
    int64_t took_ms = 0;
    while (took_ms < TRIED_MS) {
        n *= 2;
        _cleanup_free_ char *sql = counting_to(n);
        int64_t start_ms = own_cpu_ms();
        struct view_request *r = view_request_create(NULL, 0);
        r->sql = xstrdup(sql);
        views_answer(r);
        assert_true(r->is_ok);
        took_ms = own_cpu_ms() - start_ms;
        view_request_destroy(r);
    }
    return n * LONG_MS / took_ms;
}

/* Queries that take long are behind those which do not, whenever they came. */
static void test_long_queries_make_way(void **state)
{
    int64_t n_long = count_of_long();
    _cleanup_free_ char *slow = counting_to(n_long);
    _cleanup_free_ char *counted = xasprintf("%" PRId64 "|", n_long);
    struct err err = {0};
    struct replies got = {.base = event_base_new(), .n_wanted = 3};
    struct msgq *to = msgq_create(got.base, on_reply, &got, &err);
    struct views *views = views_create(&err);
    (void)state;
    assert_non_null(to);
    assert_non_null(views);
    views_send(views, make_query(to, 1, slow));
    views_send(views, make_query(to, 2, slow));
    views_send(views, make_query(to, 3, "SELECT COUNT(*) FROM jobs"));
    (void)event_base_loop(got.base, EVLOOP_NO_EXIT_ON_EMPTY);
    assert_int_equal(got.all[0]->session_id, 3);
    for (size_t i = 0; i < got.n; i++) {
        if (i == 0 || !is_out_of_time(got.all[i])) {
            assert_true(got.all[i]->is_ok); /* in the end */
            _cleanup_free_ char *cells = cells_of(&got.all[i]->packets);
            assert_string_equal(cells, i == 0 ? "0|" : counted);
        }
        view_request_destroy(got.all[i]);
    }
    views_destroy(views);
    msgq_destroy(to);
    event_base_free(got.base);
}

/* The end of the process does not wait for them. */
static void test_end_with_long_queries(void **state)
{
    static const char forever[] = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "
                                  "SELECT COUNT(*) FROM c";
    struct err err = {0};
    struct replies got = {.base = event_base_new(), .n_wanted = 1};
    struct msgq *to = msgq_create(got.base, on_reply, &got, &err);
    struct views *views = views_create(&err);
    (void)state;
    assert_non_null(to);
    assert_non_null(views);
    int64_t start_ms = clock_mono_ms();
    for (uint64_t id = 1; id <= 3; id++) {
        views_send(views, make_query(to, id, forever));
    }
    views_send(views, make_query(to, 4, "SELECT COUNT(*) FROM jobs"));
    (void)event_base_loop(got.base, EVLOOP_NO_EXIT_ON_EMPTY); /* the others are in the slow lane */
    assert_int_equal(got.all[0]->session_id, 4);
    view_request_destroy(got.all[0]);
    views_destroy(views);
    assert_in_range(clock_mono_ms() - start_ms, 0, 8000); /* one alone takes 10 s */
    msgq_destroy(to);
    event_base_free(got.base);
}

/* The type of a column definition, of a classic answer; `i` from 1 on. */
static uint8_t type_of_column(const struct buf *packets, size_t i)
{
    const unsigned char *p = (const unsigned char *)packets->data;
    size_t n = 0;
    do {
        n = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16;
        p += i > 0 ? 4 + n : 0;
    } while (i-- > 0);
    return p[4 + n - 6];
}

/* A column has one type, which every value of it fits. */
static void test_types(void **state)
{
    static const struct {
        const char *sql;
        uint8_t type;
    } rows[] = {
        {"select Id from jobs(\"type\"=\"insert\")", 0xfe},
        {"select 1 from jobs(\"type\"=\"insert\")", 0x08},
        {"select 1.5 from jobs(\"type\"=\"insert\")", 0x05},
        {"select 'x' from jobs(\"type\"=\"insert\")", 0xfe},
        {"select null from jobs(\"type\"=\"insert\")", 0xfe},
        {"select case when Name = 'one' then 1 else 1.5 end from jobs(\"type\"=\"insert\")", 0x05},
        {"select case when Name = 'one' then 1 else 'x' end from jobs(\"type\"=\"insert\")", 0xfe},
        {"select case when Name = 'one' then null else 2 end from jobs(\"type\"=\"insert\")", 0x08},
        {"select 1 from jobs(\"type\"=\"insert\") where 0", 0xfe},
        {"select max(Id) from jobs(\"type\"=\"insert\")", 0xfe},
        {"select count(*) from jobs(\"type\"=\"insert\")", 0x08},
        {"select avg(SucceedTaskCount) from jobs(\"type\"=\"insert\")", 0x05},
        {"select 4 / 2 from jobs(\"type\"=\"insert\")", 0x05},
        {"select now() from jobs(\"type\"=\"insert\")", 0xfe},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (int format = RESULT_FORMAT_TEXT; format <= RESULT_FORMAT_CURSOR; format++) {
            struct view_request *r = ask_as(format, NULL, rows[i].sql);
            assert_true(r->is_ok);
            if (type_of_column(&r->packets, 1) != rows[i].type) {
                fail_msg("%s: %d", rows[i].sql, type_of_column(&r->packets, 1));
            }
            view_request_destroy(r);
        }
    }
}

/* Of the classic answer's i-th column, from 1 on. */
static struct span name_of_column(const struct buf *packets, size_t i)
{
    const unsigned char *p = (const unsigned char *)packets->data;
    for (; i > 0; i--) {
        p += 4 + (p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16);
    }
    p += 4 + sizeof("\3def\0\0\0") - 1;
    return (struct span){(const char *)p + 1, p[0]};
}

/* What is rewritten for SQLite keeps the name that the user wrote. */
static void test_names(void **state)
{
    static const struct {
        const char *list;
        const char *name;
    } rows[] = {
        {"Name", "Name"},
        {"count(*)", "count(*)"},
        {"4 / 2", "4 / 2"},
        {"4 / 2 AS half", "half"},
        {"4 / 2 half", "half"},
        {"cast(Id AS BIGINT)", "cast(Id AS BIGINT)"},
        {"DISTINCT left(Name, 1)", "left(Name, 1)"},
        {"now() - INTERVAL 1 DAY", "now() - INTERVAL 1 DAY"},
        {"lower(Name) = 5", "lower(Name) = 5"},
        {"CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"},
        {"case when lower(Name) = 5 then 1 else 2 end",
         "case when lower(Name) = 5 then 1 else 2 end"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *sql =
            xasprintf("select %s, Id from jobs(\"type\"=\"insert\")", rows[i].list);
        struct view_request *r = ask(sql);
        if (!r->is_ok) {
            fail_msg("%s: %s", sql, r->err.msg);
        }
        _cleanup_free_ char *name = span_dup(name_of_column(&r->packets, 1));
        assert_string_equal(name, rows[i].name);
        view_request_destroy(r);
    }
}

static void test_doubles(void **state)
{
    (void)state;
    assert_cells("select 4 / 2, 1 / 3, 0.1 + 0.2, 1e20 * 100, -2.5 from jobs(\"type\"=\"insert\") "
                 "limit 1",
                 "2,0.3333333333333333,0.30000000000000004,1e+22,-2.5|");
}

/* As numbers where Doris would, as texts where it would. */
static void test_number_columns(void **state)
{
    (void)state;
    assert_cells("select Id from jobs(\"type\"=\"insert\") where Id > 1", "2|");
    assert_cells("select Id from jobs(\"type\"=\"insert\") where Id = 1", "1|");
    assert_cells("select Id from jobs(\"type\"=\"insert\") where Id = '1'", "1|");
    assert_cells("select Id from jobs(\"type\"=\"insert\") where Id in (2, 7)", "2|");
    assert_cells("select Id from jobs(\"type\"=\"insert\") where 2 in (SucceedTaskCount, jobs.Id)",
                 "2|");
    assert_cells("select Id from jobs(\"type\"=\"insert\") where 2 in (select Id from "
                 "jobs(\"type\"=\"insert\") x) and 2 not in (Id, NULL + 1, 0)",
                 "");
    assert_cells(
        "select Id from jobs(\"type\"=\"insert\") where length(Name) in ('3', Id) and 3 in "
        "(case Id when 1 then '3' end, 4)",
        "1|");
    assert_cells("select TaskId from tasks(\"type\"=\"insert\") where JobId = 1 and TaskId >= 2",
                 "3|2|");
    assert_cells(
        "select count(*) from tasks(\"type\"=\"insert\") t join jobs(\"type\"=\"insert\") j "
        "on t.JobId = j.Id where j.SucceedTaskCount between 2 and 10",
        "3|");
    assert_cells("select Id from jobs(\"type\"=\"insert\") where Id like '1%'", "1|");
    assert_cells("select sum(SucceedTaskCount) from jobs(\"type\"=\"insert\")", "3|");
}

static void assert_time(const char *zone, const char *expected)
{
    struct view_request *r = ask_as(RESULT_FORMAT_TEXT, zone,
                                    "select CreateTime from jobs(\"type\"=\"insert\") limit 1");
    assert_true(r->is_ok);
    _cleanup_free_ char *cells = cells_of(&r->packets);
    assert_string_equal(cells, expected);
    view_request_destroy(r);
}

static void test_times_are_the_sessions(void **state)
{
    (void)state;
    assert_time("+00:00", "2025-09-22 10:58:57|");
    assert_time("+08:00", "2025-09-22 18:58:57|");
    assert_time("-03:30", "2025-09-22 07:28:57|");
}

static struct view_request *prepare(const char *sql)
{
    struct view_request *r = view_request_create(NULL, 1);
    r->is_prepare = true;
    r->sql = xstrdup(sql);
    views_answer(r);
    return r;
}

/* Not run, and without a snapshot. */
static void test_prepare(void **state)
{
    struct view_request *r = prepare("SELECT Name, COUNT(*) AS n FROM jobs WHERE Id = 1");
    (void)state;
    assert_true(r->is_ok);
    assert_int_equal(r->packets.len, 0);
    assert_int_equal(r->n_names, 2);
    assert_string_equal(r->names[0], "Name");
    assert_string_equal(r->names[1], "n");
    view_request_destroy(r);
    r = prepare("SELECT Nome FROM jobs");
    assert_false(r->is_ok);
    assert_int_equal(r->err.code, 1054);
    view_request_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_others_jobs_are_invisible),
        cmocka_unit_test(test_secret_is_masked),
        cmocka_unit_test(test_column_that_is_not_there),
        cmocka_unit_test(test_only_reading),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_no_long_call),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_long_queries_make_way),
        cmocka_unit_test(test_end_with_long_queries),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_number_columns),
        cmocka_unit_test(test_times_are_the_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
