#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/handshake.h"
#include "proxy/packet.h"

enum {
    PROTOCOL_VERSION = 10,
    ERR_NOT_SUPPORTED_AUTH_MODE = 1251,
};

static const uint64_t hidden_capabilities = CAP_COMPRESS | CAP_SSL | CAP_ZSTD | CAP_MARIA_COM_MULTI;

enum handshake_plugin handshake_plugin_of(struct span name)
{
    static const struct {
        const char *name;
        enum handshake_plugin plugin;
    } plugins[] = {
        {"mysql_clear_password", HANDSHAKE_PLUGIN_CLEAR},
        {"dialog", HANDSHAKE_PLUGIN_CLEAR}, /* MariaDB's, for PAM */
        {"sha256_password", HANDSHAKE_PLUGIN_SHA256},
        {"caching_sha2_password", HANDSHAKE_PLUGIN_CACHING_SHA2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(plugins); i++) {
        if (span_eq_text(name, plugins[i].name)) {
            return plugins[i].plugin;
        }
    }
    return HANDSHAKE_PLUGIN_OTHER;
}

static void put_u16(char *at, uint64_t value)
{
    at[0] = (char)(value & 0xff);
    at[1] = (char)(value >> 8 & 0xff);
}

/* Up to a NUL, which may be left out at the end of the packet. */
static struct span get_last_text(struct packet_reader *r)
{
    struct span rest = packet_get_bytes(r, packet_left(r));
    const char *end = rest.n > 0 ? memchr(rest.p, '\0', rest.n) : NULL;
    return end != NULL ? span_between(rest.p, end) : rest;
}

/* Behind the reserved bytes: the rest of the scramble, 13 bytes or more, then the plugin's name. */
static enum handshake_plugin plugin_of_greeting(struct packet_reader *r, uint64_t offered,
                                                uint8_t scramble_size)
{
    enum { FIRST_PART = 8, LEAST_REST = 13 };
    bool is_long = scramble_size > FIRST_PART + LEAST_REST;
    (void)packet_get_bytes(r, is_long ? scramble_size - FIRST_PART : LEAST_REST);
    if ((offered & CAP_PLUGIN_AUTH) == 0) {
        return HANDSHAKE_PLUGIN_OTHER;
    }
    return handshake_plugin_of(get_last_text(r));
}

/*
 *     version 1 | server version NUL | connection id 4 | scramble 8 | 0 | capabilities low 2
 *     | charset 1 | status 2 | capabilities high 2 | scramble length 1 | reserved 6
 *     | reserved 4: MariaDB's capabilities, when LONG_PASSWORD is not set | ...
 */
bool handshake_mask_greeting(char *payload, size_t n, struct handshake_greeting *ret,
                             struct err *err)
{
    struct packet_reader r = packet_reader_of((struct span){payload, n});
    uint8_t version = packet_get_u8(&r);
    (void)packet_get_text0(&r);
    uint32_t connection_id = packet_get_u32(&r);
    (void)packet_get_bytes(&r, 8 + 1);
    size_t low = n - packet_left(&r);
    uint64_t offered = packet_get_u16(&r);
    if (r.is_bad || version != PROTOCOL_VERSION) {
        return err_set(
            err, ERR_HANDSHAKE, "08S01",
            "what the FE sent is not a MySQL greeting of protocol version 10; check that "
            "proxy.backend names the FE's query_port, not its http_port");
    }
    (void)packet_get_bytes(&r, 1 + 2);
    size_t high = n - packet_left(&r);
    offered |= (uint64_t)packet_get_u16(&r) << 16;
    bool has_high = !r.is_bad;
    uint8_t scramble_size = packet_get_u8(&r);
    (void)packet_get_bytes(&r, 6);
    size_t maria = n - packet_left(&r);
    uint64_t extended = packet_get_u32(&r);
    bool is_maria = !r.is_bad && (offered & CAP_LONG_PASSWORD) == 0;
    if (is_maria) {
        offered |= extended << 32;
    }
    uint64_t shown = offered & ~hidden_capabilities;
    put_u16(payload + low, shown);
    if (has_high) {
        put_u16(payload + high, shown >> 16);
    }
    if (is_maria) {
        put_u16(payload + maria, shown >> 32);
    }
    *ret = (struct handshake_greeting){
        .offered = offered, .hidden = offered ^ shown, .connection_id = connection_id};
    ret->plugin = plugin_of_greeting(&r, offered, scramble_size);
    return true;
}

void handshake_offer_tls(char *payload, size_t n, struct handshake_greeting *greeting)
{
    struct packet_reader r = packet_reader_of((struct span){payload, n});
    (void)packet_get_u8(&r);
    (void)packet_get_text0(&r);
    (void)packet_get_bytes(&r, 4 + 8 + 1);
    size_t low = n - packet_left(&r);
    assert(!r.is_bad && low + 2 <= n); /* handshake_mask_greeting() has read it */
    put_u16(payload + low, packet_get_u16(&r) | CAP_SSL);
    greeting->hidden &= ~CAP_SSL;
    greeting->is_tls_offered = true;
}

bool handshake_is_tls_request(struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    uint64_t capabilities = packet_get_u32(&r);
    return payload.n == HANDSHAKE_TLS_REQUEST_SIZE && (capabilities & CAP_SSL) != 0;
}

void handshake_set_tls(char *response, bool has_tls)
{
    uint8_t mask = (uint8_t)(CAP_SSL >> 8);
    uint8_t high = (uint8_t)response[1];
    response[1] = (char)(has_tls ? high | mask : high & ~mask);
}

void handshake_make_tls_request(struct span response, char ret[HANDSHAKE_TLS_REQUEST_SIZE])
{
    assert(response.n >= HANDSHAKE_TLS_REQUEST_SIZE);
    memcpy(ret, response.p, HANDSHAKE_TLS_REQUEST_SIZE);
    handshake_set_tls(ret, true);
}

/* Doris drops everything from '#' on: it once named a workload group. */
static struct span without_suffix(struct span user)
{
    const char *mark = user.n > 0 ? memchr(user.p, '#', user.n) : NULL;
    return mark != NULL ? span_between(user.p, mark) : user;
}

static bool refuse_hidden(uint64_t wanted, struct err *err)
{
    if ((wanted & CAP_SSL) != 0) {
        return err_set(err, ERR_HANDSHAKE, "08S01",
                       "this port of Sluice does not speak TLS, and did not offer it; connect "
                       "without it (--ssl-mode=DISABLED, --skip-ssl, useSSL=false)");
    }
    return err_set(err, ERR_HANDSHAKE, "08S01",
                   "the client asks for compression or another protocol extension that Sluice did "
                   "not offer; switch compression off in the client");
}

static void skip_auth_response(struct packet_reader *r, uint64_t capabilities)
{
    if ((capabilities & CAP_AUTH_LENENC) != 0) {
        (void)packet_get_text(r);
    } else if ((capabilities & CAP_SECURE_CONNECTION) != 0) {
        (void)packet_get_bytes(r, packet_get_u8(r));
    } else {
        (void)packet_get_text0(r);
    }
}

/* At its place, which is where `r` stands. */
static enum handshake_plugin read_plugin(struct packet_reader *r, uint64_t capabilities,
                                         const struct handshake_greeting *greeting)
{
    if ((capabilities & CAP_PLUGIN_AUTH) == 0) {
        return HANDSHAKE_PLUGIN_OTHER;
    }
    struct span name = get_last_text(r);
    return name.n > 0 ? handshake_plugin_of(name) : greeting->plugin;
}

/*
 *     capabilities 4 | largest packet 4 | charset 1 | reserved 19
 *     | reserved 4: MariaDB's capabilities, when LONG_PASSWORD is not set
 *     | user NUL | auth response | database NUL, with CONNECT_WITH_DB | plugin NUL | attributes
 */
bool handshake_read_response(struct span payload, const struct handshake_greeting *greeting,
                             struct handshake_response *ret, struct err *err)
{
    struct packet_reader r = packet_reader_of(payload);
    uint64_t capabilities = packet_get_u16(&r);
    if (r.is_bad || (capabilities & CAP_PROTOCOL_41) == 0) {
        return err_set(err, ERR_NOT_SUPPORTED_AUTH_MODE, "08004",
                       "Client does not support authentication protocol requested by server; "
                       "consider upgrading MySQL client");
    }
    capabilities |= (uint64_t)packet_get_u16(&r) << 16;
    (void)packet_get_bytes(&r, 4 + 1 + 19);
    uint64_t extended = packet_get_u32(&r);
    if ((capabilities & CAP_LONG_PASSWORD) == 0 && (greeting->offered & CAP_LONG_PASSWORD) == 0) {
        capabilities |= extended << 32;
    }
    bool is_tls_request = !greeting->is_tls_offered && handshake_is_tls_request(payload);
    if (is_tls_request || (capabilities & greeting->hidden) != 0) {
        return refuse_hidden(capabilities, err);
    }
    struct handshake_response response = {.capabilities = capabilities, .database = SPAN_LIT("")};
    response.user = without_suffix(packet_get_text0(&r));
    if (r.is_bad) {
        return err_set(err, ERR_HANDSHAKE, "08S01",
                       "the client's handshake response is cut short (%zu bytes); it has no user "
                       "name",
                       payload.n);
    }
    skip_auth_response(&r, capabilities);
    if ((capabilities & CAP_CONNECT_WITH_DB) != 0) {
        struct span database = packet_get_text0(&r);
        response.database = r.is_bad ? SPAN_LIT("") : database;
    }
    response.plugin = read_plugin(&r, capabilities, greeting);
    *ret = response;
    return true;
}

bool handshake_read_change_user(struct span payload, struct span *ret_user, struct err *err)
{
    struct packet_reader r = packet_reader_of(payload);
    (void)packet_get_u8(&r);
    struct span user = packet_get_text0(&r);
    if (r.is_bad) {
        return err_set(err, ERR_HANDSHAKE, "08S01",
                       "the client's COM_CHANGE_USER is cut short (%zu bytes); it has no user name",
                       payload.n);
    }
    *ret_user = without_suffix(user);
    return true;
}

/*
 *     COM_CHANGE_USER 1 | user NUL | auth length 1, auth | database NUL | charset 2 | plugin NUL | ...
 */
enum handshake_plugin handshake_plugin_of_change(struct span payload, uint64_t capabilities,
                                                 const struct handshake_greeting *greeting)
{
    struct packet_reader r = packet_reader_of(payload);
    (void)packet_get_u8(&r);
    (void)packet_get_text0(&r);
    if ((capabilities & CAP_SECURE_CONNECTION) != 0) {
        (void)packet_get_bytes(&r, packet_get_u8(&r));
    } else {
        (void)packet_get_text0(&r);
    }
    (void)packet_get_text0(&r);
    (void)packet_get_u16(&r);
    return read_plugin(&r, capabilities, greeting);
}
