/* What the files of viewfunc.h share. Private to them. */
#ifndef PROXY_VIEWFUNC_PARTS_H
#define PROXY_VIEWFUNC_PARTS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "proxy/viewfunc.h"
#include "proxy/viewtime.h"

typedef void (*viewfunc_run)(sqlite3_context *to, int n, sqlite3_value **args);

struct viewfunc {
    const char *name;
    int n_args; /* -1: any number */
    viewfunc_run run;
    int what;                           /* for functions that share their code */
    void (*final)(sqlite3_context *to); /* of an aggregate, whose `run` is a step */
};

/* Ended by one without a name. */
extern const struct viewfunc viewfunc_text[];
extern const struct viewfunc viewfunc_text_more[];
extern const struct viewfunc viewfunc_match[];
extern const struct viewfunc viewfunc_number[];
extern const struct viewfunc viewfunc_json[];
extern const struct viewfunc viewfunc_time[];
extern const struct viewfunc viewfunc_time_more[];

struct viewfunc_use {
    const struct viewfunc *func;
    struct viewfunc_env *env;
};

static inline struct viewfunc_env *viewfunc_env_of(sqlite3_context *to)
{
    return ((const struct viewfunc_use *)sqlite3_user_data(to))->env;
}

static inline int viewfunc_what(sqlite3_context *to)
{
    return ((const struct viewfunc_use *)sqlite3_user_data(to))->func->what;
}

bool viewfunc_has_null(int n, sqlite3_value **args);
/* Valid until the value is read in another way. */
struct span viewfunc_span(sqlite3_value *value);
void viewfunc_put(sqlite3_context *to, struct span text);
void viewfunc_put_text(sqlite3_context *to, const char *text);
/* A buffer that holds no more than a text may have. */
struct buf viewfunc_buf(sqlite3_context *to);
/* What it holds, or the error that it is too large; empties it. */
void viewfunc_put_buf(sqlite3_context *to, struct buf *b);
/* Past the deadline: the query is interrupted, and the caller returns at once. */
bool viewfunc_is_late(sqlite3_context *to);

/* Is it a number, or a text that is one from end to end? */
bool viewfunc_is_number(sqlite3_value *value);

/* UTF-8, of which a byte that begins no character counts as one. */
size_t viewfunc_char_size(struct span text);
size_t viewfunc_n_chars(struct span text);
/* Bytes of the first n characters, of all when there are fewer. */
size_t viewfunc_chars_size(struct span text, size_t n);

static inline bool viewfunc_is_in_char(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* False when it is NULL or no date. */
bool viewfunc_time_of(sqlite3_value *value, struct viewtime *ret);
void viewfunc_put_time(sqlite3_context *to, const struct viewtime *t);
/* viewfunc_time.c: adds n units ("DAY", any letter case); false for unknown ones, years beyond 9999. */
bool viewfunc_add_interval(struct viewtime *t, int64_t n, struct span unit);
/* DATE_FORMAT()'s; false for a specifier that nobody knows. */
bool viewfunc_format_time(const struct viewtime *t, struct span format, struct buf *out);

#endif
