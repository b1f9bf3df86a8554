/*
 * The rows of a query over jobs() and tasks() as packets of the client's protocol. A column of the
 * views is a text, as in Doris; of an expression the values tell the type, all of them: a column has
 * one on the wire. On the thread of the database.
 */
#ifndef PROXY_VIEWROWS_H
#define PROXY_VIEWROWS_H

#include "base/buf.h"
#include "proxy/result.h"

struct sqlite3_stmt;

/*
 * Runs the statement, twice when the binary protocol needs the types of expressions before the first
 * row. `out` is empty. Returns SQLite's code of the last step; look at `out` as well, which is sticky.
 */
int viewrows_put(struct sqlite3_stmt *stmt, const struct result_form *form, struct buf *out);

#endif
