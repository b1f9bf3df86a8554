/* The pool of run.h: who gets a thread when many want one, and when threads are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "scheduler/run.h"

enum { N = 8, DEADLINE_MS = 15 * 1000 };

/* What hangs until it may go on, and what is done at once. */
struct sink {
    int go_fd;
};

struct pool_rig {
    struct sink sink; /* of all runs */
    struct event_base *base;
    struct msgq *done;
    struct run_pool *pool;
    struct job_body *body;
    size_t n_done[RUN_EXPLAIN + 1];
    const struct run *next_load; /* has to begin when the first load ends; NULL then */
};

static struct sink *the_sink; /* the source has no other way to it */

static void hang(void)
{
    struct pollfd fd = {.fd = the_sink->go_fd, .events = POLLIN};
    (void)poll(&fd, 1, DEADLINE_MS); /* too long: the test sees that */
}

static enum plan_result source_plan(struct source *s, const struct plan_request *request,
                                    struct plan *ret, struct err *err)
{
    hang();
    return PLAN_EMPTY;
}

static bool source_check(struct source *s, int64_t deadline_us, const struct cancel *cancel,
                         bool *ret_is_empty, struct err *err)
{
    hang();
    *ret_is_empty = true;
    return true;
}

static enum verify_result source_verify(struct source *s, const char *range, int64_t deadline_us,
                                        const struct cancel *cancel, struct err *err)
{
    hang();
    return VERIFY_FAIL;
}

static char *source_rewrite(const struct source *s, const char *range, const char *label,
                            struct err *err)
{
    return xstrdup("INSERT");
}

static bool source_is_tracking(const struct source *s)
{
    return false;
}

static void source_destroy(struct source *s)
{
    free(s);
}

static const struct source_ops source_ops = {
    .check = source_check,
    .plan = source_plan,
    .verify = source_verify,
    .rewrite = source_rewrite,
    .is_tracking = source_is_tracking,
    .destroy = source_destroy,
};

static enum label_state sink_label(struct sink *k, const struct label_request *request,
                                   struct label_report *ret, struct err *err)
{
    return LABEL_VISIBLE;
}

static bool sink_traits(struct sink *k, int64_t deadline_us, const struct cancel *cancel,
                        struct fe_traits *ret, struct err *err)
{
    return true;
}

static bool sink_check(struct sink *k, const struct job_spec *spec, const char *sql,
                       int64_t deadline_us, const struct cancel *cancel, struct fe_traits *ret,
                       struct err *err)
{
    return true;
}

static enum load_result sink_load(struct sink *k, const struct load_request *request,
                                  struct load_report *ret, struct err *err)
{
    hang();
    ret->is_data_error = true;
    (void)err_say(err, "bad rows");
    return LOAD_REFUSED;
}

static const struct sink_ops sink_ops = {
    .load = sink_load, .label = sink_label, .traits = sink_traits, .check = sink_check};

static void on_done(struct msg *m, void *arg)
{
    struct pool_rig *g = arg;
    struct run *run = (struct run *)m;
    run_pool_done(g->pool, run);
    if (g->next_load != NULL && run->kind == RUN_LOAD) {
        assert_true(run_pool_has_begun(g->pool, g->next_load));
        g->next_load = NULL;
    }
    g->n_done[run->kind]++;
    run_destroy(run);
}

static struct pool_rig *rig_create(size_t n_threads)
{
    struct pool_rig *g = xcalloc(1, sizeof(*g));
    struct err err = {0};
    g->sink.go_fd = eventfd(0, EFD_CLOEXEC);
    the_sink = &g->sink;
    g->base = event_base_new();
    g->done = msgq_create(g->base, on_done, g, &err);
    g->pool = run_pool_create(n_threads, g->done, NULL, NULL, &err);
    g->body = job_body_create(xcalloc(1, sizeof(struct job_spec)), &source_ops, NULL);
    assert_non_null(g->pool);
    return g;
}

static struct run *create(struct pool_rig *g, enum run_kind kind)
{
    struct run *run = run_create(kind, g->body, &sink_ops, &g->sink);
    run->timeout_ms = DEADLINE_MS;
    run->range = xstrdup("r");
    run->label = xstrdup("l");
    run->db = xstrdup("d");
    return run;
}

static void submit(struct pool_rig *g, enum run_kind kind, int n)
{
    for (int i = 0; i < n; i++) {
        run_pool_submit(g->pool, create(g, kind));
    }
}

static void count_one(struct run *run, void *arg)
{
    size_t *n_by_kind = arg;
    n_by_kind[run->kind]++;
}

static size_t n_under_way(const struct pool_rig *g, enum run_kind kind)
{
    size_t n[RUN_EXPLAIN + 1] = {0};
    run_pool_each_busy(g->pool, count_one, n);
    return n[kind];
}

static void wait_for(struct pool_rig *g, enum run_kind kind, size_t n)
{
    int64_t deadline_ms = clock_mono_ms() + DEADLINE_MS;
    while (g->n_done[kind] < n) {
        (void)event_base_loop(g->base, EVLOOP_ONCE);
        assert_true(clock_mono_ms() < deadline_ms);
    }
}

static void rig_destroy(struct pool_rig *g)
{
    eventfd_write(g->sink.go_fd, 1);
    while (run_pool_n_busy(g->pool) > 0) {
        (void)event_base_loop(g->base, EVLOOP_ONCE);
    }
    run_pool_destroy(g->pool);
    job_body_unref(g->body);
    msgq_destroy(g->done);
    event_base_free(g->base);
    close(g->sink.go_fd);
    free(g);
}

static void test_plans_leave_one_to_questions(void **state)
{
    struct pool_rig *g = rig_create(N);
    submit(g, RUN_PLAN, 2 * N);
    assert_int_equal(n_under_way(g, RUN_PLAN), N - 1);
    submit(g, RUN_ASK, 3);
    wait_for(g, RUN_ASK, 3);
    assert_int_equal(n_under_way(g, RUN_PLAN), N - 1);
    rig_destroy(g);
}

static void test_loads_leave_some_to_all_others(void **state)
{
    struct pool_rig *g = rig_create(N);
    submit(g, RUN_LOAD, 2 * N);
    assert_int_equal(n_under_way(g, RUN_LOAD), N - 3);
    submit(g, RUN_CHECK, N);
    assert_int_equal(n_under_way(g, RUN_CHECK), 1);
    submit(g, RUN_PLAN, N);
    assert_int_equal(n_under_way(g, RUN_PLAN), 1);
    submit(g, RUN_ASK, 3);
    wait_for(g, RUN_ASK, 3);
    rig_destroy(g);
}

static void test_loads_of_many_threads(void **state)
{
    struct pool_rig *g = rig_create(128);
    submit(g, RUN_LOAD, 200);
    assert_int_equal(n_under_way(g, RUN_LOAD), 128 - 16);
    rig_destroy(g);
}

/* One that has to be sent soon goes before loads that have waited for longer. */
static void test_loads_in_a_hurry_come_first(void **state)
{
    struct pool_rig *g = rig_create(N);
    submit(g, RUN_LOAD, 2 * N);
    submit(g, RUN_CHECK, 2);
    struct run *hurry = create(g, RUN_LOAD);
    hurry->send_by_us = INT64_MAX;
    run_pool_submit(g->pool, hurry);
    assert_false(run_pool_has_begun(g->pool, hurry));
    g->next_load = hurry;
    eventfd_write(g->sink.go_fd, 1);
    wait_for(g, RUN_LOAD, 1);
    assert_null(g->next_load);
    rig_destroy(g);
}

static void test_checks_have_half(void **state)
{
    struct pool_rig *g = rig_create(N);
    submit(g, RUN_CHECK, 2 * N);
    assert_int_equal(n_under_way(g, RUN_CHECK), N / 2);
    rig_destroy(g);
}

/* The same few threads do what comes one after the other. */
static void test_threads_are_made_when_needed(void **state)
{
    struct pool_rig *g = rig_create(128);
    assert_int_equal(run_pool_n_threads(g->pool), 1);
    for (size_t i = 1; i <= 20; i++) {
        submit(g, RUN_ASK, 1);
        wait_for(g, RUN_ASK, i);
    }
    assert_int_equal(run_pool_n_threads(g->pool), 1);
    submit(g, RUN_LOAD, 5);
    assert_int_equal(run_pool_n_threads(g->pool), 5);
    rig_destroy(g);
}

/* Nobody has looked whether the files are still the planned ones: no reason to set one aside. */
static void test_refusal_of_a_canceled_load_blames_no_file(void **state)
{
    struct pool_rig *g = rig_create(1);
    struct run *run = create(g, RUN_LOAD);
    struct run_thread thread = {0};
    run->listed_us = clock_mono_us();
    cancel_raise(&run->cancel);
    eventfd_write(g->sink.go_fd, 1);
    run_work(run, &thread);
    assert_int_equal(run->load_result, LOAD_REFUSED);
    assert_false(run->load.is_data_error);
    run_destroy(run);
    rig_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans_leave_one_to_questions),
        cmocka_unit_test(test_loads_leave_some_to_all_others),
        cmocka_unit_test(test_loads_of_many_threads),
        cmocka_unit_test(test_loads_in_a_hurry_come_first),
        cmocka_unit_test(test_checks_have_half),
        cmocka_unit_test(test_threads_are_made_when_needed),
        cmocka_unit_test(test_refusal_of_a_canceled_load_blames_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
