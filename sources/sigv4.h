/*
 * AWS Signature Version 4, pure functions of their arguments, the time included. The caller gives
 * path and query decoded; sigv4_sign() encodes them once, as S3 wants it (no second encoding, no
 * normalisation of the path), and hands back the very text to put on the request line, so that
 * what is sent is what was signed. Any thread.
 */
#ifndef SOURCES_SIGV4_H
#define SOURCES_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
/* SHA-256 of nothing: the payload hash of a GET. */
#define SIGV4_EMPTY_PAYLOAD "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum { SIGV4_DATE_SIZE = 17 }; /* 20130524T000000Z and a NUL */
enum { SIGV4_MAX_PAIRS = 32 };

struct sigv4_pair {
    struct span name;
    struct span value;
};

struct sigv4_key {
    const char *access_key;
    const char *secret_key;
    const char *region;
    const char *service; /* "s3" */
};

struct sigv4_request {
    const char *method;
    struct span path;               /* decoded, begins with '/' */
    const struct sigv4_pair *query; /* decoded, in any order */
    size_t n_query;
    const struct sigv4_pair *headers; /* all are signed; names in lower case, in any order */
    size_t n_headers;
    const char *payload_hash; /* hex, or SIGV4_UNSIGNED_PAYLOAD */
    int64_t time_s;
};

struct sigv4_result {
    char *target;         /* owned: encoded path, and '?' and query when there is one */
    char *canonical;      /* owned: the canonical request, to compare with what a server says */
    char *string_to_sign; /* owned */
    char *authorization;  /* owned: value of the header */
};

void sigv4_date(int64_t time_s, char ret_date[SIGV4_DATE_SIZE]);
bool sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *request,
                struct sigv4_result *ret, struct err *err);
/* Path and query as sigv4_sign() encodes them, for requests that are not signed. */
char *sigv4_target(const struct sigv4_request *request);
void sigv4_result_fini(struct sigv4_result *r);

#endif
