#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/app_parts.h"
#include "proxy/config.h"
#include "proxy/listener.h"

static size_t count_workers(const struct config *c)
{
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t n = c->workers > 0 ? c->workers : n_cores;
    n = n < 1 ? 1 : n;
    return n > APP_MAX_WORKERS ? APP_MAX_WORKERS : (size_t)n;
}

static bool open_own(struct app *a, size_t n_workers, struct err *err)
{
    struct address *found = NULL;
    size_t n_found = 0;
    if (!address_resolve(&a->config->listen, &found, &n_found, err)) {
        return false;
    }
    struct address at = found[0];
    free(found);
    return listener_check_free(&at, err) && listeners_open(&at, n_workers, &a->listeners, err);
}

static void take_passed(struct app *a)
{
    struct systemd_sockets *from = &a->passed;
    assert(from->n <= LISTENERS_MAX);
    for (size_t i = 0; i < from->n; i++) {
        a->listeners.fds[a->listeners.n++] = from->fds[i];
    }
    from->n = 0;
    a->listeners.live_on = true;
}

static void log_listeners(const struct app *a, const char *from)
{
    char before[ADDRESS_TEXT_SIZE] = "";
    for (size_t i = 0; i < a->listeners.n; i++) {
        struct err err = {0};
        struct address at;
        char text[ADDRESS_TEXT_SIZE];
        if (listener_address(a->listeners.fds[i], &at, &err)) {
            address_format(&at, text);
            if (strcmp(text, before) != 0) { /* one socket a worker has one line */
                log_info("proxy.listen", "address", text, "workers", LOG_FMT("%zu", a->n_workers),
                         "from", from, NULL);
            }
            memcpy(before, text, sizeof(before));
        }
    }
}

static bool make_worker(struct app *a, size_t n_workers, struct err *err)
{
    struct worker_env env = {
        .shared = &a->shared,
        .index = (int)a->n_workers,
        .local_env = &a->local_env,
    };
    bool is_given = listeners_give(&a->listeners, a->n_workers, n_workers, &env, err);
    struct worker *w = is_given ? worker_create(&env, err) : NULL;
    if (w == NULL) {
        return false; /* the end of the process closes what was given */
    }
    a->workers[a->n_workers++] = w;
    return true;
}

bool app_make_workers(struct app *a, struct err *err)
{
    size_t n = count_workers(a->config);
    bool is_passed = a->passed.n > 0;
    if (is_passed) {
        take_passed(a);
    } else if (!open_own(a, n, err)) {
        return err_prefix(err, "proxy.listen: ");
    }
    a->local_env = (struct local_env){
        .sched = a->sched,
        .views = a->views,
        .default_interval_s = a->config->max_interval_s,
    };
    while (a->n_workers < n) {
        if (!make_worker(a, n, err)) {
            return false;
        }
    }
    a->shared.workers = a->workers;
    a->shared.n_workers = a->n_workers;
    log_listeners(a, is_passed ? "LISTEN_FDS" : "proxy.listen");
    return true;
}

void app_drain_workers(struct app *a)
{
    enum worker_stop how = a->listeners.live_on ? WORKER_LEAVE : WORKER_DRAIN;
    listeners_close(&a->listeners); /* the workers' copies are the last ones then */
    for (size_t i = 0; i < a->n_workers; i++) {
        worker_stop(a->workers[i], how);
    }
}
