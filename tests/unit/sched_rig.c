#include <event2/event.h>
#include <stdio.h>

#include "base/xmalloc.h"
#include "tests/unit/sched_rig.h"

/* --- what must hold after every turn ----------------------------------------------------------- */

static bool wants_run(const struct job *j, enum run_kind *ret)
{
    switch (j->step.phase) {
    case PHASE_PLANNING: *ret = RUN_PLAN; return true;
    case PHASE_LOADING: *ret = RUN_LOAD; return true;
    case PHASE_ASKING:
    case PHASE_WITNESS: *ret = RUN_ASK; return true;
    case PHASE_FENCING: *ret = RUN_FENCE; return true;
    case PHASE_IDLE:
    case PHASE_INTENT:
    case PHASE_ASIDE:
    case PHASE_OWNER:
    case PHASE_WAITING:
    case PHASE_RETRY:
    case PHASE_COMMIT:
    case PHASE_END:
    case PHASE_DOUBT: return false;
    }
    return false;
}

static void check_job(const struct job *j)
{
    const struct step_job *step = &j->step;
    enum run_kind kind = RUN_CHECK;
    bool is_active = step->state == JOB_PENDING || step->state == JOB_RUNNING;
    bool will_resume = step->state == JOB_PAUSED && step_is_resumable(step->fail_code);
    bool has_timer = wheel_timer_is_set(&j->timer);

    assert_true(step_check(step));
    assert_int_equal(j->rec.state, step->state);
    assert_int_equal(j->rec.fail_code, step->fail_code);
    assert_int_equal(j->task.id, step->task_id);
    /* As in Doris: tasks() has as many rows as were counted, and the open one. */
    int64_t n_counted = j->rec.n_succeeded + j->rec.n_failed + j->rec.n_canceled;
    assert_int_equal(j->n_tasks, n_counted < STORE_TASKS_KEPT ? n_counted : STORE_TASKS_KEPT);
    /* Writes are made within one turn. */
    assert_false(step->phase == PHASE_INTENT || step->phase == PHASE_ASIDE ||
                 step->phase == PHASE_OWNER || step->phase == PHASE_COMMIT ||
                 step->phase == PHASE_END);
    if (wants_run(j, &kind)) {
        assert_true(j->is_held || (j->run != NULL && j->run->kind == kind));
    } else {
        assert_null(j->run);
    }
    assert_false(j->is_held && (step->phase != PHASE_PLANNING || j->run != NULL));
    if (step->phase == PHASE_WAITING || step->phase == PHASE_RETRY) {
        assert_true(has_timer);
    }
    /* Whatever is to go on by itself has something that will make it go on. */
    if (j->body != NULL && (is_active || will_resume)) {
        assert_true(j->run != NULL || j->is_held || has_timer);
    }
}

static void check_sched(const struct rig *g)
{
    const struct sched *s = g->s;
    size_t n_recovering = 0;
    int64_t n_states = 0;
    int64_t n_paused[N_FAIL_CODES] = {0};
    for (size_t i = 0; i < s->n_jobs; i++) {
        check_job(s->jobs[i]);
        n_paused[s->jobs[i]->rec.fail_code] += s->jobs[i]->rec.state == JOB_PAUSED;
        n_recovering += s->jobs[i]->step.is_recovering;
    }
    for (size_t i = 0; i < ARRAY_SIZE(s->counters.jobs); i++) {
        n_states += s->counters.jobs[i];
    }
    assert_int_equal(n_recovering, s->n_recovering);
    assert_int_equal(n_states, s->n_jobs);
    for (int code = 0; code < N_FAIL_CODES; code++) {
        assert_int_equal(s->counters.paused[code], n_paused[code]);
    }
    assert_false(g->store.is_wrong);
}

/* --- the rig ---------------------------------------------------------------------------------- */

static void on_reply(struct msg *m, void *arg)
{
    struct rig *g = arg;
    m->next = g->answered != NULL ? &g->answered->call.m : NULL;
    g->answered = (struct sched_request *)m;
    g->n_answered++;
}

void rig_begin(struct rig *g)
{
    struct err err = {0};
    static const struct source_ops *const sources[] = {&fake_source_ops, NULL};
    struct sched_options options = {
        .store_ops = &fake_store_ops,
        .store = (struct store *)&g->store,
        .sources = sources,
        .sink_ops = &fake_sink_ops,
        .sink = (struct sink *)&g->doris,
        .make_spec = fake_make_spec,
        .step = g->step,
        .n_runners = g->n_runners,
        .max_jobs = g->max_jobs,
        .default_interval_s = g->interval_s,
        .task_timeout_s = 10,
    };
    g->store.real = must_open(&g->file);
    g->s = sched_create(&options, &err);
    assert_non_null(g->s);
    if (g->has_thread) {
        assert_true(sched_start(g->s, &err));
        return;
    }
    g->s->pool = run_pool_create(g->n_runners, g->s->queue, options.store_ops, options.store, &err);
    assert_non_null(g->s->pool);
    for (size_t i = 0; i < g->s->n_jobs; i++) {
        sched_job_start(g->s->jobs[i]);
    }
    check_sched(g);
}

static void *turn_all(void *arg)
{
    (void)event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

void rig_end(struct rig *g, int64_t drain_ms)
{
    if (!g->s->is_started) { /* sched_stop() waits for a thread */
        assert_int_equal(pthread_create(&g->s->thread, NULL, turn_all, g->s->base), 0);
        g->s->is_started = true;
    }
    sched_stop(g->s, drain_ms);
    sched_destroy(take_ptr(g->s));
    store_sqlite_ops.close(take_ptr(g->store.real));
}

struct rig *rig_create(bool has_thread)
{
    struct err err = {0};
    struct rig *g = xcalloc(1, sizeof(*g));
    g->has_thread = has_thread;
    g->max_jobs = 8;
    g->interval_s = 1;
    g->step = (struct step_config){.max_resumes = 1000,
                                   .resume_delay_ms = 1,
                                   .label_window_ms = 60000,
                                   .fence_after_ms = 0,
                                   .n_tries = 2,
                                   .max_bad = 3};
    g->n_runners = N_RUNNERS;
    fake_bucket = (struct fake_bucket){0};
    fixture_init(&g->file);
    fake_doris_init(&g->doris);
    g->base = event_base_new();
    g->replies = msgq_create(g->base, on_reply, g, &err);
    assert_non_null(g->replies);
    rig_begin(g);
    return g;
}

static void forget_answers(struct rig *g)
{
    while (g->answered != NULL) {
        struct sched_request *next = (struct sched_request *)g->answered->call.m.next;
        sched_request_destroy(g->answered);
        g->answered = next;
    }
    g->n_answered = 0;
}

void rig_destroy(struct rig *g)
{
    assert_null(g->doris.wrong);
    if (g->s != NULL) {
        rig_end(g, LONG_DRAIN_MS);
    }
    forget_answers(g);
    msgq_destroy(g->replies);
    event_base_free(g->base);
    fake_doris_fini(&g->doris);
    fixture_fini(&g->file);
    free(g);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

void rig_turn(struct rig *g)
{
    struct event_base *base = g->has_thread ? g->base : g->s->base;
    struct timeval soon = {.tv_usec = 5000}; /* what other threads do is no event of ours */
    struct event *tick = evtimer_new(base, on_tick, NULL);
    assert_non_null(tick);
    assert_int_equal(event_add(tick, &soon), 0);
    (void)event_base_loop(base, EVLOOP_ONCE);
    event_free(tick);
    (void)event_base_loop(g->base, EVLOOP_NONBLOCK);
    if (!g->has_thread) {
        check_sched(g);
    }
}

struct sched_request *rig_request(struct rig *g, enum sched_op op, const char *name)
{
    struct sched_request *r = sched_request_create(op, g->replies, 1);
    r->name = xstrdup(name);
    return r;
}

/* A copy of the answer's verdict; "" is yes. */
static const char *verdict(const struct rig *g)
{
    return g->answered->is_ok ? "" : g->answered->err.msg;
}

const char *rig_ask(struct rig *g, struct sched_request *r)
{
    size_t n = g->n_answered;
    sched_send(g->s, r);
    rig_until(g, g->n_answered > n);
    return verdict(g);
}

struct sched_request *rig_create_request(struct rig *g, const char *name, const char *db, int table,
                                         const char *units)
{
    struct err err = {0};
    struct sched_request *r = sched_request_create(SCHED_CREATE, g->replies, 1);
    r->job = (struct job_record){
        .name = xstrdup(name),
        .definer = xstrdup("root"),
        .target_db = xstrdup(db),
        .target_table = xasprintf("t%d", table),
        .sql = xstrdup("INSERT"),
        .properties = xstrdup(units),
        .comment = xstrdup(""),
    };
    assert_true(fake_make_spec(&r->job, g->interval_s, &r->spec, &err));
    return r;
}

void rig_create_job(struct rig *g, const char *name, const char *db, int table, const char *units)
{
    assert_string_equal(rig_ask(g, rig_create_request(g, name, db, table, units)), "");
}

const char *rig_change(struct rig *g, enum sched_op op, const char *name)
{
    (void)rig_ask(g, rig_request(g, SCHED_FIND, name));
    struct sched_request *r = rig_request(g, op, name);
    r->job_id = g->answered->job_id;
    return rig_ask(g, r);
}

const char *rig_file(struct rig *g, const char *name, const char *key, bool is_retry)
{
    struct sched_request *r = rig_request(g, SCHED_FILE, name);
    r->job_id = rig_job(g, name)->rec.id;
    r->file_key = key != NULL ? xstrdup(key) : NULL;
    r->is_retry = is_retry;
    return rig_ask(g, r);
}

const char *rig_resolve(struct rig *g, const char *name, int64_t task_id, bool is_committed)
{
    (void)rig_ask(g, rig_request(g, SCHED_FIND, name));
    struct sched_request *r = rig_request(g, SCHED_RESOLVE, name);
    r->job_id = g->answered->job_id;
    r->task_id = task_id;
    r->is_committed = is_committed;
    return rig_ask(g, r);
}

struct job *rig_job(const struct rig *g, const char *name)
{
    struct job *j = sched_find_by_name(g->s, name);
    assert_non_null(j);
    return j;
}

bool rig_has_offset(const struct rig *g, const char *name, const char *offset)
{
    const struct job *j = rig_job(g, name);
    return j->rec.offset != NULL && strcmp(j->rec.offset, offset) == 0 && j->task.id == 0;
}

void rig_crash(struct rig *g)
{
    g->store.fail_from = 0;
    g->store.fail_to = INT64_MAX;
    rig_end(g, 0);
    g->store.fail_to = 0;
    rig_begin(g);
}

void rig_set_runners(struct rig *g, size_t n)
{
    g->n_runners = n;
    rig_crash(g);
}
