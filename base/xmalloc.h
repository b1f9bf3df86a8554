/*
 * Memory of sizes that we choose: these calls abort when memory is exhausted, so that no caller
 * carries a branch it cannot test. Sizes that come from a peer or a file go through buf.h, which
 * has a maximum. Any thread.
 */
#ifndef BASE_XMALLOC_H
#define BASE_XMALLOC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc_array(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull, nonnull));
/* Copies n bytes and ends them with a NUL. */
char *xmemdup0(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *xvasprintf(const char *format, va_list args)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 0)));
char *xasprintf(const char *format, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* Ownership of *pp moves to the caller; *pp is NULL afterwards. */
#define take_ptr(p)                                                                                \
    ({                                                                                             \
        __auto_type take_from_ = &(p);                                                             \
        __typeof__(*take_from_) taken_ = *take_from_;                                              \
        *take_from_ = NULL;                                                                        \
        taken_;                                                                                    \
    })

/* _cleanup_(f): calls f(&variable) when the variable goes out of scope. */
#define _cleanup_(f) __attribute__((cleanup(f)))

/* Defines f_p(), the form of a destructor that _cleanup_ wants. `type` is a type: no parentheses. */
#define DEFINE_CLEANUP(type, f)                                                                    \
    static inline void f##_p(type *p) /* NOLINT(bugprone-macro-parentheses) */                     \
    {                                                                                              \
        f(*p);                                                                                     \
    }

static inline void free_p(void *p)
{
    free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(free_p)

/* Closes *fd unless it is -1. */
void close_p(int *fd);
#define _cleanup_close_ _cleanup_(close_p)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
