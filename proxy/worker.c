#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/acceptor.h"
#include "proxy/config.h"
#include "proxy/packet.h"
#include "proxy/session.h"
#include "proxy/settings.h"
#include "proxy/tune.h"
#include "proxy/worker_session.h"

enum {
    N_BUCKETS = 1024,    /* of the table of session ids */
    INDEX_BITS = 6,      /* of a session id: the worker */
    SWEEP_MIN_MS = 20,   /* idle and stuck sessions are looked for after an eighth of the */
    SWEEP_MAX_MS = 5000, /* shortest time that they may take, within these bounds */
    CUT_GRACE_MS = 2000, /* for clients to read that their statement was cut */
};

static_assert((int)SESSION_DEAD < (int)WORKER_N_STATES &&
                  (int)SESSION_N_ENDINGS <= (int)WORKER_N_ENDINGS,
              "every state and ending is counted");

LIST_HEAD(session_list, session);

struct worker {
    struct worker_env env;
    struct worker_counters counters;
    pthread_t thread;
    bool is_started;
    bool is_joined;
    bool is_draining;
    struct event_base *base; /* owned, as all below */
    struct msgq *queue;
    struct settings *settings;   /* the reloaded ones; NULL: those of the start */
    struct acceptor *acceptor;   /* NULL once the worker stops */
    struct event *sweep;         /* timer; pending while there are sessions and a limit */
    struct event *drain_timeout; /* timer */
    bool has_cut;                /* it has passed once */
    struct event *reap;          /* activated by hand */
    uint64_t last_session;
    struct session_list sessions;
    struct session_list dead;
    struct session_list buckets[N_BUCKETS];
    char scratch[WORKER_SCRATCH_SIZE];
};

/* --- sessions --------------------------------------------------------------------------------- */

static struct session_list *bucket_of(struct worker *w, uint64_t id)
{
    return &w->buckets[(id >> INDEX_BITS) % N_BUCKETS];
}

struct session *worker_find_session(struct worker *w, uint64_t id)
{
    struct session *s = NULL;
    LIST_FOREACH(s, bucket_of(w, id), in_bucket)
    {
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

void worker_session_ended(struct worker *w, struct session *s)
{
    if (s->is_findable) {
        LIST_REMOVE(s, in_bucket);
        s->is_findable = false;
    }
    (void)w;
}

void worker_session_dead(struct worker *w, struct session *s)
{
    worker_session_ended(w, s);
    LIST_REMOVE(s, in_worker);
    LIST_INSERT_HEAD(&w->dead, s, in_worker);
    event_active(w->reap, EV_TIMEOUT, 0);
}

static void end_loop_if_done(struct worker *w)
{
    if (w->is_draining && LIST_EMPTY(&w->sessions) && LIST_EMPTY(&w->dead)) {
        (void)event_base_loopbreak(w->base); /* fails without a base only */
    }
}

static void destroy_dead(struct worker *w)
{
    while (!LIST_EMPTY(&w->dead)) {
        struct session *s = LIST_FIRST(&w->dead);
        LIST_REMOVE(s, in_worker);
        worker_add(&w->counters.states[SESSION_DEAD], UINT64_MAX); /* - 1 */
        session_destroy(s);
        atomic_fetch_sub(&w->env.shared->n_sessions, 1);
    }
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    destroy_dead(w);
    end_loop_if_done(w);
    (void)fd;
    (void)what;
}

void worker_session_moved(struct worker *w, unsigned from, unsigned to)
{
    if (from < WORKER_N_STATES) {
        worker_add(&w->counters.states[from], UINT64_MAX); /* - 1 */
    }
    if (to < WORKER_N_STATES) {
        worker_count(&w->counters.states[to]);
    }
}

/* --- idle and stuck sessions ------------------------------------------------------------------ */

/* 0: there is nothing to look for. */
static int64_t sweep_interval_ms(const struct config *c)
{
    const int64_t limits[] = {c->idle_timeout_ms, c->write_timeout_ms, tune_patience_ms(c)};
    int64_t shortest = 0;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (limits[i] > 0 && (shortest == 0 || limits[i] < shortest)) {
            shortest = limits[i];
        }
    }
    int64_t ms = shortest / 8;
    return shortest == 0       ? 0
           : ms < SWEEP_MIN_MS ? SWEEP_MIN_MS
           : ms > SWEEP_MAX_MS ? SWEEP_MAX_MS
                               : ms;
}

static struct timeval timeval_of(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

static void schedule_sweep(struct worker *w)
{
    int64_t ms = sweep_interval_ms(worker_config(w));
    if (ms > 0 && !LIST_EMPTY(&w->sessions) && !evtimer_pending(w->sweep, NULL)) {
        struct timeval tv = timeval_of(ms);
        (void)event_add(w->sweep, &tv); /* fails for want of memory alone */
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    int64_t now_ms = clock_mono_ms();
    struct session *s = LIST_FIRST(&w->sessions);
    while (s != NULL) {
        struct session *next = LIST_NEXT(s, in_worker);
        session_watch(s, now_ms);
        s = next;
    }
    schedule_sweep(w);
    (void)fd;
    (void)what;
}

/* --- accepting -------------------------------------------------------------------------------- */

static void start_session(struct worker *w, int fd, const struct address *peer)
{
    uint64_t id = ++w->last_session << INDEX_BITS | (uint64_t)w->env.index;
    struct session *s = session_create(w, id, fd, peer);
    LIST_INSERT_HEAD(&w->sessions, s, in_worker);
    LIST_INSERT_HEAD(bucket_of(w, id), s, in_bucket);
    s->is_findable = true;
    worker_session_moved(w, WORKER_N_STATES, s->state);
    schedule_sweep(w);
    session_login_start(s);
}

static void refuse(struct worker *w, int fd, const struct address *peer)
{
    struct err err = {0};
    char client[ADDRESS_TEXT_SIZE];
    _cleanup_buf_ struct buf out = buf_with_max(ERR_MSG_SIZE);
    if (w->is_draining) {
        (void)err_set(&err, ERR_SERVER_SHUTDOWN, "08S01",
                      "Server shutdown in progress: Sluice is being stopped; connect again");
    } else {
        (void)err_set(&err, ERR_CON_COUNT, "08004",
                      "Too many connections: Sluice has reached proxy.max_connections = %lld",
                      (long long)worker_config(w)->max_connections);
    }
    packet_put_err(&out, 0, &err, PACKET_ERR_BEFORE_HANDSHAKE);
    (void)send(fd, out.data, out.len, MSG_NOSIGNAL); /* best effort: the client is sent away */
    (void)close(fd);                                 /* nothing is unsent on a fresh socket */
    worker_count(&w->counters.refused);
    worker_count(
        &w->counters.endings[w->is_draining ? SESSION_ENDING_SHUTDOWN : SESSION_ENDING_TOO_MANY]);
    address_format(peer, client);
    log_warn("session.refused", "client", client, "reason", err.msg, NULL);
}

static void on_connection(int fd, const struct address *peer, void *arg)
{
    struct worker *w = arg;
    worker_count(&w->counters.accepted);
    int64_t n = atomic_fetch_add(&w->env.shared->n_sessions, 1);
    if (w->is_draining || n >= worker_config(w)->max_connections) {
        atomic_fetch_sub(&w->env.shared->n_sessions, 1);
        refuse(w, fd, peer);
    } else {
        start_session(w, fd, peer);
    }
}

static void close_listeners(struct worker *w)
{
    for (size_t i = 0; i < w->env.n_listen_fds; i++) {
        close_p(&w->env.listen_fds[i]);
    }
    w->env.n_listen_fds = 0;
}

/* A reset would be all that the clients saw that wait in a queue of ours: they are told. */
static void stop_accepting(struct worker *w, enum worker_stop how)
{
    if (w->acceptor != NULL) {
        if (how == WORKER_DRAIN) {
            acceptor_empty(w->acceptor);
        }
        acceptor_destroy(take_ptr(w->acceptor));
        close_listeners(w);
    }
}

/* --- stopping --------------------------------------------------------------------------------- */

static void kill_all(struct worker *w)
{
    struct session *s = LIST_FIRST(&w->sessions);
    while (s != NULL) {
        struct session *next = LIST_NEXT(s, in_worker);
        session_kill(s);
        s = next;
    }
}

/* Running statements get an error; who does not read it is not waited for. */
static void cut_all(struct worker *w)
{
    struct timeval tv = timeval_of(CUT_GRACE_MS);
    struct session *s = LIST_FIRST(&w->sessions);
    w->has_cut = true;
    (void)event_add(w->drain_timeout, &tv); /* fails for want of memory alone */
    while (s != NULL) {
        struct session *next = LIST_NEXT(s, in_worker);
        session_cut(s);
        s = next;
    }
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    if (w->has_cut) {
        kill_all(w);
    } else {
        cut_all(w);
    }
    (void)fd;
    (void)what;
}

static void drain(struct worker *w)
{
    struct timeval tv = timeval_of(worker_config(w)->drain_timeout_ms);
    (void)event_add(w->drain_timeout, &tv); /* fails for want of memory alone */
    struct session *s = LIST_FIRST(&w->sessions);
    while (s != NULL) {
        struct session *next = LIST_NEXT(s, in_worker);
        session_drain(s);
        s = next;
    }
}

static void begin_stop(struct worker *w, enum worker_stop how)
{
    bool was_draining = w->is_draining;
    w->is_draining = true;
    stop_accepting(w, how);
    if (how == WORKER_NOW) {
        kill_all(w);
    } else if (!was_draining) {
        drain(w);
    }
    end_loop_if_done(w);
}

struct stop_msg {
    struct msg_call base;
    enum worker_stop how;
};

static void destroy_msg(struct msg *m)
{
    free(m);
}

static void run_stop(void *receiver, struct msg_call *m)
{
    enum worker_stop how = ((struct stop_msg *)m)->how;
    free(m);
    begin_stop(receiver, how);
}

void worker_stop(struct worker *w, enum worker_stop how)
{
    struct stop_msg *m = xcalloc(1, sizeof(*m));
    m->base = (struct msg_call){.m.destroy = destroy_msg, .run = run_stop};
    m->how = how;
    (void)msgq_send(w->queue, &m->base.m); /* refused when the worker has ended: that is as good */
}

static void tune_listeners(struct worker *w)
{
    for (size_t i = 0; i < w->env.n_listen_fds; i++) {
        tune_listener(w->env.listen_fds[i], worker_config(w));
    }
}

struct reconfigure_msg {
    struct msg_call base;
    struct settings *settings; /* a reference of its own */
};

static void destroy_reconfigure(struct msg *m)
{
    settings_unref(((struct reconfigure_msg *)m)->settings);
    free(m);
}

static void run_reconfigure(void *receiver, struct msg_call *m)
{
    struct worker *w = receiver;
    settings_unref(w->settings);
    w->settings = take_ptr(((struct reconfigure_msg *)m)->settings);
    free(m);
    tune_listeners(w);
    (void)event_del(w->sweep); /* not pending is no error */
    schedule_sweep(w);
}

void worker_reconfigure(struct worker *w, struct settings *settings)
{
    struct reconfigure_msg *m = xcalloc(1, sizeof(*m));
    m->base = (struct msg_call){.m.destroy = destroy_reconfigure, .run = run_reconfigure};
    m->settings = settings;
    (void)msgq_send(w->queue, &m->base.m); /* refused when the worker has ended: that is as good */
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_message(struct msg *m, void *arg)
{
    struct msg_call *call = (struct msg_call *)m;
    call->run(arg, call);
}

static struct event_base *create_base(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL) {
        return NULL;
    }
    /*
     * One thread a base: no locks. No EPOLL_USE_CHANGELIST: it would tell epoll of a closed socket
     * when another thread may already have its number.
     */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* known flags cannot fail */
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool init_loop(struct worker *w, struct err *err)
{
    w->base = create_base();
    if (w->base == NULL) {
        return err_say(err, "cannot create the event loop of worker %d", w->env.index);
    }
    w->queue = msgq_create(w->base, on_message, w, err);
    if (w->queue == NULL) {
        return false;
    }
    w->sweep = evtimer_new(w->base, on_sweep, w);
    w->drain_timeout = evtimer_new(w->base, on_drain_timeout, w);
    w->reap = event_new(w->base, -1, 0, on_reap, w);
    if (w->sweep == NULL || w->drain_timeout == NULL || w->reap == NULL) {
        return err_say(err, "cannot create the events of worker %d", w->env.index);
    }
    tune_listeners(w);
    w->acceptor =
        acceptor_create(w->base, w->env.listen_fds, w->env.n_listen_fds, on_connection, w, err);
    return w->acceptor != NULL;
}

struct worker *worker_create(const struct worker_env *env, struct err *err)
{
    assert(env->index >= 0 && env->index < 1 << INDEX_BITS && env->shared->backends != NULL);
    struct worker *w = xcalloc(1, sizeof(*w));
    w->env = *env;
    if (!init_loop(w, err)) {
        worker_destroy(w);
        return NULL;
    }
    return w;
}

static void *run_thread(void *arg)
{
    struct worker *w = arg;
    (void)event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY); /* ends by end_loop_if_done() only */
    msgq_close(w->queue);
    return NULL;
}

bool worker_start(struct worker *w, struct err *err)
{
    assert(!w->is_started);
    int rc = pthread_create(&w->thread, NULL, run_thread, w);
    if (rc != 0) {
        return err_errno(err, rc, "cannot start the thread of worker %d", w->env.index);
    }
    w->is_started = true;
    return true;
}

void worker_join(struct worker *w)
{
    if (w->is_started && !w->is_joined) {
        (void)pthread_join(w->thread, NULL); /* fails for a wrong thread only */
        w->is_joined = true;
    }
}

static void free_event(struct event *event)
{
    if (event != NULL) {
        event_free(event);
    }
}

void worker_destroy(struct worker *w)
{
    if (w == NULL) {
        return;
    }
    assert(!w->is_started || w->is_joined);
    assert(LIST_EMPTY(&w->sessions));
    acceptor_destroy(w->acceptor);
    free_event(w->sweep);
    free_event(w->drain_timeout);
    free_event(w->reap);
    msgq_destroy(w->queue);
    if (w->base != NULL) {
        event_base_free(w->base);
    }
    close_listeners(w);
    settings_unref(w->settings);
    free(w);
}

/* --- what others see -------------------------------------------------------------------------- */

struct msgq *worker_msgq(struct worker *w)
{
    return w->queue;
}

const struct worker_counters *worker_counters(const struct worker *w)
{
    return &w->counters;
}

struct worker_counters *worker_own_counters(struct worker *w)
{
    return &w->counters;
}

void *worker_local_env(struct worker *w)
{
    return w->env.local_env;
}

struct event_base *worker_base(struct worker *w)
{
    return w->base;
}

const struct config *worker_config(const struct worker *w)
{
    return w->settings != NULL ? &w->settings->config : w->env.shared->config;
}

struct tls_context *worker_tls(const struct worker *w)
{
    return w->settings != NULL ? w->settings->tls : w->env.shared->tls;
}

struct worker_shared *worker_shared(struct worker *w)
{
    return w->env.shared;
}

char *worker_scratch(struct worker *w)
{
    return w->scratch;
}

void worker_each_session(struct worker *w, void (*each)(struct session *s, void *arg), void *arg)
{
    struct session *s = NULL;
    LIST_FOREACH(s, &w->sessions, in_worker)
    {
        each(s, arg);
    }
}

bool worker_is_draining(const struct worker *w)
{
    return w->is_draining;
}
