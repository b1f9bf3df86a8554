/*
 * The one table of configuration keys, and the look-ups in it. Used by the parts of the
 * configuration (config*.c, options.c) only.
 */
#ifndef PROXY_CONFIG_TABLE_H
#define PROXY_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "proxy/config.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_SECRET, /* a text that is never shown */
    CONFIG_PATH,   /* of a file; in struct config_draft, not in struct config */
    CONFIG_URL,    /* a text that begins with one of `choices` */
    CONFIG_INT,
    CONFIG_DURATION,     /* int64_t in units of `unit_ms` */
    CONFIG_ADDRESS,      /* struct host_port */
    CONFIG_ADDRESS_LIST, /* struct host_port *, followed by its int64_t count */
    CONFIG_ENUM,         /* an int, index into `choices` */
    CONFIG_NETWORKS,     /* a text that networks_parse() understands */
};

/* What is being read: the result, and what has no place in it. */
struct config_draft {
    struct config config; /* first: members of it are members of the draft */
    char *password_file;  /* owned */
};

struct config_key {
    const char *section;
    const char *name;
    const char *help;   /* one or more sentences for the user */
    const char *preset; /* the default, as it would be written; "" = not set */
    enum config_type type;
    bool is_optional;   /* ADDRESS: empty means "off" */
    bool is_reloadable; /* SIGHUP may change it */
    int unit_ms;        /* DURATION: what a bare number counts, and what the member is in */
    size_t offset;      /* of the member in struct config_draft */
    /* INT, DURATION: of the value in its unit; texts: of the length; addresses: of the port. */
    int64_t min, max;
    const char *const *choices; /* ENUM, URL; ended by NULL */
};

enum {
    CONFIG_N_KEYS = 38,
    CONFIG_MAX_ADDRESSES = 64,
    CONFIG_ENV_SIZE = 64, /* "SLUICE_SECTION_KEY" and a NUL */
};

extern const struct config_key config_table_keys[CONFIG_N_KEYS];

/* NULL when there is none. */
const struct config_key *config_table_find(struct span section, struct span name);
/* `name` is the whole variable, "SLUICE_LOG_LEVEL". */
const struct config_key *config_table_find_env(struct span name);
void config_table_env_name(const struct config_key *key, char ret_name[CONFIG_ENV_SIZE]);

/* What the user may have meant: a key spelled nearly so, or of that name elsewhere; or NULL. */
const struct config_key *config_table_guess(struct span section, struct span name);
const struct config_key *config_table_guess_env(struct span name);

#endif
