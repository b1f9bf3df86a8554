#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/backends.h"
#include "proxy/killer.h"
#include "scheduler/cancel.h"

enum { ERR_KILL_DENIED = 1095 };

struct killer {
    struct backends *backends;    /* borrowed */
    const struct fe_login *login; /* borrowed */
    struct cancel cancel;
    struct event_base *base;
    struct msgq *queue;
    pthread_t thread;
    bool is_started;
};

static void destroy_request(struct msg *m)
{
    free(m);
}

struct killer_request *killer_request_create(struct msgq *reply_to, uint64_t session_id)
{
    struct killer_request *r = xcalloc(1, sizeof(*r));
    r->call.m.destroy = destroy_request;
    r->reply_to = reply_to;
    r->session_id = session_id;
    return r;
}

void killer_request_destroy(struct killer_request *r)
{
    free(r);
}

static bool run_kill(struct killer *k, struct killer_request *r)
{
    struct fe_wait wait = {
        .deadline_us = clock_mono_us() + k->login->connect_timeout_ms * 1000,
        .cancel = &k->cancel,
    };
    struct fe_address address = backends_fe_address(k->backends, r->backend, k->login);
    _cleanup_fe_conn_ struct fe_conn *c = fe_conn_open(&address, k->login, &wait, &r->err);
    if (c == NULL) {
        return false;
    }
    _cleanup_free_ char *sql =
        xasprintf("KILL %s%" PRIu32, r->stmt.is_query ? "QUERY " : "", r->stmt.id);
    enum fe_result result = fe_conn_run(c, sql, NULL, NULL, &wait, &r->err);
    if (result == FE_REFUSED && r->err.code == ERR_KILL_DENIED) {
        return err_prefix(&r->err,
                          "the service account '%s' needs ADMIN_PRIV to KILL at the FE %s: ",
                          k->login->user, backends_text(k->backends, r->backend));
    }
    return result == FE_OK;
}

static void answer(struct killer *k, struct killer_request *r)
{
    r->is_ok = run_kill(k, r);
    log_info("kill.remote", "fe", backends_text(k->backends, r->backend), "id",
             LOG_FMT("%" PRIu32, r->stmt.id), "what", r->stmt.is_query ? "query" : "connection",
             "error", r->is_ok ? NULL : r->err.msg, NULL);
    (void)msgq_send(r->reply_to, &r->call.m); /* a queue that is closed destroys it */
}

static void destroy_quit(struct msg *m)
{
    free(m);
}

static void on_message(struct msg *m, void *arg)
{
    struct killer *k = arg;
    if (m->destroy == destroy_quit) {
        free(m);
        (void)event_base_loopbreak(k->base); /* only fails without a base */
        return;
    }
    answer(k, (struct killer_request *)m);
}

static void *run_thread(void *arg)
{
    struct killer *k = arg;
    (void)event_base_loop(k->base, EVLOOP_NO_EXIT_ON_EMPTY); /* ends by the quit message */
    return NULL;
}

struct killer *killer_create(struct backends *backends, const struct fe_login *login,
                             struct err *err)
{
    struct killer *k = xcalloc(1, sizeof(*k));
    k->backends = backends;
    k->login = login;
    cancel_init(&k->cancel);
    k->base = event_base_new();
    k->queue = k->base != NULL ? msgq_create(k->base, on_message, k, err) : NULL;
    if (k->queue == NULL) {
        (void)err_say(err, "cannot create the event loop for KILL at other FEs");
        killer_destroy(k);
        return NULL;
    }
    int rc = pthread_create(&k->thread, NULL, run_thread, k);
    if (rc != 0) {
        (void)err_errno(err, rc, "cannot start the thread for KILL at other FEs");
        killer_destroy(k);
        return NULL;
    }
    k->is_started = true;
    return k;
}

void killer_destroy(struct killer *k)
{
    if (k == NULL) {
        return;
    }
    if (k->is_started) {
        struct msg *quit = xcalloc(1, sizeof(*quit));
        quit->destroy = destroy_quit;
        cancel_raise(&k->cancel);            /* what is queued before fails at once */
        (void)msgq_send(k->queue, quit);     /* open until it is destroyed below */
        (void)pthread_join(k->thread, NULL); /* fails for a wrong thread only */
    }
    msgq_destroy(k->queue);
    if (k->base != NULL) {
        event_base_free(k->base);
    }
    cancel_fini(&k->cancel);
    free(k);
}

void killer_send(struct killer *k, struct killer_request *r)
{
    (void)msgq_send(k->queue, &r->call.m); /* open as long as there is a thread */
}
