/*
 * The properties of the S3() table function, in every spelling that Doris 2.0 to 4.1 knows, read
 * into what is needed to list the bucket: where to send requests, with which key, and which part of
 * the uri is the key's pattern. Pure; immutable afterwards. Any thread.
 */
#ifndef SOURCES_S3_CONFIG_H
#define SOURCES_S3_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/spec.h"

struct s3_config {
    char *access_key;    /* owned; NULL: requests are not signed (public buckets) */
    char *secret_key;    /* owned; NULL with access_key */
    char *session_token; /* owned; NULL when none */
    char *region;        /* owned */
    char *base_url;      /* owned: scheme://host[:port], the bucket's host if not path style */
    char *host;          /* owned: value of the Host header */
    char *bucket;        /* owned */
    bool is_path_style;  /* the bucket is the first part of the path */
    char *uri;           /* owned: value of the property, as the user meant it */
    size_t key_at;       /* uri + key_at is the key's pattern */
};

/* False: a property is missing, contradictory or of no use here; err names it. */
bool s3_config_read(const struct spec_prop *props, size_t n_props, struct s3_config *ret,
                    struct err *err);
void s3_config_fini(struct s3_config *c);
/* Does a property of this name mean anything, here or to a Doris of any version? */
bool s3_config_knows(const char *key);

static inline struct span s3_config_pattern(const struct s3_config *c)
{
    return span_of(c->uri + c->key_at);
}

#define _cleanup_s3_config_ _cleanup_(s3_config_fini)

#endif
