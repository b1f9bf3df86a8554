/*
 * Connections to the FEs, with a few idle ones kept for the next load of the same recipe. Any
 * runner may call at any time: the idle ones hang in slots that are taken and filled by one atomic
 * exchange each, so nobody waits for anybody.
 *
 *     fe_pool_take() --> fresh or idle, alive, recipe applied --> fe_pool_put() or
 *                                                                 fe_conn_destroy()
 */
#ifndef SOURCES_FE_POOL_H
#define SOURCES_FE_POOL_H

#include <stddef.h>

#include "sources/fe_conn.h"
#include "sources/fe_session.h"

struct fe_pool;

/* Addresses and login are borrowed until fe_pool_destroy(). n >= 1. */
struct fe_pool *fe_pool_create(const struct fe_address *addresses, size_t n,
                               const struct fe_login *login);
/* No connection may be out any more. NULL is accepted. */
void fe_pool_destroy(struct fe_pool *p);

/*
 * Tries the address that worked last, then the others in turn; not after one has refused the
 * password, since accounts get locked. NULL: err tells of the last one.
 */
struct fe_conn *fe_pool_take(struct fe_pool *p, const struct fe_recipe *recipe,
                             const struct fe_wait *wait, struct err *err);
/* Only after a statement that ended with FE_OK. Takes c. */
void fe_pool_put(struct fe_pool *p, const struct fe_recipe *recipe, struct fe_conn *c);

/* c's FE does not serve: the next fresh connection tries another address first, if there is one. */
void fe_pool_avoid(struct fe_pool *p, const struct fe_conn *c);

/* The version of the FE that c is connected to (fe_version.h), asked for once a minute. */
enum fe_result fe_pool_version(struct fe_pool *p, struct fe_conn *c, const struct fe_wait *wait,
                               int *ret_version, struct err *err);

#endif
