/* The columns of jobs() that Doris does not have: shown when they are named, and only then. */
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
#include "proxy/local.h"
#include "proxy/packet.h"
#include "proxy/viewmerge.h"
#include "proxy/views.h"

#define J "jobs(\"type\"=\"insert\")"

static struct job_view *make_job(int64_t id, const char *name)
{
    struct job_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    v->rec = (struct job_record){
        .id = id,
        .name = xstrdup(name),
        .definer = xstrdup("root"),
        .target_db = xstrdup("mine"),
        .target_table = xstrdup("t"),
        .sql = xstrdup("INSERT"),
        .properties = xstrdup(""),
        .comment = xstrdup(""),
        .state = JOB_RUNNING,
    };
    v->watch = (struct source_watch){.n_late = -1, .n_overwritten = -1};
    return v;
}

/* "plain" knows nothing of its files; "busy" has all there is. */
static struct job_view *make_busy(void)
{
    struct job_view *v = make_job(2, "busy");
    struct bad_file files[] = {
        {.key = (char *)"in/a'b.csv",
         .etag = (char *)"e",
         .reason = (char *)"secret_key = 'hush', bad \"row\"",
         .task_id = 7,
         .at_ms = INT64_C(1758538737484),
         .is_retried = true},
        {.key = (char *)"in/b,c.csv", .etag = (char *)"", .reason = (char *)"a comma"},
    };
    v->guarantee = GUARANTEE_TRANSACTIONAL;
    v->watch = (struct source_watch){.n_late = 12, .n_overwritten = 0};
    v->rec.n_tracked = 1000;
    v->bad = bad_view_create(files, ARRAY_SIZE(files));
    v->evidence = xstrdup("task 7, label 2_7, secret_key = 'hush'");
    return v;
}

/* The FE has a job 9 of its own. */
static struct view_request *ask(const char *mysql)
{
    static const char *const columns[] = {"Id", "Name"};
    static const char *const cells[] = {"9", "theirs"};
    struct answer answer = {.n_columns = 2,
                            .columns = (char **)(uintptr_t)columns,
                            .n_rows = 1,
                            .cells = (char **)(uintptr_t)cells};
    struct view_request *r = view_request_create(NULL, 1);
    struct stmt stmt = {0};
    if (stmt_parse(span_of(mysql), &stmt, &r->err) != STMT_OURS) {
        fail_msg("%s: %s", mysql, r->err.msg);
    }
    r->sql = take_ptr(stmt.u.view.sql);
    r->view = stmt.u.view;
    r->time_zone = xstrdup("UTC");
    r->snapshot = xcalloc(1, sizeof(*r->snapshot));
    r->snapshot->jobs = xcalloc(2, sizeof(struct job_view *));
    r->snapshot->jobs[r->snapshot->n_jobs++] = make_job(1, "plain");
    r->snapshot->jobs[r->snapshot->n_jobs++] = make_busy();
    r->grants.dbs.items = xcalloc(1, sizeof(char *));
    r->grants.dbs.items[r->grants.dbs.n++] = xstrdup("mine");
    r->grants.is_known = true;
    assert_true(viewmerge_read(VIEW_JOBS, &answer, &r->fe[VIEW_JOBS], &r->err));
    views_answer(r);
    if (!r->is_ok) {
        fail_msg("%s: %s", mysql, r->err.msg);
    }
    return r;
}

/* Cells of the text protocol, rows apart by '|', cells by ';'; a NULL is "~". */
static char *cells_of(const struct buf *packets)
{
    struct buf out = buf_with_max(1 << 20);
    int n_eof = 0;
    for (size_t at = 0; at < packets->len;) {
        size_t n = packet_length(packets->data + at);
        const uint8_t *body = (const uint8_t *)packets->data + at + PACKET_HEADER_SIZE;
        at += PACKET_HEADER_SIZE + n;
        bool is_eof = n < 9 && body[0] == PACKET_EOF;
        n_eof += is_eof;
        for (size_t i = 0; n_eof == 1 && !is_eof && i < n;) {
            size_t head = body[i] == 0xfc ? 3 : 1;
            size_t length = body[i] == 0xfb ? 0 : body[i];
            length = head == 3 ? body[i + 1] | (size_t)body[i + 2] << 8 : length;
            buf_append(&out, body[i] == 0xfb ? "~" : (const char *)body + i + head,
                       body[i] == 0xfb ? 1 : length);
            i += head + length;
            buf_append_char(&out, i < n ? ';' : '|');
        }
    }
    return buf_take_text(&out);
}

static void test_named(void **state)
{
    static const struct {
        const char *sql;
        const char *cells;
    } cases[] = {
        {"select Name, Guarantee, LateFiles, OverwrittenFiles, QuarantinedFiles, TrackedFiles "
         "from " J " order by Name",
         "busy;transactional;12;0;2;1000|plain;label;~;~;0;0|theirs;~;~;~;~;~|"},
        {"select name from " J " where guarantee = 'transactional'", "busy|"},
        {"select Name from " J " where LateFiles > 9", "busy|"}, /* a number */
        {"select Name from " J " where LateFiles is null order by Name", "plain|theirs|"},
        {"select sum(TrackedFiles) s from " J, "1000|"},
        {"select Name from " J " order by QuarantinedFiles desc, Name limit 1", "busy|"},
        {"select Quarantine from " J " where Name = 'busy'",
         "[{\"key\":\"in/a'b.csv\",\"reason\":\"secret_key = '*XXX', bad \\\"row\\\"\",\"task\":7,"
         "\"time\":\"2025-09-22 10:58:57\",\"retried\":true},{\"key\":\"in/b,c.csv\",\"reason\":"
         "\"a comma\",\"task\":null,\"time\":\"1970-01-01 00:00:00\",\"retried\":false}]|"},
        {"select Quarantine, Evidence from " J " where Name = 'plain'", "[];|"},
        {"select Evidence from " J " where Name = 'busy'",
         "task 7, label 2_7, secret_key = '*XXX'|"},
        {"select get_json_string(Quarantine, '$[0].key') from " J " where Id = 2", "in/a'b.csv|"},
        {"select j.Guarantee from (select Guarantee, Id from " J ") j where j.Id = 1", "label|"},
        {"select count(Evidence) from " J, "2|"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct view_request *r = ask(cases[i].sql);
        _cleanup_free_ char *cells = cells_of(&r->packets);
        if (r->derived != NULL || strcmp(cells, cases[i].cells) != 0) {
            fail_msg("%s: %s%s", cases[i].sql, cells, r->derived != NULL ? r->derived : "");
        }
        view_request_destroy(r);
    }
}

/* As Doris has them, one for one. */
static void test_not_in_star(void **state)
{
    static const char *const queries[] = {
        "select * from " J, "select j.* from " J " j", "select * from (select * from " J ") x",
        "select * from " J " where LateFiles > 0", "select * from " J " limit 0"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        struct view_request *r = ask(queries[i]);
        assert_int_equal(r->packets.data[4], 20);
        assert_null(memmem(r->packets.data, r->packets.len, "Guarantee", 9));
        assert_null(memmem(r->packets.data, r->packets.len, "Quarantine", 10));
        view_request_destroy(r);
    }
    struct view_request *both = ask("select *, LateFiles from " J);
    assert_int_equal(both->packets.data[4], 21);
    view_request_destroy(both);
}

static void test_show_jobs(void **state)
{
    static const char *const statements[] = {
        "SHOW JOBS WHERE Guarantee = 'transactional'",
        "SHOW JOBS LIKE 'b%' WHERE LateFiles = 12 AND OverwrittenFiles = 0 AND QuarantinedFiles = "
        "2 "
        "AND TrackedFiles = 1000 AND Quarantine LIKE '%comma%' AND Evidence LIKE 'task 7%' AND "
        "Guarantee != 'label'",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
        struct view_request *r = ask(statements[i]);
        _cleanup_free_ char *cells = cells_of(&r->packets);
        assert_string_equal(cells, "2;busy;root;STREAMING;RUNNING;0;0;;;;;|");
        view_request_destroy(r);
    }
}

/* Rows for the FE have them when the text names them. */
static void test_derived(void **state)
{
    (void)state;
    struct view_request *r = ask("select j.LateFiles, t.x from " J " j join t on t.x = j.Id");
    assert_non_null(r->derived);
    assert_string_equal(r->derived,
                        "select j.LateFiles, t.x from (SELECT CAST('1' AS STRING) AS `Id`, "
                        "CAST(NULL AS STRING) AS `LateFiles` UNION ALL SELECT '2', '12' UNION ALL "
                        "SELECT '9', NULL) j join t on t.x = j.Id");
    view_request_destroy(r);
    r = ask("select * from " J ", t");
    assert_non_null(r->derived);
    assert_null(strstr(r->derived, "Guarantee"));
    view_request_destroy(r);
}

/* A query that is wrong is told of them. */
static void test_told_in_errors(void **state)
{
    struct view_request *r = view_request_create(NULL, 1);
    (void)state;
    r->snapshot = xcalloc(1, sizeof(*r->snapshot));
    r->sql = xstrdup("SELECT Late FROM jobs");
    views_answer(r);
    assert_false(r->is_ok);
    assert_non_null(strstr(r->err.msg, "LastTaskSuccessTime, Guarantee, LateFiles, "));
    assert_non_null(strstr(r->err.msg, "Quarantine, Evidence; tasks() has TaskId"));
    view_request_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named),          cmocka_unit_test(test_not_in_star),
        cmocka_unit_test(test_show_jobs),      cmocka_unit_test(test_derived),
        cmocka_unit_test(test_told_in_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
