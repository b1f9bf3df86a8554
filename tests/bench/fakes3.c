/*
 * An object store that costs next to nothing, so that whoever lists it is what is measured. One
 * thread, everything in memory, no signatures checked, any bucket is there; path style only.
 *
 *     GET /BUCKET?list-type=2      ListObjectsV2: prefix, start-after, continuation-token, max-keys
 *                                  (up to 1,000), encoding-type=url; keys in byte order
 *     GET, PUT /BUCKET/KEY         an object's bytes
 *     GET /_events                 when each list request came and was answered, and of how many
 *                                  keys, since the last question: lines of three numbers, in
 *                                  monotonic ns
 *     GET /_counts                 connections, list requests and keys so far
 *
 * A bucket of the name gen-N holds N generated objects k/0000000000.csv, k/0000000001.csv, … beside
 * what is put there; every other bucket is empty at first.
 *
 *     fakes3 PORT
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "tests/bench/fakebucket.h"
#include "tests/bench/net.h"

enum {
    N_EVENTS = 64,
    READ_SIZE = 16 << 10,
    MAX_IN = 16 << 20,
    MAX_OUT = 64 << 20,
    MAX_PAGE = 1000,
    MAX_KEY = FAKEBUCKET_MAX_KEY,
    MAX_LISTED = 1 << 17, /* events kept until somebody asks */
};

struct client {
    int fd;
    bool is_writing;
    struct buf in;
    struct buf out;
    size_t out_at;
};

struct request {
    struct span method;
    struct span path; /* without the query, still encoded */
    struct span query;
    struct span body;
};

struct event {
    int64_t came_ns;
    int64_t answered_ns;
    size_t n_keys;
};

static struct event *events; /* MAX_LISTED */
static size_t n_events;
static uint64_t n_connections, n_lists, n_keys_listed;

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* --- texts ------------------------------------------------------------------------------------ */

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* Percent-decodes; false when it is malformed or does not fit into MAX_KEY. */
static bool decode(struct span s, char ret[MAX_KEY + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = s.n - i > 2 ? hex_value(s.p[i + 1]) : -1;
            int low = s.n - i > 2 ? hex_value(s.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (n == MAX_KEY || c == '\0') {
            return false;
        }
        ret[n++] = c;
    }
    ret[n] = '\0';
    return true;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void put_date(struct buf *out)
{
    time_t now = time(NULL);
    struct tm parts;
    char text[64];
    (void)gmtime_r(&now, &parts);
    size_t n = strftime(text, sizeof(text), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    buf_append(out, text, n);
}

static void answer(struct client *c, const char *status, const char *more, struct span body)
{
    buf_printf(&c->out, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s", status, body.n, more);
    put_date(&c->out);
    buf_append_text(&c->out, "\r\n");
    buf_append_span(&c->out, body);
}

static void answer_error(struct client *c, const char *status, const char *code)
{
    _cleanup_free_ char *text =
        xasprintf("<?xml version=\"1.0\"?><Error><Code>%s</Code></Error>", code);
    answer(c, status, "", span_of(text));
}

static bool read_list(struct span query, struct fakebucket_list *ret)
{
    char value[MAX_KEY + 1];
    *ret = (struct fakebucket_list){.max_keys = MAX_PAGE};
    while (query.n > 0) {
        const char *end = memchr(query.p, '&', query.n);
        struct span pair = {query.p, end != NULL ? (size_t)(end - query.p) : query.n};
        const char *equal = memchr(pair.p, '=', pair.n);
        struct span name = {pair.p, equal != NULL ? (size_t)(equal - pair.p) : pair.n};
        struct span rest = equal != NULL ? span_between(equal + 1, pair.p + pair.n)
                                         : (struct span){.p = "", .n = 0};
        query.p += pair.n + (end != NULL);
        query.n -= pair.n + (end != NULL);
        if (!decode(rest, value)) {
            return false;
        }
        if (span_eq_text(name, "prefix")) {
            memcpy(ret->prefix, value, sizeof(value));
        } else if (span_eq_text(name, "start-after") || span_eq_text(name, "continuation-token")) {
            if (strcmp(value, ret->after) > 0) { /* a token is the key to go on behind */
                memcpy(ret->after, value, sizeof(value));
            }
        } else if (span_eq_text(name, "max-keys")) {
            uint64_t n = 0;
            if (!span_to_uint64(span_of(value), &n)) {
                return false;
            }
            ret->max_keys = n < MAX_PAGE ? n : MAX_PAGE;
        } else if (span_eq_text(name, "encoding-type")) {
            ret->is_url_encoded = strcmp(value, "url") == 0;
        }
    }
    return true;
}

static void on_list(struct client *c, struct fakebucket *b, struct span query, int64_t came_ns)
{
    static struct buf body = {.max = MAX_OUT}; /* kept: one thread */
    char last[MAX_KEY + 1] = "";
    struct fakebucket_list l;
    size_t n = 0;
    if (!read_list(query, &l)) {
        answer_error(c, "400 Bad Request", "InvalidArgument");
        return;
    }
    buf_reset(&body);
    buf_printf(&body,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult "
               "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>%s</Name><MaxKeys>%" PRIu64
               "</MaxKeys>%s",
               fakebucket_name(b), l.max_keys,
               l.is_url_encoded ? "<EncodingType>url</EncodingType>" : "");
    bool is_truncated = fakebucket_page(&body, b, &l, &n, last);
    buf_printf(&body, "<KeyCount>%zu</KeyCount><IsTruncated>%s</IsTruncated>", n,
               is_truncated ? "true" : "false");
    if (is_truncated) {
        buf_append_text(&body, "<NextContinuationToken>");
        fakebucket_put_key(&body, last, false);
        buf_append_text(&body, "</NextContinuationToken>");
    }
    buf_append_text(&body, "</ListBucketResult>");
    answer(c, "200 OK", "Content-Type: application/xml\r\n", buf_span(&body));
    n_lists++;
    n_keys_listed += n;
    if (n_events < MAX_LISTED) {
        events[n_events++] = (struct event){came_ns, now_ns(), n};
    }
}

static void on_object(struct client *c, struct fakebucket *b, struct span encoded,
                      const struct request *r)
{
    char key[MAX_KEY + 1];
    if (!decode(encoded, key)) {
        answer_error(c, "400 Bad Request", "InvalidURI");
        return;
    }
    if (span_eq_text(r->method, "PUT")) {
        _cleanup_free_ char *etag =
            xasprintf("ETag: \"%032" PRIx64 "\"\r\n", fakebucket_put(b, key, r->body));
        answer(c, "200 OK", etag, (struct span){.p = "", .n = 0});
        return;
    }
    _cleanup_free_ char *body = NULL;
    size_t size = 0;
    if (fakebucket_get(b, key, &body, &size)) {
        answer(c, "200 OK", "", (struct span){body, size});
    } else {
        answer_error(c, "404 Not Found", "NoSuchKey");
    }
}

static void on_events(struct client *c)
{
    _cleanup_buf_ struct buf text = buf_with_max(MAX_OUT);
    for (size_t i = 0; i < n_events; i++) {
        buf_printf(&text, "%" PRId64 " %" PRId64 " %zu\n", events[i].came_ns, events[i].answered_ns,
                   events[i].n_keys);
    }
    n_events = 0;
    answer(c, "200 OK", "", (struct span){text.len > 0 ? text.data : "", text.len});
}

static void on_counts(struct client *c)
{
    _cleanup_free_ char *text =
        xasprintf("{\"connections\":%" PRIu64 ",\"lists\":%" PRIu64 ",\"keys\":%" PRIu64 "}",
                  n_connections, n_lists, n_keys_listed);
    answer(c, "200 OK", "", span_of(text));
}

static void on_request(struct client *c, const struct request *r)
{
    int64_t came_ns = now_ns();
    struct span rest = {r->path.p + 1, r->path.n - 1};
    if (span_eq_text(r->path, "/_events")) {
        on_events(c);
        return;
    }
    if (span_eq_text(r->path, "/_counts")) {
        on_counts(c);
        return;
    }
    const char *slash = memchr(rest.p, '/', rest.n);
    struct span name = {rest.p, slash != NULL ? (size_t)(slash - rest.p) : rest.n};
    struct span key =
        slash != NULL ? span_between(slash + 1, rest.p + rest.n) : (struct span){.p = "", .n = 0};
    if (key.n == 0) {
        on_list(c, fakebucket_find(name), r->query, came_ns);
    } else {
        on_object(c, fakebucket_find(name), key, r);
    }
}

/* --- HTTP ------------------------------------------------------------------------------------- */

/* The value of a header, empty when it is not there. */
static struct span header(struct span head, const char *name)
{
    size_t n = strlen(name);
    for (size_t at = 0; at < head.n;) {
        const char *end = memchr(head.p + at, '\n', head.n - at);
        struct span line = {head.p + at, (end != NULL ? (size_t)(end - head.p) : head.n) - at};
        if (line.n > n && line.p[n] == ':' && span_ieq_text((struct span){line.p, n}, name)) {
            return span_trim((struct span){line.p + n + 1, line.n - n - 1});
        }
        at += line.n + 1;
    }
    return (struct span){.p = "", .n = 0};
}

/* The first line: METHOD /path?query HTTP/1.1 */
static bool read_first_line(struct span line, struct request *ret)
{
    const char *end = line.p + line.n;
    const char *blank = memchr(line.p, ' ', line.n);
    const char *last = blank != NULL ? memchr(blank + 1, ' ', (size_t)(end - blank - 1)) : NULL;
    if (last == NULL || blank[1] != '/') {
        return false;
    }
    struct span target = span_between(blank + 1, last);
    const char *mark = memchr(target.p, '?', target.n);
    ret->method = span_between(line.p, blank);
    ret->path = mark != NULL ? span_between(target.p, mark) : target;
    ret->query = mark != NULL ? span_between(mark + 1, last) : (struct span){.p = "", .n = 0};
    return true;
}

/* Bytes used; 0: not complete yet; -1: not understood. */
static ssize_t take_request(struct client *c)
{
    const char *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
    struct request r = {0};
    uint64_t n_body = 0;
    if (end == NULL) {
        return 0;
    }
    struct span head = span_between(c->in.data, end + 2);
    const char *line_end = memchr(head.p, '\r', head.n);
    struct span length = header(head, "content-length");
    size_t used = (size_t)(end + 4 - c->in.data);
    if (line_end == NULL || !read_first_line(span_between(head.p, line_end), &r) ||
        (length.n > 0 && !span_to_uint64(length, &n_body)) || n_body > MAX_IN) {
        return -1;
    }
    if (c->in.len - used < n_body) {
        if (header(head, "expect").n > 0) {
            return -1; /* nobody here asks first */
        }
        return 0;
    }
    r.body = (struct span){c->in.data + used, (size_t)n_body};
    on_request(c, &r);
    return (ssize_t)(used + n_body);
}

static bool flush(int epoll, struct client *c)
{
    while (c->out_at < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            return false;
        }
        if (n < 0) {
            break;
        }
        c->out_at += (size_t)n;
    }
    bool is_left = c->out_at < c->out.len;
    if (!is_left) {
        buf_reset(&c->out);
        c->out_at = 0;
    }
    struct epoll_event event = {.events = is_left ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (is_left != c->is_writing && epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) {
        net_die("epoll_ctl: %s", strerror(errno));
    }
    c->is_writing = is_left;
    return true;
}

static bool on_readable(int epoll, struct client *c)
{
    char *room = buf_reserve(&c->in, READ_SIZE);
    ssize_t n = room != NULL ? recv(c->fd, room, READ_SIZE, 0) : 0;
    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    c->in.len += (size_t)n;
    ssize_t used = 0;
    while (c->in.len > 0 && (used = take_request(c)) > 0) {
        buf_consume(&c->in, (size_t)used);
    }
    return used >= 0 && flush(epoll, c);
}

static void accept_one(int epoll, int listen_fd)
{
    int fd = net_accept(listen_fd);
    if (fd < 0) {
        return;
    }
    struct client *c = xcalloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    *c = (struct client){.fd = fd, .in = buf_with_max(MAX_IN), .out = buf_with_max(MAX_OUT)};
    n_connections++;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        net_die("epoll_ctl: %s", strerror(errno));
    }
}

static void client_destroy(struct client *c)
{
    (void)close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c);
}

static void *run(void *arg)
{
    int listen_fd = (int)(intptr_t)arg;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event listening = {.events = EPOLLIN};
    struct epoll_event ready[N_EVENTS];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listen_fd, &listening) != 0) {
        net_die("epoll: %s", strerror(errno));
    }
    for (;;) {
        int n = epoll_wait(epoll, ready, N_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = ready[i].data.ptr;
            if (c == NULL) {
                accept_one(epoll, listen_fd);
            } else if (!(c->is_writing ? flush(epoll, c) : on_readable(epoll, c))) {
                client_destroy(c);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        net_die("usage: fakes3 PORT");
    }
    net_raise_limit();
    events = xcalloc(MAX_LISTED, sizeof(*events));
    net_serve(1, (uint16_t)net_number(argv[1], 65535, "PORT"), run);
}
