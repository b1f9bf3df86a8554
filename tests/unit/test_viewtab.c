/* The tables jobs and tasks: rows found by their keys, and those of the FE among ours. */
#include <event2/event.h>
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

enum { N_JOBS = 20, N_TASKS = 3 };

#define J "jobs(\"type\"=\"insert\")"
#define T "tasks(\"type\"=\"insert\")"

/* Ids 100, 110, ...; names n0, n1, ..., the odd ones in a database that the user may not load. */
static struct job_view *make_job(int i)
{
    struct job_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    v->rec = (struct job_record){
        .id = 100 + 10 * i,
        .name = xasprintf("n%d", i),
        .definer = xstrdup("root"),
        .target_db = xstrdup(i % 2 == 0 ? "mine" : "other"),
        .target_table = xstrdup("t"),
        .sql = xstrdup("INSERT"),
        .properties = xstrdup(""),
        .comment = xstrdup(""),
        .state = JOB_RUNNING,
    };
    v->tasks = xcalloc(N_TASKS, sizeof(struct task_view *));
    for (int64_t k = 1; k <= N_TASKS; k++) {
        struct task_record t = {.job_id = v->rec.id, .id = k, .label = xstrdup("l")};
        v->tasks[v->n_tasks++] = task_view_create(&t);
        task_record_fini(&t);
    }
    return v;
}

static struct viewmerge *make_fe(enum view_table table, const char *const *columns, size_t n,
                                 const char *const *cells, size_t n_rows)
{
    struct answer answer = {
        .n_columns = n, .columns = (char **)columns, .n_rows = n_rows, .cells = (char **)cells};
    struct viewmerge *m = NULL;
    struct err err = {0};
    assert_true(viewmerge_read(table, &answer, &m, &err));
    return m;
}

/* The FE has jobs 7 "theirs" and 120 "n2", a name and an id that we have, too. */
static struct view_request *make_request(const char *mysql, const char *extra)
{
    const char *const jobs[] = {"Id", "Name", extra};
    const char *const job_cells[] = {"7", "theirs", "x", "120", "n2", "y"};
    static const char *const tasks[] = {"TaskId", "JobId", "JobName"};
    static const char *const task_cells[] = {"2", "7", "theirs", "9", NULL, NULL};
    struct view_request *r = view_request_create(NULL, 1);
    struct stmt stmt = {0};
    if (stmt_parse(span_of(mysql), &stmt, &r->err) != STMT_OURS) {
        fail_msg("%s: %s", mysql, r->err.msg);
    }
    r->sql = take_ptr(stmt.u.view.sql);
    stmt_fini(&stmt);
    r->snapshot = xcalloc(1, sizeof(*r->snapshot));
    r->snapshot->jobs = xcalloc(N_JOBS, sizeof(struct job_view *));
    for (int i = 0; i < N_JOBS; i++) {
        r->snapshot->jobs[r->snapshot->n_jobs++] = make_job(i);
    }
    r->grants.dbs.items = xcalloc(1, sizeof(char *));
    r->grants.dbs.items[r->grants.dbs.n++] = xstrdup("mine");
    r->grants.is_known = true;
    r->fe[VIEW_JOBS] = make_fe(VIEW_JOBS, jobs, 3, job_cells, 2);
    r->fe[VIEW_TASKS] = make_fe(VIEW_TASKS, tasks, 3, task_cells, 2);
    return r;
}

/* Cells of the text protocol, rows apart by '|', cells by ','; a NULL is "~". Small results only. */
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
        for (size_t i = 0; n_eof == 1 && !is_eof && i < n; i++) {
            if (body[i] == 0xfb) {
                buf_append_char(&out, '~');
            } else {
                buf_append(&out, body + i + 1, body[i]);
                i += body[i];
            }
            buf_append_char(&out, i + 1 < n ? ',' : '|');
        }
    }
    return buf_take_text(&out);
}

static void check(struct view_request *r, const char *what, const char *expected)
{
    if (!r->is_ok) {
        fail_msg("%s: %s", what, r->err.msg);
    }
    _cleanup_free_ char *cells = cells_of(&r->packets);
    if (strcmp(cells, expected) != 0) {
        fail_msg("%s: %s", what, cells);
    }
    view_request_destroy(r);
}

static const struct {
    const char *sql;
    const char *expected;
} ROWS[] = {
    {"select count(*) from " J, "12|"},
    {"select count(*) from " T, "32|"},
    {"select Name from " J " where Id = '140'", "n4|"},
    {"select Name from " J " where Id = 140", "n4|"},
    {"select Name from " J " where 140 = Id and Name = 'n4'", "n4|"},
    {"select Name from " J " where Id = 140 and Name = 'n6'", ""},
    {"select Name from " J " where Id = 'n4' or Id = ''", ""},
    {"select Name from " J " where Id = '110'", ""}, /* of another's database */
    {"select Name, Lag from " J " where Id = 7", "theirs,|"},
    {"select Name, New from " J " where Id = 120 order by New", "n2,|n2,y|"},
    {"select Id, New from " J " where Name = 'n2' order by New", "120,|120,y|"},
    {"select Id from " J " where Name = 'N2'", ""},
    {"select Id from " J " where Name in ('n4', 'theirs', 'n5', 'x') order by Id", "140|7|"},
    {"select Id from " J " where Name = null", ""},
    {"select Id from " J " where Id is null", ""},
    {"select Id from " J " where Name = Id", ""},
    {"select Id from " J " where Name = 'n4' and Status = running", "140|"},
    {"select TaskId from " T " where JobId = 140", "3|2|1|"},
    {"select TaskId from " T " where JobName = 'n4' and TaskId = 2", "2|"},
    {"select JobName from " T " where TaskId = 2 and JobName < 'n13'", "n0|n10|n12|"},
    {"select JobName from " T " where TaskId = '2' and JobId = '7'", "theirs|"},
    {"select JobName, JobId, Label from " T " where TaskId = 9", "~,~,\\N|"},
    {"select count(*) from " T " where TaskId = 4 or TaskId = 0 or TaskId = 'x'", "0|"},
    {"select count(*) from " J " j join " T " t on t.JobId = j.Id", "34|"},
    {"select count(*) from " J " j join " T " t on t.JobName = j.Name", "34|"},
    {"select count(*) from " T " t join " J " j on t.JobName = j.Name where t.TaskId = 1", "11|"},
    {"select count(*) from " J " a join " J " b on a.Name = b.Name", "14|"},
    {"select count(*) from " J " j left join " T " t on t.JobName = j.Name and t.TaskId = 9",
     "12|"},
};

static void test_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        struct view_request *r = make_request(ROWS[i].sql, "New");
        views_answer(r);
        check(r, ROWS[i].sql, ROWS[i].expected);
    }
}

struct waiting {
    struct event_base *base;
    size_t n;
    struct view_request *got[8];
};

static void on_reply(struct msg *m, void *arg)
{
    struct waiting *w = arg;
    w->got[w->n++] = (struct view_request *)m;
    (void)event_base_loopbreak(w->base); /* only fails without a base */
}

/* The thread keeps its database; another FE has other columns. */
static void test_kept_database(void **state)
{
    static const char *const extras[] = {"New", "New", "Newer", "Id2", "New"};
    struct err err = {0};
    struct waiting w = {.base = event_base_new()};
    struct msgq *queue = msgq_create(w.base, on_reply, &w, &err);
    struct views *v = views_create(&err);
    (void)state;
    assert_non_null(queue);
    assert_non_null(v);
    for (size_t i = 0; i < ARRAY_SIZE(extras); i++) {
        _cleanup_free_ char *sql =
            xasprintf("select Name, %s from " J " where Id in (7, 160) order by Id", extras[i]);
        struct view_request *r = make_request(sql, extras[i]);
        r->reply_to = queue;
        views_send(v, r);
        while (w.n == i) {
            (void)event_base_loop(w.base, EVLOOP_ONCE);
        }
        check(w.got[i], sql, "n6,|theirs,x|");
    }
    views_destroy(v);
    msgq_destroy(queue);
    event_base_free(w.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_kept_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
