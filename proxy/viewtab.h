/*
 * jobs and tasks as SQLite tables: virtual tables over a snapshot, nothing is copied but what a
 * query reads. Columns, order and contents are those of Doris 4.1's jobs("type"="insert") and
 * tasks("type"="insert") (facts: doris-streaming-jobs.md section 2), all of them texts.
 */
#ifndef PROXY_VIEWTAB_H
#define PROXY_VIEWTAB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "scheduler/view.h"

struct buf;
struct sqlite3;

/* What a query may see; borrowed by the tables until the database is closed. */
struct viewtab {
    const struct snapshot *snapshot;
    const struct job_view *const *visible; /* the jobs of the snapshot this user may see */
    size_t n_visible;
};

/* Adds the tables "jobs" and "tasks" to an in-memory database. */
bool viewtab_attach(struct sqlite3 *db, const struct viewtab *tab, struct err *err);

/* "jobs() has Id, Name, ...; tasks() has ...", for errors. */
void viewtab_list_columns(struct buf *to);

#endif
