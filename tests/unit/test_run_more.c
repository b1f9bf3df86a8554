/* What a runner does (run_work.c), before a source and a sink that answer by script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "scheduler/run.h"

enum { MOST_PLANS = 2 };

/* The answers, and what was asked. */
struct source {
    bool is_empty;
    enum plan_result plans[MOST_PLANS];
    char *offsets[MOST_PLANS]; /* owned: that each plan began with, NULL: the beginning */
    size_t n_plans;
};

struct sink {
    enum label_state state;
    bool has_traits;
    int n_traits;
    int64_t row_of; /* task of the row that was asked for, 0: of none */
    bool is_tried;  /* check() with an INSERT */
};

static bool source_check(struct source *s, int64_t deadline_us, const struct cancel *cancel,
                         bool *ret_is_empty, struct err *err)
{
    *ret_is_empty = s->is_empty;
    return true;
}

static enum plan_result source_plan(struct source *s, const struct plan_request *request,
                                    struct plan *ret, struct err *err)
{
    assert_true(s->n_plans < MOST_PLANS);
    enum plan_result result = s->plans[s->n_plans];
    s->offsets[s->n_plans++] = request->offset != NULL ? xstrdup(request->offset) : NULL;
    ret->range = result == PLAN_RANGE ? xstrdup("range") : NULL;
    if (result == PLAN_FAIL) {
        (void)err_say(err, "no bucket");
    }
    return result;
}

static char *source_rewrite(const struct source *s, const char *range, const char *label,
                            struct err *err)
{
    return xstrdup(range);
}

static void source_destroy(struct source *s)
{
    for (size_t i = 0; i < s->n_plans; i++) {
        free(s->offsets[i]);
    }
    free(s);
}

static const struct source_ops source_ops = {
    .check = source_check,
    .plan = source_plan,
    .rewrite = source_rewrite,
    .destroy = source_destroy,
};

static bool sink_check(struct sink *k, const struct job_spec *spec, const char *sql,
                       int64_t deadline_us, const struct cancel *cancel,
                       struct fe_traits *ret_traits, struct err *err)
{
    k->is_tried = sql != NULL;
    return true;
}

static enum label_state sink_label(struct sink *k, const struct label_request *request,
                                   struct label_report *ret, struct err *err)
{
    k->row_of = request->row != NULL ? request->row->task_id : 0;
    return k->state;
}

static bool sink_traits(struct sink *k, int64_t deadline_us, const struct cancel *cancel,
                        struct fe_traits *ret, struct err *err)
{
    k->n_traits++;
    *ret = (struct fe_traits){.label_keep_s = 100};
    return k->has_traits;
}

static const struct sink_ops sink_ops = {
    .check = sink_check, .label = sink_label, .traits = sink_traits};

struct bed {
    struct sink sink;
    struct source *source; /* owned by the body */
    struct job_body *body;
    struct run_thread thread;
    struct run *run;
};

static void open_bed(struct bed *b, enum run_kind kind)
{
    *b = (struct bed){0};
    b->source = xcalloc(1, sizeof(*b->source));
    b->body = job_body_create(xcalloc(1, sizeof(*b->body->spec)), &source_ops, b->source);
    b->run = run_create(kind, b->body, &sink_ops, &b->sink);
    b->run->timeout_ms = 10000;
}

static void close_bed(struct bed *b)
{
    run_destroy(b->run);
    job_body_unref(b->body);
    run_thread_fini(&b->thread);
}

/* --- labels ----------------------------------------------------------------------------------- */

/*
 * For how long the FE remembers labels decides what "not there" and "aborted" prove, and for how
 * long: without it they are no answer. What is there needs no memory.
 */
static void test_no_proof_without_the_memory_of_the_fe(void **state)
{
    static const struct {
        enum label_state state;
        bool needs_traits;
    } cases[] = {
        {LABEL_UNKNOWN, true},      {LABEL_ABORTED, true},       {LABEL_ABSENT, true},
        {LABEL_VISIBLE, false},     {LABEL_COMMITTED, false},    {LABEL_PREPARE, false},
        {LABEL_UNREACHABLE, false}, {LABEL_PRECOMMITTED, false},
    };
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        struct bed b;
        open_bed(&b, RUN_ASK);
        b.sink.state = cases[i / 2].state;
        b.sink.has_traits = i % 2 == 0;
        bool needs = cases[i / 2].needs_traits;
        run_work(b.run, &b.thread);
        assert_int_equal(b.sink.n_traits, needs);
        assert_int_equal(b.run->has_traits, needs && b.sink.has_traits);
        assert_int_equal(b.run->label_state,
                         needs && !b.sink.has_traits ? LABEL_UNREACHABLE : b.sink.state);
        close_bed(&b);
    }
}

/* The row is asked for where a task has one. */
static void test_the_row_of_a_transactional_task(void **state)
{
    (void)state;
    for (int64_t task_id = 0; task_id < 2; task_id++) {
        struct bed b;
        open_bed(&b, RUN_ASK);
        b.sink.state = LABEL_VISIBLE;
        b.run->task_id = task_id;
        run_work(b.run, &b.thread);
        assert_int_equal(b.sink.row_of, task_id);
        close_bed(&b);
    }
}

/*
 * --- CREATE and ALTER JOB
 * -------------------------------------------------------------------------
 */

/* Tries the job's INSERT. `offset` NULL: of a new job. */
static bool check(struct bed *b, const char *offset, enum plan_result first,
                  enum plan_result second)
{
    open_bed(b, RUN_CHECK);
    b->source->plans[0] = first;
    b->source->plans[1] = second;
    b->run->offset = offset != NULL ? xstrdup(offset) : NULL;
    run_work(b->run, &b->thread);
    return b->run->is_ok;
}

/*
 * The FE plans the INSERT with the files that come next; when there are none, with the first of
 * all.
 */
static void test_an_altered_job_is_tried_with_some_files(void **state)
{
    static const enum plan_result nothing[] = {PLAN_EMPTY, PLAN_END};
    struct bed b;
    (void)state;
    assert_true(check(&b, "o", PLAN_RANGE, PLAN_FAIL));
    assert_int_equal(b.source->n_plans, 1);
    assert_string_equal(b.source->offsets[0], "o");
    assert_true(b.sink.is_tried);
    close_bed(&b);
    for (size_t i = 0; i < 2; i++) {
        assert_true(check(&b, "o", nothing[i], PLAN_RANGE));
        assert_int_equal(b.source->n_plans, 2);
        assert_null(b.source->offsets[1]);
        assert_true(b.sink.is_tried);
        close_bed(&b);
        assert_true(check(&b, NULL, nothing[i], PLAN_RANGE)); /* there are no other ones */
        assert_int_equal(b.source->n_plans, 1);
        assert_false(b.sink.is_tried);
        close_bed(&b);
    }
}

/* A source that cannot be read is a reason to refuse the job; one with nothing readable is none. */
static void test_which_sources_are_refused(void **state)
{
    struct bed b;
    (void)state;
    assert_false(check(&b, NULL, PLAN_FAIL, PLAN_RANGE));
    assert_string_equal(b.run->err.msg, "no bucket");
    close_bed(&b);
    assert_false(check(&b, "o", PLAN_EMPTY, PLAN_FAIL));
    close_bed(&b);
    assert_true(check(&b, NULL, PLAN_ASIDE, PLAN_FAIL));
    assert_int_equal(b.source->n_plans, 1);
    assert_false(b.sink.is_tried);
    close_bed(&b);
}

/* An empty source: nothing is there to try the INSERT with, and the job may be created. */
static void test_a_job_over_nothing_yet(void **state)
{
    struct bed b;
    (void)state;
    open_bed(&b, RUN_CHECK);
    b.source->is_empty = true;
    run_work(b.run, &b.thread);
    assert_true(b.run->is_ok);
    assert_int_equal(b.source->n_plans, 0);
    assert_false(b.sink.is_tried);
    close_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_proof_without_the_memory_of_the_fe),
        cmocka_unit_test(test_the_row_of_a_transactional_task),
        cmocka_unit_test(test_an_altered_job_is_tried_with_some_files),
        cmocka_unit_test(test_which_sources_are_refused),
        cmocka_unit_test(test_a_job_over_nothing_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
