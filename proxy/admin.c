#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "proxy/admin.h"
#include "proxy/config.h"
#include "proxy/worker.h"
#include "scheduler/sched.h"

enum { MAX_HEADERS_BYTES = 16384, MAX_BODY_BYTES = 1024, TIMEOUT_S = 10 };

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
    {"sluice_connections_refused_total", "Client connections over proxy.max_connections",
     offsetof(struct worker_counters, refused)},
    {"sluice_fe_connect_failures_total", "Connection attempts to an FE that failed",
     offsetof(struct worker_counters, fe_failures)},
    {"sluice_local_statements_total", "Statements answered by Sluice, not by the FE",
     offsetof(struct worker_counters, local_statements)},
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

static void put_worker_metric(struct evbuffer *out, const struct admin_env *env,
                              const struct worker_metric *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < env->n_workers; i++) {
        const char *counters = (const char *)worker_counters(env->workers[i]);
        sum += atomic_load((const _Atomic uint64_t *)(const void *)(counters + m->at));
    }
    put_head(out, m->name, m->help, "counter");
    (void)evbuffer_add_printf(out, "%s %" PRIu64 "\n", m->name, sum);
}

static void put_metrics(struct evbuffer *out, const struct admin_env *env)
{
    put_head(out, "sluice_jobs", "Jobs by state", "gauge");
    for (int state = JOB_PENDING; state <= JOB_FINISHED; state++) {
        (void)evbuffer_add_printf(out, "sluice_jobs{state=\"%s\"} %" PRId64 "\n",
                                  job_state_name((enum job_state)state),
                                  atomic_load(&env->sched->jobs[state]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(sched_metrics); i++) {
        const char *counter = (const char *)env->sched + sched_metrics[i].at;
        put_head(out, sched_metrics[i].name, sched_metrics[i].help, "counter");
        (void)evbuffer_add_printf(out, "%s %" PRId64 "\n", sched_metrics[i].name,
                                  atomic_load((const _Atomic int64_t *)(const void *)counter));
    }
    for (size_t i = 0; i < ARRAY_SIZE(worker_metrics); i++) {
        put_worker_metric(out, env, &worker_metrics[i]);
    }
}

static void reply(struct evhttp_request *req, const char *type, struct evbuffer *body)
{
    /* A header that cannot be added costs the header, not the answer. */
    (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type);
    evhttp_send_reply(req, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

static void on_health(struct evhttp_request *req, void *arg)
{
    struct evbuffer *body = evbuffer_new();
    (void)arg;
    (void)evbuffer_add_printf(body, "{\"status\":\"ok\",\"version\":\"%s\"}\n", SLUICE_VERSION);
    reply(req, "application/json", body);
}

static void on_metrics(struct evhttp_request *req, void *arg)
{
    const struct admin *a = arg;
    struct evbuffer *body = evbuffer_new();
    put_metrics(body, a->env);
    reply(req, "text/plain; version=0.0.4", body);
}

struct admin *admin_create(struct event_base *base, const struct host_port *listen,
                           const struct admin_env *env, struct err *err)
{
    struct admin *a = xcalloc(1, sizeof(*a));
    a->env = env;
    a->http = evhttp_new(base);
    if (a->http == NULL || evhttp_bind_socket(a->http, listen->host, (uint16_t)listen->port) != 0) {
        (void)err_say(err,
                      "http.listen: cannot listen on %s:%d. Is the port in use? Set http.listen "
                      "to another address, or to nothing to switch the admin server off",
                      listen->host, listen->port);
        admin_destroy(a);
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

void admin_destroy(struct admin *a)
{
    if (a != NULL) {
        if (a->http != NULL) {
            evhttp_free(a->http);
        }
        free(a);
    }
}
