#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/fe_traits.h"

static void reads_how_long_labels_are_kept(void **state)
{
    static const struct {
        const char *key;
        const char *value;
        int64_t keep_s;
        int64_t n;
    } table[] = {
        {"streaming_label_keep_max_second", "43200", 43200, 0},
        {"streaming_label_keep_max_second", "0", 1, 0}, /* 0 would be "not known" */
        {"streaming_label_keep_max_second", "-1", 0, 0},
        {"streaming_label_keep_max_second", "12 h", 0, 0},
        {"streaming_label_keep_max_second", "99999999999", 0, 0},
        {"label_keep_max_second", "259200", 0, 0}, /* of other loads */
        {"label_num_threshold", "2000", 0, 2000},
        {"label_num_threshold", "0", 0, 1},
        {"label_num_threshold", "-1", 0, FE_TRAITS_NO_LIMIT},
        {"label_num_threshold", "", 0, 0},
        {"label_num_threshold", NULL, 0, 0},
        {NULL, "5", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct fe_traits traits = {.version = 3000};
        fe_traits_read(table[i].key, table[i].value, &traits);
        assert_int_equal(traits.label_keep_s, table[i].keep_s);
        assert_int_equal(traits.label_num, table[i].n);
        assert_int_equal(traits.version, 3000);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_how_long_labels_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
