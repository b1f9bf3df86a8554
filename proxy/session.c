#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/ask.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/packet.h"
#include "proxy/local_kill.h"
#include "proxy/session.h"
#include "proxy/session_announce.h"
#include "proxy/session_auth.h"
#include "proxy/session_limits.h"
#include "proxy/session_parts.h"
#include "proxy/worker_session.h"

enum {
    READS_PER_TURN = 4,     /* of full buffers, before other sessions have their turn */
    FLUSH_MS = 10000,       /* for a peer that reads nothing more while the session ends */
    LINGER_MS = 2000,       /* for a client to read our last ERR and close */
    HALF_CLOSED_MS = 10000, /* without a byte for a client that sends no more */
    REASON_SIZE = 512,
};

#define STATE_BIT(state) (1U << (state))

static const struct {
    const char *name;
    unsigned next; /* legal moves */
} states[] = {
    [SESSION_HEADER] = {"header", STATE_BIT(SESSION_CONNECTING) | STATE_BIT(SESSION_FLUSHING)},
    [SESSION_CONNECTING] = {"connecting", STATE_BIT(SESSION_GREETING) |
                                              STATE_BIT(SESSION_CONNECTING) |
                                              STATE_BIT(SESSION_FLUSHING)},
    [SESSION_GREETING] = {"greeting", STATE_BIT(SESSION_CONNECTING) | STATE_BIT(SESSION_LOGIN) |
                                          STATE_BIT(SESSION_FLUSHING)},
    [SESSION_LOGIN] = {"login", STATE_BIT(SESSION_READY) | STATE_BIT(SESSION_FLUSHING)},
    [SESSION_READY] = {"ready", STATE_BIT(SESSION_LOCAL) | STATE_BIT(SESSION_FLUSHING)},
    [SESSION_LOCAL] = {"local", STATE_BIT(SESSION_READY) | STATE_BIT(SESSION_FLUSHING)},
    [SESSION_FLUSHING] = {"flushing", STATE_BIT(SESSION_LINGERING) | STATE_BIT(SESSION_DEAD)},
    [SESSION_LINGERING] = {"lingering", STATE_BIT(SESSION_DEAD)},
    [SESSION_DEAD] = {"dead", 0},
};

void session_move(struct session *s, enum session_state to)
{
    assert((states[s->state].next & STATE_BIT(to)) != 0);
    worker_session_moved(s->worker, s->state, to);
    s->state = to;
}

const char *session_state_name(enum session_state state)
{
    return states[state].name;
}

void session_set_timer(struct session *s, int64_t ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    (void)event_add(&s->timer, &tv); /* grows a heap: fails for want of memory alone */
}

void session_backend_text(const struct session *s, char ret_text[ADDRESS_TEXT_SIZE])
{
    const char *text = backends_text(worker_shared(s->worker)->backends, s->backend);
    (void)snprintf(ret_text, ADDRESS_TEXT_SIZE, "%s", text); /* of the same size */
}

/* --- the end ---------------------------------------------------------------------------------- */

static void die(struct session *s)
{
    session_move(s, SESSION_DEAD);
    (void)event_del(&s->timer); /* not pending is no error */
    relay_close(&s->server);
    relay_close(&s->client);
    worker_session_dead(s->worker, s);
}

/* FLUSHING: on, as soon as nothing waits to be sent. */
static void continue_end(struct session *s)
{
    if (relay_is_flushing(&s->client) || relay_is_flushing(&s->server)) {
        return;
    }
    relay_close(&s->server);
    /* Closing with unread input would send a reset, which can overtake our ERR. */
    bool must_linger = s->has_told_err && s->client.error == 0 && !s->is_client_eof &&
                       relay_end_output(&s->client);
    if (!must_linger) {
        die(s);
        return;
    }
    session_move(s, SESSION_LINGERING);
    session_set_timer(s, LINGER_MS);
    relay_set_reading(&s->client, true);
}

static void log_end(const struct session *s, enum session_ending ending, const char *reason)
{
    char client[ADDRESS_TEXT_SIZE];
    char backend[ADDRESS_TEXT_SIZE] = "-";
    char via[ADDRESS_TEXT_SIZE];
    const char *user = s->user != NULL ? s->user : s->user_asked;
    bool is_via = session_announce_via(s, via);
    /* A load balancer looks every few seconds whether somebody listens. */
    enum log_level level = session_announce_is_probe(s) ? LOG_DEBUG : LOG_INFO;
    address_format(&s->peer, client);
    if (s->state != SESSION_HEADER) {
        session_backend_text(s, backend);
    }
    if (log_is_on(level)) {
        log_event(level, "session.closed", "id", LOG_FMT("%llu", (unsigned long long)s->id),
                  "client", client, "user", user, "fe", backend, "state", states[s->state].name,
                  "kind", session_ending_name(ending), "reason", reason, is_via ? "via" : NULL, via,
                  NULL);
    }
}

/* Open before, FLUSHING afterwards. */
static void begin_end(struct session *s, enum session_ending ending, const char *reason)
{
    worker_count(&worker_own_counters(s->worker)->endings[ending]);
    session_admit_end(s); /* who reads of the end finds it counted, and the user's place free */
    log_end(s, ending, reason);
    if (s->client.tls != NULL && s->state >= SESSION_READY) {
        worker_add(&worker_own_counters(s->worker)->tls_sessions, UINT64_MAX); /* - 1 */
    }
    session_move(s, SESSION_FLUSHING);
    session_login_leave(s);
    worker_session_ended(s->worker, s);
    relay_set_reading(&s->client, false);
    relay_set_reading(&s->server, false);
}

__attribute__((format(printf, 3, 0))) static void end_with(struct session *s,
                                                           enum session_ending ending,
                                                           const char *format, va_list args)
{
    char reason[REASON_SIZE] = "-";
    (void)vsnprintf(reason, sizeof(reason), format, args); /* what fits is enough */
    begin_end(s, ending, reason);
    session_set_timer(s, FLUSH_MS);
    continue_end(s);
    if (s->state == SESSION_FLUSHING) {
        s->n_untaken_before = session_untaken(s);
    }
}

void session_end_as(struct session *s, enum session_ending ending, const char *format, ...)
{
    if (session_is_open(s)) {
        va_list args;
        va_start(args, format);
        end_with(s, ending, format, args);
        va_end(args);
    }
}

void session_drop(struct session *s, enum session_ending ending, const char *reason)
{
    struct linger at_once = {.l_onoff = 1};
    if (session_is_open(s)) {
        /* Else the kernel would keep what it holds for this client, and go on trying. */
        (void)setsockopt(s->client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        begin_end(s, ending, reason);
        die(s);
    }
}

/* The place of an ERR of ours in the FE's stream; false when it cannot have one. */
static bool place_of_err(const struct session *s, uint8_t *ret_sequence)
{
    switch (s->state) {
    case SESSION_HEADER:
    case SESSION_CONNECTING:
    case SESSION_GREETING: *ret_sequence = 0; return true;
    case SESSION_LOGIN:
    case SESSION_READY:
        if (s->auth.is_active || !s->has_response) {
            *ret_sequence = session_auth_next_number(s);
            return s->auth.is_active || track_is_between_packets(&s->track);
        }
        *ret_sequence = track_next_sequence(&s->track);
        return track_is_between_packets(&s->track);
    case SESSION_LOCAL:
        *ret_sequence = 1;
        return s->script == NULL || session_script_place_of_err(s, ret_sequence);
    case SESSION_FLUSHING:
    case SESSION_LINGERING:
    case SESSION_DEAD: break;
    }
    return false;
}

static void send_err(struct session *s, const struct err *err)
{
    uint8_t sequence = 0;
    if (!place_of_err(s, &sequence)) {
        return;
    }
    _cleanup_buf_ struct buf out = buf_with_max(ERR_MSG_SIZE + 64);
    bool is_first = s->state <= SESSION_GREETING;
    packet_put_err(&out, sequence, err, is_first ? PACKET_ERR_BEFORE_HANDSHAKE : PACKET_ERR_FULL);
    assert(buf_ok(&out));
    s->has_told_err = relay_send(&s->client, out.data, out.len);
}

void session_fail(struct session *s, const struct err *err)
{
    if (session_is_open(s)) {
        send_err(s, err);
        session_end_as(s, session_ending_of_err(err->code), "%s", err->msg);
    }
}

void session_drain(struct session *s)
{
    struct err err = {0};
    if (session_is_open(s) && s->state <= SESSION_LOGIN && !s->has_response) {
        (void)err_set(&err, ERR_SERVER_SHUTDOWN, "08S01",
                      "Server shutdown in progress: Sluice is being stopped; connect again");
        session_fail(s, &err);
    }
    session_settle(s);
}

void session_cut(struct session *s)
{
    if (session_is_open(s)) {
        struct err err = {0};
        (void)err_set(&err, ERR_SERVER_SHUTDOWN, "08S01",
                      "Server shutdown in progress: Sluice was stopped and proxy.drain_timeout has "
                      "passed; whether the statement took effect is not known");
        bool is_due = !session_command_is_idle(s);
        if (is_due) {
            send_err(s, &err);
        }
        session_end_as(s, SESSION_ENDING_SHUTDOWN, "Sluice was stopped%s",
                       is_due ? " before the statement had ended" : "");
    }
}

void session_kill(struct session *s)
{
    session_cut(s);
    if (s->state != SESSION_DEAD) {
        die(s);
    }
}

/* --- the peers -------------------------------------------------------------------------------- */

/* Something of the client's is still to be answered, and can be. */
static bool is_reply_due(const struct session *s)
{
    return track_is_client_done(&s->track) &&
           (s->state == SESSION_LOCAL || *track_busy_with(&s->track) != '\0');
}

static void end_of_client(struct session *s)
{
    if (s->track.has_quit) {
        session_end_as(s, SESSION_ENDING_CLIENT_QUIT, "the client quit");
    } else {
        session_end_as(s, SESSION_ENDING_CLIENT_LOST,
                       "the client closed its connection without COM_QUIT");
    }
}

static void on_client_gone(struct session *s, int error)
{
    if (s->state == SESSION_FLUSHING || s->state == SESSION_LINGERING) {
        die(s);
    } else if (relay_is_in_handshake(&s->client)) {
        session_end_as(s, SESSION_ENDING_TLS, "TLS with the client failed: %s",
                       relay_why(&s->client, error));
    } else if (s->state < SESSION_READY) {
        session_end_as(s, SESSION_ENDING_CLIENT_LOST, "the client left during the login");
    } else if (error != 0 && !s->track.has_quit) {
        session_end_as(s, SESSION_ENDING_CLIENT_LOST, "the client's connection broke: %s",
                       relay_why(&s->client, error));
    } else if (error == 0 && is_reply_due(s)) {
        /* It may have closed one direction only, and still read what it asked for. */
        s->is_client_eof = true;
        s->n_replied_before = s->n_replied;
        session_set_timer(s, HALF_CLOSED_MS);
    } else {
        end_of_client(s); /* after COM_QUIT it need not wait for Doris's OK to it */
    }
}

static void fe_lost_while_busy(struct session *s, const char *why)
{
    char fe[ADDRESS_TEXT_SIZE];
    struct err err = {0};
    session_backend_text(s, fe);
    const char *advice = "nothing was changed: connect again"; /* local.h: it asks first */
    const char *busy = track_busy_with(&s->track);
    if (s->state != SESSION_LOGIN && s->ask == NULL) {
        advice = "whether it took effect is not known: connect again and check";
    }
    if (s->state == SESSION_LOCAL && !session_script_is_at_fe(s)) {
        busy = "a statement of Sluice's own";
    } else if (*busy == '\0') {
        busy = "a command"; /* half of it was sent */
    }
    (void)err_set(&err, ERR_FE_LOST, "08S01",
                  "Sluice lost the FE at %s while %s was running: %s; %s", fe, busy, why, advice);
    session_fail(s, &err);
}

static void on_server_gone(struct session *s, int error)
{
    const char *why = error != 0 ? relay_why(&s->server, error) : "it closed the connection";
    relay_set_reading(&s->server, false);
    if (!session_is_open(s)) {
        return;
    }
    if (s->state == SESSION_CONNECTING || s->state == SESSION_GREETING) {
        session_login_next(s, error != 0 ? why : "it closed the connection before its greeting");
    } else if (relay_is_in_handshake(&s->server)) {
        session_login_tls_failed(s, why);
    } else if (s->track.has_quit) {
        session_end_as(s, SESSION_ENDING_CLIENT_QUIT, "the client quit");
    } else if (s->state == SESSION_LOGIN && !s->has_response) {
        session_end_as(s, SESSION_ENDING_REFUSED_BY_FE,
                       "the FE gave up waiting for the client's login: %s", why);
    } else if (s->state == SESSION_LOCAL || !track_is_idle(&s->track)) {
        fe_lost_while_busy(s, why);
    } else {
        session_end_as(s, SESSION_ENDING_FE_ENDED, "the FE ended the session: %s", why);
    }
}

void session_lose_server(struct session *s)
{
    on_server_gone(s, ETIMEDOUT);
}

bool session_to_client(struct session *s, const char *p, size_t n)
{
    s->n_replied += n;
    worker_add(&worker_own_counters(s->worker)->to_clients, n);
    if (relay_send(&s->client, p, n)) {
        return true;
    }
    on_client_gone(s, s->client.error);
    return false;
}

void session_to_server(struct session *s, const char *p, size_t n)
{
    if (n == 0 || !session_is_open(s) || relay_send(&s->server, p, n)) {
        return;
    }
    /* A closed connection is seen by reading, after the FE's last words: those are worth more. */
    if (s->server.error != EPIPE && s->server.error != ECONNRESET) {
        on_server_gone(s, s->server.error);
    }
}

static void end_if_due(struct session *s)
{
    if (s->is_client_eof && !is_reply_due(s)) {
        end_of_client(s);
    } else if (worker_is_draining(s->worker) &&
               (s->state == SESSION_HEADER || session_command_is_idle(s))) {
        session_end_as(s, SESSION_ENDING_SHUTDOWN, "Sluice is being stopped");
    }
}

static void update_reading(struct session *s)
{
    bool is_relaying =
        s->state == SESSION_LOGIN || s->state == SESSION_READY || s->state == SESSION_LOCAL;
    bool may_read = is_relaying && session_command_has_room(s) &&
                    relay_has_room(&s->server, s->client.is_reading);
    relay_set_reading(&s->client, !s->is_client_eof && (may_read || s->state == SESSION_HEADER));
    relay_set_reading(&s->server,
                      session_is_open(s) && relay_has_room(&s->client, s->server.is_reading));
}

void session_settle(struct session *s)
{
    if (!session_is_open(s)) {
        return;
    }
    if (s->track.auth != TRACK_AUTH_NONE) {
        session_login_outcome(s);
    }
    if (s->script != NULL) {
        session_script_run(s);
    }
    session_command_resume(s);
    end_if_due(s);
    if (session_is_open(s)) {
        update_reading(s);
    }
}

/* --- events ----------------------------------------------------------------------------------- */

static void on_client_read(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    char *scratch = worker_scratch(s->worker);
    if (s->state == SESSION_HEADER) {
        session_announce_client_readable(s);
        session_settle(s);
        return;
    }
    for (int i = 0; i < READS_PER_TURN && s->client.is_reading; i++) {
        size_t size = session_auth_read_size(s, WORKER_SCRATCH_SIZE);
        ssize_t n = relay_read(&s->client, scratch, size);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n <= 0) {
            on_client_gone(s, n < 0 ? errno : 0);
            break;
        }
        if (s->state == SESSION_LINGERING) {
            continue; /* read to be dropped */
        }
        s->n_from_client += (uint64_t)n;
        worker_add(&worker_own_counters(s->worker)->from_clients, (uint64_t)n);
        session_command_client_bytes(s, scratch, (size_t)n);
        if (!relay_has_input(&s->client, (size_t)n, size) || !relay_has_room(&s->server, true) ||
            !session_command_has_room(s)) {
            break;
        }
    }
    session_settle(s);
    relay_read_again(&s->client);
    (void)fd;
    (void)what;
}

static void on_server_read(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    char *scratch = worker_scratch(s->worker);
    for (int i = 0; i < READS_PER_TURN && s->server.is_reading; i++) {
        ssize_t n = relay_read(&s->server, scratch, WORKER_SCRATCH_SIZE);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n <= 0) {
            on_server_gone(s, n < 0 ? errno : 0);
            break;
        }
        if (s->state == SESSION_CONNECTING || s->state == SESSION_GREETING) {
            session_login_server_bytes(s, scratch, (size_t)n);
        } else {
            session_command_server_bytes(s, scratch, (size_t)n);
        }
        if (!relay_has_input(&s->server, (size_t)n, WORKER_SCRATCH_SIZE) ||
            !relay_has_room(&s->client, true)) {
            break;
        }
    }
    session_settle(s);
    relay_read_again(&s->server);
    (void)fd;
    (void)what;
}

static void on_client_write(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    if (!relay_flush(&s->client)) {
        on_client_gone(s, s->client.error);
    } else if (s->state == SESSION_FLUSHING) {
        continue_end(s);
    }
    session_settle(s);
    (void)fd;
    (void)what;
}

static void on_server_write(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    if (!relay_flush(&s->server) && session_is_open(s)) {
        if (s->server.error != EPIPE && s->server.error != ECONNRESET) {
            on_server_gone(s, s->server.error); /* else as in session_to_server() */
        }
    } else if (s->state == SESSION_FLUSHING) {
        continue_end(s);
    }
    session_settle(s);
    (void)fd;
    (void)what;
}

static void on_half_closed_timer(struct session *s)
{
    if (s->n_replied == s->n_replied_before) {
        session_end_as(s, SESSION_ENDING_CLIENT_LOST,
                       "the client closed its connection while %s was running",
                       s->state == SESSION_LOCAL ? "a statement" : track_busy_with(&s->track));
        return;
    }
    s->n_replied_before = s->n_replied;
    session_set_timer(s, HALF_CLOSED_MS);
}

/* A slow reader gets all of its reply. */
static void on_flush_timer(struct session *s)
{
    uint64_t n_untaken = session_untaken(s);
    if (!relay_is_flushing(&s->client) || n_untaken >= s->n_untaken_before) {
        die(s);
        return;
    }
    s->n_untaken_before = n_untaken;
    session_set_timer(s, FLUSH_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;
    switch (s->state) {
    case SESSION_HEADER: session_announce_late(s); break;
    case SESSION_CONNECTING:
    case SESSION_GREETING: session_login_next(s, "it did not answer in time"); break;
    case SESSION_LOGIN:
        session_end_as(s, SESSION_ENDING_LOGIN_TIMEOUT,
                       "the login took longer than proxy.login_timeout");
        break;
    case SESSION_READY:
    case SESSION_LOCAL: on_half_closed_timer(s); break;
    case SESSION_FLUSHING: on_flush_timer(s); break;
    case SESSION_LINGERING: die(s); break;
    case SESSION_DEAD: break;
    }
    (void)fd;
    (void)what;
}

void session_open_server(struct session *s, int fd)
{
    relay_close(&s->server);
    relay_open(&s->server, fd, worker_base(s->worker), on_server_read, on_server_write, s);
    relay_set_reading(&s->server, true);
}

/* --- life ------------------------------------------------------------------------------------- */

struct session *session_create(struct worker *w, uint64_t id, int fd, const struct address *peer)
{
    struct session *s = xcalloc(1, sizeof(*s));
    s->worker = w;
    s->id = id;
    s->peer = *peer;
    s->state = SESSION_HEADER;
    int64_t now_ms = clock_mono_ms();
    s->login_deadline_ms = now_ms + worker_config(w)->login_timeout_ms;
    s->watch = (struct session_watch){.moved_ms = now_ms,
                                      .taken_ms = now_ms,
                                      .client_heard_ms = now_ms,
                                      .server_heard_ms = now_ms};
    relay_init(&s->client);
    relay_init(&s->server);
    relay_open(&s->client, fd, worker_base(w), on_client_read, on_client_write, s);
    (void)evtimer_assign(&s->timer, worker_base(w), on_timer, s); /* fails without a base only */
    return s;
}

void session_destroy(struct session *s)
{
    if (s == NULL) {
        return;
    }
    (void)event_del(&s->timer); /* not pending is no error */
    session_admit_end(s);
    if (s->local != NULL) {
        local_destroy(take_ptr(s->local));
    }
    ask_destroy(s->ask);
    local_kill_destroy(s->kill);
    session_script_destroy(s->script);
    session_prepared_destroy(s->prepared);
    free(s->announced);
    relay_close(&s->server);
    relay_close(&s->client);
    buf_fini(&s->tries);
    buf_fini(&s->early);
    buf_fini(&s->held);
    free(s->user);
    free(s->user_asked);
    free(s);
}
