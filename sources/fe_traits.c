#include "sources/fe_traits.h"
#include "sources/fe_version.h"

void fe_traits_read(const char *key, const char *value, struct fe_traits *ret)
{
    int64_t number = 0;
    if (key == NULL || value == NULL || !span_to_int64(span_of(value), -1, INT32_MAX, &number)) {
        return;
    }
    /* 0 means "not known" to whoever reads these: the least that can be known is 1. */
    if (strcmp(key, "streaming_label_keep_max_second") == 0 && number >= 0) {
        ret->label_keep_s = number > 0 ? number : 1;
    } else if (strcmp(key, "label_num_threshold") == 0) {
        ret->label_num = number < 0 ? FE_TRAITS_NO_LIMIT : number > 0 ? number : 1;
    }
}

static void read_version(const struct fe_row *row, void *arg)
{
    struct fe_traits *traits = arg;
    traits->version = fe_version_parse(span_of(fe_row_first(row)));
}

static void read_config(const struct fe_row *row, void *arg)
{
    fe_traits_read(fe_row_get(row, "Key"), fe_row_get(row, "Value"), arg);
}

enum fe_result fe_traits_ask(struct fe_conn *c, const struct fe_wait *wait, struct fe_traits *ret,
                             struct err *err)
{
    *ret = (struct fe_traits){.version = -1};
    struct fe_traits told = {0};
    enum fe_result result =
        fe_conn_run(c, "SELECT @@version_comment", read_version, &told, wait, err);
    if (result != FE_OK) {
        return result;
    }
    ret->version = told.version;
    result =
        fe_conn_run(c, "ADMIN SHOW FRONTEND CONFIG LIKE '%label%'", read_config, &told, wait, err);
    if (result == FE_OK) {
        *ret = told;
    } else if (result == FE_REFUSED) {
        *err = (struct err){0};
    }
    return result;
}
