/*
 * What an S3 service answers to ListObjectsV2, read from its XML: a page of objects, or an error.
 * The bytes are foreign: no DOCTYPE or entity is accepted, depth, text length and number of objects
 * are capped, and a page is used only after s3_page_check(). Pure functions; any thread.
 */
#ifndef SOURCES_S3_LIST_H
#define SOURCES_S3_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "base/xmalloc.h"

enum {
    S3_MAX_PAGE_OBJECTS = 10000, /* ten times what the services send */
    S3_MAX_TEXT = 8192,          /* of one element; a key of 1024 bytes encoded takes 3072 */
    S3_MAX_DEPTH = 16,
};

struct s3_object {
    char *key;  /* owned, decoded, without NUL bytes */
    char *etag; /* owned, without quotes; "" when the service sent none */
    int64_t size;
    int64_t modified_ms; /* LastModified; 0 when the service sent none that can be read */
};

struct s3_page {
    struct s3_object *objects; /* owned, in the order of the reply */
    size_t n_objects;
    bool is_truncated;
    /* Of an <Error> document, which may come with any HTTP status, 200 too; else NULL. Owned. */
    char *error_code;
    char *error_message;
    char *error_region;
};

/* False: not a well-formed list or error document; err says where. *ret is then empty. */
bool s3_page_parse(struct span xml, struct s3_page *ret, struct err *err);
void s3_page_fini(struct s3_page *page);

/*
 * Is the page what was asked for? Keys rise in byte order, all behind `start_after` (NULL: no
 * limit) and below `prefix`, and a page that says "there is more" makes progress. A listing that
 * breaks this would make a job miss or repeat files.
 */
bool s3_page_check(const struct s3_page *page, struct span prefix, const char *start_after,
                   struct err *err);

/* The key as an error may show it: one line, valid UTF-8, at most 200 bytes. The caller owns it. */
char *s3_shown_key(struct span key);

#define _cleanup_s3_page_ _cleanup_(s3_page_fini)

#endif
