/*
 * The INI file: lines to entries. Parsing is libinih's; this adds what it lacks: line numbers, each
 * of the errors or an end at the first, and errors instead of surprises for lines that are too long,
 * hold control characters or are only seemingly continued. Used by the parts of the configuration
 * only.
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

struct config_ini {
    /* False ends the parse. The spans live as long as the call. */
    bool (*each)(const struct config_ini_entry *entry, void *arg);
    /* A line that is wrong, "FILE:LINE: …"; likewise. */
    bool (*fail)(const struct err *err, void *arg);
    void *arg;
};

/* `file` is for errors. False when one of the two functions ended it. */
bool config_ini_parse(struct span text, const char *file, const struct config_ini *to);

#endif
