#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/config.h"
#include "proxy/packet.h"
#include "proxy/session.h"
#include "proxy/worker_session.h"

enum { TRIES_MAX_SIZE = 1024 };

static void add_try(struct session *s, const char *reason)
{
    char backend[ADDRESS_TEXT_SIZE];
    session_backend_text(s, backend);
    s->tries.max = TRIES_MAX_SIZE;
    buf_printf(&s->tries, "%s%s: %s", s->tries.len > 0 ? ", " : "", backend, reason);
    s->n_tried++;
    worker_count(&worker_own_counters(s->worker)->fe_failures);
}

/* A connection attempt to the current backend; what comes of it is seen by reading. */
static bool connect_backend(struct session *s)
{
    const struct address *to = &worker_shared(s->worker)->backends[s->backend];
    int on = 1;
    int fd = socket(to->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        add_try(s, strerrordesc_np(errno));
        return false;
    }
    /* Both are tuning: a socket that refuses them still works. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (connect(fd, &to->to.any, to->size) != 0 && errno != EINPROGRESS) {
        add_try(s, strerrordesc_np(errno));
        (void)close(fd); /* never connected: nothing can be lost */
        return false;
    }
    session_open_server(s, fd);
    session_set_timer(s, worker_config(s->worker)->connect_timeout_ms);
    return true;
}

static void fail_unreachable(struct session *s)
{
    struct err err = {0};
    const char *advice = "check that the FE is running, that proxy.backend names its query_port, "
                         "and that no firewall is in between";
    if (s->n_tried == 1) {
        (void)err_set(&err, ERR_CONN_HOST, "HY000", "Sluice cannot reach the Doris FE at %s; %s",
                      buf_text(&s->tries), advice);
    } else {
        (void)err_set(&err, ERR_CONN_HOST, "HY000",
                      "Sluice cannot reach any of its %zu Doris FEs (%s); %s", s->n_tried,
                      buf_text(&s->tries), advice);
    }
    session_fail(s, &err);
}

/* Tries the backends in their order, beginning with the one that worked last. */
static void try_backends(struct session *s)
{
    size_t n = worker_shared(s->worker)->n_backends;
    assert(n > 0);
    while (s->n_tried < n) {
        s->backend = (worker_good_backend(s->worker) + s->n_tried) % n;
        if (connect_backend(s)) {
            return;
        }
    }
    fail_unreachable(s);
}

void session_login_start(struct session *s)
{
    try_backends(s);
}

void session_login_next(struct session *s, const char *reason)
{
    relay_close(&s->server);
    buf_reset(&s->early);
    add_try(s, reason);
    if (s->n_tried < worker_shared(s->worker)->n_backends) {
        char backend[ADDRESS_TEXT_SIZE];
        session_backend_text(s, backend);
        log_warn("fe.unreachable", "fe", backend, "reason", reason, NULL);
    }
    session_move(s, SESSION_CONNECTING);
    try_backends(s);
}

/* --- the FE's greeting ------------------------------------------------------------------------ */

static void fail_greeting(struct session *s, struct err *err)
{
    char backend[ADDRESS_TEXT_SIZE];
    session_backend_text(s, backend);
    (void)err_prefix(err, "Sluice cannot use what answers at %s: ", backend);
    session_fail(s, err);
}

/* An FE may refuse at once: too many connections, host not allowed. The client reads it as it is. */
static void relay_refusal(struct session *s)
{
    struct err err = {0};
    packet_get_err(
        (struct span){s->early.data + PACKET_HEADER_SIZE, s->early.len - PACKET_HEADER_SIZE}, &err);
    if (session_to_client(s, s->early.data, s->early.len)) {
        session_end(s, "the FE refused the connection: %s", err.msg);
    }
}

static void on_greeting(struct session *s)
{
    struct err err = {0};
    char *payload = s->early.data + PACKET_HEADER_SIZE;
    size_t n = s->early.len - PACKET_HEADER_SIZE;
    if ((uint8_t)*payload == PACKET_ERR) {
        relay_refusal(s);
        return;
    }
    if (!handshake_mask_greeting(payload, n, &s->greeting, &err)) {
        fail_greeting(s, &err);
        return;
    }
    worker_set_good_backend(s->worker, s->backend);
    session_move(s, SESSION_LOGIN);
    int64_t left_ms = s->login_deadline_ms - clock_mono_ms();
    session_set_timer(s, left_ms > 1 ? left_ms : 1);
    (void)session_to_client(s, s->early.data, s->early.len); /* ends the session when it fails */
    buf_fini(&s->early);
    buf_fini(&s->tries);
}

void session_login_server_bytes(struct session *s, const char *p, size_t n)
{
    struct err err = {0};
    if (s->state == SESSION_CONNECTING) {
        session_move(s, SESSION_GREETING);
    }
    s->early.max = PACKET_HEADER_SIZE + HANDSHAKE_MAX_SIZE + WORKER_SCRATCH_SIZE;
    buf_append(&s->early, p, n);
    if (s->early.len < PACKET_HEADER_SIZE) {
        return;
    }
    uint32_t length = packet_length(s->early.data);
    if (length == 0 || length > HANDSHAKE_MAX_SIZE || packet_sequence(s->early.data) != 0 ||
        s->early.len > PACKET_HEADER_SIZE + (size_t)length) {
        (void)err_set(
            &err, ERR_HANDSHAKE, "08S01",
            "its first bytes are not a MySQL greeting; check that proxy.backend names the "
            "FE's query_port, not its http_port");
        fail_greeting(s, &err);
    } else if (s->early.len == PACKET_HEADER_SIZE + (size_t)length) {
        on_greeting(s);
    }
}

/* --- the client's answer, and the FE's word on it --------------------------------------------- */

static bool is_whole_response(struct span bytes, struct err *err)
{
    if (bytes.n < PACKET_HEADER_SIZE) {
        return false;
    }
    uint32_t length = packet_length(bytes.p);
    if (packet_sequence(bytes.p) != 1) {
        (void)err_set(err, ERR_NET_PACKETS_OUT_OF_ORDER, "08S01", "Got packets out of order");
        return false;
    }
    if (length > HANDSHAKE_MAX_SIZE) {
        (void)err_set(err, ERR_HANDSHAKE, "08S01",
                      "the client's handshake response has %u bytes; Sluice takes up to %d", length,
                      HANDSHAKE_MAX_SIZE);
        return false;
    }
    return bytes.n >= PACKET_HEADER_SIZE + (size_t)length;
}

bool session_login_response(struct session *s, struct span bytes)
{
    struct err err = {0};
    struct handshake_response response = {0};
    if (!is_whole_response(bytes, &err)) {
        if (err_is_set(&err)) {
            session_fail(s, &err);
        }
        return false;
    }
    struct span payload = {bytes.p + PACKET_HEADER_SIZE, packet_length(bytes.p)};
    if (!handshake_read_response(payload, &s->greeting, &response, &err)) {
        session_fail(s, &err);
        return false;
    }
    s->capabilities = response.capabilities;
    s->user_asked = span_dup(response.user);
    track_init(&s->track, s->capabilities, s->greeting.offered);
    s->has_response = true;
    return true;
}

void session_login_outcome(struct session *s)
{
    bool is_ok = s->track.auth == TRACK_AUTH_OK;
    s->track.auth = TRACK_AUTH_NONE;
    if (is_ok) {
        free(s->user);
        s->user = take_ptr(s->user_asked);
        if (s->local != NULL && s->state != SESSION_LOCAL) {
            local_destroy(take_ptr(s->local)); /* it knows what the former user may do */
        }
    }
    if (s->state == SESSION_LOGIN) {
        if (!is_ok) {
            session_end(s, "the FE refused the login");
            return;
        }
        (void)event_del(&s->timer); /* the login's */
        session_move(s, SESSION_READY);
        char client[ADDRESS_TEXT_SIZE];
        address_format(&s->peer, client);
        log_debug("session.opened", "id", LOG_FMT("%llu", (unsigned long long)s->id), "client",
                  client, "user", s->user, NULL);
    } else {
        free(take_ptr(s->user_asked));
    }
}
