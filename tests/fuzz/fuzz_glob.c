/*
 * A pattern, a line end, and a text. A pattern is either refused with an error or decides; and the
 * text taken literally, as a pattern for itself, always matches itself.
 */
#include <assert.h>
#include <stdint.h>

#include "base/xmalloc.h"
#include "sources/glob.h"
#include "sources/s3_batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_literal(struct span text, int fe_version)
{
    const char *why = NULL;
    struct err err = {0};
    if (text.n == 0 || memchr(text.p, '\0', text.n) != NULL || /* s3_list.h lets none through */
        s3_key_form(text, (struct span){text.p, 0}, fe_version, &why) == S3_KEY_UNREADABLE) {
        return;
    }
    char *pattern = s3_key_pattern(text, fe_version);
    struct glob *g = glob_create(span_of(pattern), &err);
    assert(g != NULL ? glob_match(g, text) || text.n > GLOB_MAX_TEXT
                     : strlen(pattern) > GLOB_MAX_PATTERN);
    glob_destroy(g);
    free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    const char *end = size > 0 ? memchr(p, '\n', size) : NULL;
    struct span pattern = {p, end != NULL ? (size_t)(end - p) : size};
    struct span text = end != NULL ? span_between(end + 1, p + size) : (struct span){p, 0};
    struct err err = {0};
    struct glob *g = glob_create(pattern, &err);
    if (g == NULL) {
        assert(err_is_set(&err));
    } else if (glob_match(g, text)) {
        struct span prefix = glob_literal_prefix(g);
        assert(text.n >= prefix.n && span_eq((struct span){text.p, prefix.n}, prefix));
    }
    glob_destroy(g);
    check_literal(text, 2001);
    check_literal(text, 4001);
    return 0;
}
