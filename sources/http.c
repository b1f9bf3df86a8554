#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "sources/http.h"

enum {
    LONGEST_POLL_MS = 250,
    CONNECT_TIMEOUT_MS = 15000,
    MAX_IDLE = 64,       /* clients; as many sockets wait, and one more where a host was left */
    MAX_CONNECTIONS = 2, /* of one client */
    ORIGIN_SIZE = 256,
};

struct client {
    CURLM *multi;
    CURL *easy;
    char origin[ORIGIN_SIZE]; /* scheme://host:port of its last request, where it is connected */
    char detail[CURL_ERROR_SIZE];
};

/* Before libcurl's first use in the process; it must not run in two threads at once. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

/*
 * Clients that wait for their next request, with their connections. The last to come goes first to
 * the same origin, the first to come to another one: that forgets the connection least needed.
 */
static struct {
    pthread_mutex_t lock;
    struct client *clients[MAX_IDLE];
    size_t n;
} idle = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows as curl_easy_init() == NULL */
}

static void destroy_client(struct client *h)
{
    if (h->easy != NULL) {
        curl_easy_cleanup(h->easy);
    }
    if (h->multi != NULL) {
        (void)curl_multi_cleanup(h->multi); /* nothing is left in it, so it cannot fail */
    }
    free(h);
}

static struct client *create_client(struct err *err)
{
    (void)pthread_once(&curl_once, init_curl); /* fails only for a bad argument */
    struct client *h = xcalloc(1, sizeof(*h));
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    bool is_ok =
        h->multi != NULL && h->easy != NULL &&
        curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)MAX_CONNECTIONS) == CURLM_OK;
    if (!is_ok) {
        destroy_client(h);
        (void)err_say(err, "the HTTP client library libcurl could not be initialised");
        return NULL;
    }
    return h;
}

/* scheme://host:port, cut where it is too long to be told apart: that costs a connection only. */
static void origin_of(const char *url, char ret[ORIGIN_SIZE])
{
    const char *host = strstr(url, "://");
    size_t n = host != NULL ? (size_t)(host - url) + 3 : 0;
    n += strcspn(url + n, "/?#");
    n = n < ORIGIN_SIZE ? n : ORIGIN_SIZE - 1;
    memcpy(ret, url, n);
    ret[n] = '\0';
}

/* Where in `idle` the client for that origin is; idle.n when a new one is better. Locked. */
static size_t find_client(const char *origin)
{
    for (size_t i = idle.n; i > 0; i--) {
        if (strcmp(idle.clients[i - 1]->origin, origin) == 0) {
            return i - 1;
        }
    }
    return idle.n < MAX_IDLE ? idle.n : 0;
}

static struct client *take_client(const char *url, struct err *err)
{
    struct client *h = NULL;
    char origin[ORIGIN_SIZE];
    origin_of(url, origin);
    (void)pthread_mutex_lock(&idle.lock); /* neither fails on a lock that is used like this */
    size_t at = find_client(origin);
    if (at < idle.n) {
        h = idle.clients[at];
        idle.n--;
        for (; at < idle.n; at++) {
            idle.clients[at] = idle.clients[at + 1];
        }
    }
    (void)pthread_mutex_unlock(&idle.lock);
    h = h != NULL ? h : create_client(err);
    if (h != NULL) {
        memcpy(h->origin, origin, sizeof(origin));
    }
    return h;
}

static void give_client(struct client *h)
{
    (void)pthread_mutex_lock(&idle.lock);
    if (idle.n < MAX_IDLE) {
        idle.clients[idle.n++] = h;
        h = NULL;
    }
    (void)pthread_mutex_unlock(&idle.lock);
    if (h != NULL) {
        destroy_client(h);
    }
}

void http_close_idle(void)
{
    while (idle.n > 0) {
        destroy_client(idle.clients[--idle.n]);
    }
}

static size_t append_limited(struct buf *b, const char *p, size_t size, size_t n)
{
    size_t len = 0;
    if (__builtin_mul_overflow(size, n, &len)) {
        return 0;
    }
    buf_append(b, p, len);
    return buf_ok(b) ? len : 0; /* less than len ends the transfer with CURLE_WRITE_ERROR */
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_reply *reply = arg;
    return append_limited(&reply->body, p, size, n);
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct http_reply *reply = arg;
    if (size * n >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        buf_reset(&reply->headers); /* an interim reply (100 Continue) went before */
    }
    return append_limited(&reply->headers, p, size, n);
}

/* scheme://host:port/path, without user, query and fragment. */
static struct span bare_url(const char *url)
{
    return (struct span){url, strcspn(url, "?#")};
}

static struct curl_slist *make_headers(const struct http_request *request)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < request->n_headers; i++) {
        struct curl_slist *longer = curl_slist_append(list, request->headers[i]);
        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    /* Without this a body of more than 1 MB waits a second for a "100 Continue". */
    struct curl_slist *longer = request->body.p != NULL ? curl_slist_append(list, "Expect:") : list;
    if (longer == NULL) {
        curl_slist_free_all(list);
    }
    return longer;
}

/* One result for all options: any failure means out of memory or a libcurl without the option. */
static bool set_options(struct client *h, const struct http_request *request,
                        struct curl_slist *headers, struct http_reply *reply)
{
    CURL *e = h->easy;
    int failed = 0;
    h->detail[0] = '\0';
    failed |= curl_easy_setopt(e, CURLOPT_URL, request->url);
    failed |= curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, request->method);
    failed |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    failed |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->detail);
    failed |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    /* Otherwise a cancelled request waits for its resolver thread, many seconds at worst. */
    failed |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    failed |= curl_easy_setopt(e, CURLOPT_PROXY, "");
    failed |= curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    failed |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    failed |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    failed |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    failed |= curl_easy_setopt(e, CURLOPT_WRITEDATA, reply);
    failed |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    failed |= curl_easy_setopt(e, CURLOPT_HEADERDATA, reply);
    if (request->body.p != NULL) {
        failed |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
        failed |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, request->body.p);
    }
    return failed == 0;
}

/* Waits for the socket, the cancel flag or the next moment to look at the clock. */
static bool wait_some(CURLM *multi, const struct cancel *cancel, int64_t left_us)
{
    struct curl_waitfd extra = {.fd = -1, .events = CURL_WAIT_POLLIN};
    int64_t wait_ms = left_us / 1000 + 1;
    if (cancel != NULL) {
        extra.fd = cancel->fd;
    }
    if (wait_ms > LONGEST_POLL_MS) {
        wait_ms = LONGEST_POLL_MS;
    }
    return curl_multi_poll(multi, &extra, extra.fd >= 0 ? 1 : 0, (int)wait_ms, NULL) == CURLM_OK;
}

static bool check_time(const struct http_request *request, struct err *err)
{
    struct span url = bare_url(request->url);
    if (request->cancel != NULL && cancel_is_raised(request->cancel)) {
        return err_set(err, ERR_QUERY_INTERRUPTED, "70100", "%s %.*s was cancelled",
                       request->method, SPAN_ARG(url));
    }
    if (clock_mono_us() >= request->deadline_us) {
        return err_say(err, "%s %.*s did not finish in the time it was given", request->method,
                       SPAN_ARG(url));
    }
    return true;
}

/* Runs the transfer to its end; HTTP_DONE then means: *ret_code says how it ended. */
static enum http_result drive(struct client *h, const struct http_request *request,
                              CURLcode *ret_code, struct err *err)
{
    int n_running = 1;
    while (n_running > 0) {
        if (!check_time(request, err)) {
            return HTTP_STOPPED;
        }
        bool is_ok = curl_multi_perform(h->multi, &n_running) == CURLM_OK;
        if (is_ok && n_running > 0) {
            is_ok = wait_some(h->multi, request->cancel, request->deadline_us - clock_mono_us());
        }
        if (!is_ok) {
            (void)err_say(err, "libcurl failed to run a transfer");
            return HTTP_FAIL;
        }
    }
    int n_left = 0;
    const CURLMsg *msg = curl_multi_info_read(h->multi, &n_left);
    assert(msg != NULL && msg->msg == CURLMSG_DONE); /* it stopped running */
    *ret_code = msg->data.result;
    return HTTP_DONE;
}

static enum http_result judge(const struct client *h, const struct http_request *request,
                              CURLcode code, const struct http_reply *reply, struct err *err)
{
    struct span url = bare_url(request->url);
    const char *detail = h->detail[0] != '\0' ? h->detail : curl_easy_strerror(code);
    if (code == CURLE_OK) {
        return HTTP_DONE;
    }
    if (!buf_ok(&reply->body) || !buf_ok(&reply->headers)) {
        (void)err_say(err, "%s %.*s: the reply is larger than %d MB", request->method,
                      SPAN_ARG(url), HTTP_MAX_BODY >> 20);
        return HTTP_FAIL;
    }
    (void)err_say(err, "%s %.*s failed: %s", request->method, SPAN_ARG(url), detail);
    switch ((int)code) { /* a few of a hundred; the rest are link failures */
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_OUT_OF_MEMORY: return HTTP_FAIL;
    default: return HTTP_LOST;
    }
}

static enum http_result run(struct client *h, const struct http_request *request,
                            struct http_reply *ret, struct err *err)
{
    CURLcode code = CURLE_OK;
    enum http_result result = HTTP_FAIL;
    struct curl_slist *headers = make_headers(request);
    bool has_headers = headers != NULL || (request->n_headers == 0 && request->body.p == NULL);
    if (!has_headers || !set_options(h, request, headers, ret) ||
        curl_multi_add_handle(h->multi, h->easy) != CURLM_OK) {
        (void)err_say(err, "libcurl refused to prepare a request");
    } else {
        result = drive(h, request, &code, err);
        if (result == HTTP_DONE) {
            result = judge(h, request, code, ret, err);
        }
        (void)curl_multi_remove_handle(h->multi, h->easy); /* it was added above */
    }
    if (result == HTTP_DONE) {
        long status = 0;
        (void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 is no status */
        ret->status = (int)status;
    }
    curl_easy_reset(h->easy); /* what it points to ends with the request */
    curl_slist_free_all(headers);
    return result;
}

enum http_result http_run(const struct http_request *request, struct http_reply *ret,
                          struct err *err)
{
    *ret = (struct http_reply){.headers = buf_with_max(HTTP_MAX_HEADERS),
                               .body = buf_with_max(HTTP_MAX_BODY)};
    struct client *h = take_client(request->url, err);
    if (h == NULL) {
        return HTTP_FAIL;
    }
    enum http_result result = run(h, request, ret, err);
    give_client(h);
    return result;
}

void http_reply_fini(struct http_reply *r)
{
    buf_fini(&r->headers);
    buf_fini(&r->body);
}

struct span http_reply_header(const struct http_reply *r, const char *name)
{
    struct span rest = buf_span(&r->headers);
    struct span found = {.p = "", .n = 0};
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        struct span line = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};
        const char *colon = memchr(line.p, ':', line.n);
        size_t used = end != NULL ? line.n + 1 : line.n;
        if (colon != NULL && span_ieq_text(span_between(line.p, colon), name)) {
            found = span_trim(span_between(colon + 1, line.p + line.n));
        }
        rest.p += used;
        rest.n -= used;
    }
    return found;
}

bool http_reply_date(const struct http_reply *r, int64_t *ret_time_s)
{
    struct span value = http_reply_header(r, "Date");
    _cleanup_free_ char *text = span_dup(value);
    time_t t = value.n > 0 ? curl_getdate(text, NULL) : -1;
    if (t < 0) {
        return false;
    }
    *ret_time_s = t;
    return true;
}
