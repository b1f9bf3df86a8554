#include <assert.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "proxy/settings.h"
#include "proxy/tls.h"

struct settings *settings_create(struct config *config, struct tls_context *tls)
{
    struct settings *s = xcalloc(1, sizeof(*s));
    atomic_init(&s->n_users, 1);
    s->config = *config;
    s->tls = tls;
    *config = (struct config){0};
    return s;
}

struct settings *settings_ref(struct settings *s)
{
    int before = atomic_fetch_add(&s->n_users, 1);
    assert(before > 0);
    return s;
}

void settings_unref(struct settings *s)
{
    if (s != NULL && atomic_fetch_sub(&s->n_users, 1) == 1) {
        config_fini(&s->config);
        tls_context_unref(s->tls);
        free(s);
    }
}
