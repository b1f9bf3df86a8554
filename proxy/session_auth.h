/*
 * The packets of a login and of COM_CHANGE_USER in a session: the slow path on which every packet
 * is looked at before it is sent on, see proxy/authflow.h. For the session*.c files.
 */
#ifndef PROXY_SESSION_AUTH_H
#define PROXY_SESSION_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proxy/handshake.h"

struct authflow_sides;
struct session;

/* How many of the client's bytes to read: an SSLRequest must not bring the ClientHello along. */
size_t session_auth_read_size(const struct session *s, size_t size);

void session_auth_sides(const struct session *s, struct authflow_sides *ret);
/* The client's COM_CHANGE_USER goes to the FE next; false: the client gets *err instead. */
bool session_auth_change_user(struct session *s, struct span payload, struct err *err);

/* Of a packet to the client, before the FE's OK. */
uint8_t session_auth_next_number(const struct session *s);

/* While s->auth.is_active. */
/* Sends on the client's packet at `rest`. Its size; 0: it is not whole, or the session has ended. */
size_t session_auth_client_packet(struct session *s, struct span rest);
/* The FE's bytes; those behind the outcome go the usual way. */
void session_auth_server_bytes(struct session *s, const char *p, size_t n);

#endif
