#include <string.h>

#include "base/xmalloc.h"
#include "sources/fe_grants.h"

static const char catalog[] = "internal";
static const char LOAD[] = "Load_priv";

/* 2.0 puts blanks between the privileges. */
static bool list_has(struct span list, const char *privilege)
{
    size_t at = 0;
    while (at < list.n) {
        size_t from = at;
        while (at < list.n && strchr(", \t()", list.p[at]) == NULL) {
            at++;
        }
        struct span word = {list.p + from, at - from};
        if (span_ieq_text(word, privilege) || span_ieq_text(word, "Admin_priv")) {
            return true;
        }
        at++;
    }
    return false;
}

bool fe_grants_has_global(const char *cell)
{
    return cell != NULL && list_has(span_of(cell), LOAD);
}

static bool next_with(struct span *rest, const char *privilege, struct span *ret_scope)
{
    while (rest->n > 0) {
        const char *end = memchr(rest->p, ';', rest->n);
        struct span item = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n};
        const char *colon = memrchr(item.p, ':', item.n); /* db names of 1.x have one, too */
        size_t used = item.n + (end != NULL ? 1 : 0);
        rest->p += used;
        rest->n -= used;
        if (colon != NULL && list_has(span_between(colon + 1, item.p + item.n), privilege)) {
            *ret_scope = span_trim(span_between(item.p, colon));
            return true;
        }
    }
    return false;
}

bool fe_grants_next(struct span *rest, struct span *ret_scope)
{
    return next_with(rest, LOAD, ret_scope);
}

bool fe_grants_covers(struct span scope, const char *db, const char *table)
{
    _cleanup_free_ char *of_db = xasprintf("%s.%s", catalog, db);
    _cleanup_free_ char *of_table = xasprintf("%s.%s.%s", catalog, db, table);
    return span_eq_text(scope, catalog) || span_eq_text(scope, of_db) ||
           span_eq_text(scope, of_table);
}

bool fe_grants_has_global_of(const char *cell, const char *privilege)
{
    return cell != NULL && list_has(span_of(cell), privilege);
}

bool fe_grants_give(const char *cell, const char *privilege, const char *db, const char *table)
{
    struct span rest = span_of(cell);
    struct span scope = {0};
    bool is_given = false;
    while (!is_given && next_with(&rest, privilege, &scope)) {
        is_given = fe_grants_covers(scope, db, table);
    }
    return is_given;
}
