/*
 * What SQLite refused, as a sentence for the user: which store, what was being done, why, and what
 * to do. Used by the parts of the SQLite store only.
 */
#ifndef SCHEDULER_STORE_ERROR_H
#define SCHEDULER_STORE_ERROR_H

#include <stdbool.h>

#include "base/err.h"

struct sqlite3;

/* `rc` is an SQLite result code, `doing` completes "cannot ". `db` may be NULL. Returns false. */
bool store_error_say(struct sqlite3 *db, int rc, const char *path, const char *doing,
                     struct err *err);

#endif
