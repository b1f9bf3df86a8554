/*
 * Records to rows and back. One list of columns a table says which member of the record is which
 * column; INSERT, SELECT, binding and reading all come from it. Used by the parts of the SQLite
 * store only.
 */
#ifndef SCHEDULER_STORE_ROWS_H
#define SCHEDULER_STORE_ROWS_H

#include "scheduler/store.h"

struct sqlite3_stmt;
struct store_rows_table;

extern const struct store_rows_table store_rows_jobs;  /* of struct job_record */
extern const struct store_rows_table store_rows_tasks; /* of struct task_record */

/* "INSERT INTO t (…) VALUES (…)", a parameter a column. The caller owns the text. */
char *store_rows_insert_sql(const struct store_rows_table *t);
/* "SELECT … FROM t " and `tail`. The caller owns the text. */
char *store_rows_select_sql(const struct store_rows_table *t, const char *tail);

/* Returns an SQLite result code. The texts are borrowed until the statement is reset. */
int store_rows_bind(struct sqlite3_stmt *q, const struct store_rows_table *t, const void *record);

/*
 * Calls `each` for every job and its tasks. `jobs` comes from store_rows_select_sql() and stays open
 * all the while, so that everything is of one snapshot; `tasks` likewise, with the job's id as its
 * only parameter. Returns an SQLite result code, DONE when all went well.
 */
int store_rows_load(struct sqlite3_stmt *jobs, struct sqlite3_stmt *tasks, store_load_fn each,
                    void *arg);

#endif
