/*
 * What an FE says of itself that plans and decisions depend on: its version and how long it
 * remembers labels. fe_pool.h keeps it for a minute.
 */
#ifndef SOURCES_FE_TRAITS_H
#define SOURCES_FE_TRAITS_H

#include "scheduler/source.h"
#include "sources/fe_conn.h"

/* label_num of an FE that keeps labels however many there are (label_num_threshold = -1). */
enum { FE_TRAITS_NO_LIMIT = INT32_MAX };

/*
 * ret->version is -1 when the FE has not told it. FE_REFUSED: it has, but not its configuration,
 * which only ADMIN may see, or it knows no such statement: then both are 0, and err is empty. After
 * FE_LOST and FE_STOPPED the connection is of no use any more; the version may be known all the same.
 */
enum fe_result fe_traits_ask(struct fe_conn *c, const struct fe_wait *wait, struct fe_traits *ret,
                             struct err *err);

/* One Key and Value of ADMIN SHOW FRONTEND CONFIG; what is no such thing changes nothing. Pure. */
void fe_traits_read(const char *key, const char *value, struct fe_traits *ret);

#endif
