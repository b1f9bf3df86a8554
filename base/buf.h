/*
 * A growing byte buffer that is born with a maximum.
 *
 *     data                 data + len          data + size
 *      |====== content ======|······ room ·······|
 *
 * Writers are sticky: an append that would pass `max` sets is_failed and every later append does
 * nothing, so a builder checks buf_ok() once, at the end. Content is not NUL-terminated; use
 * buf_text() where a C string is wanted. Owned by one thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct buf {
    char *data;     /* owned; NULL while empty */
    size_t len;     /* bytes of content */
    size_t size;    /* bytes allocated */
    size_t max;     /* content never gets longer than this */
    bool is_failed; /* an append did not fit */
};

/* A value that is ready for use; nothing is allocated before the first append. */
static inline struct buf buf_with_max(size_t max)
{
    return (struct buf){.max = max};
}

void buf_fini(struct buf *b);
/* Empties the content, forgets a failure, keeps the memory. */
void buf_reset(struct buf *b);
static inline bool buf_ok(const struct buf *b)
{
    return !b->is_failed;
}
static inline struct span buf_span(const struct buf *b)
{
    return (struct span){.p = b->data, .n = b->len};
}

/* Makes room for n more bytes and returns where they go; NULL when that would pass max. */
char *buf_reserve(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *p, size_t n);
void buf_append_span(struct buf *b, struct span s);
void buf_append_text(struct buf *b, const char *text);
void buf_append_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes n bytes from the front; n <= len. */
void buf_consume(struct buf *b, size_t n);
/* The content with a NUL behind it; valid until the next change. "" when failed or empty. */
const char *buf_text(struct buf *b);
/* Ownership of the content, NUL-terminated, moves to the caller; b is empty afterwards. */
char *buf_take_text(struct buf *b);

#define _cleanup_buf_ __attribute__((cleanup(buf_fini)))

#endif
