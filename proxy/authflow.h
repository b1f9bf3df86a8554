/*
 * The packets of a login or a COM_CHANGE_USER, until the FE's OK or ERR: numbers them anew, and
 * refuses what would show a password or cannot work.
 *
 *     client            number   TLS with the client only   number            FE
 *      |<-- greeting ------- 0                                   0 -- greeting --|
 *      |--- SSLRequest ----- 1   a TLS side has one packet more                  |
 *      |--- response ------- 2                                   1 -- response ->|
 *      |<-- AuthSwitch ----- 3   ... and the difference stays    2 ------------- |
 *
 * A password exchange that depends on TLS (caching_sha2_password, sha256_password) is told by the
 * client and by the FE from their own side, so both have to have it, or neither. Pure; fed with
 * whole packets; owned by a session.
 */
#ifndef PROXY_AUTHFLOW_H
#define PROXY_AUTHFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proxy/handshake.h"

/* How passwords may go; set before the first packet. */
struct authflow_sides {
    bool has_client_tls;
    bool has_server_tls;
    bool may_show_password; /* proxy.allow_clear_passwords */
};

/* {0} is no exchange. Private but for `is_active`, which the session resets at the outcome. */
struct authflow {
    bool is_active;
    struct authflow_sides sides;
    uint8_t n_ahead;     /* the client's numbers less the FE's */
    uint8_t next_number; /* of the next packet to the client */
    enum handshake_plugin plugin;
};

/*
 * The client's handshake response, or its COM_CHANGE_USER, names `plugin` and goes to the FE next.
 * `number` is the client's packet's. False: it must not, the client gets *err.
 */
bool authflow_begin_login(struct authflow *f, const struct authflow_sides *sides, uint8_t number,
                          enum handshake_plugin plugin, struct err *err);
bool authflow_begin_change(struct authflow *f, const struct authflow_sides *sides,
                           enum handshake_plugin plugin, struct err *err);

/* The client's next packet, header and all, gets the FE's number. */
void authflow_from_client(struct authflow *f, char *packet);
/*
 * The FE's next packet, header and all, gets the client's number. False: it must not reach the
 * client, which gets *err as number authflow_next_number().
 */
bool authflow_from_server(struct authflow *f, char *packet, size_t n, struct err *err);
/* The packet of authflow_from_server() is sent on. */
void authflow_sent(struct authflow *f);

/* The number that the client expects next. */
static inline uint8_t authflow_next_number(const struct authflow *f)
{
    return f->next_number;
}
/* The number of the client's packet `number` on the FE's side. */
uint8_t authflow_server_number(const struct authflow *f, uint8_t number);

#endif
