/*
 * The cells of SHOW GRANTS, mostly as far as LOAD goes (facts: doris-ports.md F3; FE auth/Auth.java):
 *
 *     GlobalPrivs                               Load_priv,Select_priv
 *     CatalogPrivs, DatabasePrivs, TablePrivs   internal.db: Select_priv,Load_priv; internal.db2: …
 *
 * ADMIN includes LOAD and all else that is asked for here. Pure functions over text; a NULL cell has nothing.
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

/* The same of another privilege, as SHOW GRANTS spells it: "Create_priv", in any letter case. */
bool fe_grants_has_global_of(const char *cell, const char *privilege);
/* Does a scope of another cell give that privilege on the table? */
bool fe_grants_give(const char *cell, const char *privilege, const char *db, const char *table);

#endif
