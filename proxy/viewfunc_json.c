/* JSON: CurrentOffset, LoadStatistic, ErrorMsg and Properties are such texts. */
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

enum { TEXT_MAX_BYTES = 1024 * 1024 }; /* a tree of it takes some 40 times that */
enum { GET_JSON, GET_STRING, GET_INT, GET_DOUBLE, GET_BOOL, GET_LENGTH, GET_EXISTS };

static void put_down(json_t **j)
{
    json_decref(*j);
}

#define _cleanup_json_ __attribute__((cleanup(put_down)))

/* NULL when it is no JSON. */
static json_t *parse(sqlite3_value *value)
{
    struct span text = viewfunc_span(value);
    if (text.n > TEXT_MAX_BYTES) {
        return NULL;
    }
    return json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* .key, ."key" or [0]; false when it is neither. *ret is NULL when there is no such thing. */
static bool take_leg(struct span *path, json_t *in, json_t **ret)
{
    struct span s = *path;
    bool is_index = s.p[0] == '[';
    if (!is_index && s.p[0] != '.') {
        return false;
    }
    s = (struct span){s.p + 1, s.n - 1};
    bool is_quoted = !is_index && s.n > 0 && s.p[0] == '"';
    const char *stop = is_index ? "]" : is_quoted ? "\"" : ".[";
    size_t from = is_quoted ? 1 : 0;
    size_t n = from;
    while (n < s.n && (s.p[n] == '\0' || strchr(stop, s.p[n]) == NULL)) {
        n++;
    }
    struct span key = {s.p + from, n - from};
    bool has_end = is_index || is_quoted;
    uint64_t index = 0;
    if ((has_end && n == s.n) || key.n == 0 || (is_index && !span_to_uint64(key, &index))) {
        return false;
    }
    n += has_end;
    *path = (struct span){s.p + n, s.n - n};
    *ret = is_index ? json_array_get(in, (size_t)index) : json_object_getn(in, key.p, key.n);
    return true;
}

/* Borrowed from `root`; NULL when nothing is there, or the path is none. */
static json_t *walk(json_t *root, struct span path)
{
    json_t *at = root;
    if (path.n == 0 || path.p[0] != '$') {
        return NULL;
    }
    path = (struct span){path.p + 1, path.n - 1};
    while (path.n > 0 && at != NULL) {
        json_t *next = NULL;
        if (!take_leg(&path, at, &next)) {
            return NULL;
        }
        at = next;
    }
    return at;
}

static void put_dump(sqlite3_context *to, const json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) {
        sqlite3_result_error_nomem(to);
        return;
    }
    viewfunc_put_text(to, text);
    free(text);
}

static void put_int(sqlite3_context *to, const json_t *j)
{
    if (json_is_integer(j)) {
        sqlite3_result_int64(to, json_integer_value(j));
    } else if (json_is_real(j) && json_real_value(j) < 9e18 && json_real_value(j) > -9e18) {
        sqlite3_result_int64(to, (sqlite3_int64)json_real_value(j));
    } else if (json_is_boolean(j)) {
        sqlite3_result_int(to, json_is_true(j));
    } else if (json_is_string(j)) {
        int64_t value = 0;
        if (span_to_int64(span_of(json_string_value(j)), INT64_MIN, INT64_MAX, &value)) {
            sqlite3_result_int64(to, value);
        }
    }
}

static void put_found(sqlite3_context *to, const json_t *j)
{
    switch (viewfunc_what(to)) {
    case GET_STRING:
        if (json_is_string(j)) {
            viewfunc_put(to, (struct span){json_string_value(j), json_string_length(j)});
        } else if (!json_is_null(j)) {
            put_dump(to, j);
        }
        break;
    case GET_INT: put_int(to, j); break;
    case GET_DOUBLE:
        if (json_is_number(j)) {
            sqlite3_result_double(to, json_number_value(j));
        }
        break;
    case GET_BOOL:
        if (json_is_boolean(j)) {
            sqlite3_result_int(to, json_is_true(j));
        }
        break;
    case GET_LENGTH:
        sqlite3_result_int64(to, json_is_array(j)    ? (sqlite3_int64)json_array_size(j)
                                 : json_is_object(j) ? (sqlite3_int64)json_object_size(j)
                                                     : 1);
        break;
    default: put_dump(to, j);
    }
}

/* NULL for what is no JSON, and for what is not there. */
static void run_get(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    _cleanup_json_ json_t *root = parse(args[0]);
    const json_t *found =
        root != NULL ? walk(root, n > 1 ? viewfunc_span(args[1]) : SPAN_LIT("$")) : NULL;
    if (viewfunc_what(to) == GET_EXISTS && root != NULL) {
        sqlite3_result_int(to, found != NULL);
    } else if (found != NULL) {
        put_found(to, found);
    }
}

/* SQLite's own would look through all of the text for each path, and ask no clock. */
static void run_many(sqlite3_context *to, int n, sqlite3_value **args)
{
    (void)n;
    (void)args;
    sqlite3_result_error(to, "json_extract() takes a text and one path", -1);
}

static void run_valid(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    _cleanup_json_ json_t *root = parse(args[0]);
    sqlite3_result_int(to, root != NULL);
}

/* A text without quotes stays as it is. */
static void run_unquote(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = viewfunc_span(args[0]);
    _cleanup_json_ json_t *root = text.n > 0 && text.p[0] == '"' ? parse(args[0]) : NULL;
    if (json_is_string(root)) {
        text = (struct span){json_string_value(root), json_string_length(root)};
    }
    viewfunc_put(to, text);
}

const struct viewfunc viewfunc_json[] = {
    {.name = "json_extract", .n_args = 2, .run = run_get, .what = GET_JSON},
    {.name = "json_extract", .n_args = -1, .run = run_many},
    {.name = "jsonb_extract", .n_args = 2, .run = run_get, .what = GET_JSON},
    {.name = "get_json_string", .n_args = 2, .run = run_get, .what = GET_STRING},
    {.name = "json_extract_string", .n_args = 2, .run = run_get, .what = GET_STRING},
    {.name = "get_json_int", .n_args = 2, .run = run_get, .what = GET_INT},
    {.name = "get_json_bigint", .n_args = 2, .run = run_get, .what = GET_INT},
    {.name = "json_extract_int", .n_args = 2, .run = run_get, .what = GET_INT},
    {.name = "json_extract_bigint", .n_args = 2, .run = run_get, .what = GET_INT},
    {.name = "get_json_double", .n_args = 2, .run = run_get, .what = GET_DOUBLE},
    {.name = "json_extract_double", .n_args = 2, .run = run_get, .what = GET_DOUBLE},
    {.name = "json_extract_bool", .n_args = 2, .run = run_get, .what = GET_BOOL},
    {.name = "json_exists_path", .n_args = 2, .run = run_get, .what = GET_EXISTS},
    {.name = "json_length", .n_args = 1, .run = run_get, .what = GET_LENGTH},
    {.name = "json_length", .n_args = 2, .run = run_get, .what = GET_LENGTH},
    {.name = "json_valid", .n_args = 1, .run = run_valid},
    {.name = "json_unquote", .n_args = 1, .run = run_unquote},
    {0},
};
