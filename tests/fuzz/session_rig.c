#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/backends.h"
#include "proxy/config.h"
#include "proxy/packet.h"
#include "proxy/session.h"
#include "proxy/tls.h"
#include "proxy/worker_session.h"
#include "tests/fuzz/session_rig.h"

enum {
    STREAM_MAX = 16 << 20,
    BULK_UNIT = 1024,
    BULK_MAX = 2 << 20, /* in one input */
    SMALL_BUFFER = 4096,
    MAX_STEPS = 2000,
    MAX_QUIET_TURNS = 3,
    MAX_END_TURNS = 20,
    ID_SHIFT = 6,            /* of worker.c's session ids */
    HELD_BOUND = 1500 << 10, /* session_command.c holds less */
    LOCAL_ANSWER_BOUND = 20 << 20,
};

enum { FLAG_SMALL_BUFFERS = 1, FLAG_TWO_BACKENDS = 2, FLAG_TLS = 4 };

/* A socket in our hands. */
struct hand {
    int fd;          /* -1: closed */
    bool is_paused;  /* reads nothing */
    bool is_shut;    /* sends nothing more */
    struct buf got;  /* all it received */
    struct buf sent; /* all it has to send; the socket has taken n_sent of it */
    size_t n_sent;
};

struct rig {
    enum rig_hostile who;
    struct hand client;
    struct hand server;
    struct fe fe;
    uint64_t capabilities; /* of the client */
    uint64_t offered;
    const uint8_t *choices;
    bool is_small;
    size_t n_bulk;
    uint64_t n_local; /* statements before this input */
    size_t n_moved;   /* bytes, in the last turn */
};

/* What lives as long as the process: making it costs more than an input. */
static struct life {
    bool is_ready;
    int fe_listen_fd;
    struct config config;
    struct address listen;
    struct address fe;
    struct worker_shared shared;
    struct worker *worker;
    char scratch[64 << 10];
} lives[2], *life; /* plain, with TLS, and the one that the input runs on */

static struct rig the_rig;

/* --- sockets ------------------------------------------------------------------------------------ */

/* An abstract name, short enough for struct address. */
static struct address name_address(char what)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct address a = {0};
    int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "sfz%c%d", what, (int)getpid());
    assert(n > 0);
    a.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    assert(a.size <= sizeof(a.to));
    memcpy(&a.to, &un, a.size);
    return a;
}

static int new_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert(fd >= 0);
    return fd;
}

static int listen_on(const struct address *a)
{
    int fd = new_socket();
    int rc = bind(fd, &a->to.any, a->size);
    assert(rc == 0);
    rc = listen(fd, 16);
    assert(rc == 0);
    return fd;
}

/* The memory of the buffers stays from one input to the next: it is most of the time otherwise. */
static void hand_open(struct hand *h, int fd)
{
    h->fd = fd;
    h->is_paused = h->is_shut = false;
    h->n_sent = 0;
    h->got.max = h->sent.max = STREAM_MAX;
    buf_reset(&h->got);
    buf_reset(&h->sent);
}

/* Sends what it has to send, as far as the socket takes it. */
static size_t hand_flush(struct hand *h)
{
    if (h->fd == -1 || h->is_shut || h->sent.len == h->n_sent) {
        return 0;
    }
    ssize_t n = send(h->fd, h->sent.data + h->n_sent, h->sent.len - h->n_sent, MSG_NOSIGNAL);
    if (n <= 0) {
        return 0;
    }
    h->n_sent += (size_t)n;
    return (size_t)n;
}

static size_t hand_read(struct hand *h)
{
    size_t all = 0;
    while (h->fd != -1 && !h->is_paused) {
        ssize_t n = recv(h->fd, life->scratch, sizeof(life->scratch), 0);
        if (n <= 0) {
            break;
        }
        buf_append(&h->got, life->scratch, (size_t)n);
        all += (size_t)n;
    }
    return all;
}

/* --- the session and its invariants ------------------------------------------------------------- */

static struct session *find(void)
{
    uint64_t n = atomic_load(&worker_counters(life->worker)->accepted);
    return worker_find_session(life->worker, n << ID_SHIFT);
}

static bool is_armed(const struct session *s)
{
    return s->client.is_reading || s->client.is_writing || s->server.is_reading ||
           s->server.is_writing || event_pending(&s->timer, EV_TIMEOUT, NULL) != 0;
}

/* Nothing is left to happen, and yet a whole command waits. */
static bool is_stuck(const struct session *s)
{
    const struct buf *held = &s->held;
    return s->state == SESSION_READY && held->len >= PACKET_HEADER_SIZE &&
           track_is_idle(&s->track) && held->len - PACKET_HEADER_SIZE >= packet_length(held->data);
}

static void check(struct rig *rig)
{
    const struct session *s = find();
    if (s == NULL) {
        return;
    }
    bool is_local = atomic_load(&worker_counters(life->worker)->local_statements) > rig->n_local;
    size_t out_bound = RELAY_HIGH_MARK + 2 * WORKER_SCRATCH_SIZE + HANDSHAKE_MAX_SIZE;
    assert(s->held.len <= HELD_BOUND);
    assert(relay_pending(&s->server) <= out_bound + HELD_BOUND);
    assert(relay_pending(&s->client) <= out_bound + (is_local ? LOCAL_ANSWER_BOUND : 0));
    assert(is_armed(s));
    if (s->has_response) {
        track_check(&s->track);
        assert(!is_stuck(s));
    }
}

static void accept_server(struct rig *rig)
{
    int fd = accept4(life->fe_listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    close_p(&rig->server.fd); /* the one before did not work for the session */
    hand_open(&rig->server, fd);
    fe_start(&rig->fe, rig->offered, rig->choices);
    struct session *s = find();
    if (rig->is_small && s != NULL) {
        int size = SMALL_BUFFER;
        (void)setsockopt(s->client.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* tuning */
        (void)setsockopt(s->server.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* tuning */
    }
}

static void turn(struct rig *rig)
{
    (void)event_base_loop(worker_base(life->worker), EVLOOP_NONBLOCK); /* 1: no events, at times */
    accept_server(rig);
    rig->n_moved = hand_read(&rig->server);
    if (rig->server.got.len > rig->fe.seen) {
        fe_read(&rig->fe, buf_span(&rig->server.got));
    }
    rig->n_moved += hand_read(&rig->client);
    rig->n_moved += hand_flush(&rig->client);
    rig->n_moved += hand_flush(&rig->server);
    check(rig);
}

/* --- steps -------------------------------------------------------------------------------------- */

static struct hand *hostile(struct rig *rig)
{
    return rig->who == RIG_HOSTILE_CLIENT ? &rig->client : &rig->server;
}

/* In pieces, with a turn after each, when piece is not 0. */
static void speak(struct rig *rig, struct hand *h, const void *p, size_t n, size_t piece)
{
    piece = piece == 0 || n / piece > 64 ? n : piece;
    for (size_t at = 0; at < n && h->fd != -1 && !h->is_shut;) {
        size_t some = n - at < piece ? n - at : piece;
        buf_append(&h->sent, (const char *)p + at, some);
        rig->n_moved += hand_flush(h);
        at += some;
        turn(rig);
    }
}

static void speak_macro(struct rig *rig, struct hand *h, uint8_t number, size_t piece)
{
    _cleanup_buf_ struct buf b = buf_with_max(STREAM_MAX);
    if (h == &rig->client) {
        uint64_t attributes = rig->offered & CAP_QUERY_ATTRIBUTES;
        client_put_macro(&b, number, rig->capabilities & (~CAP_QUERY_ATTRIBUTES | attributes));
    } else {
        fe_put_macro(&rig->fe, &b, number);
    }
    speak(rig, h, b.data, b.len, piece);
}

static void speak_bulk(struct rig *rig, size_t n, bool is_many)
{
    static const char filler[BULK_UNIT] = {[0] = 2, [1] = 'v'};
    _cleanup_buf_ struct buf b = buf_with_max(STREAM_MAX);
    uint8_t sequence = rig->who == RIG_HOSTILE_CLIENT ? 0 : rig->fe.next_sequence;
    n = n * BULK_UNIT < BULK_MAX - rig->n_bulk ? n : (BULK_MAX - rig->n_bulk) / BULK_UNIT;
    rig->n_bulk += n * BULK_UNIT;
    size_t at = packet_begin(&b, sequence);
    for (size_t i = 0; i < n; i++) {
        buf_append(&b, filler, BULK_UNIT);
        if (is_many) {
            sequence = packet_end(&b, at);
            at = packet_begin(&b, sequence);
        }
    }
    (void)packet_end(&b, at);
    speak(rig, hostile(rig), b.data, b.len, 0);
}

static void reply(struct rig *rig, uint8_t n)
{
    struct buf *out = &rig->fe.out;
    size_t some = n == UINT8_MAX || n > out->len ? out->len : n;
    if (some > 0) {
        speak(rig, &rig->server, out->data, some, 0);
        buf_consume(out, some);
    }
}

static void close_one(struct rig *rig, enum rig_close how)
{
    struct hand *h = how <= RIG_CLIENT_GONE ? &rig->client : &rig->server;
    bool is_gone = how == RIG_CLIENT_GONE || how == RIG_SERVER_GONE;
    if (h->fd == -1) {
        return;
    }
    h->is_shut = true;
    if (is_gone) {
        close_p(&h->fd);
    } else {
        (void)shutdown(h->fd, SHUT_WR); /* fails when the other side is gone: as good */
    }
    turn(rig);
}

static void fire_timer(void)
{
    struct session *s = find();
    if (s != NULL && event_pending(&s->timer, EV_TIMEOUT, NULL) != 0) {
        (void)event_del(&s->timer); /* it is one-shot */
        event_active(&s->timer, EV_TIMEOUT, 0);
    }
}

static void kill_session(void)
{
    struct session *s = find();
    if (s != NULL) {
        session_kill(s);
    }
}

static void do_step(struct rig *rig, unsigned kind, unsigned argument, struct span parameters)
{
    uint8_t first = parameters.n > 0 ? (uint8_t)parameters.p[0] : 0;
    switch (kind) {
    case RIG_RAW: speak(rig, hostile(rig), parameters.p + 1, parameters.n - 1, argument); break;
    case RIG_CLIENT: speak_macro(rig, &rig->client, first, argument); break;
    case RIG_REPLY: reply(rig, first); break;
    case RIG_SERVER:
        if (rig->who == RIG_HOSTILE_SERVER) {
            speak_macro(rig, &rig->server, first, argument);
        }
        break;
    case RIG_TURN:
        for (unsigned i = 0; i <= argument; i++) {
            turn(rig);
        }
        break;
    case RIG_CLOSE: close_one(rig, (enum rig_close)(argument % RIG_N_CLOSES)); break;
    case RIG_TIMER: fire_timer(); break;
    case RIG_BULK: speak_bulk(rig, first, (argument & 1) != 0); break;
    case RIG_PAUSE:
        rig->client.is_paused = (argument & 1) != 0;
        rig->server.is_paused = (argument & 2) != 0;
        break;
    case RIG_KILL: kill_session(); break;
    default: break;
    }
}

static bool has_parameter(unsigned kind)
{
    return kind == RIG_RAW || kind == RIG_CLIENT || kind == RIG_REPLY || kind == RIG_SERVER ||
           kind == RIG_BULK;
}

static void play(struct rig *rig, const uint8_t *p, size_t n)
{
    size_t at = 0;
    for (int i = 0; at < n && i < MAX_STEPS; i++) {
        unsigned kind = (p[at] & 0xfU) % RIG_N_STEPS;
        unsigned argument = p[at] >> 4U;
        size_t size = has_parameter(kind) && at + 1 < n ? 1 : 0;
        if (kind == RIG_RAW && size > 0) {
            size_t wanted = p[at + 1];
            size += wanted < n - at - 2 ? wanted : n - at - 2;
        }
        at++;
        if (size > 0 || !has_parameter(kind)) {
            do_step(rig, kind, argument, (struct span){(const char *)p + at, size});
        }
        at += size;
    }
}

/* --- the end ------------------------------------------------------------------------------------ */

/* What each got is what the other sent; all of it, where nothing can be in the way. */
static void compare(struct rig *rig)
{
    const struct session *s = find();
    bool is_quiet = s != NULL && s->state == SESSION_READY && s->held.len == 0 &&
                    !s->is_client_eof && !s->auth.is_active && relay_pending(&s->server) == 0;
    struct span from_client = {rig->client.sent.data, rig->client.n_sent};
    struct span from_server = {rig->server.sent.data, rig->server.n_sent};
    enum oracle_extent extent = is_quiet ? ORACLE_ALL : ORACLE_BEGINNING;
    if (life->shared.tls != NULL) {
        return; /* each side has its own bytes */
    }
    oracle_compare(from_client, buf_span(&rig->server.got), extent);
    /* An answer of Sluice's stands between packets of the FE's, never within one. */
    assert(!is_quiet || !oracle_is_whole(from_server) ||
           oracle_is_whole(buf_span(&rig->client.got)));
    if (!oracle_has_ours(from_client) &&
        !oracle_was_asked(from_client, buf_span(&rig->server.got))) {
        oracle_compare_replies(from_server, buf_span(&rig->client.got), extent);
    }
}

/*
 * The FE has talked while the client begins TLS: its bytes wait for the handshake, and behind them its
 * end. The login's timer bounds that.
 */
static bool waits_for_handshake(const struct session *s)
{
    return s->state == SESSION_LOGIN && s->client.tls != NULL && relay_pending(&s->client) > 0 &&
           event_pending(&s->timer, EV_TIMEOUT, NULL) != 0;
}

/* Both peers do all they can still do; then nothing may wait that need not wait. */
static void settle(struct rig *rig)
{
    rig->client.is_paused = false;
    rig->server.is_paused = false;
    for (int quiet = 0; quiet < MAX_QUIET_TURNS;) {
        reply(rig, UINT8_MAX);
        turn(rig);
        quiet = rig->n_moved == 0 && rig->fe.out.len == 0 ? quiet + 1 : 0;
        if (rig->server.fd == -1 || rig->server.is_shut) {
            buf_reset(&rig->fe.out);
        }
    }
    compare(rig);
    const struct session *s = find();
    bool is_fe_gone = rig->server.fd == -1 || rig->server.is_shut;
    assert(!is_fe_gone || s == NULL || waits_for_handshake(s)); /* without its FE a session ends */
}

static void end(struct rig *rig)
{
    close_p(&rig->client.fd);
    close_p(&rig->server.fd);
    for (int i = 0; atomic_load(&life->shared.n_sessions) > 0; i++) {
        assert(i < MAX_END_TURNS);                                         /* a stuck session */
        (void)event_base_loop(worker_base(life->worker), EVLOOP_NONBLOCK); /* as in turn() */
        int fd = accept4(life->fe_listen_fd, NULL, NULL, SOCK_CLOEXEC);
        close_p(&fd);
    }
}

/* --- life --------------------------------------------------------------------------------------- */

/* With TLS: offered to clients, and asked from an FE that offers it. */
static void configure_tls(void)
{
    struct err err = {0};
    char path[RIG_PATH_SIZE];
    static char none[] = "";
    rig_write_certificate(path);
    life->config.tls = CONFIG_TLS_OPTIONAL;
    life->config.tls_cert = path;
    life->config.tls_key = life->config.backend_tls_ca = none;
    life->config.backend_tls = CONFIG_BACKEND_TLS_PREFERRED;
    life->shared.tls = tls_context_create(&life->config, &err);
    assert(life->shared.tls != NULL);
    life->config.tls_cert = none;
    (void)unlink(path); /* it is read */
}

static void make_life(void)
{
    struct err err = {0};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* as main() has it: OpenSSL writes with write(2) */
    log_setup(LOG_ERROR, LOG_TEXT);
    life->config = (struct config){
        .workers = 1,
        .max_connections = 1000,
        .connect_timeout_ms = INT32_MAX, /* RIG_TIMER decides */
        .login_timeout_ms = INT32_MAX,
        .drain_timeout_ms = INT32_MAX,
    };
    life->listen = name_address(life == lives ? 'c' : 'C');
    life->fe = name_address(life == lives ? 'f' : 'F');
    life->fe_listen_fd = listen_on(&life->fe);
    life->shared = (struct worker_shared){.config = &life->config, .backends = backends_create()};
    if (life == &lives[1]) {
        configure_tls();
    }
    struct worker_env env = {
        .shared = &life->shared, .n_listen_fds = 1, .listen_fds = {listen_on(&life->listen)}};
    life->worker = worker_create(&env, &err);
    assert(life->worker != NULL);
    life->is_ready = true;
}

static const uint64_t base_capabilities =
    CAP_CONNECT_WITH_DB | CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH;

static const uint64_t capability_sets[] = {
    CAP_LONG_PASSWORD,
    CAP_LONG_PASSWORD | CAP_DEPRECATE_EOF,
    CAP_DEPRECATE_EOF | CAP_MARIA_CACHE_META | CAP_MARIA_EXTENDED_META,
    CAP_LONG_PASSWORD | CAP_DEPRECATE_EOF | CAP_OPTIONAL_METADATA,
    CAP_LONG_PASSWORD | CAP_QUERY_ATTRIBUTES,
    CAP_LONG_PASSWORD | CAP_SSL,
    CAP_LONG_PASSWORD | CAP_COMPRESS | CAP_ZSTD,
    CAP_MARIA_COM_MULTI | CAP_MARIA_CACHE_META,
};

static void start(struct rig *rig, const uint8_t *head)
{
    rig->offered = base_capabilities | capability_sets[head[0] % ARRAY_SIZE(capability_sets)];
    rig->capabilities = (base_capabilities & ~CAP_CONNECT_WITH_DB) |
                        capability_sets[head[1] % ARRAY_SIZE(capability_sets)];
    rig->is_small = (head[2] & FLAG_SMALL_BUFFERS) != 0;
    backends_destroy(
        life->shared.backends); /* afresh: nothing of the last input is known of them */
    life->shared.backends = backends_create();
    for (int i = 0; i < ((head[2] & FLAG_TWO_BACKENDS) != 0 ? 2 : 1); i++) {
        backends_add_address(life->shared.backends, "fe", &life->fe);
    }
    rig->choices = head + 3;
    rig->n_bulk = 0;
    rig->n_local = atomic_load(&worker_counters(life->worker)->local_statements);
    hand_open(&rig->server, -1);
    hand_open(&rig->client, new_socket());
    int rc = connect(rig->client.fd, &life->listen.to.any, life->listen.size);
    assert(rc == 0);
    turn(rig);
}

enum { HEAD_SIZE = 7 };

int rig_run(const uint8_t *data, size_t size, enum rig_hostile who)
{
    if (size < HEAD_SIZE) {
        return 0;
    }
    life = &lives[(data[2] & FLAG_TLS) != 0];
    if (!life->is_ready) {
        make_life();
    }
    struct rig *rig = &the_rig;
    rig->who = who;
    start(rig, data);
    play(rig, data + HEAD_SIZE, size - HEAD_SIZE);
    settle(rig);
    end(rig);
    return 0;
}
