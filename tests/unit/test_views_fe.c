/* Whose answer a query over jobs() gets that SQLite understands, but not as Doris does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/viewderive.h"
#include "proxy/views.h"

static struct job_view *make_job(int64_t id)
{
    struct job_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    v->rec = (struct job_record){
        .id = id,
        .name = xasprintf("job%d", (int)id),
        .target_db = xstrdup("mine"),
        .target_table = xstrdup("t"),
    };
    return v;
}

/* With what the FE would need. */
static struct view_request *ask(const char *mysql, int64_t n_jobs)
{
    struct view_request *r = view_request_create(NULL, 1);
    struct stmt stmt = {0};
    assert_int_equal(stmt_parse(span_of(mysql), &stmt, &r->err), STMT_OURS);
    r->view = stmt.u.view;
    stmt.u.view = (struct stmt_view){0};
    stmt_fini(&stmt);
    r->sql = take_ptr(r->view.sql);
    r->snapshot = xcalloc(1, sizeof(*r->snapshot));
    r->snapshot->jobs = xcalloc((size_t)n_jobs, sizeof(struct job_view *));
    for (int64_t id = 1; id <= n_jobs; id++) {
        r->snapshot->jobs[r->snapshot->n_jobs++] = make_job(id);
    }
    r->grants.is_known = true;
    r->grants.dbs.items = xcalloc(1, sizeof(char *));
    r->grants.dbs.items[r->grants.dbs.n++] = xstrdup("mine");
    views_answer(r);
    return r;
}

/* What SQLite would answer otherwise than Doris. */
static void test_the_fe_is_asked(void **state)
{
    static const struct {
        const char *sql;
        bool is_fe;
    } rows[] = {
        {"select Name from jobs('type'='insert') where Name = 'a' or Name = '||'", false},
        {"select Name from jobs('type'='insert') where Name = 'one' || Id = 2", true},
        {"select Name || '-' || Id from jobs('type'='insert') where Name <> 'a b'", true},
        {"select cast(Id as decimal(9, 2)) from jobs('type'='insert')", true},
        {"select cast(Id as bigint) from jobs('type'='insert')", false},
        {"select now() + 1 from jobs('type'='insert')", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct view_request *r = ask(rows[i].sql, 2);
        assert_true(r->is_ok);
        if ((r->derived != NULL) != rows[i].is_fe) {
            fail_msg("%s: %s", rows[i].sql, r->derived != NULL ? r->derived : "ours");
        }
        view_request_destroy(r);
    }
}

/* A DECIMAL that the FE cannot be asked for is a DOUBLE, and no error. */
static void test_too_many_rows_for_the_fe(void **state)
{
    static const char sql[] = "select count(*), sum(cast(a.Id as decimal(9, 2))) from "
                              "jobs('type'='insert') a";
    struct view_request *r = ask(sql, VIEWDERIVE_MAX_ROWS + 1);
    (void)state;
    assert_true(r->is_ok);
    assert_null(r->derived);
    assert_non_null(memmem(r->packets.data, r->packets.len, "\00510001\01050015001", 15));
    view_request_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fe_is_asked),
        cmocka_unit_test(test_too_many_rows_for_the_fe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
