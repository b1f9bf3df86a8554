/*
 * The packets of a login as TLS makes them differ: proxy/authflow.c, the parts of handshake.c that
 * belong to it, and proxy/record_cut.c on the same bytes.
 *
 *     | sides and plugin 1 | the response's number 1 | packets: | from whom, length 1 | bytes | ... |
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/authflow.h"
#include "proxy/packet.h"
#include "proxy/record_cut.h"

enum { FROM_CLIENT = 0x80, SMALL_RECORD = 7 };

static const char clear_switch[] = "mysql_clear_password";

/* What authflow.h promises, told from the bytes alone. */
static void check_passed(const struct authflow_sides *sides, struct span payload)
{
    bool is_switch = payload.n > sizeof(clear_switch) && (uint8_t)payload.p[0] == PACKET_EOF;
    bool may_show = sides->has_client_tls || sides->may_show_password;
    assert(may_show || !is_switch ||
           memcmp(payload.p + 1, clear_switch, sizeof(clear_switch)) != 0);
}

static void play_packet(struct authflow *f, const struct authflow_sides *sides, uint8_t kind,
                        struct span body)
{
    struct err err = {0};
    _cleanup_buf_ struct buf b = buf_with_max(512);
    size_t at = packet_begin(&b, kind);
    buf_append_span(&b, body);
    (void)packet_end(&b, at);
    uint8_t number = packet_sequence(b.data);
    if ((kind & FROM_CLIENT) != 0) {
        authflow_from_client(f, b.data);
        assert(packet_sequence(b.data) == authflow_server_number(f, number));
        assert(authflow_next_number(f) == (uint8_t)(number + 1));
    } else if (authflow_from_server(f, b.data, b.len, &err)) {
        assert(authflow_server_number(f, packet_sequence(b.data)) == number);
        check_passed(sides, body);
        authflow_sent(f);
    } else {
        assert(err_is_set(&err));
        assert(authflow_server_number(f, authflow_next_number(f)) == number);
    }
    assert(body.n == 0 || memcmp(b.data + PACKET_HEADER_SIZE, body.p, body.n) == 0);
}

static void play_login(const struct authflow_sides *sides, enum handshake_plugin plugin,
                       struct span bytes)
{
    struct authflow f = {0};
    struct err err = {0};
    if (bytes.n == 0 || !authflow_begin_login(&f, sides, (uint8_t)bytes.p[0], plugin, &err)) {
        return;
    }
    for (size_t pos = 1; pos < bytes.n;) {
        uint8_t kind = (uint8_t)bytes.p[pos++];
        size_t n = kind & 0x7f;
        n = n < bytes.n - pos ? n : bytes.n - pos;
        play_packet(&f, sides, kind, (struct span){bytes.p + pos, n});
        pos += n;
    }
}

/* However the bytes are taken, the cuts are legal and the state is that of all of them at once. */
static void cut_records(struct span bytes)
{
    struct record_cut whole = {0};
    struct record_cut parts = {0};
    record_cut_sent(&whole, bytes.p, bytes.n);
    for (size_t pos = 0; pos < bytes.n;) {
        size_t left = bytes.n - pos;
        size_t size = record_cut_size(&parts, bytes.p + pos, left, SMALL_RECORD);
        assert(size > 0 && size <= left && size <= SMALL_RECORD);
        record_cut_sent(&parts, bytes.p + pos, size);
        pos += size;
        assert(parts.n_header == 0 || pos == bytes.n);
    }
    assert(whole.left == parts.left && whole.n_header == parts.n_header);
}

static void read_handshake(struct span bytes)
{
    struct err err = {0};
    struct handshake_greeting greeting = {0};
    char *copy = xmemdup0(bytes.p, bytes.n);
    if (handshake_mask_greeting(copy, bytes.n, &greeting, &err)) {
        struct handshake_greeting again = {0};
        handshake_offer_tls(copy, bytes.n, &greeting);
        assert(greeting.is_tls_offered && (greeting.hidden & CAP_SSL) == 0);
        assert(handshake_mask_greeting(copy, bytes.n, &again, &err));
        assert((again.offered & CAP_SSL) != 0 && again.plugin == greeting.plugin);
    }
    if (bytes.n >= HANDSHAKE_TLS_REQUEST_SIZE) {
        char request[HANDSHAKE_TLS_REQUEST_SIZE];
        handshake_make_tls_request(bytes, request);
        assert(handshake_is_tls_request((struct span){request, sizeof(request)}));
    }
    (void)handshake_plugin_of_change(bytes, CAP_PLUGIN_AUTH, &greeting);
    (void)handshake_plugin_of_change(bytes, CAP_PLUGIN_AUTH | CAP_SECURE_CONNECTION, &greeting);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct authflow_sides sides = {
        .has_client_tls = (data[0] & 1) != 0,
        .has_server_tls = (data[0] & 2) != 0,
        .may_show_password = (data[0] & 4) != 0,
    };
    struct span bytes = {(const char *)data + 1, size - 1};
    play_login(&sides, (enum handshake_plugin)(data[0] >> 3 & 3), bytes);
    cut_records(bytes);
    read_handshake(bytes);
    return 0;
}
