#include <stdlib.h>

#include "base/span.h"
#include "proxy/app_parts.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/health.h"
#include "proxy/killer.h"

static bool resolve(struct app *a, struct err *err)
{
    a->backends = backends_create();
    for (int64_t i = 0; i < a->config->n_backends; i++) {
        if (!backends_add(a->backends, &a->config->backends[i], err)) {
            return err_prefix(err, "proxy.backend: ");
        }
    }
    return networks_parse(span_of(a->config->announced_from), &a->announced_from, err) ||
           err_prefix(err, "proxy.proxy_protocol_from: ");
}

/* Connections that ask FEs after their health, and that KILL, are made as doris.user. */
static void set_login(struct app *a)
{
    const struct config *c = a->config;
    a->fe_login = (struct fe_login){
        .user = c->user,
        .password = c->password,
        .tls = app_fe_tls_of[c->backend_tls],
        .tls_ca = c->backend_tls_ca,
        .connect_timeout_ms = c->connect_timeout_ms,
        .announces = c->announce == CONFIG_ANNOUNCE_V1,
    };
}

static bool make_health(struct app *a, struct err *err)
{
    const struct config *c = a->config;
    struct health_options options = {
        .backends = a->backends,
        .login = &a->fe_login,
        .http_port = c->http.host != NULL ? c->http.port : 0,
        .interval_ms = c->health_interval_ms,
    };
    if (c->health_interval_ms == 0) {
        return true; /* switched off */
    }
    backends_set_checked(a->backends);
    a->health = health_create(&options, err);
    return a->health != NULL;
}

bool app_make_fes(struct app *a, struct err *err)
{
    if (!resolve(a, err)) {
        return false;
    }
    set_login(a);
    a->killer = killer_create(a->backends, &a->fe_login, err);
    if (a->killer == NULL || !make_health(a, err)) {
        return false;
    }
    a->shared.config = a->config;
    a->shared.backends = a->backends;
    a->shared.announced_from = &a->announced_from;
    a->shared.killer = a->killer;
    return true;
}

void app_stop_fes(struct app *a)
{
    health_destroy(a->health);
    killer_destroy(a->killer);
}

void app_destroy_fes(struct app *a)
{
    backends_destroy(a->backends);
    networks_fini(&a->announced_from);
}
