/*
 * What a user may do, as the FE's SHOW GRANTS tells it on the user's own connection (facts:
 * doris-ports.md F3; FE auth/Auth.java). Only LOAD matters here: a user may see and change a job
 * when he may LOAD into its target. Pure; immutable once read; any thread.
 */
#ifndef PROXY_GRANTS_H
#define PROXY_GRANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct answer;

struct grants {
    char *identity;  /* 'user'@'host', for messages */
    bool has_global; /* LOAD or ADMIN on everything */
    char **scopes;   /* "internal", "internal.db", "internal.db.table" with LOAD */
    size_t n_scopes;
};

/* Columns are found by name; an error, or an answer without the columns, is "no": err is filled. */
bool grants_read(const struct answer *answer, struct grants *ret, struct err *err);
void grants_fini(struct grants *g);
bool grants_may_load(const struct grants *g, const char *db, const char *table);
/* ERR 1142 in Doris's words. Returns false. */
bool grants_deny_load(const struct grants *g, const char *db, const char *table, struct err *err);

#endif
