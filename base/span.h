/*
 * A span is a piece of text or bytes owned by somebody else: a packet, a file, a statement. It is
 * never assumed to be NUL-terminated and never outlives its buffer; copy it to keep it.
 * Letter case is ASCII's everywhere. Any thread.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

/* printf("%.*s", SPAN_ARG(s)); spans longer than INT_MAX are cut. */
#define SPAN_ARG(s)    (int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n), (s).p
#define SPAN_LIT(text) ((struct span){.p = (text), .n = sizeof(text) - 1})

static inline struct span span_of(const char *text)
{
    return (struct span){.p = text, .n = text != NULL ? strlen(text) : 0};
}

static inline struct span span_between(const char *from, const char *to)
{
    return (struct span){.p = from, .n = (size_t)(to - from)};
}

bool span_eq(struct span a, struct span b);
/* Equal but for ASCII letter case. */
bool span_ieq(struct span a, struct span b);
bool span_eq_text(struct span a, const char *text);
bool span_ieq_text(struct span a, const char *text);
bool span_starts_with(struct span s, const char *prefix);
bool span_istarts_with(struct span s, const char *prefix);
/* memcmp order, the shorter first: the order of keys in an object store. */
int span_cmp(struct span a, struct span b);
/* Without leading and trailing blanks, tabs and line ends. */
struct span span_trim(struct span s);
/* The caller owns the copy, which ends with a NUL. */
char *span_dup(struct span s);

/*
 * Decimal integers, whole text, no blanks, no '+'. False, and *ret untouched, for anything else or
 * a value outside [min, max].
 */
bool span_to_int64(struct span s, int64_t min, int64_t max, int64_t *ret);
bool span_to_uint64(struct span s, uint64_t *ret);

#endif
