/*
 * What a user may do, as the FE's SHOW GRANTS tells it on the user's own connection (facts:
 * doris-ports.md F3; FE auth/Auth.java). Only LOAD matters here: a user may see and change a job
 * when he may LOAD into its target. Pure; immutable once read; any thread.
 *
 * Doris compares the names of databases and tables by their bytes, and has no wildcards in them but
 * a lone '*'. What cannot be understood gives no privilege.
 */
#ifndef PROXY_GRANTS_H
#define PROXY_GRANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct answer;

struct grants_names {
    char **items; /* owned, sorted by strcmp() */
    size_t n;
};

struct grants {
    bool is_known;              /* something was read */
    bool has_all;               /* LOAD or ADMIN on everything, or on the catalog "internal" */
    char *identity;             /* owned: 'user'@'host', for messages */
    struct grants_names dbs;    /* "db" with LOAD */
    struct grants_names tables; /* "db.table" with LOAD */
};

/*
 * Columns are found by name; an error, an answer without them or without a row about `user` is "no":
 * err is filled.
 */
bool grants_read(const struct answer *answer, const char *user, struct grants *ret,
                 struct err *err);
void grants_fini(struct grants *g);
/* The caller ends the copy with grants_fini(). */
struct grants grants_copy(const struct grants *g);
bool grants_may_load(const struct grants *g, const char *db, const char *table);
/* ERR 1142 in Doris's words. Returns false. */
bool grants_deny_load(const struct grants *g, const char *db, const char *table, struct err *err);

#endif
