#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "sources/insert_columns.h"

/* MySQL's numbers of types (field_types.h), as far as an FE sends them. */
static const struct wire_type {
    int number;
    const char *name;
    int int_bytes; /* 0: no integer */
} wire_types[] = {
    {0, "DECIMAL", 0},   {1, "TINYINT", 1}, {2, "SMALLINT", 2}, {3, "INT", 4},
    {4, "FLOAT", 0},     {5, "DOUBLE", 0},  {6, "NULL", 0},     {7, "DATETIME", 0},
    {8, "BIGINT", 8},    {9, "INT", 4},     {10, "DATE", 0},    {11, "TIME", 0},
    {12, "DATETIME", 0}, {15, "TEXT", 0},   {16, "BOOLEAN", 1}, {245, "JSON", 0},
    {246, "DECIMAL", 0}, {252, "TEXT", 0},  {253, "TEXT", 0},   {254, "TEXT", 0},
};

static const struct {
    const char *name;
    int bytes;
} int_targets[] = {
    {"tinyint", 1}, {"boolean", 1}, {"smallint", 2}, {"largeint", 16},
    {"bigint", 8},  {"integer", 4}, {"int", 4},
};

static const struct wire_type *wire_type_of(const struct select_column *s)
{
    static const struct wire_type strange = {-1, "a type of Doris's own", 0};
    for (size_t i = 0; i < ARRAY_SIZE(wire_types); i++) {
        if (wire_types[i].number == s->type) {
            return &wire_types[i];
        }
    }
    return &strange;
}

void insert_columns_fini(struct insert_columns *c)
{
    for (size_t i = 0; i < c->n_targets; i++) {
        free(c->targets[i].name);
        free(c->targets[i].type);
    }
    for (size_t i = 0; i < c->n_selects; i++) {
        free(c->selects[i].name);
    }
    free(c->targets);
    free(c->selects);
    *c = (struct insert_columns){0};
}

void insert_columns_add_target(struct insert_columns *c, const char *name, const char *type,
                               const char *null, const char *initial, const char *extra)
{
    bool is_made = extra != NULL && (strcasestr(extra, "AUTO_INCREMENT") != NULL ||
                                     strcasestr(extra, "GENERATED") != NULL);
    bool has_default = initial != NULL && strcmp(initial, "\\N") != 0;
    c->targets = xrealloc_array(c->targets, c->n_targets + 1, sizeof(*c->targets));
    c->targets[c->n_targets++] = (struct target_column){
        .name = xstrdup(name),
        .type = xstrdup(type != NULL ? type : "?"),
        .is_nullable = null == NULL || strcasecmp(null, "No") != 0,
        .fills_itself = has_default || is_made,
    };
}

void insert_columns_add_select(struct insert_columns *c, const char *name, int type,
                               unsigned decimals)
{
    c->selects = xrealloc_array(c->selects, c->n_selects + 1, sizeof(*c->selects));
    c->selects[c->n_selects++] =
        (struct select_column){.name = xstrdup(name), .type = type, .decimals = decimals};
}

static const struct target_column *find_target(const struct insert_columns *c, const char *name)
{
    for (size_t i = 0; i < c->n_targets; i++) {
        if (strcasecmp(c->targets[i].name, name) == 0) {
            return &c->targets[i];
        }
    }
    return NULL;
}

static int int_bytes_of(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(int_targets); i++) {
        if (span_istarts_with(span_of(type), int_targets[i].name)) {
            return int_targets[i].bytes;
        }
    }
    return 0;
}

/* Of "decimal(10,2)"; -1 when it is none, or says nothing. */
static int64_t scale_of(const char *type)
{
    const char *comma = strchr(type, ',');
    int64_t scale = -1;
    if (!span_istarts_with(span_of(type), "decimal") || comma == NULL) {
        return -1;
    }
    struct span digits = span_trim((struct span){comma + 1, strcspn(comma + 1, ")")});
    return span_to_int64(digits, 0, 76, &scale) ? scale : -1;
}

static bool is_date(const char *type)
{
    return span_istarts_with(span_of(type), "date") &&
           !span_istarts_with(span_of(type), "datetime");
}

/* NULL, or what is lost on the way: only what is certain whatever the rows hold. */
static const char *loss_of(const struct target_column *t, const struct select_column *s)
{
    const struct wire_type *from = wire_type_of(s);
    int to_bytes = int_bytes_of(t->type);
    bool is_real = strcmp(from->name, "FLOAT") == 0 || strcmp(from->name, "DOUBLE") == 0;
    bool is_decimal = strcmp(from->name, "DECIMAL") == 0;
    if (to_bytes > 0 && from->int_bytes > to_bytes) {
        return "numbers too large for the target are refused or lost";
    }
    if (to_bytes > 0 && (is_real || (is_decimal && s->decimals > 0))) {
        return "what stands behind the decimal point is lost";
    }
    if (strcmp(from->name, "DOUBLE") == 0 && span_istarts_with(span_of(t->type), "float")) {
        return "a FLOAT keeps about 7 digits of a DOUBLE";
    }
    if (is_decimal && scale_of(t->type) >= 0 && (int64_t)s->decimals > scale_of(t->type)) {
        return "the target keeps fewer digits behind the decimal point";
    }
    if (strcmp(from->name, "DATETIME") == 0 && is_date(t->type)) {
        return "the time of day is lost";
    }
    return NULL;
}

static void explain_pair(const struct insert_columns *c, const char *item,
                         const struct target_column *t, const struct select_column *s,
                         struct explain *e)
{
    const char *not_null = t->is_nullable ? "" : " NOT NULL";
    const char *type = wire_type_of(s)->name;
    const char *loss = loss_of(t, s);
    const struct target_column *other = find_target(c, s->name);
    if (strcmp(type, "NULL") == 0 && !t->is_nullable) {
        explain_fail(e, item,
                     "%s %s%s <- %s: the target takes no NULL, and every row would have one",
                     t->name, t->type, not_null, s->name);
    } else if (other != NULL && other != t) {
        explain_warn(e, item,
                     "%s %s%s <- %s %s: columns go by position, not by name, and the target has a "
                     "column %s elsewhere. If they are mixed up, list the target's columns: INSERT "
                     "INTO t (a, b) SELECT ...",
                     t->name, t->type, not_null, s->name, type, other->name);
    } else if (loss != NULL) {
        explain_warn(e, item, "%s %s%s <- %s %s: %s", t->name, t->type, not_null, s->name, type,
                     loss);
    } else {
        explain_add(e, item, "%s %s%s <- %s %s", t->name, t->type, not_null, s->name, type);
    }
}

static void explain_position(const struct insert_columns *c, size_t i,
                             const struct target_column *t, struct explain *e)
{
    _cleanup_free_ char *item = xasprintf("column %zu", i + 1);
    const struct select_column *s = i < c->n_selects ? &c->selects[i] : NULL;
    if (t != NULL && s != NULL) {
        explain_pair(c, item, t, s, e);
    } else if (t != NULL && !c->has_selects) {
        explain_add(e, item, "%s %s%s <- ?", t->name, t->type, t->is_nullable ? "" : " NOT NULL");
    } else if (t != NULL) {
        explain_add(e, item, "%s %s <- nothing: the SELECT has no column %zu", t->name, t->type,
                    i + 1);
    } else if (s != NULL) {
        explain_add(e, item, "nothing <- %s %s: the target takes no column %zu", s->name,
                    wire_type_of(s)->name, i + 1);
    }
}

static bool is_listed(const struct insert_spec *insert, const char *name)
{
    for (size_t i = 0; i < insert->n_columns; i++) {
        if (strcasecmp(insert->columns[i], name) == 0) {
            return true;
        }
    }
    return insert->n_columns == 0;
}

static void explain_unlisted(const struct insert_columns *c, const struct insert_spec *insert,
                             struct explain *e)
{
    assert(c->n_targets == 0 || c->targets != NULL);
    for (size_t i = 0; i < c->n_targets; i++) {
        const struct target_column *t = &c->targets[i];
        if (is_listed(insert, t->name)) {
            continue;
        }
        if (!t->is_nullable && !t->fills_itself) {
            explain_fail(e, "column not listed",
                         "%s %s NOT NULL has no default: add it to the INSERT's list of columns",
                         t->name, t->type);
        } else {
            explain_add(e, "column not listed", "%s %s gets its default, or NULL", t->name,
                        t->type);
        }
    }
}

static size_t count_targets(const struct insert_columns *c, const struct insert_spec *insert)
{
    return insert->n_columns > 0 ? insert->n_columns : c->n_targets;
}

bool insert_columns_are_as_many(const struct insert_columns *c, const struct insert_spec *insert)
{
    return !c->has_selects || c->n_selects == count_targets(c, insert);
}

void insert_columns_explain(const struct insert_columns *c, const struct insert_spec *insert,
                            struct explain *e)
{
    size_t n_targets = count_targets(c, insert);
    if (!insert_columns_are_as_many(c, insert)) {
        explain_fail(e, "number of columns",
                     "the SELECT has %zu and the target takes %zu%s: they must be as many",
                     c->n_selects, n_targets,
                     insert->n_columns > 0 ? " (those listed behind the table)" : "");
    }
    size_t n = n_targets > c->n_selects ? n_targets : c->n_selects;
    for (size_t i = 0; i < n; i++) {
        const struct target_column *t = NULL;
        if (insert->n_columns == 0) {
            t = i < c->n_targets ? &c->targets[i] : NULL;
        } else if (i < insert->n_columns) {
            t = find_target(c, insert->columns[i]);
        }
        if (t == NULL && i < insert->n_columns) {
            explain_fail(e, "column", "%s, which the INSERT lists, is none of the target's",
                         insert->columns[i]);
            continue;
        }
        explain_position(c, i, t, e);
    }
    explain_unlisted(c, insert, e);
}
