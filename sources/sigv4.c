#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "sources/sigv4.h"

enum { DIGEST_SIZE = 32, MAX_TEXT = 1 << 20 };

static const char HEX_UPPER[] = "0123456789ABCDEF";
static const char HEX_LOWER[] = "0123456789abcdef";

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* RFC 3986 with upper-case hex; `also` is one more character that stays, or NUL. */
static void append_encoded(struct buf *b, struct span s, char also)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_unreserved(c) || (also != '\0' && c == also)) {
            buf_append_char(b, c);
        } else {
            unsigned char u = (unsigned char)c;
            char text[3] = {'%', HEX_UPPER[u >> 4], HEX_UPPER[u & 15]};
            buf_append(b, text, sizeof(text));
        }
    }
}

static void append_hex(struct buf *b, const unsigned char digest[DIGEST_SIZE])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        buf_append_char(b, HEX_LOWER[digest[i] >> 4]);
        buf_append_char(b, HEX_LOWER[digest[i] & 15]);
    }
}

static int compare_pairs(const void *a, const void *b)
{
    const struct sigv4_pair *x = a;
    const struct sigv4_pair *y = b;
    int order = span_cmp(x->name, y->name);
    return order != 0 ? order : span_cmp(x->value, y->value);
}

/*
 * "name=value&…" in the order of the encoded names. Sorting the decoded bytes gives another order
 * for names that differ in characters that get encoded, so the encoded texts are sorted.
 */
static void append_query(struct buf *b, const struct sigv4_request *request)
{
    struct sigv4_pair pairs[SIGV4_MAX_PAIRS] = {0};
    char *owned[2 * SIGV4_MAX_PAIRS] = {0};
    size_t n = request->n_query;
    assert(n <= SIGV4_MAX_PAIRS);
    for (size_t i = 0; i < 2 * n; i++) {
        struct buf one = buf_with_max(MAX_TEXT);
        const struct sigv4_pair *pair = &request->query[i / 2];
        append_encoded(&one, i % 2 == 0 ? pair->name : pair->value, '\0');
        owned[i] = buf_take_text(&one);
    }
    for (size_t i = 0; i < n; i++) {
        pairs[i] = (struct sigv4_pair){span_of(owned[2 * i]), span_of(owned[2 * i + 1])};
    }
    qsort(pairs, n, sizeof(pairs[0]), compare_pairs);
    for (size_t i = 0; i < n; i++) {
        buf_append_text(b, i > 0 ? "&" : "");
        buf_append_span(b, pairs[i].name);
        buf_append_char(b, '=');
        buf_append_span(b, pairs[i].value);
    }
    for (size_t i = 0; i < 2 * n; i++) {
        free(owned[i]);
    }
}

/* Trimmed, and runs of blanks inside made one. */
static void append_header_value(struct buf *b, struct span value)
{
    value = span_trim(value);
    for (size_t i = 0; i < value.n; i++) {
        bool is_repeated = value.p[i] == ' ' && i > 0 && value.p[i - 1] == ' ';
        if (!is_repeated) {
            buf_append_char(b, value.p[i]);
        }
    }
}

static void append_headers(struct buf *b, struct buf *names, const struct sigv4_request *request)
{
    struct sigv4_pair pairs[SIGV4_MAX_PAIRS] = {0};
    size_t n = request->n_headers;
    assert(n <= SIGV4_MAX_PAIRS);
    for (size_t i = 0; i < n; i++) {
        pairs[i] = request->headers[i];
    }
    qsort(pairs, n, sizeof(pairs[0]), compare_pairs);
    for (size_t i = 0; i < n; i++) {
        buf_append_span(b, pairs[i].name);
        buf_append_char(b, ':');
        append_header_value(b, pairs[i].value);
        buf_append_char(b, '\n');
        buf_append_text(names, i > 0 ? ";" : "");
        buf_append_span(names, pairs[i].name);
    }
}

static bool hash_text(struct buf *b, struct span text)
{
    unsigned char digest[DIGEST_SIZE];
    unsigned int n = 0;
    if (EVP_Digest(text.p, text.n, digest, &n, EVP_sha256(), NULL) != 1 || n != DIGEST_SIZE) {
        return false;
    }
    append_hex(b, digest);
    return true;
}

static bool mac(const void *key, size_t key_len, struct span text, unsigned char ret[DIGEST_SIZE])
{
    unsigned int n = 0;
    return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.p, text.n, ret, &n) !=
               NULL &&
           n == DIGEST_SIZE;
}

/* key = HMAC(HMAC(HMAC(HMAC("AWS4" + secret, day), region), service), "aws4_request") */
static bool signature(const struct sigv4_key *key, struct span day, struct span text,
                      struct buf *ret_hex)
{
    unsigned char digest[DIGEST_SIZE];
    struct buf secret = buf_with_max(MAX_TEXT);
    buf_append_text(&secret, "AWS4");
    buf_append_text(&secret, key->secret_key);
    bool is_ok = buf_ok(&secret) && mac(secret.data, secret.len, day, digest) &&
                 mac(digest, sizeof(digest), span_of(key->region), digest) &&
                 mac(digest, sizeof(digest), span_of(key->service), digest) &&
                 mac(digest, sizeof(digest), SPAN_LIT("aws4_request"), digest) &&
                 mac(digest, sizeof(digest), text, digest);
    if (is_ok) {
        append_hex(ret_hex, digest);
    }
    OPENSSL_cleanse(secret.data, secret.len);
    buf_fini(&secret);
    return is_ok;
}

void sigv4_date(int64_t time_s, char ret_date[SIGV4_DATE_SIZE])
{
    time_t t = (time_t)time_s;
    struct tm tm = {0};
    (void)gmtime_r(&t, &tm); /* fails only for years that no clock shows; then zeroes are sent */
    (void)strftime(ret_date, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

char *sigv4_target(const struct sigv4_request *request)
{
    struct buf b = buf_with_max(MAX_TEXT);
    append_encoded(&b, request->path, '/');
    if (request->n_query > 0) {
        buf_append_char(&b, '?');
        append_query(&b, request);
    }
    return buf_take_text(&b);
}

static void append_canonical(struct buf *b, struct buf *names, const struct sigv4_request *request)
{
    buf_append_text(b, request->method);
    buf_append_char(b, '\n');
    append_encoded(b, request->path, '/');
    buf_append_char(b, '\n');
    append_query(b, request);
    buf_append_char(b, '\n');
    append_headers(b, names, request);
    buf_append_char(b, '\n');
    buf_append_span(b, buf_span(names));
    buf_append_char(b, '\n');
    buf_append_text(b, request->payload_hash);
}

bool sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *request,
                struct sigv4_result *ret, struct err *err)
{
    _cleanup_buf_ struct buf names = buf_with_max(MAX_TEXT);
    _cleanup_buf_ struct buf canonical = buf_with_max(MAX_TEXT);
    _cleanup_buf_ struct buf scope = buf_with_max(MAX_TEXT);
    _cleanup_buf_ struct buf text = buf_with_max(MAX_TEXT);
    _cleanup_buf_ struct buf out = buf_with_max(MAX_TEXT);
    char date[SIGV4_DATE_SIZE] = "";
    sigv4_date(request->time_s, date);
    struct span day = {date, 8};

    append_canonical(&canonical, &names, request);
    buf_printf(&scope, "%.8s/%s/%s/aws4_request", date, key->region, key->service);
    buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n", date, buf_text(&scope));
    bool is_ok = hash_text(&text, buf_span(&canonical));
    buf_printf(&out,
               "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=", key->access_key,
               buf_text(&scope), buf_text(&names));
    is_ok = is_ok && signature(key, day, buf_span(&text), &out);
    if (!is_ok || !buf_ok(&canonical) || !buf_ok(&text) || !buf_ok(&out)) {
        return err_say(err, "the request could not be signed: %s",
                       is_ok ? "it is too long" : "SHA-256 failed in the crypto library");
    }
    *ret = (struct sigv4_result){
        .target = sigv4_target(request),
        .canonical = buf_take_text(&canonical),
        .string_to_sign = buf_take_text(&text),
        .authorization = buf_take_text(&out),
    };
    return true;
}

void sigv4_result_fini(struct sigv4_result *r)
{
    free(r->target);
    free(r->canonical);
    free(r->string_to_sign);
    free(r->authorization);
    *r = (struct sigv4_result){0};
}
