/*
 * A query over jobs() and tasks() that only the FE can run, because it names real tables too, or a
 * function that SQLite does not know: each call becomes a derived table of the rows that the user may
 * see,
 *
 *     jobs("type"="insert") j   ->   (SELECT CAST('1' AS STRING) AS `Id`, ... UNION ALL SELECT ...) j
 *
 * and the rest of the text stays as it was written. Values with a quote or a backslash are written as
 * UNHEX('...'): which escapes a literal knows depends on the session's sql_mode. Columns that the text
 * does not name are left out. On the thread of the database.
 */
#ifndef PROXY_VIEWDERIVE_H
#define PROXY_VIEWDERIVE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "parser/stmt.h"

struct sqlite3;
struct viewtab;

enum {
    VIEWDERIVE_MAX_BYTES = 4 << 20, /* of the text */
    VIEWDERIVE_MAX_ROWS = 10000,    /* of all calls together; each is a SELECT for the FE to plan */
};

/* What the FE is to run, into an empty buffer of VIEWDERIVE_MAX_BYTES. `db` has `tab` attached. */
bool viewderive_text(struct sqlite3 *db, const struct viewtab *tab, const struct stmt_view *view,
                     struct buf *out, struct err *err);

#endif
