#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/secret.h"
#include "sources/http.h"
#include "sources/s3_client.h"
#include "sources/sigv4.h"

enum { MAX_TRIES = 3, FIRST_PAUSE_MS = 100, MAX_SHOWN = 300 };

struct s3_client {
    const struct s3_config *config; /* borrowed */
    int64_t skew_s;                 /* the service's clock minus ours, once it complained */
    int64_t ahead_ms;               /* the same by the last reply, an upper bound */
    bool has_ahead;
};

/* What became of one try. */
enum attempt { TRY_DONE, TRY_AGAIN, TRY_SKEWED, TRY_FAILED };

struct s3_client *s3_client_create(const struct s3_config *config)
{
    struct s3_client *c = xcalloc(1, sizeof(*c));
    c->config = config;
    return c;
}

void s3_client_destroy(struct s3_client *c)
{
    free(c);
}

bool s3_client_skew_ms(const struct s3_client *c, int64_t *ret_ms)
{
    *ret_ms = c->ahead_ms;
    return c->has_ahead;
}

/* The Date header has whole seconds, cut, and was written after the request was sent. */
static void note_date(struct s3_client *c, const struct http_reply *reply, int64_t sent_ms)
{
    int64_t server_s = 0;
    if (http_reply_date(reply, &server_s)) {
        c->ahead_ms = server_s * 1000 + 999 - sent_ms;
        c->has_ahead = true;
    }
}

/* Everything that one request needs and that must live until it is over. */
struct exchange {
    char *path;
    char *url;
    char *lines[5]; /* header lines */
    size_t n_lines;
    struct sigv4_result signature;
};

static void exchange_fini(struct exchange *x)
{
    free(x->path);
    free(x->url);
    for (size_t i = 0; i < x->n_lines; i++) {
        free(x->lines[i]);
    }
    sigv4_result_fini(&x->signature);
}

static bool sign(const struct s3_client *c, const struct sigv4_pair *query, size_t n_query,
                 struct exchange *x, struct err *err)
{
    const struct s3_config *config = c->config;
    char date[SIGV4_DATE_SIZE] = "";
    int64_t now_s = clock_wall_us() / 1000000 + c->skew_s;
    struct sigv4_pair headers[4] = {
        {SPAN_LIT("host"), span_of(config->host)},
        {SPAN_LIT("x-amz-content-sha256"), SPAN_LIT(SIGV4_EMPTY_PAYLOAD)},
        {SPAN_LIT("x-amz-date"), {.p = date, .n = SIGV4_DATE_SIZE - 1}},
        {SPAN_LIT("x-amz-security-token"), span_of(config->session_token)},
    };
    struct sigv4_request request = {
        .method = "GET",
        .path = span_of(x->path),
        .query = query,
        .n_query = n_query,
        .headers = headers,
        .n_headers = config->session_token != NULL ? 4 : 3,
        .payload_hash = SIGV4_EMPTY_PAYLOAD,
        .time_s = now_s,
    };
    struct sigv4_key key = {config->access_key, config->secret_key, config->region, "s3"};
    sigv4_date(now_s, date);
    if (config->access_key == NULL) {
        x->lines[x->n_lines++] = xasprintf("Host: %s", config->host);
        x->signature.target = sigv4_target(&request);
        return true;
    }
    if (!sigv4_sign(&key, &request, &x->signature, err)) {
        return false;
    }
    for (size_t i = 0; i < request.n_headers; i++) {
        x->lines[x->n_lines++] =
            xasprintf("%.*s: %.*s", SPAN_ARG(headers[i].name), SPAN_ARG(headers[i].value));
    }
    x->lines[x->n_lines++] = xasprintf("Authorization: %s", x->signature.authorization);
    return true;
}

static bool prepare(const struct s3_client *c, const struct s3_list_request *request,
                    struct exchange *x, struct err *err)
{
    const struct s3_config *config = c->config;
    char max_keys[16];
    (void)snprintf(max_keys, sizeof(max_keys), "%d", request->max_keys); /* always fits */
    struct sigv4_pair query[5] = {
        {SPAN_LIT("list-type"), SPAN_LIT("2")},
        {SPAN_LIT("encoding-type"), SPAN_LIT("url")},
        {SPAN_LIT("max-keys"), span_of(max_keys)},
        {SPAN_LIT("prefix"), request->prefix},
        {SPAN_LIT("start-after"), span_of(request->start_after)},
    };
    x->path = config->is_path_style ? xasprintf("/%s", config->bucket) : xstrdup("/");
    if (!sign(c, query, request->start_after != NULL ? 5 : 4, x, err)) {
        return false;
    }
    x->url = xasprintf("%s%s", config->base_url, x->signature.target);
    return true;
}

/* The service's own words, cut and made one line; foreign bytes end up in a terminal. */
static void tidy_message(const char *from, char ret[MAX_SHOWN])
{
    size_t n = 0;
    for (; from != NULL && from[n] != '\0' && n < MAX_SHOWN - 1; n++) {
        ret[n] = (unsigned char)from[n] < ' ' || from[n] == 0x7f ? ' ' : from[n];
    }
    bool is_cut = n == MAX_SHOWN - 1;
    while (is_cut && n > 0 && ((unsigned char)ret[n - 1] & 0x80) != 0) {
        n--; /* never half a character */
    }
    ret[n] = '\0';
}

/*
 * What a user can do about an error code, in three groups. True, and err untouched: the code is not
 * of the group.
 */
static bool explain_key(const char *code, struct err *err)
{
    if (strcmp(code, "SignatureDoesNotMatch") == 0) {
        return err_say(err, "the access key was refused (SignatureDoesNotMatch): it is unknown to "
                            "the store or the secret key does not belong to it; check "
                            "s3.access_key and s3.secret_key");
    }
    if (strcmp(code, "InvalidAccessKeyId") == 0) {
        return err_say(err, "the access key was refused (InvalidAccessKeyId): the store does not "
                            "know it; check s3.access_key");
    }
    if (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0) {
        return err_say(err,
                       "the session token of the access key was refused (%s): it has expired or "
                       "belongs to another key. Get new credentials and put them into the job: "
                       "PAUSE JOB, ALTER JOB ... INSERT with the new keys, RESUME JOB",
                       code);
    }
    if (strcmp(code, "RequestTimeTooSkewed") == 0) {
        return err_say(err, "the clocks of this host and of the store differ too much "
                            "(RequestTimeTooSkewed)");
    }
    return true;
}

static bool explain_bucket(const struct s3_config *c, const char *code, struct err *err)
{
    if (strcmp(code, "NoSuchBucket") == 0) {
        return err_say(err, "bucket %s does not exist (NoSuchBucket); check the uri", c->bucket);
    }
    if (strcmp(code, "AccessDenied") != 0 && strcmp(code, "AllAccessDisabled") != 0) {
        return true;
    }
    if (c->access_key == NULL) {
        return err_say(err, "bucket %s is not public (%s); give s3.access_key and s3.secret_key",
                       c->bucket, code);
    }
    return err_say(err,
                   "the access key may not list bucket %s (%s); it needs s3:ListBucket and "
                   "s3:GetObject",
                   c->bucket, code);
}

static bool explain_region(const struct s3_config *c, const char *code, const char *region,
                           struct err *err)
{
    static const char *const CODES[] = {"AuthorizationHeaderMalformed", "PermanentRedirect",
                                        "TemporaryRedirect", "IllegalLocationConstraint",
                                        "IllegalLocationConstraintException"};
    for (size_t i = 0; i < ARRAY_SIZE(CODES); i++) {
        if (strcmp(code, CODES[i]) == 0) {
            return err_say(err,
                           "bucket %s is not in region %s (%s%s%s); check s3.region and "
                           "s3.endpoint",
                           c->bucket, c->region, code, region[0] != '\0' ? ", it is in " : "",
                           region);
        }
    }
    return true;
}

static enum attempt judge_error(const struct s3_config *c, const struct http_reply *reply,
                                const struct s3_page *page, struct err *err)
{
    static const char *const PASSING[] = {"SlowDown",           "InternalError",
                                          "ServiceUnavailable", "RequestTimeout",
                                          "OperationAborted",   "Busy"};
    char code[MAX_SHOWN];
    char message[MAX_SHOWN];
    char region[MAX_SHOWN];
    _cleanup_free_ char *from_header = span_dup(http_reply_header(reply, "x-amz-bucket-region"));
    tidy_message(page->error_code, code);
    tidy_message(page->error_message, message);
    tidy_message(page->error_region != NULL ? page->error_region : from_header, region);
    if (explain_key(code, err) && explain_bucket(c, code, err) &&
        explain_region(c, code, region, err)) {
        (void)err_say(err, "the store answered HTTP status %d, %s%s%s", reply->status, code,
                      message[0] != '\0' ? ": " : "", message);
    }
    if (strcmp(code, "RequestTimeTooSkewed") == 0) {
        return TRY_SKEWED;
    }
    for (size_t i = 0; i < ARRAY_SIZE(PASSING); i++) {
        if (strcmp(code, PASSING[i]) == 0) {
            return TRY_AGAIN;
        }
    }
    return reply->status >= 500 || reply->status == 429 ? TRY_AGAIN : TRY_FAILED;
}

static const char *hint_for_status(const struct s3_config *c, int status)
{
    if (status == 404) {
        return "; check the bucket's name and the endpoint";
    }
    if (status >= 300 && status < 400) {
        return "; check s3.region and s3.endpoint";
    }
    return c->access_key == NULL ? "; no s3.access_key was given, is the bucket public?" : "";
}

static enum attempt judge_reply(const struct s3_client *c, const struct s3_list_request *request,
                                const struct http_reply *reply, struct s3_page *ret,
                                struct err *err)
{
    struct err why = {0};
    if (!s3_page_parse(buf_span(&reply->body), ret, &why)) {
        if (reply->status == 200) {
            *err = why;
            return TRY_AGAIN; /* cut on its way, most likely */
        }
        (void)err_say(err, "it answered HTTP status %d without an S3 error document%s",
                      reply->status, hint_for_status(c->config, reply->status));
        return reply->status >= 500 || reply->status == 429 ? TRY_AGAIN : TRY_FAILED;
    }
    if (ret->error_code != NULL) {
        return judge_error(c->config, reply, ret, err);
    }
    if (reply->status != 200) {
        (void)err_say(err, "it answered HTTP status %d to a list request", reply->status);
        return TRY_FAILED;
    }
    return s3_page_check(ret, request->prefix, request->start_after, err) ? TRY_DONE : TRY_FAILED;
}

/* Nobody answered at all. */
static void add_advice(struct err *err)
{
    struct err why = *err;
    (void)err_say(err, "%s. Check s3.endpoint, and that the object store is up", why.msg);
}

static enum attempt try_once(struct s3_client *c, const struct s3_list_request *request,
                             struct s3_page *ret, struct err *err)
{
    __attribute__((cleanup(exchange_fini))) struct exchange x = {0};
    _cleanup_http_reply_ struct http_reply reply = {0};
    int64_t server_s = 0;
    if (!prepare(c, request, &x, err)) {
        return TRY_FAILED;
    }
    struct http_request http = {
        .method = "GET",
        .url = x.url,
        .headers = (const char *const *)x.lines,
        .n_headers = x.n_lines,
        .deadline_us = request->deadline_us,
        .cancel = request->cancel,
    };
    int64_t sent_ms = clock_wall_ms();
    switch (http_run(&http, &reply, err)) {
    case HTTP_LOST: add_advice(err); return TRY_AGAIN;
    case HTTP_STOPPED:
    case HTTP_FAIL: return TRY_FAILED;
    case HTTP_DONE: break;
    }
    note_date(c, &reply, sent_ms);
    enum attempt result = judge_reply(c, request, &reply, ret, err);
    if (result == TRY_SKEWED) {
        result = TRY_FAILED;
        if (http_reply_date(&reply, &server_s)) { /* anew, since clocks may be set again */
            c->skew_s = server_s - clock_wall_us() / 1000000;
            result = TRY_SKEWED;
        }
    }
    return result;
}

/* False when the deadline or the cancel flag comes first. */
static bool pause_for(int wait_ms, const struct s3_list_request *request)
{
    const struct cancel *cancel = request->cancel;
    struct pollfd p = {.fd = cancel != NULL ? cancel->fd : -1, .events = POLLIN};
    if (clock_mono_us() + wait_ms * INT64_C(1000) >= request->deadline_us) {
        return false;
    }
    (void)poll(&p, 1, wait_ms); /* early by a signal or late: both are fine for a pause */
    return cancel == NULL || !cancel_is_raised(cancel);
}

/* A store may say in an error what it was sent. */
static void hide_keys(const struct s3_config *config, char *text)
{
    const char *const keys[] = {config->access_key, config->secret_key, config->session_token};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (keys[i] != NULL) {
            secret_blacken(text, keys[i]);
        }
    }
}

bool s3_client_list(struct s3_client *c, const struct s3_list_request *request, struct s3_page *ret,
                    struct err *err)
{
    int pause_ms = FIRST_PAUSE_MS;
    int n_tries = 0;
    bool was_skewed = false;
    for (;;) {
        struct s3_page page = {0};
        struct err why = {0};
        enum attempt result = try_once(c, request, &page, &why);
        n_tries++;
        if (result == TRY_DONE) {
            *ret = page;
            return true;
        }
        s3_page_fini(&page);
        assert(err_is_set(&why));
        if (result == TRY_SKEWED && !was_skewed) {
            was_skewed = true; /* c->skew_s is set: at once, with the store's time */
            continue;
        }
        if (result != TRY_AGAIN || n_tries >= MAX_TRIES || !pause_for(pause_ms, request)) {
            hide_keys(c->config, why.msg);
            *err = why;
            return err_prefix(err,
                              "Failed to list S3 files of bucket %s at %s: ", c->config->bucket,
                              c->config->base_url);
        }
        pause_ms *= 4;
    }
}
