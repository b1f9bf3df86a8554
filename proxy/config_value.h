/*
 * One value of the configuration: from text to member, bounds checked, and what is accepted in
 * words. Used by the parts of the configuration only.
 */
#ifndef PROXY_CONFIG_VALUE_H
#define PROXY_CONFIG_VALUE_H

#include <stdbool.h>

#include "base/buf.h"
#include "proxy/config_table.h"

/*
 * Replaces the key's member of the draft. On failure the draft is unchanged and err says what is
 * wrong and what is accepted, without naming the key; secrets are not shown.
 */
bool config_value_set(const struct config_key *key, struct span text, struct config_draft *draft,
                      struct err *err);
/* Adds to a list; false for other types. */
bool config_value_extend(const struct config_key *key, struct span text, struct config_draft *draft,
                         struct err *err);
/* The key must be one of struct config, not CONFIG_PATH. */
bool config_value_is_equal(const struct config_key *key, const struct config *a,
                           const struct config *b);
/* The same key: `to` gets a copy of its own in the place of what it had. */
void config_value_copy(const struct config_key *key, const struct config *from,
                       struct config_draft *to);
/* The value as it could be written; a secret's is "(secret)". */
void config_value_show(const struct config_key *key, const struct config *c, struct buf *ret);
/* Frees the member and empties it; secrets are wiped. */
void config_value_fini(const struct config_key *key, struct config_draft *draft);

/* "a whole number from 1 to 64" */
void config_value_describe(const struct config_key *key, struct buf *ret);

#endif
