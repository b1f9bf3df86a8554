/*
 * What a statement text is to Sluice. It is foreign (forward it untouched), it is ours, it was meant
 * for us but is wrong (answer with a good error), or it is several statements with one of these
 * among them. Pure functions over a packet's bytes; no NUL is assumed, nothing is kept. Any thread.
 */
#ifndef PARSER_STMT_H
#define PARSER_STMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum stmt_verdict { STMT_FOREIGN, STMT_OURS, STMT_BAD, STMT_SCRIPT };

enum stmt_kind {
    STMT_CREATE_JOB, /* ON STREAMING DO INSERT only; ON SCHEDULE and FROM…TO are foreign */
    STMT_ALTER_JOB,  /* ALTER JOB n with PROPERTIES, an INSERT or both */
    STMT_PAUSE_JOB,
    STMT_RESUME_JOB,
    STMT_DROP_JOB,
    STMT_RESOLVE_TASK,    /* ALTER JOB n RESOLVE TASK i AS COMMITTED|ABORTED */
    STMT_DECIDE_FILE,     /* ALTER JOB n RETRY|SKIP FILE 'key', RETRY|SKIP ALL FILES */
    STMT_CANCEL_TASK,     /* CANCEL TASK WHERE jobName = 'n' AND taskId = i */
    STMT_EXPLAIN_CREATE,  /* EXPLAIN CREATE JOB …: u.create */
    STMT_EXPLAIN_JOB,     /* EXPLAIN JOB n: u.job */
    STMT_SHOW_CREATE_JOB, /* SHOW CREATE JOB n: u.job */
    /*
     * SELECT … FROM job|jobs|tasks("type"="insert") …; SHOW JOBS [LIKE, WHERE]; and INSERT, CREATE
     * TABLE … AS and EXPLAIN of such a SELECT, which the FE runs
     */
    STMT_VIEW_QUERY,
};

struct stmt_prop {
    char *key;       /* owned, as written but unquoted */
    char *value;     /* owned, unquoted, escapes resolved */
    size_t value_at; /* the literal with its quotes: text[value_at .. value_end) of the INSERT */
    size_t value_end;
};

struct stmt_props {
    struct stmt_prop *items; /* owned */
    size_t n;
};

/* A table that a query names, unquoted. */
struct stmt_table {
    char *catalog; /* owned; NULL unless three names were given */
    char *db;      /* owned; NULL when the table is unqualified */
    char *table;   /* owned */
};

/* The INSERT after DO. Offsets count from its first byte, span `text`. */
struct stmt_insert {
    struct span text; /* borrowed from the statement; no trailing ';', blank or comment */
    char *catalog;    /* NULL unless three names were given */
    char *db;         /* NULL when the table is unqualified */
    char *table;
    /* [label_at, label_end): where WITH LABEL belongs; not empty when the user wrote one. */
    size_t label_at;
    size_t label_end;
    /* Without text[insert_at .. query_at) the query alone is left: WITH … AS (…) may come first. */
    size_t insert_at;
    size_t query_at;
    char **columns; /* owned; the list behind the table, unquoted; none when it was not written */
    size_t n_columns;
    /*
     * Owned: what the query reads besides the table function, each once. Where it is not sure that a
     * name is a table, it is one: whoever may not read them all gets no such job.
     */
    struct stmt_table *tables;
    size_t n_tables;
    char *tvf; /* lower case, e.g. "s3" */
    struct stmt_props tvf_props;
};

struct stmt_create {
    char *name; /* the last part: CREATE JOB db.n makes "n", as in Doris, where names are global */
    bool if_not_exists;
    struct stmt_props props; /* both PROPERTIES places together, a key given twice is an error */
    char *comment;           /* NULL when none */
    struct stmt_insert insert;
};

struct stmt_alter {
    char *name;
    bool has_props; /* PROPERTIES was written, if empty */
    bool has_insert;
    struct stmt_props props;
    struct stmt_insert insert; /* zeroed without has_insert */
};

struct stmt_job_ref {
    char *name;
    bool if_exists;
    int64_t task_id;   /* STMT_RESOLVE_TASK, STMT_CANCEL_TASK */
    bool is_committed; /* STMT_RESOLVE_TASK: AS COMMITTED */
    bool is_skip;      /* STMT_DECIDE_FILE: SKIP, not RETRY */
    char *file;        /* STMT_DECIDE_FILE: owned; NULL: ALL FILES */
};

/* Where a query calls jobs(...), job(...) or tasks(...). */
struct stmt_view_place {
    size_t at; /* text[at .. end) is the call, up to its ')' */
    size_t end;
    bool is_tasks;
    const char *alias; /* a constant: the query gives none, its columns are jobs.Id, say; or NULL */
};

/*
 * A query over jobs and tasks. `text` is the statement as it was written, with the places where
 * rows can be put for the FE to run it. `sql` is the same, rewritten for SQLite: each table function became the table "jobs" or
 * "tasks", MySQL string literals became SQLite's, and a bare word right of a comparison (where
 * ExecuteType = streaming) became "word", which SQLite takes for a column if there is one and for a
 * text otherwise. Comments are gone, <=> is IS, && is AND, || is OR, `?` stays. No
 * other table is named in it, and no recursive query: a WITH query cannot name itself. Where it does,
 * or has what SQLite would misread, or is part of an INSERT, CREATE TABLE or EXPLAIN, `sql` is NULL:
 * the FE has to run it.
 */
struct stmt_view {
    char *sql;
    char *text;
    struct stmt_view_place *places; /* owned; in their order, at least one */
    size_t n_places;
    bool uses_jobs;
    bool uses_tasks;
};

struct stmt {
    enum stmt_kind kind;
    union {
        struct stmt_create create;
        struct stmt_alter alter;
        struct stmt_job_ref job;
        struct stmt_view view;
    } u;
};

/*
 * Fills *ret for STMT_OURS (end it with stmt_fini), *err for STMT_BAD: 1105 HY000 in Doris's form
 * "errCode = 2, detailMessage = …" with the position as (line L, pos P), what was expected and
 * what was found. The bare-minimum look at a foreign text costs less than 1 µs per KB.
 *
 * A text of several statements is foreign unless one of them is ours, or wrong; then it is
 * STMT_SCRIPT, nothing is filled, and parser/script.h cuts it.
 */
enum stmt_verdict stmt_parse(struct span text, struct stmt *ret, struct err *err);
/* The same for one statement of the text `whole`, as script.h cut it: errors tell its place there. */
enum stmt_verdict stmt_parse_part(struct span whole, struct span statement, struct stmt *ret,
                                  struct err *err);
/* Is this one statement ours, or meant for us? For script.h. */
bool stmt_claims(struct span statement);

void stmt_fini(struct stmt *s);
/* The INSERT of a CREATE or ALTER JOB; NULL for other kinds, and without one. */
struct stmt_insert *stmt_insert(struct stmt *s);

/* Parses the INSERT of a job alone, as the store hands it back. */
bool stmt_parse_insert(struct span text, struct stmt_insert *ret, struct err *err);
void stmt_insert_fini(struct stmt_insert *insert);

#endif
