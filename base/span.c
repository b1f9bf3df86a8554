#include <ctype.h>
#include <strings.h>

#include "base/span.h"
#include "base/xmalloc.h"

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_ieq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool span_eq_text(struct span a, const char *text)
{
    return span_eq(a, span_of(text));
}

bool span_ieq_text(struct span a, const char *text)
{
    return span_ieq(a, span_of(text));
}

bool span_starts_with(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && span_eq((struct span){s.p, n}, (struct span){prefix, n});
}

bool span_istarts_with(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && span_ieq((struct span){s.p, n}, (struct span){prefix, n});
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    if (order != 0) {
        return order;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

struct span span_trim(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

char *span_dup(struct span s)
{
    return xmemdup0(s.p, s.n);
}

bool span_to_uint64(struct span s, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.n == 0) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value)) {
            return false;
        }
    }
    *ret = value;
    return true;
}

bool span_to_int64(struct span s, int64_t min, int64_t max, int64_t *ret)
{
    bool is_negative = s.n > 0 && s.p[0] == '-';
    uint64_t magnitude = 0;
    int64_t value = 0;
    if (is_negative) {
        s.p++;
        s.n--;
    }
    if (!span_to_uint64(s, &magnitude)) {
        return false;
    }
    if (is_negative) {
        if (magnitude > (uint64_t)INT64_MAX + 1) {
            return false;
        }
        value = (int64_t)(0 - magnitude);
    } else {
        if (magnitude > INT64_MAX) {
            return false;
        }
        value = (int64_t)magnitude;
    }
    if (value < min || value > max) {
        return false;
    }
    *ret = value;
    return true;
}
