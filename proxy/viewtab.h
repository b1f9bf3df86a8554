/*
 * jobs and tasks as SQLite tables: virtual tables over a snapshot, and over the rows that the FE told
 * of its own; nothing is copied but what a query reads. Rows are found by the ids and names of jobs
 * and by the ids of tasks without looking at the others.
 */
#ifndef PROXY_VIEWTAB_H
#define PROXY_VIEWTAB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "proxy/viewcols.h"
#include "proxy/viewmerge.h"
#include "scheduler/view.h"

struct buf;
struct sqlite3;
struct viewzone;

/*
 * What a query may see. The tables borrow it until the database is closed; between queries its
 * content may change, but for the extra columns of `fe`.
 */
struct viewtab {
    const struct job_view *const *visible; /* the jobs this user may see, by id */
    size_t n_visible;
    const struct job_view **by_name;         /* owned by viewtab_reset(); NULL until it is wanted */
    size_t n_by_name_lookups;                /* of this query */
    const struct viewmerge *fe[VIEW_TABLES]; /* NULL: none */
    const struct viewzone *zone;             /* of the times; viewtime.h */
};

/* Forgets what was made for the last query. */
void viewtab_reset(struct viewtab *tab);

/* Adds the tables "jobs" and "tasks" to an in-memory database. */
bool viewtab_attach(struct sqlite3 *db, struct viewtab *tab, struct err *err);

/* Columns with the FE's extra ones behind ours. */
size_t viewtab_count(const struct viewtab *tab, enum view_table table);
const char *viewtab_name(const struct viewtab *tab, enum view_table table, size_t i);
/* "jobs() has Id, Name, ...", for errors. */
void viewtab_list_columns(const struct viewtab *tab, enum view_table table, struct buf *to);

#endif
