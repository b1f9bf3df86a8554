/* EXPLAIN CREATE JOB: what would happen, asked of the source and of the FE. Nothing is changed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "scheduler/run.h"

enum { LONGEST_STATEMENT = 3000, HEAD_SIZE = 1500, TAIL_SIZE = 1000 };

static const char first_label[] = "<job id>_1";

/* A source that hangs must leave time for the FE. */
static int64_t half_of(int64_t deadline_us)
{
    int64_t now_us = clock_mono_us();
    return now_us + (deadline_us - now_us) / 2;
}

static bool ask_version(struct run *run, int64_t deadline_us, struct fe_traits *ret)
{
    struct err err = {0};
    bool is_ok = run->sink_ops->traits(run->sink, deadline_us, &run->cancel, ret, &err);
    if (!is_ok) {
        run->explain.section = EXPLAIN_RIGHTS;
        explain_fail(&run->explain, "service account", "%s", err.msg);
        explain_warn(&run->explain, "FE", "not asked: what follows is what can be said without it");
    }
    return is_ok;
}

/* The first task's INSERT without a label; NULL when there is none. */
static char *plan_first(struct run *run, struct run_thread *thread, const struct fe_traits *traits,
                        int64_t deadline_us)
{
    const struct job_body *b = run->body;
    struct plan_request request = {0};
    enum plan_result result = PLAN_FAIL;
    if (b->ops == NULL) {
        return NULL;
    }
    run->explain.section = EXPLAIN_SOURCE;
    if (run_request_init(run, thread, traits, half_of(deadline_us), &request, &run->err)) {
        result = b->ops->explain(b->source, &request, &run->plan, &run->explain);
    } else {
        explain_fail(&run->explain, "source", "%s", run->err.msg);
    }
    run_request_fini(&request);
    if (result == PLAN_EMPTY) {
        run->explain.section = EXPLAIN_COLUMNS;
        explain_warn(&run->explain, "columns",
                     "not checked: no file is there yet. The first load tells whether the SELECT "
                     "fits the target; put a file there and ask again to know before");
    }
    if (result != PLAN_RANGE) {
        return NULL;
    }
    char *sql = b->ops->rewrite(b->source, run->plan.range, NULL, &run->err);
    if (sql == NULL) {
        run->explain.section = EXPLAIN_SOURCE;
        explain_fail(&run->explain, "source", "%s", run->err.msg);
    }
    return sql;
}

/* Hundreds of files would push everything else off the screen. The text is masked already. */
static void add_statement(struct explain *e, const char *sql)
{
    size_t len = strlen(sql);
    const char *middle = sql + HEAD_SIZE;
    const char *tail = sql + len - TAIL_SIZE;
    if (len <= LONGEST_STATEMENT) {
        explain_add(e, "first INSERT", "%s", sql);
        return;
    }
    while (middle > sql && middle[-1] != ',') { /* between two files, never inside a character */
        middle--;
    }
    tail = strchr(tail, ',');
    if (middle == sql || tail == NULL) {
        explain_add(e, "first INSERT", "%s", sql);
        return;
    }
    explain_add(e, "first INSERT", "%.*s ... (%zu bytes are left out here) ... %s",
                (int)(middle - sql), sql, (size_t)(tail - middle), tail);
}

static void show_statement(struct run *run)
{
    const struct job_body *b = run->body;
    struct err err = {0};
    run->explain.section = EXPLAIN_STATEMENT;
    if (b->ops == NULL || run->plan.range == NULL) {
        explain_add(&run->explain, "first INSERT",
                    "none yet: it is made of the first files that are found");
        return;
    }
    bool is_label = spec_guarantee(b->spec) == GUARANTEE_LABEL;
    _cleanup_free_ char *sql =
        b->ops->rewrite(b->source, run->plan.range, is_label ? first_label : "", &err);
    if (sql != NULL) {
        _cleanup_free_ char *masked = secret_mask(span_of(sql));
        _cleanup_free_ char *framed =
            xasprintf("%s%s%s", is_label ? "" : "BEGIN WITH LABEL `<job id>_1`; ", masked,
                      is_label ? "" : "; the row of the offset table; COMMIT");
        add_statement(&run->explain, framed);
    }
}

static void show_properties(struct run *run)
{
    const struct job_spec *spec = run->body->spec;
    const char *given = spec_prop_get(spec->props, spec->n_props, "max_interval");
    run->explain.section = EXPLAIN_PROPERTIES;
    explain_add(&run->explain, "max_interval",
                "%" PRId64 " s between two looks at a source that had nothing new%s",
                spec->max_interval_s, given != NULL ? "" : " (not given: scheduler.max_interval)");
}

void run_explain(struct run *run, struct run_thread *thread, int64_t deadline_us)
{
    struct fe_traits traits = {0};
    bool has_fe = ask_version(run, deadline_us, &traits);
    _cleanup_free_ char *sql = plan_first(run, thread, &traits, deadline_us);
    if (has_fe) {
        struct sink_explain request = {
            .spec = run->body->spec,
            .sql = sql,
            .label_window_ms = run->label_window_ms,
            .timeout_s = run->statement_timeout_s,
            .deadline_us = deadline_us,
            .cancel = &run->cancel,
        };
        run->sink_ops->explain(run->sink, &request, &run->explain);
    }
    show_properties(run);
    show_statement(run);
}
