/*
 * What a client sends about a prepared statement: byte 0 is the number of parameters (modulo 8) and,
 * by its high bit, QUERY_ATTRIBUTES; then packets of | kind 1 | length 1 | payload |: long data for
 * even kinds, EXECUTE for odd ones. Whatever is bound has no '?' left and is text of bounded size; a
 * second statement beside it stays as it is. The payload is read as a query's attributes as well.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/xmalloc.h"
#include "parser/params.h"
#include "proxy/binary.h"
#include "proxy/packet.h"
#include "proxy/prepared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void execute(struct prepared_set *set, struct prepared *st, struct span payload,
                    uint64_t capabilities)
{
    _cleanup_buf_ struct buf out = buf_with_max(PREPARED_BOUND_MAX);
    struct err err = {0};
    bool has_cursor = false;
    if (!prepared_bind(set, st, payload, capabilities, &out, &has_cursor, &err)) {
        assert(err.code != 0 && err.msg[0] != '\0');
        return;
    }
    assert(buf_ok(&out) && params_count(buf_span(&out)) == 0);
    assert(out.len >= prepared_n_params(st));
}

static void read_attributes(struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    binary_skip_attributes(&r, payload.n % 5 + 1);
    assert(packet_left(&r) <= payload.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char marks[] = "?,?,?,?,?,?,?";
    struct err err = {0};
    if (size == 0) {
        return 0;
    }
    size_t n_params = data[0] % 8;
    uint64_t capabilities = (data[0] & 0x80) != 0 ? CAP_QUERY_ATTRIBUTES : 0;
    struct prepared_set *set = prepared_create();
    struct prepared *other = prepared_add(set, SPAN_LIT("other ?"), &err);
    struct prepared *st =
        prepared_add(set, (struct span){marks, n_params > 0 ? 2 * n_params - 1 : 0}, &err);
    assert(other != NULL && st != NULL && prepared_n_params(st) == n_params);
    for (size_t at = 1; at + 2 <= size;) {
        size_t left = size - at - 2;
        size_t n = data[at + 1] < left ? data[at + 1] : left;
        struct span payload = {(const char *)data + at + 2, n};
        if (data[at] % 2 == 0) {
            prepared_long_data(set, st, payload);
        } else {
            execute(set, st, payload, capabilities);
        }
        read_attributes(payload);
        at += 2 + n;
    }
    assert(prepared_find(set, prepared_id(other)) == other);
    prepared_remove(set, st);
    prepared_destroy(set);
    return 0;
}
