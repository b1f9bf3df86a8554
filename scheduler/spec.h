/*
 * What a source and a sink need to know of a job: the user's INSERT with the places that may be
 * changed in it, and the job's properties. Made once per job by proxy/jobspec.c from the parsed
 * statement (so that nothing below the proxy knows SQL), immutable afterwards, shared by the
 * scheduler and its runners until the job is gone.
 */
#ifndef SCHEDULER_SPEC_H
#define SCHEDULER_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spec_prop {
    char *key;   /* owned, as written */
    char *value; /* owned, escapes resolved */
    /* The literal, quotes included, is sql[value_at .. value_end); only for TVF properties. */
    size_t value_at;
    size_t value_end;
};

struct insert_spec {
    char *sql; /* owned; the INSERT byte for byte, no trailing ';' */
    size_t sql_len;
    char *current_db; /* owned or NULL: `USE` it first, it resolves unqualified names */
    char *target_db;  /* owned, never NULL */
    char *target_table;
    /* " WITH LABEL `x`" goes to sql[label_at .. label_end); not empty when the user wrote one. */
    size_t label_at;
    size_t label_end;
    /* Without sql[insert_at .. query_at) the query alone is left; not inside one another's places. */
    size_t insert_at;
    size_t query_at;
    char **columns; /* owned; the target columns that the user listed, in that order; none: all */
    size_t n_columns;
    char *tvf; /* owned, lower case: "s3" */
    struct spec_prop *tvf_props;
    size_t n_tvf_props;
};

/* Property "guarantee": what tells afterwards whether a task was loaded. */
enum guarantee {
    GUARANTEE_LABEL,         /* the task's label, as long as Doris remembers it */
    GUARANTEE_TRANSACTIONAL, /* a row with the offset, written in the data's own transaction */
};

struct job_spec {
    struct insert_spec insert;
    struct spec_prop *props; /* PROPERTIES(…) of the job; validated before it gets here */
    size_t n_props;
    int64_t max_interval_s; /* property max_interval or the configured default */
};

/* NULL when absent. Keys are compared without regard to letter case, as Doris does. */
const char *spec_prop_get(const struct spec_prop *props, size_t n, const char *key);
const struct spec_prop *spec_prop_find(const struct spec_prop *props, size_t n, const char *key);
enum guarantee spec_guarantee(const struct job_spec *spec);
/* Frees the texts and the struct itself; NULL is accepted. */
void job_spec_destroy(struct job_spec *spec);

#endif
