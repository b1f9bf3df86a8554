/*
 * What has to be true of a session before a job's INSERT runs in it: time limits, no group commit,
 * the job's own session.* properties, and the database that resolves names. In Doris nothing undoes
 * a session variable (COM_RESET_CONNECTION does not), so two loads may share a connection only when
 * their recipes are the same text.
 */
#ifndef SOURCES_FE_SESSION_H
#define SOURCES_FE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sources/fe_conn.h"

struct job_spec;
struct fe_recipe;

/*
 * `spec` NULL: a plain session with nothing set. Else the FE's limits become timeout_s, and the
 * job's session.* properties follow in their order, so they win, but for group_commit, which would
 * make Doris ignore the label. NULL: a property's name is no name of a variable.
 */
struct fe_recipe *fe_recipe_create(const struct job_spec *spec, int64_t timeout_s, struct err *err);
void fe_recipe_destroy(struct fe_recipe *r);
DEFINE_CLEANUP(struct fe_recipe *, fe_recipe_destroy)
#define _cleanup_fe_recipe_ _cleanup_(fe_recipe_destroy_p)

/* The same text for the same session. */
const char *fe_recipe_key(const struct fe_recipe *r);

/* FE_OK, or err says which property or database was refused, and by whom. */
enum fe_result fe_recipe_apply(const struct fe_recipe *r, struct fe_conn *c,
                               const struct fe_wait *wait, struct err *err);

#endif
