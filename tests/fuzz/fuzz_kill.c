/*
 * A statement: if it is a KILL for us, then the same number in the plainest words is, too.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "parser/kill.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kill_stmt found = {0};
    struct kill_stmt again = {0};
    char plain[64];
    if (!kill_parse((struct span){(const char *)data, size}, &found)) {
        return 0;
    }
    (void)snprintf(plain, sizeof(plain), "KILL %s %" PRIu32,
                   found.is_query ? "QUERY" : "CONNECTION", found.id);
    bool is_same = kill_parse(span_of(plain), &again);
    assert(is_same && again.is_query == found.is_query && again.id == found.id);
    return 0;
}
