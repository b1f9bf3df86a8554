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

struct handshake_greeting {
    uint64_t offered; /* capability flags as the FE sent them, MariaDB's in the upper half */
    uint64_t hidden;  /* those taken away from the client */
};

/*
 * Takes the capabilities that the relay cannot see through (compression, TLS, several commands in
 * one packet) out of the greeting, in place; every other byte stays.
 */
bool handshake_mask_greeting(char *payload, size_t n, struct handshake_greeting *ret,
                             struct err *err);

/* Spans point into the payload. */
struct handshake_response {
    uint64_t capabilities;
    struct span user;     /* without Doris's "#..." suffix */
    struct span database; /* empty: none */
};

/* Refuses what the greeting did not offer, as TLS, and clients older than MySQL 4.1. */
bool handshake_read_response(struct span payload, const struct handshake_greeting *greeting,
                             struct handshake_response *ret, struct err *err);

/* The user of a COM_CHANGE_USER, whose payload includes the command byte. */
bool handshake_read_change_user(struct span payload, struct span *ret_user, struct err *err);

#endif
