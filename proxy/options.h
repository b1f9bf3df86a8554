/*
 * The command line, as data: what to do, and from where the configuration comes. Nothing is opened
 * or printed by options_parse(); main does what `action` says.
 */
#ifndef PROXY_OPTIONS_H
#define PROXY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum options_action {
    OPTIONS_RUN,
    OPTIONS_CHECK_CONFIG, /* load it, say whether it is right, exit 0 or 2 */
    OPTIONS_PRINT_CONFIG,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

enum { OPTIONS_EXIT_USAGE = 2 }; /* wrong command line or configuration */

struct options {
    enum options_action action;
    const char *config_file; /* borrowed from argv; NULL without -c */
    const char **sets;       /* owned, NULL-terminated; the texts are borrowed from argv */
    size_t n_sets;
};

/* May reorder argv, as getopt does. Not to be called by two threads at a time. */
bool options_parse(int argc, char **argv, struct options *ret, struct err *err);
void options_fini(struct options *o);

/*
 * The configuration file: that of -c, else that of SLUICE_CONFIG in `env`, else `fallback` if
 * it is there, else NULL. Borrowed from one of these.
 */
const char *options_config_file(const struct options *o, char *const *env, const char *fallback);
extern const char options_fallback_file[]; /* "/etc/sluice/sluice.conf" */

void options_print_help(FILE *to);
void options_print_version(FILE *to);

#endif
