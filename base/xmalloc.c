#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/xmalloc.h"

static void *must_have(void *p)
{
    if (p == NULL) {
        (void)fputs("sluice: out of memory\n", stderr); /* about to abort, nothing else to do */
        abort();
    }
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    return must_have(calloc(n > 0 ? n : 1, size > 0 ? size : 1));
}

void *xrealloc_array(void *p, size_t n, size_t size)
{
    return must_have(reallocarray(p, n > 0 ? n : 1, size > 0 ? size : 1));
}

char *xstrdup(const char *s)
{
    return must_have(strdup(s));
}

char *xmemdup0(const void *p, size_t n)
{
    if (n == SIZE_MAX) {
        (void)must_have(NULL); /* no such object exists */
    }
    char *copy = xcalloc(n + 1, 1);
    if (n > 0) {
        memcpy(copy, p, n);
    }
    return copy;
}

char *xvasprintf(const char *format, va_list args)
{
    char *text = NULL;
    int n = vasprintf(&text, format, args);
    return must_have(n < 0 ? NULL : text);
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    return text;
}

void close_p(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd); /* nothing was buffered on it */
        *fd = -1;
    }
}
