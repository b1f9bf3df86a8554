#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/admin.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/session.h"
#include "proxy/worker.h"
#include "scheduler/sched.h"

enum {
    MAX_HEADERS_BYTES = 16384,
    MAX_BODY_BYTES = 1024,
    TIMEOUT_S = 10,
    PAUSE_MS = 200, /* after EMFILE and the like */
};

struct admin {
    struct evhttp *http;
    const struct admin_env *env; /* borrowed */
};

/* Metric names are interface: rename only with a CHANGELOG entry. */
static const struct worker_metric {
    const char *name;
    const char *help;
    size_t at; /* in struct worker_counters */
} worker_metrics[] = {
    {"sluice_connections_total", "Client connections accepted, refused ones too",
     offsetof(struct worker_counters, accepted)},
    {"sluice_connections_refused_total", "Client connections refused on arrival",
     offsetof(struct worker_counters, refused)},
    {"sluice_fe_connect_failures_total", "Connection attempts to an FE that failed",
     offsetof(struct worker_counters, fe_failures)},
    {"sluice_local_statements_total", "Statements answered by Sluice, not by the FE",
     offsetof(struct worker_counters, local_statements)},
    {"sluice_bytes_from_clients_total", "Bytes that came from clients, without TLS",
     offsetof(struct worker_counters, from_clients)},
    {"sluice_bytes_to_clients_total", "Bytes for clients, without TLS",
     offsetof(struct worker_counters, to_clients)},
};

static const struct sched_metric {
    const char *name;
    const char *help;
    size_t at; /* in struct sched_counters */
} sched_metrics[] = {
    {"sluice_tasks_succeeded_total", "Tasks whose rows became visible",
     offsetof(struct sched_counters, tasks_succeeded)},
    {"sluice_tasks_failed_total", "Tasks that FAILED",
     offsetof(struct sched_counters, tasks_failed)},
    {"sluice_tasks_canceled_total", "Tasks that were CANCELED",
     offsetof(struct sched_counters, tasks_canceled)},
    {"sluice_rows_loaded_total", "Rows that Doris reported for successful tasks",
     offsetof(struct sched_counters, rows_loaded)},
    {"sluice_store_stale_writes_total", "Writes the store refused as stale",
     offsetof(struct sched_counters, stale_writes)},
    {"sluice_store_failed_writes_total", "Writes the store failed, a full disk say",
     offsetof(struct sched_counters, failed_writes)},
    {"sluice_jobs_in_doubt_total", "Times a job was paused with IN_DOUBT",
     offsetof(struct sched_counters, in_doubt)},
};

static void put_head(struct evbuffer *out, const char *name, const char *help, const char *type)
{
    (void)evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The sum over all workers of the counter that is at `at` of struct worker_counters. */
static uint64_t sum_of(const struct admin_env *env, size_t at)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < env->n_workers; i++) {
        const char *counters = (const char *)worker_counters(env->workers[i]);
        sum += atomic_load((const _Atomic uint64_t *)(const void *)(counters + at));
    }
    return sum;
}

static void put_worker_metric(struct evbuffer *out, const struct admin_env *env,
                              const struct worker_metric *m)
{
    put_head(out, m->name, m->help, "counter");
    (void)evbuffer_add_printf(out, "%s %" PRIu64 "\n", m->name, sum_of(env, m->at));
}

static void put_sessions(struct evbuffer *out, const struct admin_env *env)
{
    put_head(out, "sluice_sessions", "Client connections by state", "gauge");
    for (enum session_state i = 0; i < SESSION_DEAD; i++) {
        size_t at = offsetof(struct worker_counters, states) + i * sizeof(uint64_t);
        (void)evbuffer_add_printf(out, "sluice_sessions{state=\"%s\"} %" PRIu64 "\n",
                                  session_state_name(i), sum_of(env, at));
    }
    put_head(out, "sluice_disconnects_total", "Client connections that ended, by kind", "counter");
    for (enum session_ending i = 0; i < SESSION_N_ENDINGS; i++) {
        size_t at = offsetof(struct worker_counters, endings) + i * sizeof(uint64_t);
        (void)evbuffer_add_printf(out, "sluice_disconnects_total{kind=\"%s\"} %" PRIu64 "\n",
                                  session_ending_name(i), sum_of(env, at));
    }
}

static void put_gauge(struct evbuffer *out, const char *name, const char *help, int64_t value)
{
    put_head(out, name, help, "gauge");
    (void)evbuffer_add_printf(out, "%s %" PRId64 "\n", name, value);
}

static void put_process(struct evbuffer *out, const struct admin_env *env)
{
    const struct app_status *status = env->status;
    put_gauge(out, "sluice_users", "Users with at least one connection",
              atomic_load(&env->shared->limits.n_users));
    put_gauge(out, "sluice_tls_sessions", "Client connections that are logged in over TLS",
              (int64_t)sum_of(env, offsetof(struct worker_counters, tls_sessions)));
    put_gauge(out, "sluice_draining", "1 once a signal has asked Sluice to stop",
              status->is_draining);
    put_gauge(out, "sluice_config_read_timestamp_seconds",
              "When the configuration was read last, at the start or by SIGHUP",
              status->reload_ms / 1000);
    put_gauge(out, "sluice_config_read_successful",
              "0: it or its TLS files were wrong, and the former ones are used",
              status->is_reload_ok);
}

static void put_backends(struct evbuffer *out, const struct backends *b)
{
    put_head(out, "sluice_fe_up", "1: the FE is well, or nothing else is known", "gauge");
    for (size_t i = 0; i < backends_count(b); i++) {
        struct backend_health health;
        backends_health(b, i, &health);
        (void)evbuffer_add_printf(out, "sluice_fe_up{fe=\"%s\"} %d\n", backends_text(b, i),
                                  health.state != BACKEND_DOWN);
    }
    put_head(out, "sluice_fe_sessions", "Client connections by FE", "gauge");
    for (size_t i = 0; i < backends_count(b); i++) {
        (void)evbuffer_add_printf(out, "sluice_fe_sessions{fe=\"%s\"} %" PRId64 "\n",
                                  backends_text(b, i), backends_sessions(b, i));
    }
}

static void put_jobs(struct evbuffer *out, const struct sched_counters *c)
{
    put_head(out, "sluice_jobs", "Jobs by state", "gauge");
    for (int state = JOB_PENDING; state <= JOB_FINISHED; state++) {
        (void)evbuffer_add_printf(out, "sluice_jobs{state=\"%s\"} %" PRId64 "\n",
                                  job_state_name((enum job_state)state),
                                  atomic_load(&c->jobs[state]));
    }
    put_head(out, "sluice_jobs_paused", "PAUSED jobs by the code of their ErrorMsg", "gauge");
    for (int code = FAIL_NONE + 1; code < N_FAIL_CODES; code++) {
        (void)evbuffer_add_printf(out, "sluice_jobs_paused{reason=\"%s\"} %" PRId64 "\n",
                                  fail_code_name((enum fail_code)code),
                                  atomic_load(&c->paused[code]));
    }
}

static void put_files(struct evbuffer *out, const struct sched_counters *c)
{
    put_gauge(out, "sluice_files_quarantined", "Files that jobs have set aside",
              atomic_load(&c->files_aside));
    put_gauge(out, "sluice_files_late", "Files that jobs saw behind their offset and do not load",
              atomic_load(&c->files_late));
    put_gauge(out, "sluice_files_overwritten",
              "Loaded files that jobs saw with another content and do not load again",
              atomic_load(&c->files_overwritten));
}

static void put_metrics(struct evbuffer *out, const struct admin_env *env)
{
    put_jobs(out, env->sched);
    put_files(out, env->sched);
    for (size_t i = 0; i < ARRAY_SIZE(sched_metrics); i++) {
        const char *counter = (const char *)env->sched + sched_metrics[i].at;
        put_head(out, sched_metrics[i].name, sched_metrics[i].help, "counter");
        (void)evbuffer_add_printf(out, "%s %" PRId64 "\n", sched_metrics[i].name,
                                  atomic_load((const _Atomic int64_t *)(const void *)counter));
    }
    for (size_t i = 0; i < ARRAY_SIZE(worker_metrics); i++) {
        put_worker_metric(out, env, &worker_metrics[i]);
    }
    put_sessions(out, env);
    put_process(out, env);
    put_backends(out, env->shared->backends);
}

static void reply(struct evhttp_request *req, int code, const char *type, struct evbuffer *body)
{
    /* A header that cannot be added costs the header, not the answer. */
    (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type);
    evhttp_send_reply(req, code, code == HTTP_OK ? "OK" : "Service Unavailable", body);
    evbuffer_free(body);
}

static json_t *describe_backend(const struct backends *b, size_t i)
{
    char since[CLOCK_TEXT_SIZE];
    struct backend_health health;
    backends_health(b, i, &health);
    clock_format_wall(health.since_ms, since);
    /* "o*": left out when there is none; NULL for a reason that is not UTF-8 */
    return json_pack("{s:s, s:s, s:s, s:o*}", "address", backends_text(b, i), "state",
                     backends_state_name(health.state), "since", since, "reason",
                     health.reason[0] != '\0' ? json_string(health.reason) : NULL);
}

/*
 * An FE that is down does not make Sluice unwell: 503 would have the orchestrator restart it, or a
 * load balancer drop every Sluice at once.
 */
static void on_health(struct evhttp_request *req, void *arg)
{
    const struct admin_env *env = ((const struct admin *)arg)->env;
    const struct backends *b = env->shared->backends;
    json_t *fes = json_array();
    for (size_t i = 0; i < backends_count(b); i++) {
        (void)json_array_append_new(fes, describe_backend(b, i)); /* for want of memory alone */
    }
    json_t *all =
        json_pack("{s:s, s:s, s:o}", "status", env->status->is_draining ? "draining" : "ok",
                  "version", SLUICE_VERSION, "fes", fes);
    char *text = json_dumps(all, JSON_COMPACT);
    struct evbuffer *body = evbuffer_new();
    (void)evbuffer_add_printf(body, "%s\n", text != NULL ? text : "{}");
    free(text);
    json_decref(all);
    reply(req, env->status->is_draining ? HTTP_SERVUNAVAIL : HTTP_OK, "application/json", body);
}

static void on_metrics(struct evhttp_request *req, void *arg)
{
    const struct admin *a = arg;
    struct evbuffer *body = evbuffer_new();
    put_metrics(body, a->env);
    reply(req, HTTP_OK, "text/plain; version=0.0.4", body);
}

static struct admin *create(struct event_base *base, const struct admin_env *env)
{
    struct admin *a = xcalloc(1, sizeof(*a));
    a->env = env;
    a->http = evhttp_new(base);
    if (a->http == NULL) {
        free(a);
        return NULL;
    }
    evhttp_set_allowed_methods(a->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(a->http, MAX_HEADERS_BYTES);
    evhttp_set_max_body_size(a->http, MAX_BODY_BYTES);
    evhttp_set_timeout(a->http, TIMEOUT_S);
    (void)evhttp_set_cb(a->http, "/health", on_health, a); /* fresh names: cannot clash */
    (void)evhttp_set_cb(a->http, "/metrics", on_metrics, a);
    return a;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    (void)evconnlistener_enable(arg); /* fails for want of memory alone */
    (void)fd;
    (void)what;
}

/* EMFILE and the like: libevent would try again at once, for ever, and tell each time. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    static const struct timeval pause = {.tv_usec = PAUSE_MS * 1000L};
    log_error("admin.paused", "reason", strerrordesc_np(errno), NULL);
    if (event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_again, listener,
                        &pause) == 0) {
        (void)evconnlistener_disable(listener); /* as above */
    }
    (void)arg;
}

/* False: `at` is NULL, it could not be listened on. */
static bool set_up(struct evhttp_bound_socket *at)
{
    if (at != NULL) {
        evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(at), on_accept_error);
    }
    return at != NULL;
}

struct admin *admin_create(struct event_base *base, const struct host_port *listen,
                           const struct admin_env *env, struct err *err)
{
    struct admin *a = create(base, env);
    if (a == NULL ||
        !set_up(evhttp_bind_socket_with_handle(a->http, listen->host, (uint16_t)listen->port))) {
        (void)err_say(err,
                      "http.listen: cannot listen on %s:%d. Is the port in use? Set http.listen "
                      "to another address, or to nothing to switch the admin server off",
                      listen->host, listen->port);
        admin_destroy(a);
        return NULL;
    }
    return a;
}

struct admin *admin_adopt(struct event_base *base, const int *fds, size_t n,
                          const struct admin_env *env, struct err *err)
{
    struct admin *a = create(base, env);
    size_t n_taken = 0;
    while (a != NULL && n_taken < n &&
           set_up(evhttp_accept_socket_with_handle(a->http, fds[n_taken]))) {
        n_taken++;
    }
    if (n_taken == n) {
        return a;
    }
    (void)err_say(err, "LISTEN_FDS: cannot serve HTTP on file descriptor %d", fds[n_taken]);
    for (size_t i = n_taken; i < n; i++) {
        (void)close(fds[i]); /* a listening socket has nothing to lose */
    }
    admin_destroy(a);
    return NULL;
}

void admin_destroy(struct admin *a)
{
    if (a != NULL) {
        if (a->http != NULL) {
            evhttp_free(a->http);
        }
        free(a);
    }
}
