#include <assert.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "sources/fe_error.h"
#include "sources/fe_http.h"
#include "sources/http.h"

enum {
    STATUS_REDIRECT = 307,
    STATUS_UNAUTHORIZED = 401,
    STATUS_FORBIDDEN = 403,
    LONGEST_URL = 8 << 10,
    LONGEST_HEADER = 4 << 10,
    LONGEST_HOST = 255 + 6,
    LONGEST_QUOTE = 200, /* of a reply that makes no sense, in an error */
};

/* One call: path and query without the host. */
struct call {
    const char *method;
    const char *path; /* begins with '/' */
};

/* {"msg": …, "code": …, "data": …} */
struct envelope {
    json_t *root; /* owned */
    int64_t code;
    const char *msg;  /* borrowed; "" when absent */
    const char *data; /* borrowed; NULL when it is no text */
};

static void envelope_fini(struct envelope *e)
{
    json_decref(e->root);
}

static void append_encoded(struct buf *b, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
    for (const char *p = text; *p != '\0'; p++) {
        if (strchr(plain, *p) != NULL) {
            buf_append_char(b, *p);
        } else {
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)*p);
        }
    }
}

static char *make_path(const char *db, const char *call, const char *label)
{
    struct buf b = buf_with_max(LONGEST_URL);
    buf_append_text(&b, "/api/");
    append_encoded(&b, db);
    buf_printf(&b, "/%s?label=", call);
    append_encoded(&b, label);
    return buf_take_text(&b); /* empty when too long, which no name of Doris is */
}

static char *make_url(const struct fe_http *h, const char *path)
{
    bool is_v6 = strchr(h->host, ':') != NULL;
    return xasprintf(is_v6 ? "http://[%s]:%d%s" : "http://%s:%d%s", h->host, h->port, path);
}

static char *basic_auth(const struct fe_http *h)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    _cleanup_free_ char *plain = xasprintf("%s:%s", h->user, h->password);
    struct span in = span_of(plain);
    struct buf b = buf_with_max(LONGEST_HEADER);
    buf_append_text(&b, "Authorization: Basic ");
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        unsigned word = (unsigned)(unsigned char)in.p[i] << 16;
        word |= left > 1 ? (unsigned)(unsigned char)in.p[i + 1] << 8 : 0;
        word |= left > 2 ? (unsigned)(unsigned char)in.p[i + 2] : 0;
        buf_append_char(&b, digits[word >> 18 & 63]);
        buf_append_char(&b, digits[word >> 12 & 63]);
        buf_append_char(&b, left > 1 ? digits[word >> 6 & 63] : '=');
        buf_append_char(&b, left > 2 ? digits[word & 63] : '=');
    }
    explicit_bzero(plain, in.n);
    return buf_take_text(&b);
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

/* "[v6]" or a name or v4 address at the front of s; its length, 0 when there is none. */
static size_t host_len(struct span s)
{
    size_t n = 0;
    if (s.n > 0 && s.p[0] == '[') {
        n = 1;
        while (n < s.n && strchr("0123456789abcdefABCDEF:.", s.p[n]) != NULL && s.p[n] != '\0') {
            n++;
        }
        return n > 1 && n < s.n && s.p[n] == ']' ? n + 1 : 0;
    }
    while (n < s.n && is_host_char(s.p[n])) {
        n++;
    }
    return n;
}

bool fe_http_parse_location(struct span location, struct span *ret_host_port)
{
    static const char scheme[] = "http://";
    if (!span_istarts_with(location, scheme)) {
        return false;
    }
    const char *from = location.p + sizeof(scheme) - 1;
    const char *end = location.p + location.n;
    const char *slash = memchr(from, '/', (size_t)(end - from));
    if (slash == NULL) {
        return false;
    }
    /* A password may hold an '@'; what is behind the last one is the host. */
    const char *at = memrchr(from, '@', (size_t)(slash - from));
    struct span host = span_between(at != NULL ? at + 1 : from, slash);
    size_t n = host_len(host);
    if (n == 0 || host.n > LONGEST_HOST) {
        return false;
    }
    if (n < host.n) {
        int64_t port = 0;
        struct span digits = {.p = host.p + n + 1, .n = host.n - n - 1};
        if (host.p[n] != ':' || !span_to_int64(digits, 1, 65535, &port)) {
            return false;
        }
    }
    *ret_host_port = host;
    return true;
}

static bool run_once(const struct fe_http *h, const char *method, const char *url,
                     const struct fe_wait *wait, struct http_reply *ret, struct err *err)
{
    _cleanup_free_ char *auth = basic_auth(h);
    const char *const headers[] = {auth, "Accept: application/json"};
    struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .n_headers = ARRAY_SIZE(headers),
        .deadline_us = wait->deadline_us,
        .cancel = wait->cancel,
    };
    bool is_post = strcmp(method, "POST") == 0;
    if (is_post) {
        request.body = SPAN_LIT(""); /* Content-Length: 0, which Jetty wants */
    }
    enum http_result result = http_run(&request, ret, err);
    explicit_bzero(auth, strlen(auth));
    return result == HTTP_DONE;
}

/* The reply of the FE, or of the one it redirects to. */
static bool run(const struct fe_http *h, const struct call *call, const struct fe_wait *wait,
                struct http_reply *ret, struct err *err)
{
    _cleanup_free_ char *url = make_url(h, call->path);
    bool is_ok = run_once(h, call->method, url, wait, ret, err);
    if (is_ok && ret->status == STATUS_REDIRECT) {
        struct span to = {0};
        if (fe_http_parse_location(http_reply_header(ret, "Location"), &to)) {
            _cleanup_free_ char *second = xasprintf("http://%.*s%s", SPAN_ARG(to), call->path);
            http_reply_fini(ret);
            is_ok = run_once(h, call->method, second, wait, ret, err);
        } else {
            is_ok = err_say(err, "the FE %s:%d redirects %s to an address that makes no sense",
                            h->host, h->port, call->path);
        }
    }
    return is_ok;
}

static bool fail_denied(const struct fe_http *h, const char *said, struct err *err)
{
    return err_set(err, ERR_ACCESS_DENIED, "28000",
                   "the FE %s:%d refuses the service account '%s' over HTTP: %s; check doris.user, "
                   "doris.password and doris.http",
                   h->host, h->port, h->user, said);
}

static bool read_envelope(const struct fe_http *h, const struct http_reply *reply,
                          struct envelope *ret, struct err *err)
{
    struct span body = buf_span(&reply->body);
    if (reply->status == STATUS_UNAUTHORIZED || reply->status == STATUS_FORBIDDEN) {
        return fail_denied(h, "wrong name or password, or a privilege is missing", err);
    }
    ret->root = body.n > 0 ? json_loadb(body.p, body.n, 0, NULL) : NULL;
    json_t *code = json_object_get(ret->root, "code");
    if (!json_is_integer(code)) {
        body.n = body.n < LONGEST_QUOTE ? body.n : LONGEST_QUOTE;
        return err_say(err,
                       "the answer of %s:%d is not that of an FE (status %d: \"%.*s\"); check "
                       "doris.http",
                       h->host, h->port, reply->status, SPAN_ARG(body));
    }
    const char *msg = json_string_value(json_object_get(ret->root, "msg"));
    ret->code = json_integer_value(code);
    ret->msg = msg != NULL ? msg : "";
    ret->data = json_string_value(json_object_get(ret->root, "data"));
    if (ret->code == STATUS_UNAUTHORIZED || ret->code == STATUS_FORBIDDEN) {
        return fail_denied(h, ret->data != NULL ? ret->data : ret->msg, err);
    }
    return true;
}

static const char *text_of(const struct envelope *e)
{
    return e->data != NULL && e->data[0] != '\0' ? e->data : e->msg;
}

/* Runs a call and reads its envelope; *ret must be ended in any case. */
static bool ask(const struct fe_http *h, const struct call *call, const struct fe_wait *wait,
                struct envelope *ret, struct err *err)
{
    _cleanup_http_reply_ struct http_reply reply = {0};
    assert(h->host != NULL);
    return run(h, call, wait, &reply, err) && read_envelope(h, &reply, ret, err);
}

bool fe_http_is_ready(const struct fe_http *h, const struct fe_wait *wait, struct err *err)
{
    _cleanup_(envelope_fini) struct envelope e = {0};
    if (!ask(h, &(struct call){.method = "GET", .path = "/api/bootstrap"}, wait, &e, err)) {
        return false;
    }
    if (e.code != 0) {
        return err_say(err, "the FE %s:%d is not ready: %s", h->host, h->port, text_of(&e));
    }
    return true;
}

static bool state_from_name(const char *name, enum label_state *ret)
{
    static const enum label_state states[] = {LABEL_UNKNOWN,   LABEL_PREPARE, LABEL_PRECOMMITTED,
                                              LABEL_COMMITTED, LABEL_VISIBLE, LABEL_ABORTED};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        if (span_ieq_text(span_of(name), label_state_name(states[i]))) {
            *ret = states[i];
            return true;
        }
    }
    return false;
}

enum label_state fe_http_label(const struct fe_http *h, const char *db, const char *label,
                               const struct fe_wait *wait, struct err *err)
{
    _cleanup_(envelope_fini) struct envelope e = {0};
    _cleanup_free_ char *path = make_path(db, "get_load_state", label);
    enum label_state state = LABEL_UNREACHABLE;
    if (!ask(h, &(struct call){.method = "GET", .path = path}, wait, &e, err)) {
        return LABEL_UNREACHABLE;
    }
    if (e.code == 0 && e.data != NULL && state_from_name(e.data, &state)) {
        return state;
    }
    /* In cloud mode "unknown" is an error with the text of SHOW TRANSACTION. */
    if (e.code != 0 && fe_error_is_unknown_label(span_of(text_of(&e)), label)) {
        return LABEL_UNKNOWN;
    }
    (void)err_say(err, "the FE %s:%d cannot tell the state of label %s of database %s: %s", h->host,
                  h->port, label, db, text_of(&e));
    return LABEL_UNREACHABLE;
}

/* What _cancel says when it has looked and there was nothing to abort. */
static bool has_looked(const char *text)
{
    return strstr(text, "transaction not found") != NULL ||
           strstr(text, "could not abort") != NULL || strstr(text, "is already ") != NULL;
}

bool fe_http_cancel(const struct fe_http *h, const char *db, const char *label,
                    const struct fe_wait *wait, struct err *err)
{
    _cleanup_(envelope_fini) struct envelope e = {0};
    _cleanup_free_ char *path = make_path(db, "_cancel", label);
    if (!ask(h, &(struct call){.method = "POST", .path = path}, wait, &e, err)) {
        return false;
    }
    if (e.code == 0 || has_looked(text_of(&e))) {
        return true;
    }
    const char *said = text_of(&e);
    if (fe_error_is_denied(0, span_of(said))) {
        return err_set(err, ERR_DBACCESS_DENIED, "42000",
                       "the service account '%s' may not abort loads of database %s (%s): GRANT "
                       "LOAD_PRIV ON `%s`.* TO '%s'",
                       h->user, db, said, db, h->user);
    }
    return err_say(err, "the FE %s:%d did not abort label %s of database %s: %s", h->host, h->port,
                   label, db, said);
}
