/*
 * HTTP requests over libcurl, with a deadline and a cancel flag that both interrupt one wherever it
 * is: resolving, connecting, sending, waiting, reading. Any thread.
 *
 * Connections stay open between requests, a few for the whole process: thousands of jobs that look
 * at their buckets now and then hold no descriptors meanwhile. Redirects are not followed. Proxies
 * of the environment (http_proxy, …) are not used: Doris reaches the same object store and FE
 * without them. TLS is verified against the system's certificates. The host "localhost" and names
 * below it resolve to the loopback address. Sentences in err name the URL without its query, which
 * may hold secrets.
 */
#ifndef SOURCES_HTTP_H
#define SOURCES_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "scheduler/cancel.h"

enum { HTTP_MAX_BODY = 32 << 20, HTTP_MAX_HEADERS = 64 << 10 };

struct http_request {
    const char *method; /* "GET", … */
    const char *url;
    const char *const *headers; /* "Name: value"; replace curl's own of the same name */
    size_t n_headers;
    struct span body;            /* sent as it is when p is not NULL */
    int64_t deadline_us;         /* monotonic */
    const struct cancel *cancel; /* may be NULL */
};

struct http_reply {
    int status;
    struct buf headers; /* raw lines of the final reply */
    struct buf body;
};

enum http_result {
    HTTP_DONE,    /* a complete reply came, whatever its status */
    HTTP_LOST,    /* the link failed before a complete reply: trying again may help */
    HTTP_STOPPED, /* deadline or cancel */
    HTTP_FAIL,    /* the request cannot work as it is: URL, TLS certificate, reply too large */
};

/* End *ret with http_reply_fini() whatever the result. err is filled unless it is HTTP_DONE. */
enum http_result http_run(const struct http_request *request, struct http_reply *ret,
                          struct err *err);
/* Closes the connections that are open; no request may be under way. */
void http_close_idle(void);
void http_reply_fini(struct http_reply *r);

/* The trimmed value of the last header of that name, empty when there is none. */
struct span http_reply_header(const struct http_reply *r, const char *name);
/* The server's clock by its Date header, in seconds of the epoch; false when there is none. */
bool http_reply_date(const struct http_reply *r, int64_t *ret_time_s);

#define _cleanup_http_reply_ _cleanup_(http_reply_fini)

#endif
