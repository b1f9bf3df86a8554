#include <stdarg.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "scheduler/explain.h"

void explain_add(struct explain *e, const char *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    e->lines = xrealloc_array(e->lines, e->n + 1, sizeof(*e->lines));
    e->lines[e->n++] = (struct explain_line){.item = xstrdup(item), .text = text};
}

void explain_fini(struct explain *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->lines[i].item);
        free(e->lines[i].text);
    }
    free(e->lines);
    *e = (struct explain){0};
}
