/*
 * The cells of SHOW GRANTS, as far as LOAD goes (facts: doris-ports.md F3; FE auth/Auth.java):
 *
 *     GlobalPrivs                               Load_priv,Select_priv
 *     CatalogPrivs, DatabasePrivs, TablePrivs   internal.db: Select_priv,Load_priv; internal.db2: …
 *
 * ADMIN includes LOAD. Pure functions over text; a NULL cell has nothing.
 */
#ifndef SOURCES_FE_GRANTS_H
#define SOURCES_FE_GRANTS_H

#include <stdbool.h>

#include "base/span.h"

/* Has GlobalPrivs LOAD in it? */
bool fe_grants_has_global(const char *cell);
/*
 * The next scope with LOAD in what is left of another cell: "internal", "internal.db" or
 * "internal.db.table". False at the end. Begin with span_of(cell).
 */
bool fe_grants_next(struct span *rest, struct span *ret_scope);
/* Is the table within the scope? */
bool fe_grants_covers(struct span scope, const char *db, const char *table);

#endif
