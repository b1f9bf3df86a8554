#include <assert.h>

#include "proxy/config_reload.h"
#include "proxy/config_table.h"
#include "proxy/config_value.h"

enum { CHANGES_MAX_SIZE = 64 << 10 }; /* what is more is not told */

static struct buf *list_of(struct buf *b)
{
    b->max = CHANGES_MAX_SIZE;
    if (b->len > 0) {
        buf_append_text(b, ", ");
    }
    return b;
}

/* The member of the draft is that of the configuration: it comes first. */
static void copy(const struct config_key *key, const struct config *from, struct config *to)
{
    struct config_draft draft = {.config = *to};
    config_value_copy(key, from, &draft);
    *to = draft.config;
}

void config_reload_keep(const struct config *running, struct config *fresh,
                        struct config_changes *ret)
{
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        if (key->type == CONFIG_PATH || key->is_reloadable ||
            config_value_is_equal(key, running, fresh)) {
            continue;
        }
        buf_printf(list_of(&ret->waiting), "%s.%s", key->section, key->name);
        copy(key, running, fresh);
    }
}

void config_reload_undo(const struct config *running, struct config *fresh, const char *section,
                        const char *name)
{
    const struct config_key *key = config_table_find(span_of(section), span_of(name));
    assert(key != NULL && key->type != CONFIG_PATH);
    copy(key, running, fresh);
}

void config_reload_tell(const struct config *running, const struct config *fresh,
                        struct config_changes *ret)
{
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        if (key->type == CONFIG_PATH || config_value_is_equal(key, running, fresh)) {
            continue;
        }
        buf_printf(list_of(&ret->applied), "%s.%s = ", key->section, key->name);
        config_value_show(key, fresh, &ret->applied);
    }
}

void config_changes_fini(struct config_changes *c)
{
    buf_fini(&c->applied);
    buf_fini(&c->waiting);
}
