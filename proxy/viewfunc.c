#include <locale.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

bool viewfunc_has_null(int n, sqlite3_value **args)
{
    for (int i = 0; i < n; i++) {
        if (sqlite3_value_type(args[i]) == SQLITE_NULL) {
            return true; /* which makes the result NULL, as nothing else does */
        }
    }
    return false;
}

struct span viewfunc_span(sqlite3_value *value)
{
    const char *p = (const char *)sqlite3_value_text(value); /* first: it may convert the value */
    return (struct span){p != NULL ? p : "", p != NULL ? (size_t)sqlite3_value_bytes(value) : 0};
}

void viewfunc_put(sqlite3_context *to, struct span text)
{
    sqlite3_result_text64(to, text.p != NULL ? text.p : "", text.n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void viewfunc_put_text(sqlite3_context *to, const char *text)
{
    viewfunc_put(to, span_of(text));
}

struct buf viewfunc_buf(sqlite3_context *to)
{
    return buf_with_max(
        (size_t)sqlite3_limit(sqlite3_context_db_handle(to), SQLITE_LIMIT_LENGTH, -1));
}

void viewfunc_put_buf(sqlite3_context *to, struct buf *b)
{
    if (buf_ok(b)) {
        viewfunc_put(to, buf_span(b)); /* a copy: SQLite counts its own memory only */
    } else {
        sqlite3_result_error_toobig(to);
    }
    buf_fini(b);
}

bool viewfunc_is_late(sqlite3_context *to)
{
    if (clock_mono_ms() <= viewfunc_env_of(to)->deadline_ms) {
        return false;
    }
    sqlite3_result_error_code(to, SQLITE_INTERRUPT);
    return true;
}

bool viewfunc_is_number(sqlite3_value *value)
{
    int type = sqlite3_value_numeric_type(value);
    return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}

size_t viewfunc_char_size(struct span text)
{
    size_t n = text.n > 0 ? 1 : 0;
    while (n < text.n && viewfunc_is_in_char(text.p[n])) {
        n++;
    }
    return n;
}

size_t viewfunc_n_chars(struct span text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += i == 0 || !viewfunc_is_in_char(text.p[i]);
    }
    return n;
}

size_t viewfunc_chars_size(struct span text, size_t n)
{
    size_t at = 0;
    for (; n > 0 && at < text.n; n--) {
        at += viewfunc_char_size((struct span){text.p + at, text.n - at});
    }
    return at;
}

bool viewfunc_time_of(sqlite3_value *value, struct viewtime *ret)
{
    return sqlite3_value_type(value) != SQLITE_NULL && viewtime_parse(viewfunc_span(value), ret);
}

void viewfunc_put_time(sqlite3_context *to, const struct viewtime *t)
{
    char text[VIEWTIME_TEXT_SIZE];
    viewtime_format(t, text);
    viewfunc_put_text(to, text);
}

static const struct viewfunc *const tables[] = {
    viewfunc_text, viewfunc_text_more, viewfunc_match,     viewfunc_number,
    viewfunc_json, viewfunc_time,      viewfunc_time_more,
};

/* SQLite looks at time and memory once a row at best, which may be many calls with long texts. */
static void run_bounded(sqlite3_context *to, int n, sqlite3_value **args)
{
    const struct viewfunc_env *env = viewfunc_env_of(to);
    if (env->memory_max > 0 && sqlite3_memory_used() > env->memory_max) {
        sqlite3_result_error_nomem(to);
    } else if (!viewfunc_is_late(to)) {
        ((const struct viewfunc_use *)sqlite3_user_data(to))->func->run(to, n, args);
    }
}

static int attach_one(struct sqlite3 *db, struct viewfunc_use *use)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS; /* NOW() is fixed, too */
    const struct viewfunc *f = use->func;
    bool is_aggregate = f->final != NULL;
    return sqlite3_create_function(db, f->name, f->n_args, flags, use,
                                   is_aggregate ? NULL : run_bounded,
                                   is_aggregate ? run_bounded : NULL, f->final);
}

bool viewfunc_attach(struct sqlite3 *db, struct viewfunc_env *env)
{
    size_t n = 0;
    bool is_ok = true;
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        for (const struct viewfunc *f = tables[i]; f->name != NULL; f++) {
            n++;
        }
    }
    env->uses = xcalloc(n, sizeof(*env->uses));
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        for (const struct viewfunc *f = tables[i]; is_ok && f->name != NULL; f++) {
            struct viewfunc_use *use = &env->uses[--n];
            *use = (struct viewfunc_use){f, env};
            is_ok = attach_one(db, use) == SQLITE_OK;
        }
    }
    return is_ok;
}

void viewfunc_env_fini(struct viewfunc_env *env)
{
    if (env->lower_locale != NULL) {
        freelocale(env->lower_locale);
    }
    free(env->uses);
    *env = (struct viewfunc_env){0};
}

bool viewfunc_is_denied(const char *name)
{
    static const char *const denied[] = {"json_patch",  "json_set", "json_insert", "json_replace",
                                         "json_remove", "printf",   "format",      "glob"};
    for (size_t i = 0; name != NULL && i < ARRAY_SIZE(denied); i++) {
        if (sqlite3_stricmp(name, denied[i]) == 0) {
            return true;
        }
    }
    return false;
}
