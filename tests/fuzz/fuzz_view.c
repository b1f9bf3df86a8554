/*
 * A query over jobs() and tasks() that the FE is to run: byte 0 says how many jobs there are, the
 * others are the query. What is around the calls stays byte for byte, the rows are whole tokens, and
 * no value that WHERE refuses is lost.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "parser/lex.h"
#include "parser/stmt.h"
#include "proxy/viewnarrow.h"
#include "proxy/views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct job_view *make_job(int64_t id)
{
    struct job_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    v->rec = (struct job_record){
        .id = id,
        .name = xasprintf("a\\b'%d", (int)id),
        .definer = xstrdup("root"),
        .target_db = xstrdup("d"),
        .target_table = xstrdup("t"),
        .sql = xstrdup("INSERT INTO t SELECT * FROM S3('s3.secret_key'='hush')"),
        .properties = xstrdup("{}"),
        .comment = xstrdup("it's \"one\""),
    };
    return v;
}

static struct snapshot *make_snapshot(size_t n)
{
    struct snapshot *snap = xcalloc(1, sizeof(*snap));
    snap->jobs = xcalloc(n + 1, sizeof(struct job_view *));
    for (size_t i = 0; i < n; i++) {
        snap->jobs[snap->n_jobs++] = make_job((int64_t)i + 1);
    }
    return snap;
}

static void check_places(const struct stmt_view *view)
{
    size_t at = 0;
    size_t n = strlen(view->text);
    assert(view->n_places > 0);
    for (size_t i = 0; i < view->n_places; i++) {
        const struct stmt_view_place *p = &view->places[i];
        struct viewnarrow narrow = {0};
        assert(p->at >= at && p->at < p->end && p->end <= n);
        assert(strchr("jJtT`", view->text[p->at]) != NULL && view->text[p->end - 1] == ')');
        viewnarrow_find(span_of(view->text), p, &narrow);
        assert(narrow.n <= VIEWNARROW_MAX);
        viewnarrow_fini(&narrow);
        at = p->end;
    }
}

static void check_derived(const struct view_request *r)
{
    const struct stmt_view_place *first = &r->view.places[0];
    const char *rest = r->view.text + r->view.places[r->view.n_places - 1].end;
    size_t n = strlen(r->derived);
    assert(strncmp(r->derived, r->view.text, first->at) == 0);
    assert(n >= strlen(rest) && strcmp(r->derived + n - strlen(rest), rest) == 0);
    assert(strstr(r->derived, "hush") == NULL || strstr(r->view.text, "hush") != NULL);
    struct lex lex = lex_of(span_of(r->derived));
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END) {
        assert(t.kind != TOK_ERROR); /* there was none before: the query was understood */
        t = lex_next(&lex);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stmt stmt = {0};
    struct err err = {0};
    if (size == 0) {
        return 0;
    }
    struct span text = {(const char *)data + 1, size - 1};
    if (stmt_parse(text, &stmt, &err) != STMT_OURS) {
        return 0;
    }
    if (stmt.kind != STMT_VIEW_QUERY) {
        stmt_fini(&stmt);
        return 0;
    }
    check_places(&stmt.u.view);
    struct view_request *r = view_request_create(NULL, 1);
    free(take_ptr(stmt.u.view.sql)); /* as if SQLite did not know it */
    r->view = stmt.u.view;
    r->snapshot = make_snapshot(data[0] & 7);
    r->grants.is_known = r->grants.has_all = true;
    views_answer(r);
    assert(r->is_ok == (r->derived != NULL));
    if (r->is_ok) {
        check_derived(r);
    }
    view_request_destroy(r);
    return 0;
}
