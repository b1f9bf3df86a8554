/* Files of the time zone database: any bytes, and offsets of what is taken for one. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/tzif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t instants[] = {INT64_MIN / 2, -1, 0, 1763805600, INT64_MAX / 2};
    static struct tzif t;
    struct tzif_rule rule;
    struct span bytes = {(const char *)data, size};
    bool has_rule = tzif_parse_rule(bytes, &rule);
    if (has_rule) {
        t = (struct tzif){.rule = rule, .has_rule = true};
    }
    if (has_rule || tzif_parse(bytes, &t)) {
        for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
            int32_t offset = tzif_offset_s(&t, instants[i]);
            assert(offset <= 26 * 3600 && offset >= -26 * 3600);
        }
    }
    return 0;
}
