#include <assert.h>
#include <string.h>

#include "proxy/authflow.h"
#include "proxy/packet.h"

enum {
    NUMBER_AT = 3,         /* of a packet's header */
    CACHING_SHA2_FULL = 4, /* behind AuthMoreData: the scramble did not do */
    ERR_AUTH_MODE = 1251,  /* ER_NOT_SUPPORTED_AUTH_MODE, 08004 */
};

static bool is_tls_uneven(const struct authflow *f)
{
    return f->sides.has_client_tls != f->sides.has_server_tls;
}

static bool refuse_clear(struct err *err)
{
    return err_set(err, ERR_AUTH_MODE, "08004",
                   "this login would send the password in clear (mysql_clear_password), and the "
                   "connection to Sluice is not encrypted; connect with TLS "
                   "(--ssl-mode=REQUIRED, --ssl, useSSL=true), which proxy.tls has to allow, or "
                   "set proxy.allow_clear_passwords = on");
}

static bool refuse_uneven(const struct authflow *f, const char *plugin, struct err *err)
{
    return err_set(err, ERR_AUTH_MODE, "08004",
                   "%s needs the same encryption on both sides of Sluice, and only the connection "
                   "%s uses TLS; %s, or use an account with mysql_native_password",
                   plugin, f->sides.has_client_tls ? "of the client" : "to the FE",
                   f->sides.has_client_tls
                       ? "let the FE offer TLS (enable_ssl) with proxy.backend_tls = preferred, or "
                         "connect without TLS"
                       : "connect with TLS, which proxy.tls has to allow, or set "
                         "proxy.backend_tls = off");
}

/* What the client sends for this plugin, at once or when it is asked. */
static bool check_plugin(const struct authflow *f, struct err *err)
{
    switch (f->plugin) {
    case HANDSHAKE_PLUGIN_CLEAR:
        return f->sides.has_client_tls || f->sides.may_show_password || refuse_clear(err);
    case HANDSHAKE_PLUGIN_SHA256:
        return !is_tls_uneven(f) || refuse_uneven(f, "sha256_password", err);
    case HANDSHAKE_PLUGIN_CACHING_SHA2: /* only its full exchange: see authflow_from_server() */
    case HANDSHAKE_PLUGIN_OTHER: break;
    }
    return true;
}

bool authflow_begin_login(struct authflow *f, const struct authflow_sides *sides, uint8_t number,
                          enum handshake_plugin plugin, struct err *err)
{
    *f = (struct authflow){
        .is_active = true,
        .sides = *sides,
        .n_ahead = (uint8_t)(sides->has_client_tls - sides->has_server_tls),
        .next_number = (uint8_t)(number + 1),
        .plugin = plugin,
    };
    return check_plugin(f, err);
}

bool authflow_begin_change(struct authflow *f, const struct authflow_sides *sides,
                           enum handshake_plugin plugin, struct err *err)
{
    *f = (struct authflow){
        .is_active = true,
        .sides = *sides,
        .next_number = 1,
        .plugin = plugin,
    };
    return check_plugin(f, err);
}

uint8_t authflow_server_number(const struct authflow *f, uint8_t number)
{
    return (uint8_t)(number - f->n_ahead);
}

void authflow_from_client(struct authflow *f, char *packet)
{
    uint8_t number = packet_sequence(packet);
    assert(f->is_active);
    f->next_number = (uint8_t)(number + 1);
    packet[NUMBER_AT] = (char)authflow_server_number(f, number);
}

/* AuthSwitchRequest: 0xFE, plugin NUL, its data. Without a plugin it is that of MySQL 3.23. */
static enum handshake_plugin plugin_of_switch(struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    (void)packet_get_u8(&r);
    struct span name = packet_get_text0(&r);
    if (r.is_bad) { /* the NUL may be left out where no data follows */
        name = (struct span){payload.p + 1, payload.n - 1};
    }
    return handshake_plugin_of(name);
}

static bool is_full_exchange(const struct authflow *f, struct span payload)
{
    return f->plugin == HANDSHAKE_PLUGIN_CACHING_SHA2 && payload.n == 2 &&
           (uint8_t)payload.p[1] == CACHING_SHA2_FULL;
}

bool authflow_from_server(struct authflow *f, char *packet, size_t n, struct err *err)
{
    struct span payload = {packet + PACKET_HEADER_SIZE, n - PACKET_HEADER_SIZE};
    assert(f->is_active && n >= PACKET_HEADER_SIZE);
    f->next_number = (uint8_t)(packet_sequence(packet) + f->n_ahead);
    packet[NUMBER_AT] = (char)f->next_number;
    if (payload.n == 0) {
        return true;
    }
    switch ((uint8_t)payload.p[0]) {
    case PACKET_EOF: f->plugin = plugin_of_switch(payload); return check_plugin(f, err);
    case PACKET_AUTH_MORE:
        return !is_tls_uneven(f) || !is_full_exchange(f, payload) ||
               refuse_uneven(f, "caching_sha2_password", err);
    default: return true; /* OK, ERR, and what only the plugin knows */
    }
}

void authflow_sent(struct authflow *f)
{
    f->next_number++;
}
