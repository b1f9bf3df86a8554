/*
 * The INI file: lines to entries. Parsing is libinih's; this adds what it lacks: line numbers, an
 * end at the first error, and errors instead of surprises for lines that are too long, hold control
 * characters or are only seemingly continued. Used by the parts of the configuration only.
 */
#ifndef PROXY_CONFIG_INI_H
#define PROXY_CONFIG_INI_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct config_ini_entry {
    int line;
    struct span section; /* "" before the first [section] */
    struct span name;
    struct span value;
    bool is_continued; /* this line only continues the entry before: more of its value */
    bool has_comment;  /* the value ended at " ;" */
};

/* False with err filled ends the parse. The spans live as long as the call. */
typedef bool (*config_ini_fn)(const struct config_ini_entry *entry, void *arg, struct err *err);

/* `file` is for errors: "FILE:LINE: …". Errors of `each` are passed on as they are. */
bool config_ini_parse(struct span text, const char *file, config_ini_fn each, void *arg,
                      struct err *err);

#endif
