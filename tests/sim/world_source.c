/*
 * A bucket below one prefix. Files are put in the order of their names, but for a few that come
 * late; any may be replaced (another ETag) or deleted at any moment, also between listing and
 * reading. A file that is deleted and put again has another ETag: that the very same content comes
 * back unnoticed is not modelled, since nothing in a listing could tell.
 */
#include <string.h>

#include "tests/sim/world.h"

enum { NEWEST_CHANGED = 6 }; /* which files change: mostly those about to be loaded */

void source_init(struct world *w)
{
    memset(w->units, 0, sizeof(w->units));
    w->n_units = 0;
}

static void put(struct world *w, int unit, bool is_bad)
{
    struct unit *u = &w->units[unit];
    if (u->version >= MAX_VERSIONS) {
        return;
    }
    u->version++;
    u->is_there = true;
    u->changed_ms = w->now_ms;
    u->bad_versions |= (uint64_t)is_bad << u->version;
    world_tell(w, "source: file %d is put, version %d%s%s", unit, u->version,
               is_bad ? ", bad rows" : "", u->is_unreadable ? ", a name Doris cannot read" : "");
}

void source_grow(struct world *w)
{
    if (w->n_units == MAX_UNITS) {
        return;
    }
    struct unit *u = &w->units[++w->n_units];
    u->is_unreadable = world_chance(w, 4);
    if (!world_chance(w, 6)) { /* else it comes late, or never */
        put(w, w->n_units, world_chance(w, 9));
    }
}

void source_change(struct world *w)
{
    if (w->n_units == 0) {
        return;
    }
    int back = (int)world_random(w, NEWEST_CHANGED);
    int unit = w->n_units > back ? w->n_units - back : 1;
    struct unit *u = &w->units[unit];
    if (u->is_there && world_chance(w, 40)) {
        source_delete(w, unit);
    } else {
        put(w, unit, world_chance(w, 15));
    }
}

void source_mend(struct world *w, int unit)
{
    if (!w->units[unit].is_there || source_is_bad(&w->units[unit], w->units[unit].version)) {
        put(w, unit, false);
    }
}

void source_delete(struct world *w, int unit)
{
    w->units[unit].is_there = false;
    w->units[unit].changed_ms = w->now_ms;
    world_tell(w, "source: file %d is deleted", unit);
}

bool source_is_same(const struct world *w, const struct range *r)
{
    for (int i = 0; i < r->n; i++) {
        const struct unit *u = &w->units[r->units[i]];
        if (!u->is_there || u->version != r->versions[i]) {
            return false;
        }
    }
    return true;
}
