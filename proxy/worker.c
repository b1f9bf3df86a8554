#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/config.h"
#include "proxy/packet.h"
#include "proxy/session.h"
#include "proxy/worker_session.h"

enum {
    N_BUCKETS = 1024,      /* of the table of session ids */
    ACCEPTS_PER_TURN = 16, /* then the sessions have their turn */
    ACCEPT_PAUSE_MS = 200, /* after EMFILE and the like */
    INDEX_BITS = 6,        /* of a session id: the worker */
};

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
    struct event *on_accept;     /* NULL once the worker stops */
    struct event *accept_again;  /* timer: after ACCEPT_PAUSE_MS */
    struct event *drain_timeout; /* timer */
    struct event *reap;          /* activated by hand */
    uint64_t last_session;
    size_t good_backend;
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

/* --- accepting -------------------------------------------------------------------------------- */

static void start_session(struct worker *w, int fd, const struct address *peer)
{
    int on = 1;
    /* Both are tuning: a socket that refuses them still works. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    uint64_t id = ++w->last_session << INDEX_BITS | (uint64_t)w->env.index;
    struct session *s = session_create(w, id, fd, peer);
    LIST_INSERT_HEAD(&w->sessions, s, in_worker);
    LIST_INSERT_HEAD(bucket_of(w, id), s, in_bucket);
    s->is_findable = true;
    session_login_start(s);
}

static void refuse(struct worker *w, int fd, const struct address *peer)
{
    struct err err = {0};
    char client[ADDRESS_TEXT_SIZE];
    _cleanup_buf_ struct buf out = buf_with_max(ERR_MSG_SIZE);
    (void)err_set(&err, ERR_CON_COUNT, "08004",
                  "Too many connections: Sluice has reached proxy.max_connections = %lld",
                  (long long)w->env.shared->config->max_connections);
    packet_put_err(&out, 0, &err, PACKET_ERR_BEFORE_HANDSHAKE);
    (void)send(fd, out.data, out.len, MSG_NOSIGNAL); /* best effort: the client is sent away */
    (void)close(fd);                                 /* nothing is unsent on a fresh socket */
    worker_count(&w->counters.refused);
    address_format(peer, client);
    log_warn("session.refused", "client", client, "reason", err.msg, NULL);
}

static void pause_accepting(struct worker *w, int error)
{
    struct timeval tv = {.tv_usec = ACCEPT_PAUSE_MS * 1000L};
    log_error("listener.paused", "reason", strerrordesc_np(error), NULL);
    (void)event_del(w->on_accept);
    (void)event_add(w->accept_again, &tv); /* fails for want of memory alone, as event_del() */
}

static void on_accept(evutil_socket_t listen_fd, short what, void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct address peer = {.size = sizeof(peer.to)};
        int fd = accept4(listen_fd, &peer.to.any, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                pause_accepting(w, errno);
            }
            return; /* EAGAIN, or a connection that went away before it was accepted */
        }
        worker_count(&w->counters.accepted);
        int64_t n = atomic_fetch_add(&w->env.shared->n_sessions, 1);
        if (n >= w->env.shared->config->max_connections) {
            atomic_fetch_sub(&w->env.shared->n_sessions, 1);
            refuse(w, fd, &peer);
        } else {
            start_session(w, fd, &peer);
        }
    }
    (void)what;
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    if (w->on_accept != NULL) {
        (void)event_add(w->on_accept, NULL); /* fails for want of memory alone */
    }
    (void)fd;
    (void)what;
}

static void stop_accepting(struct worker *w)
{
    if (w->on_accept != NULL) {
        event_free(take_ptr(w->on_accept));
        (void)event_del(w->accept_again); /* not pending is no error */
        close_p(&w->env.listen_fd);
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

static void on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    kill_all(w);
    (void)fd;
    (void)what;
}

static void drain(struct worker *w)
{
    int64_t ms = w->env.shared->config->drain_timeout_ms;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
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
    stop_accepting(w);
    w->is_draining = true;
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
    w->on_accept = event_new(w->base, w->env.listen_fd, EV_READ | EV_PERSIST, on_accept, w);
    w->accept_again = evtimer_new(w->base, on_accept_again, w);
    w->drain_timeout = evtimer_new(w->base, on_drain_timeout, w);
    w->reap = event_new(w->base, -1, 0, on_reap, w);
    if (w->on_accept == NULL || w->accept_again == NULL || w->drain_timeout == NULL ||
        w->reap == NULL || event_add(w->on_accept, NULL) != 0) {
        return err_say(err, "cannot create the events of worker %d", w->env.index);
    }
    return true;
}

struct worker *worker_create(const struct worker_env *env, struct err *err)
{
    assert(env->index >= 0 && env->index < 1 << INDEX_BITS && env->shared->n_backends > 0);
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
    free_event(w->on_accept);
    free_event(w->accept_again);
    free_event(w->drain_timeout);
    free_event(w->reap);
    msgq_destroy(w->queue);
    if (w->base != NULL) {
        event_base_free(w->base);
    }
    close_p(&w->env.listen_fd);
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
    return w->env.shared->config;
}

struct worker_shared *worker_shared(struct worker *w)
{
    return w->env.shared;
}

char *worker_scratch(struct worker *w)
{
    return w->scratch;
}

size_t worker_good_backend(const struct worker *w)
{
    return w->good_backend;
}

void worker_set_good_backend(struct worker *w, size_t i)
{
    w->good_backend = i;
}

bool worker_is_draining(const struct worker *w)
{
    return w->is_draining;
}
