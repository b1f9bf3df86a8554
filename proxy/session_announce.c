#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/config.h"
#include "proxy/networks.h"
#include "proxy/proxyproto.h"
#include "proxy/session.h"
#include "proxy/session_announce.h"
#include "proxy/worker_session.h"

enum { LINE_MAX_SIZE = 128 };

/* What a header has said. */
struct announced {
    struct address via;         /* the load balancer */
    struct address destination; /* where the client connected to */
};

/* --- from a load balancer --------------------------------------------------------------------- */

bool session_announce_is_due(const struct session *s)
{
    const struct networks *from = worker_shared(s->worker)->announced_from;
    return from != NULL && networks_contain(from, &s->peer);
}

void session_announce_await(struct session *s)
{
    int64_t left_ms = s->login_deadline_ms - clock_mono_ms();
    session_set_timer(s, left_ms > 1 ? left_ms : 1);
    session_settle(s); /* reading begins */
}

static void fail_header(struct session *s, const char *why)
{
    struct err err = {0};
    char peer[ADDRESS_TEXT_SIZE];
    address_format(&s->peer, peer);
    (void)err_set(
        &err, ERR_HANDSHAKE, "08S01",
        "Sluice expects a PROXY protocol header in front of the connection from %s, which "
        "is within proxy.proxy_protocol_from: %s",
        peer, why);
    session_fail(s, &err);
}

void session_announce_late(struct session *s)
{
    fail_header(s, s->early.len == 0 ? "none came within proxy.login_timeout"
                                     : "it was not whole within proxy.login_timeout");
}

static void on_eof(struct session *s)
{
    s->is_client_eof = true;
    session_end_as(s, SESSION_ENDING_CLIENT_LOST,
                   s->early.len == 0 ? "the load balancer closed the connection without a byte"
                                     : "the connection was closed within its PROXY header");
}

static void take_addresses(struct session *s, const struct proxyproto *header)
{
    char client[ADDRESS_TEXT_SIZE];
    char via[ADDRESS_TEXT_SIZE];
    s->announced = xcalloc(1, sizeof(*s->announced));
    s->announced->via = s->peer;
    s->announced->destination = header->destination;
    s->peer = header->source;
    networks_unmap(&s->peer);
    address_format(&s->peer, client);
    address_format(&s->announced->via, via);
    log_debug("session.announced", "id", LOG_FMT("%llu", (unsigned long long)s->id), "client",
              client, "via", via, NULL);
}

/* A LOCAL or UNKNOWN header announces nobody: the peer stays who it is. */
static void take_header(struct session *s, const struct proxyproto *header)
{
    if (header->has_addresses) {
        take_addresses(s, header);
    }
    buf_fini(&s->early);
    session_move(s, SESSION_CONNECTING);
    session_login_connect(s);
}

/* Removes bytes that were looked at from the socket. */
static bool drop_peeked(struct session *s, size_t n)
{
    char dropped[PROXYPROTO_MAX_SIZE];
    while (n > 0) {
        ssize_t taken = recv(s->client.fd, dropped, n, 0);
        if (taken <= 0 && errno != EINTR) {
            return false; /* they were there: this cannot happen */
        }
        n -= taken > 0 ? (size_t)taken : 0;
    }
    return true;
}

/*
 * Looks at what has come without taking it: behind the header the client's own bytes may follow,
 * TLS even, which are not for this one to read.
 *
 *     early          peeked
 *     |==== header ========|···· client ····
 */
void session_announce_client_readable(struct session *s)
{
    struct err err = {0};
    struct proxyproto header = {0};
    s->early.max = PROXYPROTO_MAX_SIZE + 1; /* one more than any header has: it is refused then */
    size_t before = s->early.len;
    size_t room = s->early.max - before;
    char *to = buf_reserve(&s->early, room);
    assert(s->state == SESSION_HEADER && to != NULL);
    ssize_t n = recv(s->client.fd, to, room, MSG_PEEK);
    if (n == 0) {
        on_eof(s);
        return;
    }
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            session_end_as(s, SESSION_ENDING_CLIENT_LOST, "the client's connection broke: %s",
                           strerrordesc_np(errno));
        }
        return;
    }
    struct span bytes = {s->early.data, before + (size_t)n};
    enum proxyproto_step step = proxyproto_parse(bytes, &header, &err);
    if (step == PROXYPROTO_BAD) {
        fail_header(s, err.msg);
        return;
    }
    size_t taken = step == PROXYPROTO_DONE ? header.size - before : (size_t)n;
    s->early.len = before + taken;
    if (!drop_peeked(s, taken)) {
        session_end_as(s, SESSION_ENDING_CLIENT_LOST, "the client's connection broke");
    } else if (step == PROXYPROTO_DONE) {
        take_header(s, &header);
    }
}

bool session_announce_via(const struct session *s, char ret_text[ADDRESS_TEXT_SIZE])
{
    if (s->announced == NULL) {
        return false;
    }
    address_format(&s->announced->via, ret_text);
    return true;
}

bool session_announce_is_probe(const struct session *s)
{
    return s->state == SESSION_HEADER && s->is_client_eof && s->early.len == 0;
}

/* --- to the FE -------------------------------------------------------------------------------- */

void session_announce_to_fe(struct session *s)
{
    _cleanup_buf_ struct buf line = buf_with_max(LINE_MAX_SIZE);
    struct address here = {.size = sizeof(here.to)};
    const struct address *destination = &here;
    if (worker_config(s->worker)->announce != CONFIG_ANNOUNCE_V1) {
        return;
    }
    if (s->announced != NULL) {
        destination = &s->announced->destination;
    } else if (getsockname(s->client.fd, &here.to.any, &here.size) != 0) {
        destination = NULL; /* the client is gone already; UNKNOWN is enough */
    }
    proxyproto_put_v1(&line, &s->peer, destination);
    assert(buf_ok(&line));
    session_to_server(s, line.data, line.len);
}
