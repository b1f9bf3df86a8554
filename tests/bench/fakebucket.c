#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/xmalloc.h"
#include "tests/bench/fakebucket.h"

enum { MAX_KEY = FAKEBUCKET_MAX_KEY, N_DIGITS = 10 };

#define GENERATED_PREFIX "k/"
#define GENERATED_SUFFIX ".csv"

struct object {
    char *key;  /* owned */
    char *body; /* owned */
    size_t size;
    uint64_t etag;
    time_t put_s;
};

struct fakebucket {
    struct fakebucket *next;
    char *name; /* owned */
    uint64_t n_generated;
    struct object *objects; /* owned; those that were put, by key */
    size_t n_objects, objects_size;
};

static struct fakebucket *buckets;
static uint64_t n_puts;

const char *fakebucket_name(const struct fakebucket *b)
{
    return b->name;
}

/* --- buckets ---------------------------------------------------------------------------------- */

struct fakebucket *fakebucket_find(struct span name)
{
    for (struct fakebucket *b = buckets; b != NULL; b = b->next) {
        if (span_eq_text(name, b->name)) {
            return b;
        }
    }
    struct fakebucket *b = xcalloc(1, sizeof(*b));
    b->name = span_dup(name);
    if (span_starts_with(name, "gen-") &&
        !span_to_uint64((struct span){name.p + 4, name.n - 4}, &b->n_generated)) {
        b->n_generated = 0;
    }
    b->next = buckets;
    buckets = b;
    return b;
}

static void generated_key(uint64_t i, char ret[MAX_KEY + 1])
{
    size_t at = sizeof(GENERATED_PREFIX) - 1;
    memcpy(ret, GENERATED_PREFIX, at);
    for (size_t d = N_DIGITS; d > 0; d--) {
        ret[at + d - 1] = (char)('0' + i % 10);
        i /= 10;
    }
    memcpy(ret + at + N_DIGITS, GENERATED_SUFFIX, sizeof(GENERATED_SUFFIX));
}

/* The index of the first put object whose key is not below `key`. */
static size_t lower_bound(const struct fakebucket *b, const char *key)
{
    size_t low = 0;
    size_t high = b->n_objects;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(b->objects[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t lower_generated(const struct fakebucket *b, const char *key)
{
    char at[MAX_KEY + 1];
    uint64_t low = 0;
    uint64_t high = b->n_generated;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        generated_key(middle, at);
        if (strcmp(at, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t hash_of(struct span body, uint64_t n)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ n;
    for (size_t i = 0; i < body.n; i++) {
        hash = (hash ^ (unsigned char)body.p[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

uint64_t fakebucket_put(struct fakebucket *b, const char *key, struct span body)
{
    size_t at = lower_bound(b, key);
    bool is_there = at < b->n_objects && strcmp(b->objects[at].key, key) == 0;
    if (!is_there) {
        if (b->n_objects == b->objects_size) {
            b->objects_size = b->objects_size > 0 ? b->objects_size * 2 : 16;
            b->objects = xrealloc_array(b->objects, b->objects_size, sizeof(*b->objects));
        }
        memmove(&b->objects[at + 1], &b->objects[at], (b->n_objects - at) * sizeof(*b->objects));
        b->objects[at] = (struct object){.key = xstrdup(key)};
        b->n_objects++;
    }
    struct object *o = &b->objects[at];
    free(o->body);
    o->body = span_dup(body);
    o->size = body.n;
    o->etag = hash_of(body, ++n_puts);
    o->put_s = time(NULL);
    return o->etag;
}

bool fakebucket_get(const struct fakebucket *b, const char *key, char **ret_body, size_t *ret_size)
{
    char found[MAX_KEY + 1] = "";
    size_t at = lower_bound(b, key);
    if (at < b->n_objects && strcmp(b->objects[at].key, key) == 0) {
        *ret_body = xmemdup0(b->objects[at].body, b->objects[at].size);
        *ret_size = b->objects[at].size;
        return true;
    }
    uint64_t i = lower_generated(b, key);
    if (i < b->n_generated) {
        generated_key(i, found);
    }
    if (strcmp(found, key) != 0) {
        return false;
    }
    *ret_body = xasprintf("%012" PRIu64 ",generated-object-0\n", i); /* 32 bytes, as listed */
    *ret_size = strlen(*ret_body);
    return true;
}

/* --- pages ------------------------------------------------------------------------------------- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.~/", c) != NULL);
}

void fakebucket_put_key(struct buf *out, const char *key, bool is_url_encoded)
{
    for (const char *p = key; *p != '\0'; p++) {
        if (is_plain(*p)) {
            buf_append_char(out, *p);
        } else if (is_url_encoded) {
            buf_printf(out, "%%%02X", (unsigned char)*p);
        } else {
            buf_printf(out, "&#%u;",
                       (unsigned char)*p); /* ASCII; other bytes are asked for encoded */
        }
    }
}

static void put_entry(struct buf *out, const char *key, bool is_url_encoded, uint64_t etag,
                      size_t size, time_t put_s)
{
    struct tm parts;
    char date[64];
    (void)gmtime_r(&put_s, &parts);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S.000Z", &parts);
    buf_append_text(out, "<Contents><Key>");
    fakebucket_put_key(out, key, is_url_encoded);
    buf_printf(out,
               "</Key><LastModified>%s</LastModified><ETag>&quot;%032" PRIx64 "&quot;</ETag>"
               "<Size>%zu</Size><StorageClass>STANDARD</StorageClass></Contents>",
               date, etag, size);
}

/* A generated object's part of a page is made without printf: a million of them in a second. */
static void put_generated(struct buf *out, const char *key)
{
    static const char middle[] = "</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                                 "<ETag>&quot;0000000000000000000000";
    static const char end[] = "&quot;</ETag><Size>32</Size><StorageClass>STANDARD</StorageClass>"
                              "</Contents>";
    buf_append_text(out, "<Contents><Key>");
    buf_append_text(out, key);
    buf_append(out, middle, sizeof(middle) - 1);
    buf_append(out, key + sizeof(GENERATED_PREFIX) - 1, N_DIGITS);
    buf_append(out, end, sizeof(end) - 1);
}

static bool has_prefix(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

/* Where a page begins: behind `after`, and not before the prefix. */
static void begin_page(const struct fakebucket *b, const struct fakebucket_list *l,
                       uint64_t *ret_generated, size_t *ret_put)
{
    bool is_behind = strcmp(l->after, l->prefix) >= 0 && l->after[0] != '\0';
    const char *from = is_behind ? l->after : l->prefix;
    char key[MAX_KEY + 1];
    *ret_generated = lower_generated(b, from);
    *ret_put = lower_bound(b, from);
    if (is_behind && *ret_generated < b->n_generated) {
        generated_key(*ret_generated, key);
        *ret_generated += strcmp(key, from) == 0;
    }
    if (is_behind && *ret_put < b->n_objects) {
        *ret_put += strcmp(b->objects[*ret_put].key, from) == 0;
    }
}

/* The keys of a page; true when more follow. */
bool fakebucket_page(struct buf *out, const struct fakebucket *b, const struct fakebucket_list *l,
                     size_t *ret_n, char ret_last[MAX_KEY + 1])
{
    uint64_t g = 0;
    size_t p = 0;
    begin_page(b, l, &g, &p);
    for (*ret_n = 0;; (*ret_n)++) {
        char key[MAX_KEY + 1];
        bool has_generated = g < b->n_generated;
        if (has_generated) {
            generated_key(g, key);
            has_generated = has_prefix(key, l->prefix);
        }
        const struct object *o = p < b->n_objects ? &b->objects[p] : NULL;
        o = o != NULL && has_prefix(o->key, l->prefix) ? o : NULL;
        if (!has_generated && o == NULL) {
            return false;
        }
        if (*ret_n == l->max_keys) {
            return true;
        }
        int order = !has_generated ? 1 : o == NULL ? -1 : strcmp(key, o->key);
        if (order < 0) {
            put_generated(out, key);
            (void)snprintf(ret_last, MAX_KEY + 1, "%s", key); /* fits */
            g++;
        } else {
            put_entry(out, o->key, l->is_url_encoded, o->etag, o->size, o->put_s);
            (void)snprintf(ret_last, MAX_KEY + 1, "%s", o->key); /* fits */
            p++;
            g += order == 0; /* put over a generated one */
        }
    }
}
