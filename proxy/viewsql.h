/*
 * The last step from Doris's SQL to SQLite's, for queries over jobs() and tasks(): what SQLite's
 * grammar lacks becomes a call of a function (viewfunc.h), and where Doris would turn a text into a
 * number or a date to compare it, so does the query:
 *
 *     CAST(x AS DECIMAL(9, 2))    cast_as(x ,'DECIMAL',9, 2)
 *     now() - INTERVAL 1 DAY      now() ->> '-1 DAY'
 *     f(x) > 5                    ('>n' -> f(x)) > 5
 *     f(x) + 1                    ('>n' -> f(x)) + 1
 *
 * Pure; any thread. It knows tokens and parentheses only: what it does not understand it leaves to
 * SQLite's error.
 */
#ifndef PROXY_VIEWSQL_H
#define PROXY_VIEWSQL_H

#include <stdbool.h>

/* Whose answer it should be. */
enum viewsql_trust {
    VIEWSQL_SAME,  /* SQLite answers as Doris does */
    VIEWSQL_NEAR,  /* the same values, but not in the same form: DECIMALs */
    VIEWSQL_OTHER, /* SQLite may answer something else: only the FE knows */
};

/*
 * `sql` is what parser/stmt.h rewrote. The caller owns the result. Columns keep their names.
 * *ret_trust tells how far it means what it meant.
 */
char *viewsql_adapt(const char *sql, enum viewsql_trust *ret_trust);

/* Does the column hold numbers, and so compare as one? It is declared as NUMERIC, then. */
bool viewsql_is_number_column(const char *name);

#endif
