#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/xmalloc.h"

enum { SMALLEST_SIZE = 64 };

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->is_failed = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->is_failed || b->len > b->max || n > b->max - b->len) {
        b->is_failed = true;
        return NULL;
    }
    if (b->data == NULL || n > b->size - b->len) {
        size_t wanted = b->len + n;
        size_t size = b->size < SMALLEST_SIZE ? SMALLEST_SIZE : b->size;
        while (size < wanted) {
            size = size > b->max / 2 ? wanted : size * 2;
        }
        b->data = xrealloc_array(b->data, size, 1);
        b->size = size;
    }
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    char *to = buf_reserve(b, n);
    if (to != NULL && n > 0) {
        memcpy(to, p, n);
        b->len += n;
    }
}

void buf_append_span(struct buf *b, struct span s)
{
    buf_append(b, s.p, s.n);
}

void buf_append_text(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_append_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) {
        text = NULL; /* undefined after a failure */
        b->is_failed = true;
        return;
    }
    buf_append(b, text, (size_t)n);
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len > 0) {
        memmove(b->data, b->data + n, b->len);
    }
}

const char *buf_text(struct buf *b)
{
    if (b->is_failed) {
        return "";
    }
    if (b->data == NULL || b->len == b->size) {
        b->data = xrealloc_array(b->data, b->size + SMALLEST_SIZE, 1);
        b->size += SMALLEST_SIZE;
    }
    b->data[b->len] = '\0';
    return b->data;
}

char *buf_take_text(struct buf *b)
{
    if (b->is_failed) {
        buf_reset(b);
    }
    (void)buf_text(b); /* called for the NUL it writes */
    char *text = b->data;
    *b = (struct buf){.max = b->max};
    return text;
}
