#include "sources/fe_version.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads up to three digits at s->p; -1 when there are none or more. */
static int take_number(struct span *s)
{
    int value = 0;
    size_t n = 0;
    while (n < s->n && is_digit(s->p[n])) {
        if (n == 3) {
            return -1;
        }
        value = value * 10 + (s->p[n] - '0');
        n++;
    }
    s->p += n;
    s->n -= n;
    return n > 0 ? value : -1;
}

static bool take_dot(struct span *s)
{
    if (s->n == 0 || s->p[0] != '.') {
        return false;
    }
    s->p++;
    s->n--;
    return true;
}

/* n.n.n at the front of s, else 0. */
static int version_at(struct span s)
{
    int major = take_number(&s);
    if (major < 0 || !take_dot(&s)) {
        return 0;
    }
    int minor = take_number(&s);
    if (minor < 0 || !take_dot(&s) || take_number(&s) < 0) {
        return 0;
    }
    return major * 1000 + minor;
}

int fe_version_parse(struct span comment)
{
    for (size_t i = 0; i < comment.n; i++) {
        bool is_start = is_digit(comment.p[i]) &&
                        (i == 0 || (!is_digit(comment.p[i - 1]) && comment.p[i - 1] != '.'));
        if (is_start) {
            int version = version_at((struct span){.p = comment.p + i, .n = comment.n - i});
            if (version > 0) {
                return version;
            }
        }
    }
    return 0;
}
