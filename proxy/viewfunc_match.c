/* LIKE, and REGEXP by regex.h. */
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

enum { PATTERN_MAX_BYTES = 10000, STEPS_BETWEEN_LOOKS = 4 * 1024 * 1024 };

enum { PIECE_BYTE, PIECE_ONE, PIECE_MANY };

/* A pattern taken apart: its bytes, and what each of them is. */
struct pattern {
    char bytes[PATTERN_MAX_BYTES];
    uint8_t kinds[PATTERN_MAX_BYTES];
    size_t n;
};

/* `escape` is one byte, or '\0' for none. At the end of the pattern it stands for itself. */
static void take_apart(struct span text, char escape, struct pattern *ret)
{
    ret->n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        uint8_t kind = c == '%' ? PIECE_MANY : c == '_' ? PIECE_ONE : PIECE_BYTE;
        if (c == escape && escape != '\0' && i + 1 < text.n) {
            i++;
            c = text.p[i];
            kind = PIECE_BYTE;
        }
        ret->bytes[ret->n] = c;
        ret->kinds[ret->n++] = kind;
    }
}

/* Do pieces from..to, without PIECE_MANY, begin `text`? Adds the bytes they take to *ret_size. */
static bool fits(const struct pattern *p, size_t from, size_t to, struct span text,
                 size_t *ret_size)
{
    size_t at = 0;
    for (size_t i = from; i < to; i++) {
        if (at == text.n) {
            return false;
        }
        if (p->kinds[i] == PIECE_ONE) {
            at += viewfunc_char_size((struct span){text.p + at, text.n - at});
        } else if (text.p[at++] != p->bytes[i]) {
            return false;
        }
    }
    *ret_size = at;
    return true;
}

static bool has_one(const struct pattern *p, size_t from, size_t to)
{
    return memchr(p->kinds + from, PIECE_ONE, to - from) != NULL;
}

/* YES, NO, or past the deadline: `to` has the error. */
enum match { MATCH_NO, MATCH_YES, MATCH_LATE };

/* The first place in *text where they fit; *text is what is behind it then. */
static enum match seek(sqlite3_context *to, const struct pattern *p, size_t from, size_t end,
                       struct span *text)
{
    size_t size = 0;
    if (!has_one(p, from, end)) {
        const char *hit = memmem(text->p, text->n, p->bytes + from, end - from);
        if (hit != NULL) {
            *text = span_between(hit + (end - from), text->p + text->n);
        }
        return hit != NULL ? MATCH_YES : MATCH_NO;
    }
    size_t n_tries = STEPS_BETWEEN_LOOKS / (end - from);
    for (size_t at = 0; at < text->n; at++) {
        struct span rest = {text->p + at, text->n - at};
        if (!viewfunc_is_in_char(rest.p[0]) && fits(p, from, end, rest, &size)) {
            *text = (struct span){rest.p + size, rest.n - size};
            return MATCH_YES;
        }
        if (at % n_tries == n_tries - 1 && viewfunc_is_late(to)) {
            return MATCH_LATE;
        }
    }
    return MATCH_NO;
}

/* Does the piece fit the end of the text, wherever it begins? */
static bool fits_end(const struct pattern *p, size_t from, size_t to, struct span text)
{
    size_t at = text.n;
    for (size_t i = to; i > from; i--) {
        if (at == 0) {
            return false;
        }
        at--;
        while (p->kinds[i - 1] == PIECE_ONE && at > 0 && viewfunc_is_in_char(text.p[at])) {
            at--;
        }
        if (p->kinds[i - 1] == PIECE_BYTE && text.p[at] != p->bytes[i - 1]) {
            return false;
        }
    }
    return true;
}

/* What is between two % goes where it fits first: that leaves most room for the rest. */
static enum match match(sqlite3_context *to, const struct pattern *p, struct span text)
{
    size_t size = 0;
    size_t first = 0;
    while (first < p->n && p->kinds[first] != PIECE_MANY) {
        first++;
    }
    if (!fits(p, 0, first, text, &size)) {
        return MATCH_NO;
    }
    text = (struct span){text.p + size, text.n - size};
    if (first == p->n) {
        return text.n == 0 ? MATCH_YES : MATCH_NO;
    }
    size_t from = first + 1;
    for (size_t i = from; i < p->n; i++) {
        if (p->kinds[i] == PIECE_MANY) {
            enum match found = i > from ? seek(to, p, from, i, &text) : MATCH_YES;
            if (found != MATCH_YES) {
                return found;
            }
            from = i + 1;
        }
    }
    return fits_end(p, from, p->n, text) ? MATCH_YES : MATCH_NO;
}

/* The pattern first: x LIKE p is like(p, x). */
static void run_like(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct pattern pattern;
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct span escape = n > 2 ? viewfunc_span(args[2]) : SPAN_LIT("\\");
    if (text.n > PATTERN_MAX_BYTES || escape.n > 1) {
        sqlite3_result_error(
            to, "LIKE takes patterns of up to 10000 bytes, and one byte to escape with", -1);
        return;
    }
    take_apart(text, escape.n > 0 ? escape.p[0] : '\0', &pattern);
    enum match found = match(to, &pattern, viewfunc_span(args[1]));
    if (found != MATCH_LATE) {
        sqlite3_result_int(to, found == MATCH_YES);
    }
}

const struct viewfunc viewfunc_match[] = {
    {.name = "like", .n_args = 2, .run = run_like},
    {.name = "like", .n_args = 3, .run = run_like},
    {0},
};
