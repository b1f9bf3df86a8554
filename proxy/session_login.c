#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/packet.h"
#include "proxy/session.h"
#include "proxy/session_announce.h"
#include "proxy/session_auth.h"
#include "proxy/tls.h"
#include "proxy/tune.h"
#include "proxy/worker_session.h"

enum { TRIES_MAX_SIZE = 1024 };

static struct backends *backends_of(const struct session *s)
{
    return worker_shared(s->worker)->backends;
}

static void add_try(struct session *s, const char *reason)
{
    const char *backend = backends_text(backends_of(s), s->backend);
    s->tries.max = TRIES_MAX_SIZE;
    buf_printf(&s->tries, "%s%s: %s", s->tries.len > 0 ? ", " : "", backend, reason);
    s->tried |= UINT64_C(1) << s->backend;
    worker_count(&worker_own_counters(s->worker)->fe_failures);
}

/* The FE's fault, unlike a lack of descriptors or ports here. */
static bool is_of_fe(int error)
{
    return error == ECONNREFUSED || error == ECONNRESET || error == ETIMEDOUT ||
           error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN;
}

/* No FE is to blame, and none would do. */
static void fail_without_descriptor(struct session *s, int error)
{
    struct err err = {0};
    (void)err_set(&err, ERR_CON_COUNT, "08004",
                  "Too many connections: Sluice has no file descriptor left to connect to an FE "
                  "(%s); raise the limit of open files (ulimit -n, LimitNOFILE=) to more than "
                  "twice proxy.max_connections",
                  strerrordesc_np(error));
    session_fail(s, &err);
}

/*
 * A connection attempt to the current backend; what comes of it is seen by reading. True, too, when
 * the session has ended.
 */
static bool connect_backend(struct session *s)
{
    const struct address *to = backends_address(backends_of(s), s->backend);
    int fd = socket(to->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        fail_without_descriptor(s, errno);
        return true;
    }
    if (fd < 0) {
        add_try(s, strerrordesc_np(errno));
        return false;
    }
    tune_server(fd);
    int error = connect(fd, &to->to.any, to->size) != 0 ? errno : 0;
    if (error != 0 && error != EINPROGRESS) {
        if (is_of_fe(error)) {
            backends_failed(backends_of(s), s->backend, strerrordesc_np(error));
        }
        add_try(s, strerrordesc_np(error));
        (void)close(fd); /* never connected: nothing can be lost */
        return false;
    }
    session_open_server(s, fd);
    session_set_timer(s, worker_config(s->worker)->connect_timeout_ms);
    session_announce_to_fe(s); /* may find that nobody is there, and go to the next one */
    return true;
}

static void fail_unreachable(struct session *s)
{
    struct err err = {0};
    const char *advice = "check that the FE is running, that proxy.backend names its query_port, "
                         "and that no firewall is in between";
    size_t n_tried = (size_t)__builtin_popcountll(s->tried);
    if (n_tried == 1) {
        (void)err_set(&err, ERR_FE_UNREACHABLE, "08S01",
                      "Sluice cannot reach the Doris FE at %s; %s", buf_text(&s->tries), advice);
    } else {
        (void)err_set(&err, ERR_FE_UNREACHABLE, "08S01",
                      "Sluice cannot reach any of its %zu Doris FEs (%s); %s", n_tried,
                      buf_text(&s->tries), advice);
    }
    session_fail(s, &err);
}

void session_login_connect(struct session *s)
{
    size_t n = backends_count(backends_of(s));
    assert(n > 0);
    for (;;) {
        size_t next = backends_next(backends_of(s), &s->peer, s->tried);
        if (next == n) {
            fail_unreachable(s);
            return;
        }
        s->backend = next;
        if (connect_backend(s)) {
            return;
        }
    }
}

void session_login_start(struct session *s)
{
    if (session_announce_is_due(s)) {
        session_announce_await(s);
    } else {
        session_move(s, SESSION_CONNECTING);
        session_login_connect(s);
    }
}

void session_login_next(struct session *s, const char *reason)
{
    relay_close(&s->server);
    buf_reset(&s->early);
    backends_failed(backends_of(s), s->backend, reason);
    add_try(s, reason);
    if ((size_t)__builtin_popcountll(s->tried) < backends_count(backends_of(s))) {
        log_warn("fe.unreachable", "fe", backends_text(backends_of(s), s->backend), "reason",
                 reason, NULL);
    }
    session_move(s, SESSION_CONNECTING);
    session_login_connect(s);
}

void session_login_leave(struct session *s)
{
    if (s->has_entered) {
        backends_leave(backends_of(s), s->backend, s->backend_token);
        s->has_entered = false;
    }
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
        session_end_as(s, SESSION_ENDING_REFUSED_BY_FE, "the FE refused the connection: %s",
                       err.msg);
    }
}

/* Is the FE to be spoken to by TLS? False with *err when it must be and cannot. */
static bool choose_fe_tls(const struct session *s, bool *ret_has_tls, struct err *err)
{
    enum config_backend_tls mode = tls_context_backend_mode(worker_tls(s->worker));
    bool is_offered = (s->greeting.offered & CAP_SSL) != 0;
    *ret_has_tls = is_offered && mode != CONFIG_BACKEND_TLS_OFF;
    if (is_offered || mode < CONFIG_BACKEND_TLS_REQUIRED) {
        return true;
    }
    return err_set(err, ERR_FE_TLS, "08S01",
                   "the FE at %s does not offer TLS, and proxy.backend_tls = %s; set enable_ssl = "
                   "true in its fe.conf, or proxy.backend_tls = preferred",
                   backends_text(backends_of(s), s->backend),
                   mode == CONFIG_BACKEND_TLS_VERIFY ? "verify" : "required");
}

static void on_greeting(struct session *s)
{
    bool has_fe_tls = false;
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
    if (!choose_fe_tls(s, &has_fe_tls, &err)) { /* before a password is on its way */
        session_fail(s, &err);
        return;
    }
    if (tls_context_client_mode(worker_tls(s->worker)) != CONFIG_TLS_OFF) {
        handshake_offer_tls(payload, n, &s->greeting);
    }
    s->backend_token = backends_enter(backends_of(s), s->backend, &s->peer);
    s->has_entered = true;
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

static bool is_whole_response(const struct session *s, struct span bytes, struct err *err)
{
    if (bytes.n < PACKET_HEADER_SIZE) {
        return false;
    }
    uint32_t length = packet_length(bytes.p);
    if (packet_sequence(bytes.p) != (s->client.tls != NULL ? 2 : 1)) {
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

/* The client has asked for it; its next byte is the handshake's. */
static bool start_client_tls(struct session *s, struct err *err)
{
    struct tls_context *tls = worker_tls(s->worker);
    if (tls_context_client_mode(tls) == CONFIG_TLS_OFF) {
        return err_set(err, ERR_HANDSHAKE, "08S01",
                       "proxy.tls was switched off while this client connected; connect again");
    }
    if (relay_pending(&s->client) != 0) { /* the greeting always fits; this is more than it */
        session_end_as(s, SESSION_ENDING_PROTOCOL,
                       "the FE went on in clear while the client asked for TLS");
        return false;
    }
    return relay_start_tls(&s->client, tls_context_accept(tls, s->client.fd)) ||
           err_say(err, "there is no memory for TLS with this client; connect again");
}

/* In clear still, then the handshake; whatever is sent from now on waits for its end. */
static bool start_fe_tls(struct session *s, struct span response, struct err *err)
{
    char request[PACKET_HEADER_SIZE + HANDSHAKE_TLS_REQUEST_SIZE] = {HANDSHAKE_TLS_REQUEST_SIZE, 0,
                                                                     0, 1};
    const char *host = backends_host(backends_of(s), s->backend);
    handshake_make_tls_request(response, request + PACKET_HEADER_SIZE);
    session_to_server(s, request, sizeof(request));
    /* A fresh socket's buffer takes it whole; if not, the kernel is out of memory. */
    return (session_is_open(s) && relay_pending(&s->server) == 0 &&
            relay_start_tls(&s->server,
                            tls_context_connect(worker_tls(s->worker), s->server.fd, host))) ||
           err_set(err, ERR_FE_TLS, "08S01",
                   "there is no memory for TLS with the FE at %s; connect again",
                   backends_text(backends_of(s), s->backend));
}

static bool check_client_tls(const struct session *s, const struct handshake_response *response,
                             struct err *err)
{
    if (s->client.tls != NULL || !s->greeting.is_tls_offered) {
        return true;
    }
    if ((response->capabilities & CAP_SSL) != 0) {
        return err_set(err, ERR_HANDSHAKE, "08S01",
                       "the client announced TLS and went on without it");
    }
    return tls_context_client_mode(worker_tls(s->worker)) != CONFIG_TLS_REQUIRED ||
           err_set(err, ERR_TLS_REQUIRED, "HY000",
                   "Connections using insecure transport are prohibited (proxy.tls = required); "
                   "connect with TLS (--ssl-mode=REQUIRED, --ssl, useSSL=true)");
}

/* The FE's TLS begins, and the response follows it, as the FE's side has it. */
static bool forward_response(struct session *s, struct span packet,
                             const struct handshake_response *response, struct err *err)
{
    struct authflow_sides sides;
    bool has_fe_tls = false;
    _cleanup_buf_ struct buf out = buf_with_max(packet.n);
    session_auth_sides(s, &sides);
    if (!choose_fe_tls(s, &has_fe_tls, err)) {
        return false;
    }
    sides.has_server_tls = has_fe_tls;
    if (!authflow_begin_login(&s->auth, &sides, packet_sequence(packet.p), response->plugin, err)) {
        return false;
    }
    buf_append(&out, packet.p, packet.n);
    authflow_from_client(&s->auth, out.data);
    handshake_set_tls(out.data + PACKET_HEADER_SIZE, has_fe_tls);
    struct span payload = {packet.p + PACKET_HEADER_SIZE, packet.n - PACKET_HEADER_SIZE};
    if (has_fe_tls && !start_fe_tls(s, payload, err)) {
        return false;
    }
    session_to_server(s, out.data, out.len);
    return true;
}

static bool take_response(struct session *s, struct span packet, struct err *err)
{
    struct handshake_response response = {0};
    struct span payload = {packet.p + PACKET_HEADER_SIZE, packet.n - PACKET_HEADER_SIZE};
    if (s->client.tls == NULL && s->greeting.is_tls_offered && handshake_is_tls_request(payload)) {
        return start_client_tls(s, err);
    }
    if (!track_is_between_packets(&s->track)) { /* no answer has a place there */
        session_end_as(s, SESSION_ENDING_PROTOCOL,
                       "the FE had sent a part of a packet before the client's login");
        return false;
    }
    if (!handshake_read_response(payload, &s->greeting, &response, err) ||
        !check_client_tls(s, &response, err)) {
        return false;
    }
    s->user_asked = span_dup(response.user);
    s->capabilities = response.capabilities;
    if (!forward_response(s, packet, &response, err)) {
        return false;
    }
    track_init(&s->track, s->capabilities, s->greeting.offered);
    s->has_response = true;
    return true;
}

size_t session_login_response(struct session *s, struct span bytes)
{
    struct err err = {0};
    struct span packet = {bytes.p, 0};
    if (is_whole_response(s, bytes, &err)) {
        packet.n = PACKET_HEADER_SIZE + (size_t)packet_length(bytes.p);
        if (take_response(s, packet, &err)) {
            return session_is_open(s) ? packet.n : 0;
        }
    }
    if (err_is_set(&err)) {
        session_fail(s, &err);
    }
    return 0;
}

void session_login_tls_failed(struct session *s, const char *why)
{
    struct err err = {0};
    bool is_verified = tls_context_backend_mode(worker_tls(s->worker)) == CONFIG_BACKEND_TLS_VERIFY;
    const char *advice = is_verified ? "check proxy.backend_tls_ca, and that the certificate is "
                                       "good for the host that proxy.backend names"
                                     : "check the FE's TLS, or set proxy.backend_tls = off";
    (void)err_set(&err, ERR_FE_TLS, "08S01",
                  "Sluice cannot use TLS with the FE at %s (%s in proxy.backend): %s; %s",
                  backends_text(backends_of(s), s->backend),
                  backends_host(backends_of(s), s->backend), why, advice);
    log_warn("fe.tls_failed", "fe", backends_text(backends_of(s), s->backend), "reason", why, NULL);
    session_fail(s, &err);
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
            session_end_as(s, SESSION_ENDING_REFUSED_BY_FE, "the FE refused the login");
            return;
        }
        (void)event_del(&s->timer); /* the login's */
        session_move(s, SESSION_READY);
        if (s->client.tls != NULL) {
            worker_count(&worker_own_counters(s->worker)->tls_sessions);
        }
        char client[ADDRESS_TEXT_SIZE];
        address_format(&s->peer, client);
        log_debug("session.opened", "id", LOG_FMT("%llu", (unsigned long long)s->id), "client",
                  client, "user", s->user, "tls", relay_tls_version(&s->client), "fe_tls",
                  relay_tls_version(&s->server), NULL);
    } else {
        free(take_ptr(s->user_asked));
    }
}
