#include <stdlib.h>

#include "scheduler/source.h"

void plan_fini(struct plan *p)
{
    free(p->range);
    free(p->offset_after);
    free(p->running_offset);
    free(p->end_offset);
    *p = (struct plan){0};
}
