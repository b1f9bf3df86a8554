/*
 * The PROXY protocol of a session: the header that a load balancer sends before anything else, and
 * the one that tells the FE whose connection this is. On the session's worker's thread.
 */
#ifndef PROXY_SESSION_ANNOUNCE_H
#define PROXY_SESSION_ANNOUNCE_H

#include <stdbool.h>

#include "proxy/listener.h"

struct session;

/* --- from a load balancer; state HEADER ------------------------------------------------------- */

/* Does the connection come from a network of proxy.proxy_protocol_from? */
bool session_announce_is_due(const struct session *s);
/* Waits for the header within proxy.login_timeout. */
void session_announce_await(struct session *s);
/*
 * The client's socket is readable: takes the header's bytes and not one more. When it is whole the
 * session goes on to CONNECTING, with the announced address as its peer.
 */
void session_announce_client_readable(struct session *s);
/* proxy.login_timeout has passed: ends the session. */
void session_announce_late(struct session *s);

/* The load balancer's own address; false when the client connected by itself. */
bool session_announce_via(const struct session *s, char ret_text[ADDRESS_TEXT_SIZE]);
/* It was closed without a byte: a load balancer's check, not worth a line of the log. */
bool session_announce_is_probe(const struct session *s);

/* --- to the FE -------------------------------------------------------------------------------- */

/*
 * Right after the connection to an FE was begun: with proxy.backend_proxy_protocol = v1 the header
 * is the first thing that is sent, in a segment of its own or the first one (Doris waits 10 ms).
 */
void session_announce_to_fe(struct session *s);

#endif
