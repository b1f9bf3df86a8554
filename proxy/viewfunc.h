/*
 * Functions for queries over jobs() and tasks(), with Doris's meaning where SQLite has none or
 * another: what tools and people use with texts, numbers, times and JSON. Each is bounded, for no time
 * limit of SQLite's reaches into a call: it takes time by the sum of its arguments' lengths, or
 * looks at the deadline. Results are NULL when an argument is, but where Doris says otherwise.
 *
 * Two operators that Doris lacks are functions here, for viewsql.h:
 *   '>n' -> x             x as a number, NULL when it is none; with d a date
 *   x ->> '-3 DAY'         x and an interval
 */
#ifndef PROXY_VIEWFUNC_H
#define PROXY_VIEWFUNC_H

#include <stdbool.h>
#include <stdint.h>

struct sqlite3;
struct viewfunc_use;
struct viewzone;

/* Of one query; borrowed by its functions until the database is closed. */
struct viewfunc_env {
    int64_t now_us;              /* wall time */
    int64_t deadline_ms;         /* monotonic */
    int64_t memory_max;          /* of all of SQLite; 0: any */
    const struct viewzone *zone; /* borrowed; viewtime.h */
    void *lower_locale;          /* locale_t with UTF-8 letters, once one was needed */
    struct viewfunc_use *uses;   /* owned */
};

/* False when SQLite has no memory. No text of a query gets longer than its SQLITE_LIMIT_LENGTH. */
bool viewfunc_attach(struct sqlite3 *db, struct viewfunc_env *env);
/* After the database was closed. */
void viewfunc_env_fini(struct viewfunc_env *env);
/* Is it one that cannot be bounded, and that nobody needs here? */
bool viewfunc_is_denied(const char *name);

#endif
