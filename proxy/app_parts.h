/*
 * What the files of the app (app.c, app_fes.c, app_listen.c, app_reload.c) share. All of it runs on the main
 * thread.
 */
#ifndef PROXY_APP_PARTS_H
#define PROXY_APP_PARTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/admin.h"
#include "proxy/app.h"
#include "proxy/listeners.h"
#include "proxy/local_env.h"
#include "proxy/networks.h"
#include "proxy/systemd.h"
#include "proxy/worker.h"
#include "sources/fe_conn.h"

enum { APP_MAX_WORKERS = 64, APP_N_SIGNALS = 3 };

struct backends;
struct config;
struct config_sources;
struct event;
struct event_base;
struct health;
struct killer;
struct msgq;
struct sched;
struct settings;
struct sink;
struct store;
struct store_ops;
struct views;

struct app {
    const struct config *config;          /* of the start; borrowed */
    struct settings *settings;            /* the reloaded; NULL: none yet */
    const struct config_sources *sources; /* borrowed */
    struct event_base *base;
    struct event *signal_events[APP_N_SIGNALS];
    struct msgq *queue; /* to main's loop */
    const struct store_ops *store_ops;
    struct store *store;
    struct fe_address *fe_addresses; /* the sink's */
    struct sink *sink;
    struct sched *sched;
    struct views *views;
    struct local_env local_env;
    struct backends *backends;
    struct networks announced_from;
    struct fe_login fe_login; /* of the two threads below */
    struct health *health;    /* NULL: switched off */
    struct killer *killer;
    struct worker_shared shared;
    struct systemd_sockets passed; /* until they are taken */
    struct listeners listeners;
    struct worker *workers[APP_MAX_WORKERS];
    size_t n_workers;
    struct admin_env admin_env;
    struct admin *admin;
    pthread_t drainer;        /* while status.is_draining */
    int64_t drain_timeout_ms; /* of when it began to drain: the drainer reads it */
    struct app_status status;
    bool is_forced;
};

/* What runs now: as loaded at the start, or reloaded since. */
const struct config *app_config(const struct app *a);

/* app.c: by enum config_backend_tls, for the service account's connections. */
extern const enum fe_tls app_fe_tls_of[];

/* app_fes.c */
/* The FEs' addresses, who watches their health, and who runs KILL there. */
bool app_make_fes(struct app *a, struct err *err);
/* Ends the threads; before the workers are destroyed, to whose queues they send. */
void app_stop_fes(struct app *a);
void app_destroy_fes(struct app *a);

/* app_listen.c */
/* The workers, and the sockets they accept on. */
bool app_make_workers(struct app *a, struct err *err);
/* Every worker drains; new connections go to who else has the sockets, or are refused. */
void app_drain_workers(struct app *a);

/* app_reload.c */
/* TLS as the configuration of the start wants it. */
bool app_make_tls(struct app *a, struct err *err);
/* SIGHUP: reads the configuration again, applies what is reloadable, and logs what came of it. */
void app_reload(struct app *a);

#endif
