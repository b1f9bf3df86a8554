/*
 * Functions of SQLite's made anew for queries over jobs() and tasks(): instr(), replace() and the
 * trims. The built-in ones take time by the product of their arguments' lengths, within one call,
 * where no time limit reaches: hours for texts of a few MB that a query can make up. These take time
 * by the sum. Results are the same for texts; a BLOB counts as one.
 */
#ifndef PROXY_VIEWFUNC_H
#define PROXY_VIEWFUNC_H

#include <stdbool.h>

struct sqlite3;

/* False when SQLite has no memory. No text of a query gets longer than its SQLITE_LIMIT_LENGTH. */
bool viewfunc_attach(struct sqlite3 *db);
/* Is it one that cannot be bounded, and that nobody needs here? */
bool viewfunc_is_denied(const char *name);

#endif
