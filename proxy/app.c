#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/msgq.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/app.h"
#include "proxy/app_parts.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/jobspec.h"
#include "proxy/networks.h"
#include "proxy/settings.h"
#include "proxy/tls.h"
#include "proxy/views.h"
#include "scheduler/sched.h"
#include "sources/insert_sink.h"
#include "sources/library.h"
#include "sources/s3_source.h"

enum {
    N_TRIES = 4,           /* loads of a task, as in Doris: AbstractStreamingTask.MAX_RETRY + 1 */
    MAX_BAD = 10,          /* files set aside in a row; then the statement is at fault, not they */
    FENCE_AFTER_MS = 5000, /* time for a statement whose link was cut to end by itself */
};

static const struct store_ops *const stores[] = {&store_sqlite_ops, NULL};
static const struct source_ops *const sources[] = {&s3_source_ops, NULL};
static const int signals[APP_N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

/* --- signals ---------------------------------------------------------------------------------- */

static void free_message(struct msg *m)
{
    free(m);
}

static void on_drained(struct msg *m, void *arg)
{
    struct app *a = arg;
    free(m);
    (void)event_base_loopbreak(a->base); /* only fails without a base */
}

/* Waits for everybody, so that main's loop can go on listening for the second signal. */
static void *drain_main(void *arg)
{
    struct app *a = arg;
    sched_stop(a->sched, a->drain_timeout_ms); /* the workers drain meanwhile */
    for (size_t i = 0; i < a->n_workers; i++) {
        worker_join(a->workers[i]);
    }
    struct msg *m = xcalloc(1, sizeof(*m));
    m->destroy = free_message;
    (void)msgq_send(a->queue, m); /* main waits for it */
    return NULL;
}

static void drain(struct app *a, const char *signal_name)
{
    if (a->status.is_draining) {
        log_warn("stop.forced", "signal", signal_name, NULL);
        a->is_forced = true;
        (void)event_base_loopbreak(a->base); /* only fails without a base */
        return;
    }
    a->drain_timeout_ms = app_config(a)->drain_timeout_ms;
    log_info("stop.drain", "signal", signal_name, "seconds",
             LOG_FMT("%" PRId64, a->drain_timeout_ms / 1000), NULL);
    a->status.is_draining = true;
    systemd_notify("STOPPING=1\nSTATUS=Draining");
    app_drain_workers(a);
    if (pthread_create(&a->drainer, NULL, drain_main, a) != 0) {
        a->is_forced = true;
        (void)event_base_loopbreak(a->base); /* only fails without a base */
    }
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct app *a = arg;
    (void)what;
    if (number == SIGHUP) {
        app_reload(a);
    } else {
        drain(a, number == SIGTERM ? "TERM" : "INT");
    }
}

/* Threads inherit the mask: signals reach main alone. */
static void mask_signals(int how)
{
    sigset_t set;
    (void)sigemptyset(&set); /* neither can fail with these arguments */
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        (void)sigaddset(&set, signals[i]);
    }
    (void)pthread_sigmask(how, &set, NULL);
}

static bool add_signals(struct app *a, struct err *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail with these arguments */
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a file-size limit is an error of the store's */
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        a->signal_events[i] = evsignal_new(a->base, signals[i], on_signal, a);
        if (a->signal_events[i] == NULL || event_add(a->signal_events[i], NULL) != 0) {
            return err_say(err, "cannot watch signal %d", signals[i]);
        }
    }
    return true;
}

/* --- parts ------------------------------------------------------------------------------------ */

static bool open_store(struct app *a, struct err *err)
{
    const char *url = a->config->store_url;
    const char *colon = strchr(url, ':');
    struct span scheme = {url, colon != NULL ? (size_t)(colon - url) : 0};
    for (size_t i = 0; stores[i] != NULL; i++) {
        if (span_eq_text(scheme, stores[i]->scheme)) {
            a->store_ops = stores[i];
            a->store = stores[i]->open(colon + 1, a->config->key_file, err);
            if (a->store == NULL) {
                return err_prefix(err, "store.url: ");
            }
            _cleanup_free_ char *path = config_store_path(a->config);
            log_info("store.opened", "path", path, NULL);
            return true;
        }
    }
    return err_say(err, "store.url: \"%s\" is no store that Sluice knows. Use sqlite:PATH", url);
}

const enum fe_tls app_fe_tls_of[] = {
    [CONFIG_BACKEND_TLS_OFF] = FE_TLS_OFF,
    [CONFIG_BACKEND_TLS_PREFERRED] = FE_TLS_PREFERRED,
    [CONFIG_BACKEND_TLS_REQUIRED] = FE_TLS_REQUIRED,
    [CONFIG_BACKEND_TLS_VERIFY] = FE_TLS_VERIFY,
};

static bool make_sched(struct app *a, struct err *err)
{
    const struct config *c = a->config;
    a->fe_addresses = xcalloc((size_t)c->n_backends, sizeof(*a->fe_addresses));
    for (int64_t i = 0; i < c->n_backends; i++) {
        a->fe_addresses[i] =
            (struct fe_address){.host = c->backends[i].host, .port = c->backends[i].port};
    }
    struct insert_sink_options sink = {
        .addresses = a->fe_addresses,
        .n_addresses = (size_t)c->n_backends,
        .user = c->user,
        .password = c->password,
        .tls = app_fe_tls_of[c->backend_tls],
        .tls_ca = c->backend_tls_ca,
        .http_host = c->http.host,
        .http_port = c->http.port,
        .connect_timeout_ms = c->connect_timeout_ms,
        .announces = c->announce == CONFIG_ANNOUNCE_V1,
    };
    a->sink = insert_sink_create(&sink);
    struct sched_options options = {
        .store_ops = a->store_ops,
        .store = a->store,
        .sources = sources,
        .sink_ops = &insert_sink_ops,
        .sink = a->sink,
        .make_spec = jobspec_from_record,
        .step =
            {
                .max_resumes = c->max_auto_resumes,
                .resume_delay_ms = c->resume_delay_ms,
                .label_window_ms = c->label_window_s * 1000,
                .fence_after_ms = FENCE_AFTER_MS,
                .n_tries = N_TRIES,
                .max_bad = MAX_BAD,
            },
        .n_runners = (size_t)c->runners,
        .max_jobs = c->max_jobs,
        .default_interval_s = c->max_interval_s,
        .task_timeout_s = c->task_timeout_s,
    };
    a->sched = sched_create(&options, err);
    return a->sched != NULL;
}

static bool make_admin(struct app *a, struct err *err)
{
    a->admin_env = (struct admin_env){
        .workers = a->workers,
        .n_workers = a->n_workers,
        .sched = sched_counters(a->sched),
        .shared = &a->shared,
        .status = &a->status,
    };
    if (a->passed.n_http > 0) {
        size_t n = a->passed.n_http;
        a->passed.n_http = 0;
        a->admin = admin_adopt(a->base, a->passed.http_fds, n, &a->admin_env, err);
        return a->admin != NULL;
    }
    if (a->config->admin.host == NULL) {
        return true; /* switched off */
    }
    a->admin = admin_create(a->base, &a->config->admin, &a->admin_env, err);
    return a->admin != NULL;
}

static bool make_loop(struct app *a, struct err *err)
{
    a->base = event_base_new();
    if (a->base == NULL) {
        return err_say(err, "cannot create the main event loop");
    }
    a->queue = msgq_create(a->base, on_drained, a, err);
    return a->queue != NULL && add_signals(a, err);
}

static bool make_views(struct app *a, struct err *err)
{
    a->views = views_create(err);
    return a->views != NULL;
}

/* Two descriptors a session: a shell's soft limit of 1024 would end at some 500 clients. */
static void raise_file_limit(void)
{
    struct rlimit files = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* what there is, is enough for fewer clients */
    }
}

struct app *app_create(const struct config *config, const struct config_sources *from,
                       struct err *err)
{
    struct app *a = xcalloc(1, sizeof(*a));
    a->config = config;
    a->sources = from;
    a->status.is_reload_ok = true;
    a->status.reload_ms = clock_wall_ms();
    mask_signals(SIG_BLOCK); /* until app_run(), and for good in every thread */
    raise_file_limit();
    if (!systemd_take_sockets(&a->passed, err) || !library_init(err) || !make_loop(a, err) ||
        !open_store(a, err) || !make_sched(a, err) || !app_make_fes(a, err) ||
        !app_make_tls(a, err) || !make_views(a, err) || !app_make_workers(a, err) ||
        !make_admin(a, err)) {
        app_destroy(a);
        return NULL;
    }
    return a;
}

/* --- running ---------------------------------------------------------------------------------- */

static bool start(struct app *a, struct err *err)
{
    if (!sched_start(a->sched, err)) {
        return false;
    }
    for (size_t i = 0; i < a->n_workers; i++) {
        if (!worker_start(a->workers[i], err)) {
            return false;
        }
    }
    return true;
}

static void stop_at_once(struct app *a)
{
    for (size_t i = 0; i < a->n_workers; i++) {
        worker_stop(a->workers[i], WORKER_NOW);
        worker_join(a->workers[i]);
    }
    sched_stop(a->sched, 0);
}

enum app_end app_run(struct app *a, struct err *err)
{
    if (!start(a, err)) {
        stop_at_once(a);
        return APP_FAILED;
    }
    systemd_notify("READY=1\nSTATUS=Relaying");
    log_info("sluice.ready", "version", SLUICE_VERSION, NULL);
    mask_signals(SIG_UNBLOCK);
    (void)event_base_dispatch(a->base); /* ends by drain() */
    if (a->is_forced) {
        return APP_FORCED;
    }
    pthread_join(a->drainer, NULL);
    log_info("sluice.stopped", NULL);
    return APP_DRAINED;
}

void app_destroy(struct app *a)
{
    if (a == NULL) {
        return;
    }
    admin_destroy(a->admin);
    systemd_sockets_close(&a->passed);
    listeners_close(&a->listeners);
    app_stop_fes(a);
    views_destroy(a->views); /* before the workers: it sends to their queues */
    sched_destroy(a->sched);
    for (size_t i = 0; i < a->n_workers; i++) {
        worker_destroy(a->workers[i]);
    }
    if (a->sink != NULL) {
        insert_sink_destroy(a->sink);
    }
    if (a->store != NULL) {
        a->store_ops->close(a->store);
    }
    free(a->fe_addresses);
    app_destroy_fes(a);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        if (a->signal_events[i] != NULL) {
            event_free(a->signal_events[i]);
        }
    }
    msgq_destroy(a->queue);
    if (a->base != NULL) {
        event_base_free(a->base);
    }
    library_fini();
    settings_unref(a->settings);
    tls_context_unref(a->shared.tls);
    free(a);
}
