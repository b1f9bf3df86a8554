/* Any text: it is adapted within its bounds, and what was adapted is left as it is. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "proxy/viewsql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sql = span_dup((struct span){(const char *)data, size});
    enum viewsql_trust trust = VIEWSQL_OTHER;
    char *adapted = viewsql_adapt(sql, &trust);
    assert(strlen(adapted) <= 30 * strlen(sql) + 30);
    free(adapted);
    free(sql);
    return 0;
}
