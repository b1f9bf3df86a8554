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

#include "scheduler/source.h"
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
/*
 * Only after a statement that ended with FE_OK. Takes c, and closes it, or another one, when too
 * many are idle.
 */
void fe_pool_put(struct fe_pool *p, const struct fe_recipe *recipe, struct fe_conn *c);

/* c's FE does not serve: the next fresh connection tries another address first, if there is one. */
void fe_pool_avoid(struct fe_pool *p, const struct fe_conn *c);

/*
 * What the FE that c is connected to can do, asked for once a minute. ret->version is -1 when that
 * could not be learnt: err says why. With any other result than FE_OK c is of no use any more, even
 * where the version is known.
 */
enum fe_result fe_pool_traits(struct fe_pool *p, struct fe_conn *c, const struct fe_wait *wait,
                              struct fe_traits *ret, struct err *err);

/*
 * The same without asking: true when it is known, and that FE has answered somebody less than a
 * second ago and has not failed since. So all jobs together find out once a second whether the FE
 * serves.
 */
bool fe_pool_recall(const struct fe_pool *p, struct fe_traits *ret);

#endif
