/*
 * The three HTTP calls of an FE that tell of labels and fence them: /api/bootstrap (is it ready?),
 * get_load_state and _cancel. Basic auth with the service account. A follower of 2.0 to 3.0 sends
 * such a call to the master by a redirect with the account's password in it; one is followed, to
 * the same path at the host named, with our own credentials, and its text is never shown. Any
 * thread.
 */
#ifndef SOURCES_FE_HTTP_H
#define SOURCES_FE_HTTP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "scheduler/sink.h"
#include "sources/fe_conn.h"

/* Borrowed. */
struct fe_http {
    const char *host; /* NULL: not configured, and nothing below may be called */
    int port;
    const char *user;
    const char *password;
};

/* True only when the FE itself says that it serves. */
bool fe_http_is_ready(const struct fe_http *h, const struct fe_wait *wait, struct err *err);

/* LABEL_UNKNOWN only when the FE says so in so many words. */
enum label_state fe_http_label(const struct fe_http *h, const char *db, const char *label,
                               const struct fe_wait *wait, struct err *err);

/* True: the FE looked for a transaction to abort, whether there was one or not. */
bool fe_http_cancel(const struct fe_http *h, const char *db, const char *label,
                    const struct fe_wait *wait, struct err *err);

/*
 * Host and port of a Location header, as "host:port" without the user information. False for
 * anything but http://[user[:password]@]host[:port]/…, or a host of strange characters. Pure.
 */
bool fe_http_parse_location(struct span location, struct span *ret_host_port);

#endif
