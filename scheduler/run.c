#include <assert.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "scheduler/run.h"

enum { FEW_RUNNERS = 8 };

struct runner {
    struct run_pool *pool; /* borrowed */
    size_t index;
    struct event_base *base;
    struct msgq *queue;
    pthread_t thread;
    bool is_started;
    struct run_thread kept; /* its own, but for its making and end */
    struct run *run;        /* what it has, NULL when idle; the scheduler's thread only */
};

struct run_pool {
    struct runner *runners;
    size_t n_runners;       /* at most; fewer once no more could be made */
    size_t n_started;       /* the first ones */
    struct msgq *done;      /* borrowed */
    struct run_thread kept; /* of each runner, when it is made */
    /* Waiting for a thread, in order; the scheduler's thread only. */
    struct run *first;
    struct run *last;
    size_t n_busy;
    /* Threads that have a run, by what it is. */
    size_t n_loads;
    size_t n_asked; /* somebody waits for it: is_asked() */
    size_t n_plans;
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
    bad_view_unref(run->bad);
    for (size_t i = 0; i < run->n_passes; i++) {
        task_view_unref(run->passes[i]);
    }
    free(run->passes);
    plan_fini(&run->plan);
    load_report_fini(&run->load);
    label_report_fini(&run->label_report);
    explain_fini(&run->explain);
    free(run);
}

static void on_message(struct msg *m, void *arg)
{
    struct runner *r = arg;
    if (m->type == MSG_QUIT) {
        m->destroy(m);
        (void)event_base_loopbreak(r->base); /* only fails without a base */
        return;
    }
    run_work((struct run *)m, &r->kept);
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
    r->kept = pool->kept;
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

static void destroy_quit(struct msg *m)
{
    free(m);
}

static void stop_runner(struct runner *r)
{
    if (r->is_started) {
        struct msg *quit = xcalloc(1, sizeof(*quit));
        quit->type = MSG_QUIT;
        quit->destroy = destroy_quit;
        (void)msgq_send(r->queue, quit); /* open until it is destroyed below */
        pthread_join(r->thread, NULL);
    }
    run_thread_fini(&r->kept);
    msgq_destroy(r->queue);
    if (r->base != NULL) {
        event_base_free(r->base);
    }
    *r = (struct runner){0};
}

void run_pool_destroy(struct run_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    assert(pool->first == NULL);
    for (size_t i = 0; i < pool->n_started; i++) {
        stop_runner(&pool->runners[i]);
    }
    free(pool->runners);
    free(pool);
}

static bool start_next(struct run_pool *pool, struct err *err)
{
    struct runner *r = &pool->runners[pool->n_started];
    if (!start_runner(pool, pool->n_started, err)) {
        stop_runner(r);
        return false;
    }
    pool->n_started++;
    return true;
}

struct run_pool *run_pool_create(size_t n_threads, struct msgq *done,
                                 const struct store_ops *store_ops, const struct store *store,
                                 struct err *err)
{
    struct run_pool *pool = xcalloc(1, sizeof(*pool));
    assert(n_threads > 0);
    pool->runners = xcalloc(n_threads, sizeof(*pool->runners));
    pool->n_runners = n_threads;
    pool->done = done;
    pool->kept = (struct run_thread){.store_ops = store_ops, .store = store};
    if (!start_next(pool, err)) {
        run_pool_destroy(pool);
        return NULL;
    }
    return pool;
}

/* Made for a statement, whoever sends it: its source may be one that never answers. */
static bool is_asked(const struct run *run)
{
    return run->kind == RUN_CHECK || run->kind == RUN_EXPLAIN;
}

/* What loads leave to all others: 3 where that is not too many of them. */
static size_t n_reserved(size_t n)
{
    size_t least = n >= FEW_RUNNERS ? 3 : n / 2;
    return n / 8 > least ? n / 8 : least;
}

/* The limits in run.h. Of a few threads none is kept for one kind alone. */
static bool may_begin(const struct run_pool *pool, const struct run *run)
{
    size_t n = pool->n_runners;
    size_t n_slow = pool->n_loads + pool->n_asked;
    size_t n_kept = n >= FEW_RUNNERS ? 1 : 0;
    if (run->kind == RUN_ASK || run->kind == RUN_FENCE) {
        return true;
    }
    if (n_slow + pool->n_plans + n_kept >= n) {
        return false;
    }
    if (run->kind == RUN_PLAN) {
        return true;
    }
    if (n_slow + 2 * n_kept >= n) {
        return false;
    }
    return is_asked(run) ? pool->n_asked == 0 || pool->n_asked < n / 2
                         : pool->n_loads + n_reserved(n) < n;
}

static void count(struct run_pool *pool, const struct run *run, int by)
{
    size_t *n = run->kind == RUN_LOAD   ? &pool->n_loads
                : is_asked(run)         ? &pool->n_asked
                : run->kind == RUN_PLAN ? &pool->n_plans
                                        : NULL;
    if (n != NULL) {
        *n += (size_t)by;
    }
}

static void give(struct runner *r, struct run *run)
{
    assert(r->run == NULL);
    r->run = run;
    count(r->pool, run, 1);
    run->runner = r->index;
    (void)msgq_send(r->queue, &run->m); /* open until it is destroyed */
}

/* The first ones, so that few threads do what few can do. NULL: all have something to do. */
static struct runner *idle_runner(struct run_pool *pool)
{
    struct err err = {0};
    for (size_t i = 0; i < pool->n_started; i++) {
        if (pool->runners[i].run == NULL) {
            return &pool->runners[i];
        }
    }
    if (pool->n_started == pool->n_runners) {
        return NULL;
    }
    if (!start_next(pool, &err)) {
        log_error("runners.limited", "threads", LOG_FMT("%zu", pool->n_started), "of",
                  LOG_FMT("%zu", pool->n_runners), "reason", err.msg, NULL);
        pool->n_runners = pool->n_started; /* it does with those it has */
        return NULL;
    }
    return &pool->runners[pool->n_started - 1];
}

/* In which order they wait; those of one rank as they come. */
static int rank_of(const struct run *run)
{
    if (run->kind == RUN_ASK || run->kind == RUN_FENCE) {
        return 0; /* short, and others wait for what it finds out */
    }
    if (run->kind != RUN_LOAD) {
        return 3; /* a task that has begun ends before others begin */
    }
    return run->send_by_us != 0 ? 1 : 2; /* behind others its time would be over each time */
}

static void wait_in_line(struct run_pool *pool, struct run *run)
{
    struct run *before = pool->last;
    if (before != NULL && rank_of(before) > rank_of(run)) {
        struct run *at = pool->first;
        before = NULL;
        while (rank_of(at) <= rank_of(run)) {
            before = at;
            at = (struct run *)at->m.next;
        }
    }
    if (before != NULL) {
        run->m.next = before->m.next;
        before->m.next = &run->m;
    } else {
        run->m.next = pool->first != NULL ? &pool->first->m : NULL;
        pool->first = run;
    }
    pool->last = run->m.next == NULL ? run : pool->last;
}

void run_pool_submit(struct run_pool *pool, struct run *run)
{
    struct runner *r = may_begin(pool, run) ? idle_runner(pool) : NULL;
    pool->n_busy++;
    if (r != NULL) {
        give(r, run);
        return;
    }
    wait_in_line(pool, run);
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
    count(pool, run, -1);
    struct run *next = NULL;
    while (r != NULL && (next = take_waiting(pool, true)) != NULL) {
        give(r, next);
        r = pool->first != NULL ? idle_runner(pool) : NULL;
    }
}

size_t run_pool_n_threads(const struct run_pool *pool)
{
    return pool->n_started;
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
    for (size_t i = 0; i < pool->n_started; i++) {
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
