#include <stdlib.h>

#include "scheduler/files.h"

void file_marks_fini(struct file_marks *m)
{
    for (size_t i = 0; i < m->n_marks; i++) {
        free(m->marks[i].key);
    }
    for (size_t i = 0; i < m->n_settled; i++) {
        free(m->settled[i]);
    }
    free(m->marks);
    free(m->settled);
    *m = (struct file_marks){0};
}

void bad_file_fini(struct bad_file *f)
{
    free(f->key);
    free(f->etag);
    free(f->reason);
    *f = (struct bad_file){0};
}

void bad_file_copy(const struct bad_file *from, struct bad_file *ret)
{
    *ret = *from;
    ret->key = xstrdup(from->key);
    ret->etag = xstrdup(from->etag);
    ret->reason = xstrdup(from->reason);
}
