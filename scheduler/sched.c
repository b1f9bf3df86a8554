#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

enum {
    TICK_MS = 10,
    LONGEST_SLEEP_MS = 60 * 1000,
    LONGEST_WAIT_MS = 60 * 1000,
    SEND_WITHIN_MS = 10 * 1000, /* longer than it takes to connect to an FE, and to a second one */
};

/* Beside runs and requests in the queue; what a message is, its destroy function tells. */
struct stop_message {
    struct msg m;
    int64_t drain_ms;
};

static void destroy_request(struct msg *m)
{
    sched_request_destroy((struct sched_request *)m);
}

struct sched_request *sched_request_create(enum sched_op op, struct msgq *reply_to,
                                           uint64_t session_id)
{
    struct sched_request *r = xcalloc(1, sizeof(*r));
    r->call.m.destroy = destroy_request;
    r->op = op;
    r->reply_to = reply_to;
    r->session_id = session_id;
    return r;
}

void sched_request_destroy(struct sched_request *r)
{
    if (r == NULL) {
        return;
    }
    job_record_fini(&r->job);
    job_record_fini(&r->base);
    job_spec_destroy(r->spec);
    free(r->name);
    free(r->user);
    free(r->file_key);
    snapshot_destroy(r->snapshot);
    explain_fini(&r->explain);
    free(r);
}

void sched_reply(struct sched_request *r)
{
    (void)msgq_send(r->reply_to, &r->call.m); /* a queue that is closed destroys the request */
}

/* --- time ------------------------------------------------------------------------------------- */

struct step_time sched_now(void)
{
    return (struct step_time){.wall_ms = clock_wall_ms(), .mono_ms = clock_mono_ms() + 1};
}

static uint64_t tick_now(void)
{
    return (uint64_t)(clock_mono_ms() / TICK_MS);
}

static void set_wake(struct sched *s)
{
    /* The wheel stands where it was last advanced to; what has passed since is no wait any more. */
    uint64_t passed = tick_now() - s->wheel.now;
    uint64_t wait = wheel_wait(&s->wheel);
    wait = wait > passed ? wait - passed : 0;
    int64_t ms = wait > LONGEST_SLEEP_MS / TICK_MS ? LONGEST_SLEEP_MS : (int64_t)wait * TICK_MS;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    (void)event_add(s->wake, &tv); /* memory was taken when the event was added first */
}

void sched_arm(struct sched *s, struct job *j, int64_t delay_ms)
{
    uint64_t ticks = (uint64_t)((delay_ms + TICK_MS - 1) / TICK_MS);
    j->trace.due_ms = sched_now().mono_ms + delay_ms;
    wheel_set(&s->wheel, &j->timer, tick_now() + ticks);
    set_wake(s);
}

/*
 * Jobs that are read from the store together, or created by one script, would look at their sources
 * in the same instant for ever. So their first looks after a start come one a millisecond, and the
 * first wait of each is shorter: by how much, its id says.
 */
int64_t sched_idle_ms(const struct job *j)
{
    static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15); /* spreads ids that are close */
    uint64_t spread = ((uint64_t)j->rec.id * golden) >> 32;
    int64_t whole_ms = j->step.max_interval_ms;
    return j->is_paced ? whole_ms : 1 + (int64_t)(spread % (uint64_t)whole_ms);
}

int64_t sched_pace(struct job *j, int64_t delay_ms)
{
    bool is_active = j->step.state == JOB_PENDING || j->step.state == JOB_RUNNING;
    if (!is_active || j->step.phase != PHASE_IDLE) {
        return delay_ms; /* it waits for something else than its source */
    }
    if (delay_ms == 0) {
        return j->turn_ms;
    }
    if (delay_ms == j->step.max_interval_ms) {
        delay_ms = sched_idle_ms(j);
        j->is_paced = true;
    }
    return delay_ms;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct sched *s = arg;
    struct wheel_timer *t = NULL;
    (void)fd;
    (void)what;
    wheel_advance(&s->wheel, tick_now());
    while ((t = wheel_take(&s->wheel)) != NULL) {
        struct job *j = (struct job *)(void *)((char *)t - offsetof(struct job, timer));
        if (!s->is_stopping) {
            sched_job_event(j, &(struct step_event){.kind = EV_TIMER, .now = sched_now()});
        }
    }
    set_wake(s);
}

/* --- jobs ------------------------------------------------------------------------------------- */

struct job *sched_find_by_name(const struct sched *s, const char *name)
{
    for (size_t i = 0; i < s->n_jobs; i++) {
        if (strcmp(s->jobs[i]->rec.name, name) == 0) {
            return s->jobs[i];
        }
    }
    return NULL;
}

void sched_add_job(struct sched *s, struct job *j)
{
    if (s->n_jobs == s->jobs_size) {
        s->jobs_size = s->jobs_size > 0 ? s->jobs_size * 2 : 16;
        s->jobs = xrealloc_array(s->jobs, s->jobs_size, sizeof(struct job *));
    }
    s->jobs[s->n_jobs++] = j;
}

bool sched_must_hold(const struct job *j)
{
    const struct sched *s = j->sched;
    for (size_t i = 0; i < s->n_jobs && s->n_recovering > 0; i++) {
        const struct job *other = s->jobs[i];
        if (other->step.is_recovering && strcmp(other->rec.target_db, j->rec.target_db) == 0) {
            return true;
        }
    }
    return false;
}

void sched_remove_job(struct sched *s, struct job *j)
{
    for (size_t i = 0; i < s->n_jobs; i++) {
        if (s->jobs[i] == j) {
            memmove(&s->jobs[i], &s->jobs[i + 1], (s->n_jobs - i - 1) * sizeof(struct job *));
            s->n_jobs--;
            break;
        }
    }
    sched_job_destroy(j);
    sched_job_release_held(s);
}

/* --- messages --------------------------------------------------------------------------------- */

void sched_submit(struct sched *s, struct run *run)
{
    run_pool_submit(s->pool, run);
}

static void set_overdue(struct sched *s)
{
    const struct run *run = run_pool_oldest_asked(s->pool);
    if (run == NULL) {
        return; /* it may go off for nothing */
    }
    int64_t ms = run->due_ms - clock_mono_ms();
    ms = ms > 0 ? ms : 0;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    (void)event_add(s->overdue, &tv); /* as for s->wake */
}

void sched_submit_asked(struct sched *s, struct run *run)
{
    run->due_ms = clock_mono_ms() + s->longest_wait_ms;
    run_pool_submit(s->pool, run);
    set_overdue(s);
}

/* Hung checks have half of the threads for as long as their time lasts, loads may have all. */
static void on_overdue(evutil_socket_t fd, short what, void *arg)
{
    struct sched *s = arg;
    struct run *run = NULL;
    (void)fd;
    (void)what;
    while ((run = run_pool_oldest_asked(s->pool)) != NULL && run->due_ms <= clock_mono_ms()) {
        run_pool_give_up(s->pool, run);
        (void)err_say(
            &run->err,
            "For %" PRId64 " s no thread was free to ask the source and the FE, and "
            "nothing was done. Loads, or other statements whose source or FE does not answer, "
            "keep them busy; statements get half of scheduler.runners, which is %zu, at "
            "most. Try again, or raise it",
            (s->longest_wait_ms + 999) / 1000, s->options.n_runners);
        if (run->kind == RUN_CHECK) {
            sched_check_done(s, run);
        } else {
            sched_explain_late(s, run);
        }
        run_destroy(run);
    }
    set_overdue(s);
}

static void end_if_drained(struct sched *s)
{
    if (s->is_stopping && run_pool_n_busy(s->pool) == 0) {
        (void)event_base_loopbreak(s->base); /* only fails without a base */
    }
}

static void on_run_done(struct sched *s, struct run *run)
{
    run_pool_done(s->pool, run);
    if (run->kind == RUN_CHECK) {
        sched_check_done(s, run);
    } else if (run->kind == RUN_EXPLAIN) {
        sched_explain_done(s, run);
    } else if (run->owner != NULL) {
        sched_job_run_done(run->owner, run);
    }
    run_destroy(run);
    end_if_drained(s);
}

static void drop_waiting(struct run *run, void *arg)
{
    struct sched *s = arg;
    if (run->kind == RUN_EXPLAIN) {
        sched_explain_drop(s, run);
    } else if (run->kind == RUN_CHECK) {
        struct sched_request *r = run->owner;
        (void)err_set(&r->err, ERR_SERVER_SHUTDOWN, "08S01", "Sluice is shutting down");
        sched_reply(r);
    } else if (run->owner != NULL) {
        ((struct job *)run->owner)->run = NULL;
    }
    run_destroy(run);
}

/* Nothing is lost by asking, listing or checking again. */
static void cancel_if_no_load(struct run *run, void *arg)
{
    (void)arg;
    if (run->kind != RUN_LOAD) {
        cancel_raise(&run->cancel);
    }
}

static void cancel_any(struct run *run, void *arg)
{
    (void)arg;
    cancel_raise(&run->cancel);
}

static void on_drain_over(evutil_socket_t fd, short what, void *arg)
{
    struct sched *s = arg;
    (void)fd;
    (void)what;
    run_pool_each_busy(s->pool, cancel_any, NULL);
}

static void on_stop(struct sched *s, int64_t drain_ms)
{
    struct timeval tv = {.tv_sec = drain_ms / 1000, .tv_usec = (drain_ms % 1000) * 1000};
    s->is_stopping = true;
    run_pool_drop_waiting(s->pool, drop_waiting, s);
    run_pool_each_busy(s->pool, cancel_if_no_load, NULL);
    (void)event_base_once(s->base, -1, EV_TIMEOUT, on_drain_over, s, &tv); /* else: no bound */
    end_if_drained(s);
}

static void destroy_stop(struct msg *m)
{
    free(m);
}

static void on_message(struct msg *m, void *arg)
{
    struct sched *s = arg;
    if (m->destroy == destroy_request) {
        sched_command(s, (struct sched_request *)m);
    } else if (m->destroy == destroy_stop) {
        on_stop(s, ((struct stop_message *)m)->drain_ms);
        free(m);
    } else {
        on_run_done(s, (struct run *)m);
    }
}

void sched_send(struct sched *s, struct sched_request *r)
{
    (void)msgq_send(s->queue, &r->call.m); /* open as long as there is a scheduler */
}

/* --- life ------------------------------------------------------------------------------------- */

const struct source_ops *sched_find_source(const struct sched *s, const char *tvf)
{
    for (size_t i = 0; s->options.sources[i] != NULL; i++) {
        if (strcmp(s->options.sources[i]->tvf, tvf) == 0) {
            return s->options.sources[i];
        }
    }
    return NULL;
}

struct job_body *sched_make_body(const struct sched *s, struct job_spec *spec, struct err *err)
{
    const struct source_ops *ops = sched_find_source(s, spec->insert.tvf);
    if (ops == NULL) {
        (void)err_say(err,
                      "errCode = 2, detailMessage = Unsupported tvf type:%s. A streaming job loads "
                      "from S3(...)",
                      spec->insert.tvf);
        job_spec_destroy(spec);
        return NULL;
    }
    struct source *source = ops->create(spec, err);
    if (source == NULL) {
        job_spec_destroy(spec);
        return NULL;
    }
    return job_body_create(spec, ops, source);
}

/*
 * A stored job that is not understood any more is kept, PAUSED, with the reason: nothing is lost. An
 * ALTER JOB may mend it, and then must find a task that is in doubt as it was.
 */
static void mark_unusable(struct job *j, const struct err *err)
{
    bool is_in_doubt = j->rec.state == JOB_PAUSED &&
                       (j->rec.fail_code == FAIL_IN_DOUBT || j->rec.fail_code == FAIL_LABEL_TAKEN);
    j->step.state = JOB_PAUSED;
    j->step.fail_code = is_in_doubt ? j->rec.fail_code : FAIL_CANNOT_RESUME;
    sched_job_count(j, -1);
    j->rec.state = JOB_PAUSED;
    j->rec.fail_code = j->step.fail_code;
    sched_job_count(j, 1);
    free(j->rec.fail_msg);
    j->rec.fail_msg = xasprintf("The stored statement is not understood: %s", err->msg);
    log_error("job.unusable", "job", j->rec.name, "reason", err->msg, NULL);
}

static void load_job(const struct store_job *from, void *arg)
{
    const struct job_record *rec = from->job;
    struct sched *s = arg;
    struct err err = {0};
    struct job_spec *spec = NULL;
    struct job_body *body = NULL;
    if (s->options.make_spec(rec, s->options.default_interval_s, &spec, &err)) {
        body = sched_make_body(s, spec, &err);
    }
    struct job *j = sched_job_create(s, rec, body);
    if (j->step.state == JOB_PAUSED && j->step.fail_code == FAIL_NONE) {
        j->step.fail_code = FAIL_MANUAL_PAUSE; /* a crash between a commit and its pause */
    }
    if (body == NULL) {
        mark_unusable(j, &err);
    }
    for (size_t i = 0; i < from->n_tasks; i++) {
        sched_job_restore_task(j, &from->tasks[i]);
    }
    for (size_t i = 0; i < from->n_bad; i++) {
        sched_files_put(j, &from->bad[i]);
    }
    j->step.n_bad = sched_files_in_a_row(j);
    sched_add_job(s, j);
}

struct sched *sched_create(const struct sched_options *options, struct err *err)
{
    struct sched *s = xcalloc(1, sizeof(*s));
    s->options = *options;
    wheel_init(&s->wheel, tick_now());
    s->base = event_base_new();
    s->longest_wait_ms = LONGEST_WAIT_MS;
    s->send_within_ms = SEND_WITHIN_MS;
    s->wake = s->base != NULL ? event_new(s->base, -1, 0, on_wake, s) : NULL;
    s->overdue = s->base != NULL ? event_new(s->base, -1, 0, on_overdue, s) : NULL;
    if (s->wake == NULL || s->overdue == NULL) {
        (void)err_say(err, "cannot create the scheduler's event loop");
        sched_destroy(s);
        return NULL;
    }
    s->queue = msgq_create(s->base, on_message, s, err);
    if (s->queue == NULL || !options->store_ops->load(options->store, load_job, s, err)) {
        sched_destroy(s);
        return NULL;
    }
    sched_txn_restore(s);
    log_info("sched.loaded", "jobs", LOG_FMT("%zu", s->n_jobs), "epoch",
             LOG_FMT("%" PRId64, options->store_ops->epoch(options->store)), NULL);
    return s;
}

const struct sched_counters *sched_counters(const struct sched *s)
{
    return &s->counters;
}

static void *sched_main(void *arg)
{
    struct sched *s = arg;
    for (size_t i = 0; i < s->n_jobs; i++) {
        s->jobs[i]->turn_ms = (int64_t)i;
        sched_job_start(s->jobs[i]);
        s->jobs[i]->turn_ms = 0;
    }
    set_wake(s);
    (void)event_base_loop(s->base, EVLOOP_NO_EXIT_ON_EMPTY); /* ends when drained */
    return NULL;
}

bool sched_start(struct sched *s, struct err *err)
{
    s->pool = run_pool_create(s->options.n_runners, s->queue, s->options.store_ops,
                              s->options.store, err);
    if (s->pool == NULL) {
        return false;
    }
    int rc = pthread_create(&s->thread, NULL, sched_main, s);
    if (rc != 0) {
        return err_errno(err, rc, "cannot start the scheduler's thread");
    }
    s->is_started = true;
    return true;
}

void sched_stop(struct sched *s, int64_t drain_ms)
{
    if (!s->is_started) {
        return;
    }
    struct stop_message *stop = xcalloc(1, sizeof(*stop));
    stop->m.destroy = destroy_stop;
    stop->drain_ms = drain_ms;
    (void)msgq_send(s->queue, &stop->m); /* open as long as there is a scheduler */
    pthread_join(s->thread, NULL);
    s->is_started = false;
}

void sched_destroy(struct sched *s)
{
    if (s == NULL) {
        return;
    }
    assert(!s->is_started);
    run_pool_destroy(s->pool);
    msgq_destroy(s->queue);
    while (s->n_jobs > 0) {
        sched_job_destroy(s->jobs[--s->n_jobs]);
    }
    free(s->jobs);
    sched_txn_fini(s);
    free(s->outage.reason);
    if (s->wake != NULL) {
        event_free(s->wake);
    }
    if (s->overdue != NULL) {
        event_free(s->overdue);
    }
    if (s->base != NULL) {
        event_base_free(s->base);
    }
    free(s);
}
