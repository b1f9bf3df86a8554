#include <stdlib.h>

#include "scheduler/source.h"

void plan_fini(struct plan *p)
{
    free(p->range);
    free(p->offset_after);
    free(p->running_offset);
    free(p->end_offset);
    for (size_t i = 0; i < p->n_bad; i++) {
        bad_file_fini(&p->bad[i]);
    }
    free(p->bad);
    file_marks_fini(&p->marks);
    *p = (struct plan){0};
}
