#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/grants.h"
#include "proxy/local.h"
#include "sources/fe_grants.h"

enum { SCOPES_MAX = 100000 }; /* a cell is capped by the answer's size already */

static void add_scope(struct grants *g, struct span name)
{
    if (g->n_scopes < SCOPES_MAX) {
        g->scopes = xrealloc_array(g->scopes, g->n_scopes + 1, sizeof(char *));
        g->scopes[g->n_scopes++] = span_dup(name);
    }
}

static void read_cell(struct grants *g, const char *cell)
{
    struct span rest = span_of(cell);
    struct span scope = {0};
    while (fe_grants_next(&rest, &scope)) {
        add_scope(g, scope);
    }
}

static bool find_column(const struct answer *a, const char *name, size_t *ret)
{
    for (size_t i = 0; i < a->n_columns; i++) {
        if (strcasecmp(a->columns[i], name) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static void read_row(const struct answer *a, size_t row, size_t identity, struct grants *g)
{
    static const char *const scoped[] = {"CatalogPrivs", "DatabasePrivs", "TablePrivs"};
    char **cells = a->cells + row * a->n_columns;
    size_t column = 0;
    if (g->identity == NULL && cells[identity] != NULL) {
        g->identity = xstrdup(cells[identity]);
    }
    if (find_column(a, "GlobalPrivs", &column) && fe_grants_has_global(cells[column])) {
        g->has_global = true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(scoped); i++) {
        if (find_column(a, scoped[i], &column) && cells[column] != NULL) {
            read_cell(g, cells[column]);
        }
    }
}

bool grants_read(const struct answer *answer, struct grants *ret, struct err *err)
{
    size_t identity = 0;
    size_t global = 0;
    if (answer->is_error) {
        *err = answer->err;
        return err_prefix(err, "Sluice cannot learn your privileges, SHOW GRANTS failed: ");
    }
    if (!find_column(answer, "UserIdentity", &identity) ||
        !find_column(answer, "GlobalPrivs", &global)) {
        return err_say(err, "Sluice cannot learn your privileges: SHOW GRANTS of this FE has no "
                            "columns UserIdentity and GlobalPrivs; is it a Doris FE?");
    }
    *ret = (struct grants){0};
    for (size_t row = 0; row < answer->n_rows; row++) {
        read_row(answer, row, identity, ret);
    }
    return true;
}

void grants_fini(struct grants *g)
{
    for (size_t i = 0; i < g->n_scopes; i++) {
        free(g->scopes[i]);
    }
    free(g->scopes);
    free(g->identity);
    *g = (struct grants){0};
}

bool grants_may_load(const struct grants *g, const char *db, const char *table)
{
    if (g->has_global) {
        return true;
    }
    for (size_t i = 0; i < g->n_scopes; i++) {
        if (fe_grants_covers(span_of(g->scopes[i]), db, table)) {
            return true;
        }
    }
    return false;
}

bool grants_deny_load(const struct grants *g, const char *db, const char *table, struct err *err)
{
    return err_set(err, ERR_TABLEACCESS_DENIED, "42000",
                   "LOAD command denied to user %s for table '%s.%s'. An administrator can GRANT "
                   "LOAD_PRIV ON %s.%s TO %s",
                   g->identity != NULL ? g->identity : "''", db, table, db, table,
                   g->identity != NULL ? g->identity : "''");
}
