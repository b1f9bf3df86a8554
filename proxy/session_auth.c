#include <assert.h>

#include "proxy/config.h"
#include "proxy/packet.h"
#include "proxy/session.h"
#include "proxy/session_auth.h"
#include "proxy/session_limits.h"
#include "proxy/worker_session.h"

enum { TLS_REQUEST_PACKET_SIZE = PACKET_HEADER_SIZE + HANDSHAKE_TLS_REQUEST_SIZE };

size_t session_auth_read_size(const struct session *s, size_t size)
{
    bool may_ask_for_tls = s->state == SESSION_LOGIN && !s->has_response &&
                           s->greeting.is_tls_offered && s->client.tls == NULL &&
                           s->held.len < TLS_REQUEST_PACKET_SIZE;
    return may_ask_for_tls ? TLS_REQUEST_PACKET_SIZE - s->held.len : size;
}

uint8_t session_auth_next_number(const struct session *s)
{
    if (s->auth.is_active) {
        return authflow_next_number(&s->auth);
    }
    return s->client.tls != NULL ? 3 : 2; /* behind the greeting, and what asked for TLS */
}

void session_auth_sides(const struct session *s, struct authflow_sides *ret)
{
    *ret = (struct authflow_sides){
        .has_client_tls = s->client.tls != NULL,
        .has_server_tls = s->server.tls != NULL,
        .may_show_password = worker_config(s->worker)->clear_passwords == CONFIG_ON,
    };
}

bool session_auth_change_user(struct session *s, struct span payload, struct err *err)
{
    struct authflow_sides sides;
    uint64_t agreed = s->capabilities & s->greeting.offered;
    session_auth_sides(s, &sides);
    return authflow_begin_change(&s->auth, &sides,
                                 handshake_plugin_of_change(payload, agreed, &s->greeting), err);
}

static void fail_too_large(struct session *s, const char *whose, uint32_t length)
{
    struct err err = {0};
    (void)err_set(&err, ERR_HANDSHAKE, "08S01",
                  "a packet of %s login has %u bytes; Sluice takes up to %d", whose, length,
                  HANDSHAKE_MAX_SIZE);
    session_fail(s, &err);
}

size_t session_auth_client_packet(struct session *s, struct span rest)
{
    assert(s->auth.is_active);
    if (!session_is_open(s) || rest.n < PACKET_HEADER_SIZE) {
        return 0;
    }
    uint32_t length = packet_length(rest.p);
    if (length > HANDSHAKE_MAX_SIZE) {
        fail_too_large(s, "the client's", length);
        return 0;
    }
    size_t size = PACKET_HEADER_SIZE + (size_t)length;
    if (rest.n < size) {
        return 0;
    }
    _cleanup_buf_ struct buf packet = buf_with_max(size);
    buf_append(&packet, rest.p, size);
    authflow_from_client(&s->auth, packet.data);
    session_to_server(s, packet.data, size);
    return session_is_open(s) ? size : 0;
}

/*
 * False when the packet must not reach the client, which has got an error then. The FE's OK is
 * withheld from a user who has too many connections.
 */
static bool look_at(struct session *s, char *packet, size_t size)
{
    struct err err = {0};
    if (!authflow_from_server(&s->auth, packet, size, &err)) {
        session_fail(s, &err);
        return false;
    }
    track_server(&s->track, packet, size);
    if (s->track.auth == TRACK_AUTH_OK && !session_admit(s, s->user_asked, &err)) {
        session_fail(s, &err);
        return false;
    }
    return true;
}

/* The packet at the front of `early`; false: it is not whole, or the session has ended. */
static bool take_server_packet(struct session *s)
{
    if (s->early.len < PACKET_HEADER_SIZE) {
        return false;
    }
    uint32_t length = packet_length(s->early.data);
    if (length > HANDSHAKE_MAX_SIZE) {
        fail_too_large(s, "the FE's", length);
        return false;
    }
    size_t size = PACKET_HEADER_SIZE + (size_t)length;
    if (s->early.len < size || !look_at(s, s->early.data, size)) {
        return false;
    }
    authflow_sent(&s->auth);
    s->auth.is_active = s->track.auth == TRACK_AUTH_NONE;
    if (!session_to_client(s, s->early.data, size)) {
        return false;
    }
    buf_consume(&s->early, size);
    return session_is_open(s);
}

void session_auth_server_bytes(struct session *s, const char *p, size_t n)
{
    assert(s->auth.is_active);
    s->early.max = PACKET_HEADER_SIZE + HANDSHAKE_MAX_SIZE + WORKER_SCRATCH_SIZE;
    buf_append(&s->early, p, n); /* fits: what is whole is taken out at once */
    assert(buf_ok(&s->early));
    while (s->auth.is_active && take_server_packet(s)) {
    }
    if (s->auth.is_active || !session_is_open(s)) {
        return;
    }
    if (s->early.len > 0 && session_to_client(s, s->early.data, s->early.len)) {
        track_server(&s->track, s->early.data, s->early.len);
    }
    buf_fini(&s->early);
}
