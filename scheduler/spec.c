#include <stdlib.h>
#include <strings.h>

#include "scheduler/spec.h"

const struct spec_prop *spec_prop_find(const struct spec_prop *props, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(props[i].key, key) == 0) {
            return &props[i];
        }
    }
    return NULL;
}

const char *spec_prop_get(const struct spec_prop *props, size_t n, const char *key)
{
    const struct spec_prop *p = spec_prop_find(props, n, key);
    return p != NULL ? p->value : NULL;
}

enum guarantee spec_guarantee(const struct job_spec *spec)
{
    const char *text = spec_prop_get(spec->props, spec->n_props, "guarantee");
    return text != NULL && strcasecmp(text, "transactional") == 0 ? GUARANTEE_TRANSACTIONAL
                                                                  : GUARANTEE_LABEL;
}

static void free_props(struct spec_prop *props, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(props[i].key);
        free(props[i].value);
    }
    free(props);
}

void job_spec_destroy(struct job_spec *spec)
{
    if (spec == NULL) {
        return;
    }
    free(spec->insert.sql);
    free(spec->insert.current_db);
    free(spec->insert.target_db);
    free(spec->insert.target_table);
    for (size_t i = 0; i < spec->insert.n_columns; i++) {
        free(spec->insert.columns[i]);
    }
    free(spec->insert.columns);
    free(spec->insert.tvf);
    free_props(spec->insert.tvf_props, spec->insert.n_tvf_props);
    free_props(spec->props, spec->n_props);
    free(spec);
}
