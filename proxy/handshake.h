/*
 * The packets before the command phase, which the relay reads but for a few capability bits leaves
 * as they are. Source: MySQL "Connection Phase", Protocol::HandshakeV10, HandshakeResponse41.
 * Pure; any thread.
 */
#ifndef PROXY_HANDSHAKE_H
#define PROXY_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum {
    /* Of a greeting, response or COM_CHANGE_USER; connection attributes alone may have 64 KB. */
    HANDSHAKE_MAX_SIZE = 256 << 10
};

/* The authentication plugins that matter to a relay: proxy/authflow.h. */
enum handshake_plugin {
    HANDSHAKE_PLUGIN_OTHER, /* a hash of the password: mysql_native_password and the like */
    HANDSHAKE_PLUGIN_CLEAR, /* the password itself */
    HANDSHAKE_PLUGIN_SHA256,
    HANDSHAKE_PLUGIN_CACHING_SHA2,
};
enum handshake_plugin handshake_plugin_of(struct span name);

struct handshake_greeting {
    uint64_t offered;    /* capability flags as the FE sent them, MariaDB's in the upper half */
    uint64_t hidden;     /* those taken away from the client */
    bool is_tls_offered; /* to the client, by handshake_offer_tls() */
    enum handshake_plugin plugin;
    uint32_t connection_id; /* what KILL names the session by, on that FE */
};

/*
 * Takes the capabilities that the relay cannot see through (compression, TLS, several commands in
 * one packet) out of the greeting, in place; every other byte stays.
 */
bool handshake_mask_greeting(char *payload, size_t n, struct handshake_greeting *ret,
                             struct err *err);
/* After it: the client may ask for TLS, whether or not the FE offered that. */
void handshake_offer_tls(char *payload, size_t n, struct handshake_greeting *greeting);

enum { HANDSHAKE_TLS_REQUEST_SIZE = 32 };
/* The packet that a client sends before TLS: the beginning of its response, with CAP_SSL. */
bool handshake_is_tls_request(struct span payload);
/*
 * Writes the request for TLS that goes to the FE before this response of a client's, in clear, and
 * sets or clears CAP_SSL in a response.
 */
void handshake_make_tls_request(struct span response, char ret[HANDSHAKE_TLS_REQUEST_SIZE]);
void handshake_set_tls(char *response, bool has_tls);

/* Spans point into the payload. */
struct handshake_response {
    uint64_t capabilities;
    struct span user;     /* without Doris's "#..." suffix */
    struct span database; /* empty: none */
    enum handshake_plugin plugin;
};

/* Refuses what the greeting did not offer, as TLS, and clients older than MySQL 4.1. */
bool handshake_read_response(struct span payload, const struct handshake_greeting *greeting,
                             struct handshake_response *ret, struct err *err);

/* The user of a COM_CHANGE_USER, whose payload includes the command byte. */
bool handshake_read_change_user(struct span payload, struct span *ret_user, struct err *err);
/* The plugin that it names, with the client's capabilities; that of the greeting if it names none. */
enum handshake_plugin handshake_plugin_of_change(struct span payload, uint64_t capabilities,
                                                 const struct handshake_greeting *greeting);

#endif
