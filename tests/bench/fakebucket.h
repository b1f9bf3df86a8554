/*
 * The buckets of fakes3.c: what was put, and in a bucket of the name gen-N also N objects that are
 * made up when they are asked for. One thread.
 */
#ifndef BENCH_FAKEBUCKET_H
#define BENCH_FAKEBUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { FAKEBUCKET_MAX_KEY = 1024 };

struct fakebucket;

/* What a page begins behind, and which keys it has. */
struct fakebucket_list {
    char prefix[FAKEBUCKET_MAX_KEY + 1];
    char after[FAKEBUCKET_MAX_KEY + 1]; /* "": from the beginning */
    uint64_t max_keys;
    bool is_url_encoded;
};

/* Made when it is not there. */
struct fakebucket *fakebucket_find(struct span name);
const char *fakebucket_name(const struct fakebucket *b);
/* Returns the object's ETag. */
uint64_t fakebucket_put(struct fakebucket *b, const char *key, struct span body);
/* The object's bytes; the caller owns the text. False: there is none. */
bool fakebucket_get(const struct fakebucket *b, const char *key, char **ret_body, size_t *ret_size);
/* Appends a page's <Contents>. True when more keys follow behind *ret_last. */
bool fakebucket_page(struct buf *out, const struct fakebucket *b, const struct fakebucket_list *l,
                     size_t *ret_n, char ret_last[FAKEBUCKET_MAX_KEY + 1]);
/* A key as text of XML, or as encoding-type=url wants it. */
void fakebucket_put_key(struct buf *out, const char *key, bool is_url_encoded);

#endif
