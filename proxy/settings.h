/*
 * What the process runs on right now: a configuration and what is made of it. Immutable and
 * counted; SIGHUP makes a new one and each worker gets it by message, so nobody ever sees half of
 * a change. The last user frees it. Any thread.
 */
#ifndef PROXY_SETTINGS_H
#define PROXY_SETTINGS_H

#include <stdatomic.h>

#include "proxy/config.h"

struct tls_context;

struct settings {
    _Atomic int n_users; /* private */
    struct config config;
    struct tls_context *tls; /* owned; NULL while there is no TLS at all */
};

/* Takes *config, which is empty afterwards, and the caller's reference to tls. One user. */
struct settings *settings_create(struct config *config, struct tls_context *tls);
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); /* NULL is accepted */

#endif
