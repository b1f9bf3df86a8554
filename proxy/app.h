/*
 * The process: makes every part from the configuration, hands each the const tables it needs (so
 * that nothing points upward), runs main's loop with signals and the admin server, and takes
 * everything down again in reverse order.
 *
 *     first SIGTERM or SIGINT   drain: no new sessions or tasks, running ones within
 *                               proxy.drain_timeout
 *     second                    leave at once; the store is safe at any moment
 *     SIGHUP                    read the configuration again, apply what is reloadable
 */
#ifndef PROXY_APP_H
#define PROXY_APP_H

#include <stdbool.h>

#include "base/err.h"

struct config;
struct config_sources;

struct app;

/* `config` and `sources` are borrowed and outlive the app. NULL on failure. */
struct app *app_create(const struct config *config, const struct config_sources *sources,
                       struct err *err);
enum app_end { APP_DRAINED, APP_FORCED, APP_FAILED };
/* Starts the threads and runs until a signal ends it. After APP_FORCED threads still run: _exit(). */
enum app_end app_run(struct app *a, struct err *err);
/* After APP_DRAINED or APP_FAILED. NULL is accepted. */
void app_destroy(struct app *a);

#endif
