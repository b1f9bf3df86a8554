/*
 * Records to rows and back. One list of columns a table says which member of the record is which
 * column; INSERT, SELECT, binding and reading all come from it. Used by the parts of the SQLite
 * store only.
 */
#ifndef SCHEDULER_STORE_ROWS_H
#define SCHEDULER_STORE_ROWS_H

#include "scheduler/store.h"
#include "scheduler/store_seal.h"

struct sqlite3;
struct sqlite3_stmt;
struct store_rows_table;

/* A result code besides SQLite's own ones: seal->err says why a value could not be (de)crypted. */
enum { STORE_ROWS_SEAL = 23 }; /* SQLITE_AUTH, which only an authorizer would give */

/* A bad file with what its row has besides. */
struct store_bad_row {
    int64_t job_id;
    int64_t id;
    struct bad_file file;
};

extern const struct store_rows_table store_rows_jobs;      /* of struct job_record */
extern const struct store_rows_table store_rows_tasks;     /* of struct task_record */
extern const struct store_rows_table store_rows_bad_files; /* of struct store_bad_row */

/* "INSERT INTO t (…) VALUES (…)", a parameter a column. The caller owns the text. */
char *store_rows_insert_sql(const struct store_rows_table *t);
/* "SELECT … FROM t " and `tail`. The caller owns the text. */
char *store_rows_select_sql(const struct store_rows_table *t, const char *tail);

/*
 * Binds the columns of a record, those with secrets encrypted. Returns an SQLite result code or
 * STORE_ROWS_SEAL. The other texts are borrowed until the statement is reset.
 */
int store_rows_bind(struct sqlite3_stmt *q, const struct store_rows_table *t,
                    struct store_seal *seal, const void *record);
/* Binds one text of a column with secrets, NULL for a NULL. */
int store_rows_bind_sealed(struct sqlite3_stmt *q, int at, struct store_seal *seal,
                           const struct store_place *place, const char *text);

/* From store_rows_select_sql(); all but the first have the job's id as their only parameter. */
struct store_rows_queries {
    struct sqlite3_stmt *jobs;
    struct sqlite3_stmt *tasks;
    struct sqlite3_stmt *bad_files;
};

/*
 * Calls `each` for every job with its tasks and bad files. `jobs` stays open all the while, so that
 * everything is of one snapshot. Returns an SQLite result code, DONE when all went well, or
 * STORE_ROWS_SEAL.
 */
int store_rows_load(const struct store_rows_queries *q, struct store_seal *seal, store_load_fn each,
                    void *arg);

enum store_rows_from { STORE_ROWS_PLAIN, STORE_ROWS_SEALED };

/*
 * Encrypts the table's columns with secrets with the first key, in the transaction under way.
 * Returns an SQLite result code, DONE when all went well, or STORE_ROWS_SEAL.
 */
int store_rows_seal_all(struct sqlite3 *db, const struct store_rows_table *t,
                        enum store_rows_from from, struct store_seal *seal);

#endif
