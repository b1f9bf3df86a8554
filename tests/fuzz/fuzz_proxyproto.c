/*
 * What begins a connection. However it is cut, the header ends at the same byte; and what was read
 * from it can be written and read again.
 */
#include <assert.h>
#include <stdint.h>

#include "proxy/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const struct proxyproto *header)
{
    _cleanup_buf_ struct buf line = buf_with_max(PROXYPROTO_V1_MAX);
    struct proxyproto again = {0};
    struct err err = {0};
    proxyproto_put_v1(&line, &header->source, &header->destination);
    assert(buf_ok(&line));
    enum proxyproto_step step = proxyproto_parse(buf_span(&line), &again, &err);
    assert(step == PROXYPROTO_DONE && again.size == line.len);
}

/* All that are shorter want more; `size` bytes are decided. */
static void check_cut(const uint8_t *data, size_t size)
{
    for (size_t n = 0; n < size; n += 1 + n / 16) {
        struct proxyproto header = {0};
        struct err err = {0};
        enum proxyproto_step step =
            proxyproto_parse((struct span){(const char *)data, n}, &header, &err);
        assert(step == PROXYPROTO_MORE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxyproto header = {0};
    struct err err = {0};
    struct span bytes = {(const char *)data, size};
    switch (proxyproto_parse(bytes, &header, &err)) {
    case PROXYPROTO_MORE: assert(size < PROXYPROTO_MAX_SIZE); break;
    case PROXYPROTO_BAD: assert(err_is_set(&err)); break;
    case PROXYPROTO_DONE:
        assert(header.size <= size && header.size <= PROXYPROTO_MAX_SIZE);
        check_cut(data, header.size);
        check_written(&header);
        break;
    }
    return 0;
}
