#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void world_init(struct world *w, uint64_t seed)
{
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->now_ms = INT64_C(1000000000);
    w->is_calm = false;
    w->is_told = false;
    w->wrong = NULL;
    w->job = 0;
    (void)world_random(w, 2);
    source_init(w);
    doris_init(w);
}

void world_wrong(struct world *w, const char *what)
{
    if (w->wrong == NULL) {
        w->wrong = what;
        world_tell(w, "WRONG: %s", what);
    }
}

void world_tell(const struct world *w, const char *format, ...)
{
    va_list args;
    if (!w->is_told) {
        return;
    }
    (void)printf("%10.3f ", (double)(w->now_ms - INT64_C(1000000000)) / 1000);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

void world_advance(struct world *w, int64_t ms)
{
    w->now_ms += ms;
    doris_advance(w, ms);
}
