#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/quote.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/grants.h"
#include "proxy/local.h"
#include "sources/fe_grants.h"

enum { NAMES_MAX = 100000 }; /* a cell is capped by the answer's size already */

static const char CATALOG[] = "internal";
static const char OLD_CLUSTER[] = "default_cluster:"; /* before names that were made by 1.x */

/* --- one cell -------------------------------------------------------------------------------- */

enum level { LEVEL_CATALOG, LEVEL_DATABASE, LEVEL_TABLE };

static const char *const columns[] = {
    [LEVEL_CATALOG] = "CatalogPrivs",
    [LEVEL_DATABASE] = "DatabasePrivs",
    [LEVEL_TABLE] = "TablePrivs",
};

static void add_name(struct grants_names *names, struct span name)
{
    if (name.n > 0 && names->n < NAMES_MAX) {
        names->items = xrealloc_array(names->items, names->n + 1, sizeof(char *));
        names->items[names->n++] = span_dup(name);
    }
}

/* The text in front of the first '.', and in *rest what is behind it: empty when there is none. */
static struct span cut_part(struct span *rest)
{
    const char *dot = memchr(rest->p, '.', rest->n);
    struct span part = {rest->p, dot != NULL ? (size_t)(dot - rest->p) : rest->n};
    size_t used = part.n + (dot != NULL ? 1 : 0);
    *rest = (struct span){rest->p + used, rest->n - used};
    return part;
}

/* "internal", "internal.db" or "internal.db.table": the column tells which, not the dots. */
static void add_scope(struct grants *g, enum level level, struct span scope)
{
    struct span rest = scope;
    struct span catalog = cut_part(&rest);
    bool is_any = span_eq_text(catalog, "*");
    if (!is_any && !span_eq_text(catalog, CATALOG)) {
        return;
    }
    if (level == LEVEL_CATALOG) {
        g->has_all = g->has_all || rest.n == 0;
        return;
    }
    if (span_starts_with(rest, OLD_CLUSTER)) {
        rest = (struct span){rest.p + strlen(OLD_CLUSTER), rest.n - strlen(OLD_CLUSTER)};
    }
    if (level == LEVEL_DATABASE) {
        g->has_all = g->has_all || span_eq_text(rest, "*");
        add_name(&g->dbs, rest);
        return;
    }
    struct span both = rest;
    struct span db = cut_part(&rest);
    if (span_eq_text(rest, "*")) {
        g->has_all = g->has_all || span_eq_text(db, "*");
        add_name(&g->dbs, db);
    } else if (rest.n > 0 && memchr(rest.p, '.', rest.n) == NULL) {
        add_name(&g->tables, both); /* with one more dot nobody knows where the table begins */
    }
}

static void read_cell(struct grants *g, enum level level, const char *cell)
{
    struct span rest = span_of(cell);
    struct span scope = {0};
    while (fe_grants_next(&rest, &scope)) {
        add_scope(g, level, scope);
    }
}

/* --- the answer ------------------------------------------------------------------------------ */

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

/* Is it 'user'@'…'? */
static bool is_of_user(const char *identity, const char *user)
{
    size_t n = strlen(user);
    return identity != NULL && identity[0] == '\'' && strncmp(identity + 1, user, n) == 0 &&
           strncmp(identity + 1 + n, "'@", 2) == 0;
}

static void read_row(const struct answer *a, size_t row, size_t identity, struct grants *g)
{
    char **cells = a->cells + row * a->n_columns;
    size_t column = 0;
    g->is_known = true;
    if (g->identity == NULL && cells[identity] != NULL) {
        g->identity = xstrdup(cells[identity]);
    }
    if (find_column(a, "GlobalPrivs", &column) && fe_grants_has_global(cells[column])) {
        g->has_all = true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        if (find_column(a, columns[i], &column) && cells[column] != NULL) {
            read_cell(g, (enum level)i, cells[column]);
        }
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct grants_names *names)
{
    if (names->n > 1) {
        qsort(names->items, names->n, sizeof(char *), compare);
    }
}

bool grants_read(const struct answer *answer, const char *user, struct grants *ret, struct err *err)
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
        /* One row is the asker's, whatever he is called there (LDAP); of several, his alone. */
        if (answer->n_rows == 1 ||
            is_of_user(answer->cells[row * answer->n_columns + identity], user)) {
            read_row(answer, row, identity, ret);
        }
    }
    sort(&ret->dbs);
    sort(&ret->tables);
    return ret->is_known ||
           err_say(err,
                   "Sluice cannot learn your privileges: SHOW GRANTS of the FE tells nothing "
                   "about user '%s'",
                   user);
}

static void names_fini(struct grants_names *names)
{
    for (size_t i = 0; i < names->n; i++) {
        free(names->items[i]);
    }
    free(names->items);
}

void grants_fini(struct grants *g)
{
    names_fini(&g->dbs);
    names_fini(&g->tables);
    free(g->identity);
    *g = (struct grants){0};
}

static struct grants_names copy_names(const struct grants_names *names)
{
    struct grants_names copy = {.n = names->n};
    if (names->n > 0) {
        copy.items = xcalloc(names->n, sizeof(char *));
    }
    for (size_t i = 0; i < names->n; i++) {
        copy.items[i] = xstrdup(names->items[i]);
    }
    return copy;
}

struct grants grants_copy(const struct grants *g)
{
    return (struct grants){
        .is_known = g->is_known,
        .has_all = g->has_all,
        .identity = g->identity != NULL ? xstrdup(g->identity) : NULL,
        .dbs = copy_names(&g->dbs),
        .tables = copy_names(&g->tables),
    };
}

/* --- questions ------------------------------------------------------------------------------- */

static bool has_name(const struct grants_names *names, const char *name)
{
    return names->n > 0 && bsearch(&name, names->items, names->n, sizeof(char *), compare) != NULL;
}

bool grants_may_load(const struct grants *g, const char *db, const char *table)
{
    if (g->has_all || has_name(&g->dbs, db)) {
        return true;
    }
    if (g->tables.n == 0 || strchr(db, '.') != NULL || strchr(table, '.') != NULL) {
        return false; /* with another dot "a.b.c" could be two tables */
    }
    _cleanup_free_ char *both = xasprintf("%s.%s", db, table);
    return has_name(&g->tables, both);
}

bool grants_deny_load(const struct grants *g, const char *db, const char *table, struct err *err)
{
    _cleanup_free_ char *quoted_db = quote_name(db);
    _cleanup_free_ char *quoted_table = quote_name(table);
    return err_set(err, ERR_TABLEACCESS_DENIED, "42000",
                   "LOAD command denied to user %s for table '%s.%s'. An administrator can GRANT "
                   "LOAD_PRIV ON %s.%s TO %s",
                   g->identity != NULL ? g->identity : "''", db, table, quoted_db, quoted_table,
                   g->identity != NULL ? g->identity : "''");
}
