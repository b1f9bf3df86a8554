/*
 * The columns of a job's target and of its SELECT, side by side, and what does not fit. Pure; any
 * thread.
 */
#ifndef SOURCES_INSERT_COLUMNS_H
#define SOURCES_INSERT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "scheduler/explain.h"
#include "scheduler/spec.h"

struct target_column {
    char *name; /* owned, as all texts here */
    char *type; /* as DESC shows it */
    bool is_nullable;
    bool fills_itself; /* has a default, counts up, or is computed */
};

struct select_column {
    char *name;
    int type; /* on the wire: enum enum_field_types */
    unsigned decimals;
};

struct insert_columns {
    struct target_column *targets;
    size_t n_targets;
    struct select_column *selects;
    size_t n_selects;
    bool has_selects; /* the FE has told them */
};

void insert_columns_fini(struct insert_columns *c);
/* Texts are copied. `extra` and `null` are cells of DESC and may be NULL. */
void insert_columns_add_target(struct insert_columns *c, const char *name, const char *type,
                               const char *null, const char *initial, const char *extra);
void insert_columns_add_select(struct insert_columns *c, const char *name, int type,
                               unsigned decimals);
/* True also when the SELECT's are not known. */
bool insert_columns_are_as_many(const struct insert_columns *c, const struct insert_spec *insert);
/* A line a position, and one for each problem beyond. Needs the targets. */
void insert_columns_explain(const struct insert_columns *c, const struct insert_spec *insert,
                            struct explain *e);

#endif
