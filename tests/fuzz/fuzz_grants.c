/*
 * The cells of SHOW GRANTS: GlobalPrivs, CatalogPrivs, DatabasePrivs and TablePrivs, one a line.
 * Whatever they hold, nobody may LOAD without the word for it, one more grant is understood, and it
 * takes nothing away.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/grants.h"
#include "proxy/local.h"

enum { N_CELLS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct grants read_cells(char *const *cells)
{
    static const char *const names[] = {"UserIdentity", "GlobalPrivs", "CatalogPrivs",
                                        "DatabasePrivs", "TablePrivs"};
    const char *row[] = {"'u'@'%'", cells[0], cells[1], cells[2], cells[3]};
    struct answer answer = {
        .n_columns = N_CELLS + 1, .columns = (char **)names, .n_rows = 1, .cells = (char **)row};
    struct grants g = {0};
    struct err err = {0};
    bool is_read = grants_read(&answer, "u", &g, &err);
    assert(is_read && g.is_known);
    return g;
}

static bool has_word(char *const *cells)
{
    for (size_t i = 0; i < N_CELLS; i++) {
        if (strcasestr(cells[i], "Load_priv") != NULL ||
            strcasestr(cells[i], "Admin_priv") != NULL) {
            return true;
        }
    }
    return false;
}

static void check(char **cells)
{
    struct grants g = read_cells(cells);
    struct grants copy = grants_copy(&g);
    bool may = grants_may_load(&g, "db", "t");
    assert(grants_may_load(&copy, "db", "t") == may);
    assert(!may || has_word(cells));
    grants_fini(&copy);
    char *more = xasprintf("%s;internal.db.t: Select_priv,Load_priv", cells[3]);
    free(cells[3]);
    cells[3] = more;
    copy = read_cells(cells);
    assert(grants_may_load(&copy, "db", "t"));
    assert(!grants_may_load(&g, "other", "x") || grants_may_load(&copy, "other", "x"));
    grants_fini(&copy);
    grants_fini(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *cells[N_CELLS];
    struct span rest = {(const char *)data, size};
    for (size_t i = 0; i < N_CELLS; i++) {
        const char *end = rest.n > 0 ? memchr(rest.p, '\n', rest.n) : NULL;
        struct span cell = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};
        size_t used = cell.n + (end != NULL ? 1 : 0);
        cells[i] = cell.n > 0 ? span_dup(cell) : xstrdup(""); /* up to a NUL, as from the FE */
        rest = (struct span){rest.p + used, rest.n - used};
    }
    check(cells);
    for (size_t i = 0; i < N_CELLS; i++) {
        free(cells[i]);
    }
    return 0;
}
