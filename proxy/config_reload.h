/*
 * Reading the configuration again while the process runs: which keys take effect, which wait for a
 * restart. Pure.
 */
#ifndef PROXY_CONFIG_RELOAD_H
#define PROXY_CONFIG_RELOAD_H

#include "base/buf.h"
#include "proxy/config.h"

/* Comma-separated; empty while there is nothing to tell. Freed by the caller. */
struct config_changes {
    struct buf applied; /* "log.level = debug"; secrets and their like by name only */
    struct buf waiting; /* "proxy.listen": its value needs a restart */
};

/*
 * `fresh` becomes what is to run: the keys that are not reloadable get their running values, and
 * are in ret->waiting if they differ.
 */
void config_reload_keep(const struct config *running, struct config *fresh,
                        struct config_changes *ret);
/* One key gets its running value back; it is one of the table. */
void config_reload_undo(const struct config *running, struct config *fresh, const char *section,
                        const char *name);
/* Adds to ret->applied what is different now. */
void config_reload_tell(const struct config *running, const struct config *fresh,
                        struct config_changes *ret);
void config_changes_fini(struct config_changes *c);

#endif
