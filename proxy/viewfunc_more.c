/* Texts made of others. */
#include <ctype.h>
#include <inttypes.h>
#include <locale.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

enum { REPEAT_MAX = 10000 }; /* as in Doris */
enum { TO_LOWER, TO_UPPER };
enum { PAD_LEFT, PAD_RIGHT };

static void run_concat(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct buf out = viewfunc_buf(to);
    for (int i = 0; i < n; i++) {
        buf_append_span(&out, viewfunc_span(args[i]));
    }
    viewfunc_put_buf(to, &out);
}

/* NULLs behind the separator are left out. */
static void run_concat_ws(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (n < 1 || viewfunc_has_null(1, args)) {
        return;
    }
    struct buf out = viewfunc_buf(to);
    bool is_first = true;
    for (int i = 1; i < n; i++) {
        if (sqlite3_value_type(args[i]) != SQLITE_NULL) {
            if (!is_first) {
                buf_append_span(&out, viewfunc_span(args[0]));
            }
            buf_append_span(&out, viewfunc_span(args[i]));
            is_first = false;
        }
    }
    viewfunc_put_buf(to, &out);
}

/* --- letter case ------------------------------------------------------------------------------ */

/* NULL on a machine without it: ASCII letters only, then. */
static locale_t utf8_locale(struct viewfunc_env *env)
{
    if (env->lower_locale == NULL) {
        env->lower_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    }
    return env->lower_locale;
}

/* 0 when there is none at `text`. Two to four bytes; an ASCII letter is not asked for. */
static size_t take_wide(struct span text, wchar_t *ret)
{
    unsigned char first = (unsigned char)text.p[0];
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size != viewfunc_char_size(text)) {
        return 0;
    }
    uint32_t c = first & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        c = c << 6 | ((unsigned char)text.p[i] & 0x3fU);
    }
    *ret = (wchar_t)c;
    return size;
}

static void put_wide(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_append_char(out, (char)c);
        return;
    }
    unsigned n_more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    buf_append_char(out, (char)((0xff00U >> (n_more + 1) & 0xff) | c >> (6 * n_more)));
    for (unsigned i = n_more; i > 0; i--) {
        buf_append_char(out, (char)(0x80 | (c >> (6 * (i - 1)) & 0x3f)));
    }
}

static void run_case(sqlite3_context *to, int n, sqlite3_value **args)
{
    bool is_lower = viewfunc_what(to) == TO_LOWER;
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct buf out = viewfunc_buf(to);
    locale_t locale = (locale_t)0;
    for (size_t i = 0; i < text.n && buf_ok(&out);) {
        wchar_t wide = 0;
        size_t size = 0;
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80 && (locale = utf8_locale(viewfunc_env_of(to))) != (locale_t)0) {
            size = take_wide((struct span){text.p + i, text.n - i}, &wide);
        }
        if (size > 0) {
            wint_t other =
                is_lower ? towlower_l((wint_t)wide, locale) : towupper_l((wint_t)wide, locale);
            put_wide(&out, (uint32_t)other);
            i += size;
        } else {
            bool is_letter = is_lower ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z';
            buf_append_char(&out, (char)(is_letter ? c ^ 0x20 : c));
            i++;
        }
    }
    viewfunc_put_buf(to, &out);
}

/* --- more of it ------------------------------------------------------------------------------- */

/* Cut when the text is longer; NULL for a negative length and for nothing to fill with. */
static void run_pad(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct span fill = viewfunc_span(args[2]);
    int64_t wanted = sqlite3_value_int64(args[1]);
    size_t n_chars = viewfunc_n_chars(text);
    if (wanted < 0 || (fill.n == 0 && (size_t)wanted > n_chars)) {
        return;
    }
    struct buf padding = viewfunc_buf(to);
    struct buf out = viewfunc_buf(to);
    size_t at = 0;
    for (size_t i = n_chars; i < (size_t)wanted && buf_ok(&padding); i++) {
        size_t size = viewfunc_char_size((struct span){fill.p + at, fill.n - at});
        buf_append(&padding, fill.p + at, size);
        at = at + size < fill.n ? at + size : 0;
    }
    text.n = viewfunc_chars_size(text, (size_t)wanted);
    bool is_left = viewfunc_what(to) == PAD_LEFT;
    buf_append_span(&out, is_left ? buf_span(&padding) : text);
    buf_append_span(&out, is_left ? text : buf_span(&padding));
    out.is_failed = out.is_failed || padding.is_failed;
    buf_fini(&padding);
    viewfunc_put_buf(to, &out);
}

static void run_repeat(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = n > 1 ? viewfunc_span(args[0]) : SPAN_LIT(" ");
    int64_t count = sqlite3_value_int64(args[n - 1]);
    struct buf out = viewfunc_buf(to);
    for (int64_t i = 0; i < count && i < REPEAT_MAX && buf_ok(&out); i++) {
        buf_append_span(&out, text);
    }
    viewfunc_put_buf(to, &out);
}

static void run_reverse(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    struct buf out = viewfunc_buf(to);
    size_t end = text.n;
    while (end > 0 && buf_ok(&out)) {
        size_t at = end - 1;
        while (at > 0 && viewfunc_is_in_char(text.p[at])) {
            at--;
        }
        buf_append(&out, text.p + at, end - at);
        end = at;
    }
    viewfunc_put_buf(to, &out);
}

static void put_hex(struct buf *out, struct span bytes, const char *digits)
{
    for (size_t i = 0; i < bytes.n && buf_ok(out); i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        buf_append_char(out, digits[c >> 4]);
        buf_append_char(out, digits[c & 15]);
    }
}

/* A number in base 16, a text byte by byte. */
static void run_hex(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct buf out = viewfunc_buf(to);
    if (sqlite3_value_type(args[0]) == SQLITE_INTEGER) {
        buf_printf(&out, "%" PRIX64, (uint64_t)sqlite3_value_int64(args[0]));
    } else {
        put_hex(&out, viewfunc_span(args[0]), "0123456789ABCDEF");
    }
    viewfunc_put_buf(to, &out);
}

static void run_md5(sqlite3_context *to, int n, sqlite3_value **args)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    if (EVP_Digest(text.p, text.n, sum, &size, EVP_md5(), NULL) != 1) {
        sqlite3_result_error(to, "this machine's OpenSSL refuses MD5", -1);
        return;
    }
    struct buf out = viewfunc_buf(to);
    put_hex(&out, (struct span){(const char *)sum, size}, "0123456789abcdef");
    viewfunc_put_buf(to, &out);
}

/* The place of the first argument among the others. */
static void run_field(sqlite3_context *to, int n, sqlite3_value **args)
{
    int place = 0;
    for (int i = 1; i < n && place == 0 && !viewfunc_has_null(1, args); i++) {
        bool is_null = sqlite3_value_type(args[i]) == SQLITE_NULL;
        place = !is_null && span_eq(viewfunc_span(args[0]), viewfunc_span(args[i])) ? i : 0;
    }
    sqlite3_result_int(to, place);
}

/* --- GROUP_CONCAT ----------------------------------------------------------------------------- */

struct group {
    sqlite3_str *text; /* SQLite's memory, which is counted; NULL before the first value */
};

static void step_group(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct group *g = sqlite3_aggregate_context(to, sizeof(*g));
    if (g == NULL || viewfunc_has_null(n, args)) {
        return; /* without memory the final step says so */
    }
    if (g->text == NULL) {
        g->text = sqlite3_str_new(sqlite3_context_db_handle(to));
    } else if (n > 1) {
        struct span by = viewfunc_span(args[1]);
        sqlite3_str_append(g->text, by.p, (int)by.n);
    } else {
        sqlite3_str_append(g->text, ", ", 2);
    }
    struct span value = viewfunc_span(args[0]);
    sqlite3_str_append(g->text, value.p, (int)value.n); /* within SQLITE_LIMIT_LENGTH */
}

static void final_group(sqlite3_context *to)
{
    struct group *g = sqlite3_aggregate_context(to, 0);
    if (g == NULL || g->text == NULL) {
        return;
    }
    int rc = sqlite3_str_errcode(g->text);
    int n = sqlite3_str_length(g->text);
    char *text = sqlite3_str_finish(g->text);
    if (rc == SQLITE_TOOBIG) {
        sqlite3_result_error_toobig(to);
        sqlite3_free(text);
    } else if (rc != SQLITE_OK) {
        sqlite3_result_error_nomem(to);
        sqlite3_free(text);
    } else if (text == NULL) {
        viewfunc_put_text(to, "");
    } else {
        sqlite3_result_text(to, text, n, sqlite3_free);
    }
}

const struct viewfunc viewfunc_text_more[] = {
    {.name = "concat", .n_args = -1, .run = run_concat},
    {.name = "concat_ws", .n_args = -1, .run = run_concat_ws},
    {.name = "lower", .n_args = 1, .run = run_case, .what = TO_LOWER},
    {.name = "lcase", .n_args = 1, .run = run_case, .what = TO_LOWER},
    {.name = "upper", .n_args = 1, .run = run_case, .what = TO_UPPER},
    {.name = "ucase", .n_args = 1, .run = run_case, .what = TO_UPPER},
    {.name = "lpad", .n_args = 3, .run = run_pad, .what = PAD_LEFT},
    {.name = "rpad", .n_args = 3, .run = run_pad, .what = PAD_RIGHT},
    {.name = "repeat", .n_args = 2, .run = run_repeat},
    {.name = "space", .n_args = 1, .run = run_repeat},
    {.name = "reverse", .n_args = 1, .run = run_reverse},
    {.name = "hex", .n_args = 1, .run = run_hex},
    {.name = "md5", .n_args = 1, .run = run_md5},
    {.name = "field", .n_args = -1, .run = run_field},
    {.name = "group_concat", .n_args = 1, .run = step_group, .final = final_group},
    {.name = "group_concat", .n_args = 2, .run = step_group, .final = final_group},
    {0},
};
