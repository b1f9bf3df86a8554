/* Any bytes as the reply to a list request; the first byte picks what was asked for. */
#include <assert.h>
#include <stdint.h>

#include "sources/s3_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct s3_page page = {0};
    struct err err = {0};
    if (size == 0) {
        return 0;
    }
    const char *start_after = data[0] % 2 == 0 ? "in/a" : NULL;
    struct span prefix = data[0] % 3 == 0 ? SPAN_LIT("in/") : SPAN_LIT("");
    struct span xml = {(const char *)data + 1, size - 1};
    if (!s3_page_parse(xml, &page, &err)) {
        assert(err_is_set(&err) && page.objects == NULL && page.error_code == NULL);
        return 0;
    }
    for (size_t i = 0; i < page.n_objects; i++) {
        assert(page.objects[i].key[0] != '\0' && page.objects[i].etag != NULL);
        assert(page.objects[i].size >= 0);
    }
    if (s3_page_check(&page, prefix, start_after, &err)) {
        for (size_t i = 1; i < page.n_objects; i++) {
            assert(strcmp(page.objects[i - 1].key, page.objects[i].key) < 0);
        }
        assert(page.n_objects > 0 || !page.is_truncated);
    } else {
        assert(err_is_set(&err));
    }
    s3_page_fini(&page);
    return 0;
}
