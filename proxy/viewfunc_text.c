/* Pieces of texts. */
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

enum { LEFT_SIDE = 1, RIGHT_SIDE = 2 };

static const char *find(struct span text, struct span what)
{
    return memmem(text.p, text.n, what.p, what.n); /* linear in glibc */
}

static struct span rest_of(struct span text, size_t n)
{
    return (struct span){text.p + n, text.n - n};
}

/* In bytes, as in Doris. */
static void run_length(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (!viewfunc_has_null(n, args)) {
        sqlite3_result_int64(to, (sqlite3_int64)viewfunc_span(args[0]).n);
    }
}

static void run_char_length(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (!viewfunc_has_null(n, args)) {
        sqlite3_result_int64(to, (sqlite3_int64)viewfunc_n_chars(viewfunc_span(args[0])));
    }
}

/* From the first of `what` in `text` from character `from` on; in characters, 0 is nowhere. */
static void put_place(sqlite3_context *to, struct span text, struct span what, int64_t from)
{
    if (from < 1 || (size_t)from > text.n + 1) {
        sqlite3_result_int64(to, 0);
        return;
    }
    size_t skipped = viewfunc_chars_size(text, (size_t)from - 1);
    const char *hit = find(rest_of(text, skipped), what);
    sqlite3_int64 place =
        hit != NULL ? (sqlite3_int64)viewfunc_n_chars(span_between(text.p, hit)) + 1 : 0;
    sqlite3_result_int64(to, place);
}

static void run_instr(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (!viewfunc_has_null(n, args)) {
        put_place(to, viewfunc_span(args[0]), viewfunc_span(args[1]), 1);
    }
}

static void run_locate(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (!viewfunc_has_null(n, args)) {
        put_place(to, viewfunc_span(args[1]), viewfunc_span(args[0]),
                  n > 2 ? sqlite3_value_int64(args[2]) : 1);
    }
}

/* From the end when `from` is negative; nothing from 0, as in Doris. */
static void run_substr(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    int64_t n_chars = (int64_t)viewfunc_n_chars(text);
    int64_t from = sqlite3_value_int64(args[1]);
    int64_t count = n > 2 ? sqlite3_value_int64(args[2]) : n_chars;
    if (from < -n_chars || from > n_chars || from == 0 || count <= 0) {
        viewfunc_put_text(to, "");
        return;
    }
    size_t skipped = (size_t)(from > 0 ? from - 1 : n_chars + from);
    text = rest_of(text, viewfunc_chars_size(text, skipped));
    viewfunc_put(to, (struct span){text.p, viewfunc_chars_size(text, (size_t)count)});
}

static void run_side(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    int64_t count = sqlite3_value_int64(args[1]);
    size_t n_chars = viewfunc_n_chars(text);
    size_t wanted = count < 0 ? 0 : (size_t)count;
    if (viewfunc_what(to) == LEFT_SIDE) {
        text.n = viewfunc_chars_size(text, wanted);
    } else if (wanted < n_chars) {
        text = rest_of(text, viewfunc_chars_size(text, n_chars - wanted));
    }
    viewfunc_put(to, text);
}

/* Everything before the count-th `what`, or with a negative count behind the -count-th last. */
static void run_substring_index(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct span what = viewfunc_span(args[1]);
    int64_t count = sqlite3_value_int64(args[2]);
    int64_t n_found = 0;
    struct span rest = text;
    for (const char *hit = find(rest, what); what.n > 0 && hit != NULL; hit = find(rest, what)) {
        rest = span_between(hit + what.n, text.p + text.n);
        n_found++;
    }
    int64_t wanted = count > 0 ? count : n_found + count + 1; /* the one to cut at */
    if (count == 0 || what.n == 0) {
        text.n = 0;
    } else if (wanted >= 1 && wanted <= n_found) {
        rest = text;
        const char *hit = NULL;
        for (int64_t i = 0; i < wanted; i++) {
            hit = find(rest, what);
            rest = span_between(hit + what.n, text.p + text.n);
        }
        text = count > 0 ? span_between(text.p, hit) : rest;
    }
    viewfunc_put(to, text);
}

/* Part 1 is the first, -1 the last; NULL when there is no such part, or `what` never occurs. */
static void run_split_part(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span rest = viewfunc_span(args[0]);
    struct span what = viewfunc_span(args[1]);
    int64_t part = sqlite3_value_int64(args[2]);
    int64_t n_parts = 1;
    for (const char *hit = find(rest, what); what.n > 0 && hit != NULL; hit = find(rest, what)) {
        rest = span_between(hit + what.n, rest.p + rest.n);
        n_parts++;
    }
    if (part < 0 && part >= -n_parts) {
        part = n_parts + part + 1;
    }
    if (n_parts == 1 || part < 1 || part > n_parts) {
        return;
    }
    rest = viewfunc_span(args[0]);
    for (int64_t i = 1; i < part; i++) {
        rest = span_between(find(rest, what) + what.n, rest.p + rest.n);
    }
    const char *end = find(rest, what);
    viewfunc_put(to, end != NULL ? span_between(rest.p, end) : rest);
}

static void run_replace(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct span what = viewfunc_span(args[1]);
    struct span with = viewfunc_span(args[2]);
    struct buf out = viewfunc_buf(to);
    const char *hit = what.n > 0 ? find(text, what) : NULL;
    while (hit != NULL && buf_ok(&out)) {
        buf_append(&out, text.p, (size_t)(hit - text.p));
        buf_append_span(&out, with);
        text = span_between(hit + what.n, text.p + text.n);
        hit = find(text, what);
    }
    buf_append_span(&out, text);
    viewfunc_put_buf(to, &out);
}

/* Takes `what` away as a whole, again and again. */
static void run_trim(sqlite3_context *to, int n, sqlite3_value **args)
{
    int sides = viewfunc_what(to);
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct span what = n > 1 ? viewfunc_span(args[1]) : SPAN_LIT(" ");
    bool is_possible = what.n > 0;
    while (is_possible && (sides & LEFT_SIDE) != 0 && text.n >= what.n &&
           memcmp(text.p, what.p, what.n) == 0) {
        text = rest_of(text, what.n);
    }
    while (is_possible && (sides & RIGHT_SIDE) != 0 && text.n >= what.n &&
           memcmp(text.p + text.n - what.n, what.p, what.n) == 0) {
        text.n -= what.n;
    }
    viewfunc_put(to, text);
}

static void run_begins(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct span what = viewfunc_span(args[1]);
    size_t at = viewfunc_what(to) == LEFT_SIDE || what.n > text.n ? 0 : text.n - what.n;
    sqlite3_result_int(to, what.n <= text.n && memcmp(text.p + at, what.p, what.n) == 0);
}

/* The place in "a,b,c", from 1 on. */
static void run_find_in_set(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span what = viewfunc_span(args[0]);
    struct span rest = viewfunc_span(args[1]);
    sqlite3_int64 place = 0;
    bool is_more = memchr(what.p, ',', what.n) == NULL && rest.n > 0;
    for (sqlite3_int64 i = 1; is_more && place == 0; i++) {
        const char *comma = memchr(rest.p, ',', rest.n);
        struct span item = comma != NULL ? span_between(rest.p, comma) : rest;
        place = span_eq(item, what) ? i : 0;
        is_more = comma != NULL;
        rest = is_more ? rest_of(rest, item.n + 1) : rest;
    }
    sqlite3_result_int64(to, place);
}

const struct viewfunc viewfunc_text[] = {
    {.name = "length", .n_args = 1, .run = run_length},
    {.name = "octet_length", .n_args = 1, .run = run_length},
    {.name = "char_length", .n_args = 1, .run = run_char_length},
    {.name = "character_length", .n_args = 1, .run = run_char_length},
    {.name = "instr", .n_args = 2, .run = run_instr},
    {.name = "locate", .n_args = 2, .run = run_locate},
    {.name = "locate", .n_args = 3, .run = run_locate},
    {.name = "substr", .n_args = 2, .run = run_substr},
    {.name = "substr", .n_args = 3, .run = run_substr},
    {.name = "substring", .n_args = 2, .run = run_substr},
    {.name = "substring", .n_args = 3, .run = run_substr},
    {.name = "mid", .n_args = 2, .run = run_substr},
    {.name = "mid", .n_args = 3, .run = run_substr},
    {.name = "left", .n_args = 2, .run = run_side, .what = LEFT_SIDE},
    {.name = "strleft", .n_args = 2, .run = run_side, .what = LEFT_SIDE},
    {.name = "right", .n_args = 2, .run = run_side, .what = RIGHT_SIDE},
    {.name = "strright", .n_args = 2, .run = run_side, .what = RIGHT_SIDE},
    {.name = "substring_index", .n_args = 3, .run = run_substring_index},
    {.name = "split_part", .n_args = 3, .run = run_split_part},
    {.name = "replace", .n_args = 3, .run = run_replace},
    {.name = "trim", .n_args = 1, .run = run_trim, .what = LEFT_SIDE | RIGHT_SIDE},
    {.name = "trim", .n_args = 2, .run = run_trim, .what = LEFT_SIDE | RIGHT_SIDE},
    {.name = "ltrim", .n_args = 1, .run = run_trim, .what = LEFT_SIDE},
    {.name = "ltrim", .n_args = 2, .run = run_trim, .what = LEFT_SIDE},
    {.name = "rtrim", .n_args = 1, .run = run_trim, .what = RIGHT_SIDE},
    {.name = "rtrim", .n_args = 2, .run = run_trim, .what = RIGHT_SIDE},
    {.name = "starts_with", .n_args = 2, .run = run_begins, .what = LEFT_SIDE},
    {.name = "ends_with", .n_args = 2, .run = run_begins, .what = RIGHT_SIDE},
    {.name = "find_in_set", .n_args = 2, .run = run_find_in_set},
    {0},
};
