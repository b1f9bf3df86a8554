#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "scheduler/run.h"

struct runner {
    struct run_pool *pool; /* borrowed */
    size_t index;
    struct event_base *base;
    struct msgq *queue;
    pthread_t thread;
    bool is_started;
    struct run *run; /* what it has, NULL when idle; the scheduler's thread only */
};

struct run_pool {
    struct runner *runners;
    size_t n_runners;
    struct msgq *done; /* borrowed */
    /* Waiting for a thread, in order; the scheduler's thread only. */
    struct run *first;
    struct run *last;
    size_t n_busy;
    size_t n_asked; /* threads that have a run somebody waits for: is_asked() */
};

/* Tells a runner to leave its loop. */
enum { MSG_RUN, MSG_QUIT };

struct job_body *job_body_create(struct job_spec *spec, const struct source_ops *ops,
                                 struct source *source)
{
    struct job_body *b = xcalloc(1, sizeof(*b));
    *b = (struct job_body){.n_refs = 1, .spec = spec, .ops = ops, .source = source};
    return b;
}

struct job_body *job_body_ref(struct job_body *b)
{
    b->n_refs++;
    return b;
}

void job_body_unref(struct job_body *b)
{
    if (b == NULL || --b->n_refs > 0) {
        return;
    }
    if (b->ops != NULL) {
        b->ops->destroy(b->source);
    }
    job_spec_destroy(b->spec);
    free(b);
}

static void destroy_message(struct msg *m)
{
    run_destroy((struct run *)m);
}

struct run *run_create(enum run_kind kind, struct job_body *body, const struct sink_ops *sink_ops,
                       struct sink *sink)
{
    struct run *run = xcalloc(1, sizeof(*run));
    run->m.type = MSG_RUN;
    run->m.destroy = destroy_message;
    run->kind = kind;
    run->body = job_body_ref(body);
    run->sink_ops = sink_ops;
    run->sink = sink;
    cancel_init(&run->cancel);
    return run;
}

void run_destroy(struct run *run)
{
    if (run == NULL) {
        return;
    }
    cancel_fini(&run->cancel);
    job_body_unref(run->body);
    free(run->offset);
    free(run->range);
    free(run->label);
    free(run->db);
    plan_fini(&run->plan);
    load_report_fini(&run->load);
    label_report_fini(&run->label_report);
    explain_fini(&run->explain);
    free(run);
}

/* A range to try the statement with: the next one, or else, for an ALTER JOB, the first of all. */
static enum plan_result plan_to_try(struct run *run, const struct fe_traits *traits,
                                    int64_t deadline_us)
{
    const struct job_body *b = run->body;
    struct plan_request request = {
        .offset = run->offset,
        .fe = traits,
        .deadline_us = deadline_us,
        .cancel = &run->cancel,
    };
    enum plan_result result = b->ops->plan(b->source, &request, &run->plan, &run->err);
    if (run->offset != NULL && (result == PLAN_EMPTY || result == PLAN_END)) {
        plan_fini(&run->plan);
        request.offset = NULL;
        result = b->ops->plan(b->source, &request, &run->plan, &run->err);
    }
    return result;
}

/* The order in which a user wants to hear of mistakes: source, then FE, then the two together. */
static bool check(struct run *run, int64_t deadline_us)
{
    const struct job_body *b = run->body;
    struct fe_traits traits = {0};
    bool is_empty = false;
    _cleanup_free_ char *sql = NULL;

    if (!b->ops->check(b->source, deadline_us, &run->cancel, &is_empty, &run->err) ||
        !run->sink_ops->check(run->sink, b->spec, NULL, deadline_us, &run->cancel, &traits,
                              &run->err)) {
        return false;
    }
    if (is_empty) {
        return true;
    }
    enum plan_result result = plan_to_try(run, &traits, deadline_us);
    if (result != PLAN_RANGE) {
        return result != PLAN_FAIL;
    }
    sql = b->ops->rewrite(b->source, run->plan.range, NULL, &run->err);
    return sql != NULL && run->sink_ops->check(run->sink, b->spec, sql, deadline_us, &run->cancel,
                                               &traits, &run->err);
}

static enum plan_result plan(struct run *run, int64_t deadline_us)
{
    const struct job_body *b = run->body;
    struct fe_traits traits = {0};
    run->is_ok = run->sink_ops->traits(run->sink, deadline_us, &run->cancel, &traits, &run->err);
    if (!run->is_ok) {
        return PLAN_FAIL;
    }
    struct plan_request request = {
        .offset = run->offset,
        .fe = &traits,
        .deadline_us = deadline_us,
        .cancel = &run->cancel,
    };
    return b->ops->plan(b->source, &request, &run->plan, &run->err);
}

static enum load_result load(struct run *run, int64_t deadline_us)
{
    const struct job_body *b = run->body;
    _cleanup_free_ char *sql = b->ops->rewrite(b->source, run->range, run->label, &run->err);
    if (sql == NULL) {
        return LOAD_REFUSED; /* by ourselves, and it would be again: a failure of the task */
    }
    struct load_request request = {
        .spec = b->spec,
        .label = run->label,
        .sql = sql,
        .timeout_s = run->statement_timeout_s,
        .deadline_us = deadline_us,
        .cancel = &run->cancel,
    };
    return run->sink_ops->load(run->sink, &request, &run->load, &run->err);
}

static enum label_state ask(struct run *run, int64_t deadline_us)
{
    struct label_request request = {
        .db = run->db,
        .label = run->label,
        .deadline_us = deadline_us,
        .cancel = &run->cancel,
    };
    return run->sink_ops->label(run->sink, &request, &run->label_report, &run->err);
}

void run_work(struct run *run)
{
    int64_t deadline_us = clock_mono_us() + run->timeout_ms * 1000;
    run->start_ms = clock_wall_ms();
    switch (run->kind) {
    case RUN_CHECK: run->is_ok = check(run, deadline_us); return;
    case RUN_PLAN: run->plan_result = plan(run, deadline_us); return;
    case RUN_LOAD: run->load_result = load(run, deadline_us); return;
    case RUN_ASK: run->label_state = ask(run, deadline_us); return;
    case RUN_EXPLAIN: run_explain(run, deadline_us); return;
    case RUN_FENCE:
        run->is_ok = run->sink_ops->fence(run->sink, run->db, run->label, deadline_us, &run->cancel,
                                          &run->err);
        return;
    }
}

static void on_message(struct msg *m, void *arg)
{
    struct runner *r = arg;
    if (m->type == MSG_QUIT) {
        m->destroy(m);
        (void)event_base_loopbreak(r->base); /* only fails without a base */
        return;
    }
    run_work((struct run *)m);
    /* After the scheduler has gone the queue is closed and destroys the run. */
    (void)msgq_send(r->pool->done, m);
}

static void *runner_main(void *arg)
{
    struct runner *r = arg;
    (void)event_base_loop(r->base, EVLOOP_NO_EXIT_ON_EMPTY); /* ends by MSG_QUIT */
    return NULL;
}

static bool start_runner(struct run_pool *pool, size_t index, struct err *err)
{
    struct runner *r = &pool->runners[index];
    r->pool = pool;
    r->index = index;
    r->base = event_base_new();
    if (r->base == NULL) {
        return err_say(err, "cannot create an event loop for runner %zu", index);
    }
    r->queue = msgq_create(r->base, on_message, r, err);
    if (r->queue == NULL) {
        return false;
    }
    int rc = pthread_create(&r->thread, NULL, runner_main, r);
    if (rc != 0) {
        return err_errno(err, rc, "cannot start runner thread %zu of scheduler.runners", index);
    }
    r->is_started = true;
    return true;
}

struct run_pool *run_pool_create(size_t n_threads, struct msgq *done, struct err *err)
{
    struct run_pool *pool = xcalloc(1, sizeof(*pool));
    pool->runners = xcalloc(n_threads, sizeof(*pool->runners));
    pool->n_runners = n_threads;
    pool->done = done;
    for (size_t i = 0; i < n_threads; i++) {
        if (!start_runner(pool, i, err)) {
            run_pool_destroy(pool);
            return NULL;
        }
    }
    return pool;
}

static void destroy_quit(struct msg *m)
{
    free(m);
}

void run_pool_destroy(struct run_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    assert(pool->first == NULL);
    for (size_t i = 0; i < pool->n_runners; i++) {
        struct runner *r = &pool->runners[i];
        if (r->is_started) {
            struct msg *quit = xcalloc(1, sizeof(*quit));
            quit->type = MSG_QUIT;
            quit->destroy = destroy_quit;
            (void)msgq_send(r->queue, quit); /* open until it is destroyed below */
            pthread_join(r->thread, NULL);
        }
        msgq_destroy(r->queue);
        if (r->base != NULL) {
            event_base_free(r->base);
        }
    }
    free(pool->runners);
    free(pool);
}

/* Made for a statement, whoever sends it: its source may be one that never answers. */
static bool is_asked(const struct run *run)
{
    return run->kind == RUN_CHECK || run->kind == RUN_EXPLAIN;
}

/* Half of the threads at most are for statements, so that the jobs go on. */
static bool may_begin(const struct run_pool *pool, const struct run *run)
{
    return !is_asked(run) || pool->n_asked == 0 || pool->n_asked < pool->n_runners / 2;
}

static void give(struct runner *r, struct run *run)
{
    assert(r->run == NULL);
    r->run = run;
    r->pool->n_asked += is_asked(run);
    run->runner = r->index;
    (void)msgq_send(r->queue, &run->m); /* open until it is destroyed */
}

static struct runner *idle_runner(struct run_pool *pool)
{
    for (size_t i = 0; i < pool->n_runners; i++) {
        if (pool->runners[i].run == NULL) {
            return &pool->runners[i];
        }
    }
    return NULL;
}

void run_pool_submit(struct run_pool *pool, struct run *run)
{
    struct runner *r = idle_runner(pool);
    pool->n_busy++;
    if (r != NULL && may_begin(pool, run)) {
        give(r, run);
        return;
    }
    if (run->kind == RUN_ASK || run->kind == RUN_FENCE) {
        /* Short, and others wait for what it finds out: not behind loads of half an hour. */
        run->m.next = pool->first != NULL ? &pool->first->m : NULL;
        pool->last = pool->first != NULL ? pool->last : run;
        pool->first = run;
        return;
    }
    run->m.next = NULL;
    if (pool->first == NULL) {
        pool->first = run;
    } else {
        pool->last->m.next = &run->m;
    }
    pool->last = run;
}

static void take_out(struct run_pool *pool, struct run *before, struct run *run)
{
    struct run *after = (struct run *)run->m.next;
    if (before != NULL) {
        before->m.next = run->m.next;
    } else {
        pool->first = after;
    }
    pool->last = after == NULL ? before : pool->last;
    run->m.next = NULL;
}

/* The first that waits, or the first that may begin. */
static struct run *take_waiting(struct run_pool *pool, bool is_to_begin)
{
    struct run *before = NULL;
    struct run *run = pool->first;
    while (run != NULL && is_to_begin && !may_begin(pool, run)) {
        before = run;
        run = (struct run *)run->m.next;
    }
    if (run != NULL) {
        take_out(pool, before, run);
    }
    return run;
}

struct run *run_pool_oldest_asked(const struct run_pool *pool)
{
    struct run *run = pool->first;
    while (run != NULL && !is_asked(run)) {
        run = (struct run *)run->m.next;
    }
    return run;
}

void run_pool_give_up(struct run_pool *pool, struct run *run)
{
    struct run *before = NULL;
    for (struct run *at = pool->first; at != run; at = (struct run *)at->m.next) {
        assert(at != NULL);
        before = at;
    }
    take_out(pool, before, run);
    pool->n_busy--;
}

void run_pool_done(struct run_pool *pool, const struct run *run)
{
    struct runner *r = &pool->runners[run->runner];
    assert(r->run == run && pool->n_busy > 0);
    r->run = NULL;
    pool->n_busy--;
    pool->n_asked -= is_asked(run);
    struct run *next = take_waiting(pool, true);
    if (next != NULL) {
        give(r, next);
    }
}

size_t run_pool_n_busy(const struct run_pool *pool)
{
    return pool->n_busy;
}

bool run_pool_has_begun(const struct run_pool *pool, const struct run *run)
{
    return pool->runners[run->runner].run == run;
}

void run_pool_each_busy(const struct run_pool *pool, void (*each)(struct run *run, void *arg),
                        void *arg)
{
    for (size_t i = 0; i < pool->n_runners; i++) {
        if (pool->runners[i].run != NULL) {
            each(pool->runners[i].run, arg);
        }
    }
}

void run_pool_drop_waiting(struct run_pool *pool, void (*drop)(struct run *run, void *arg),
                           void *arg)
{
    struct run *run = NULL;
    while ((run = take_waiting(pool, false)) != NULL) {
        pool->n_busy--;
        drop(run, arg);
    }
}
