/*
 * The FE's own jobs and tasks, as it answered the client's connection: its columns are found by name
 * (12, 18, 20 or more of them, facts: doris-streaming-jobs.md 2), what it lacks is empty, and what we
 * do not know comes behind our columns, so that a newer Doris loses nothing. Immutable once read; any
 * thread.
 */
#ifndef PROXY_VIEWMERGE_H
#define PROXY_VIEWMERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "parser/stmt.h"
#include "proxy/viewcols.h"

struct answer;
struct buf;
struct viewmerge;

enum { VIEWMERGE_MAX_EXTRA = 32 };

/*
 * Appends the question: every column of the table, and every row that the query may be about, whatever
 * the session's sql_select_limit and dry_run_query are, as far as the FE takes a hint.
 */
void viewmerge_question(enum view_table table, const struct stmt_view *view, struct buf *out);
/*
 * Reads the answer to it. An FE that has no such function, or that shows its jobs to administrators
 * only and this user is none, has no rows for him. False, with *err, when there may be rows that it
 * did not tell: a list that lacks some must not pass for a whole one.
 */
bool viewmerge_read(enum view_table table, const struct answer *answer, struct viewmerge **ret,
                    struct err *err);
void viewmerge_destroy(struct viewmerge *m); /* NULL is accepted */

/* NULL has no rows and no extra columns. */
size_t viewmerge_n_rows(const struct viewmerge *m);
size_t viewmerge_n_extra(const struct viewmerge *m);
const char *viewmerge_extra_name(const struct viewmerge *m, size_t i);
/*
 * A cell; columns count as in viewcols.h, the extra ones behind them. NULL for SQL NULL, and what is
 * absent for a column that the FE does not have.
 */
const char *viewmerge_cell(const struct viewmerge *m, size_t row, size_t column);

#endif
