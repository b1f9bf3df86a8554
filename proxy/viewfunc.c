#include <sqlite3.h>
#include <string.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/viewfunc.h"

enum { TRIM_SET_MAX = 100 }; /* bytes; looked through for each character */

static bool has_null(int n, sqlite3_value **args)
{
    for (int i = 0; i < n; i++) {
        if (sqlite3_value_type(args[i]) == SQLITE_NULL) {
            return true; /* which makes the result NULL, as nothing else does */
        }
    }
    return false;
}

static struct span text_of(sqlite3_value *value)
{
    const char *p = (const char *)sqlite3_value_text(value); /* first: it may convert the value */
    return (struct span){p != NULL ? p : "", p != NULL ? (size_t)sqlite3_value_bytes(value) : 0};
}

static const char *find(struct span text, struct span what)
{
    return memmem(text.p, text.n, what.p, what.n); /* linear in glibc */
}

static bool is_in_char(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* In characters, from 1 on; 0 is nowhere. */
static void run_instr(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (has_null(n, args)) {
        return;
    }
    struct span text = text_of(args[0]);
    const char *hit = find(text, text_of(args[1]));
    sqlite3_int64 place = hit != NULL ? 1 : 0;
    for (const char *p = text.p; hit != NULL && p < hit; p++) {
        place += !is_in_char(p[0]);
    }
    sqlite3_result_int64(to, place);
}

static void run_replace(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (has_null(n, args)) {
        return;
    }
    struct span text = text_of(args[0]);
    struct span what = text_of(args[1]);
    struct span with = text_of(args[2]);
    int max = sqlite3_limit(sqlite3_context_db_handle(to), SQLITE_LIMIT_LENGTH, -1);
    _cleanup_buf_ struct buf out = buf_with_max((size_t)max);
    const char *hit = what.n > 0 ? find(text, what) : NULL;
    while (hit != NULL && buf_ok(&out)) {
        buf_append(&out, text.p, (size_t)(hit - text.p));
        buf_append_span(&out, with);
        text = span_between(hit + what.n, text.p + text.n);
        hit = find(text, what);
    }
    buf_append_span(&out, text);
    if (!buf_ok(&out)) {
        sqlite3_result_error_toobig(to);
        return;
    }
    /* A copy: SQLite counts its own memory only. */
    sqlite3_result_text64(to, buf_text(&out), out.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static size_t first_char(struct span text)
{
    size_t n = text.n > 0 ? 1 : 0;
    while (n < text.n && is_in_char(text.p[n])) {
        n++;
    }
    return n;
}

static size_t last_char(struct span text)
{
    size_t n = text.n > 0 ? 1 : 0;
    while (n < text.n && is_in_char(text.p[text.n - n])) {
        n++;
    }
    return n;
}

struct sides {
    bool is_left;
    bool is_right;
};

static void run_trim(sqlite3_context *to, int n, sqlite3_value **args)
{
    const struct sides *sides = sqlite3_user_data(to);
    if (has_null(n, args)) {
        return;
    }
    struct span text = text_of(args[0]);
    struct span set = text_of(args[1]);
    if (set.n > TRIM_SET_MAX) {
        sqlite3_result_error(to, "trim() takes up to 100 bytes of characters to remove", -1);
        return;
    }
    size_t size = first_char(text);
    while (sides->is_left && size > 0 && find(set, (struct span){text.p, size}) != NULL) {
        text = (struct span){text.p + size, text.n - size};
        size = first_char(text);
    }
    size = last_char(text);
    while (sides->is_right && size > 0 &&
           find(set, (struct span){text.p + text.n - size, size}) != NULL) {
        text.n -= size;
        size = last_char(text);
    }
    sqlite3_result_text64(to, text.p, text.n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

bool viewfunc_attach(struct sqlite3 *db)
{
    static struct sides left = {true, false};
    static struct sides right = {false, true};
    static struct sides both = {true, true};
    static const struct {
        const char *name;
        int n_args;
        struct sides *sides;
        void (*run)(sqlite3_context *to, int n, sqlite3_value **args);
    } functions[] = {
        {"instr", 2, NULL, run_instr}, {"replace", 3, NULL, run_replace},
        {"ltrim", 2, &left, run_trim}, {"rtrim", 2, &right, run_trim},
        {"trim", 2, &both, run_trim},
    };
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    bool is_ok = true;
    for (size_t i = 0; is_ok && i < ARRAY_SIZE(functions); i++) {
        is_ok =
            sqlite3_create_function(db, functions[i].name, functions[i].n_args, flags,
                                    functions[i].sides, functions[i].run, NULL, NULL) == SQLITE_OK;
    }
    return is_ok;
}

bool viewfunc_is_denied(const char *name)
{
    return name != NULL && sqlite3_stricmp(name, "json_patch") == 0;
}
