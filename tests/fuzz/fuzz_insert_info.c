#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "sources/fe_error.h"
#include "sources/fe_http.h"
#include "sources/fe_text.h"
#include "sources/fe_version.h"
#include "sources/insert_info.h"
#include "sources/insert_offsets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A field points into the text, all of it. */
static void must_lie_in(struct span field, struct span text)
{
    if (field.n > 0) {
        assert(field.p >= text.p && field.n <= text.n);
        assert((size_t)(field.p - text.p) <= text.n - field.n);
    }
}

/* All that reads what an FE says in words: info string, errors, version, redirects, a table. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {.p = (const char *)data, .n = size};
    struct insert_info info = {0};
    struct span host_port = {0};
    if (insert_info_parse(text, &info)) {
        assert(info.label.n > 0 && info.status_text.n > 0);
        must_lie_in(info.label, text);
        must_lie_in(info.status_text, text);
        must_lie_in(info.txn_id, text);
        must_lie_in(info.error, text);
    }
    struct fe_error_parts parts = fe_error_read(text, "l1");
    must_lie_in(parts.txn_id, text);
    must_lie_in(parts.tracking_url, text);
    must_lie_in(parts.first_error, text);
    (void)fe_error_is_unknown_label(text, "l1");
    (void)fe_error_is_unknown_variable(0, text);
    (void)fe_error_is_denied(0, text);
    (void)fe_error_is_missing_table(0, text);
    assert(fe_version_parse(text) >= 0);
    if (fe_http_parse_location(text, &host_port)) {
        assert(host_port.n > 0);
        must_lie_in(host_port, text);
    }
    char *shown = xmemdup0(data, size);
    char *replication = insert_offsets_replication(shown);
    assert(replication == NULL || strstr(shown, replication) != NULL);
    free(replication);
    fe_text_make_utf8(shown);
    free(shown);
    return 0;
}
