/*
 * Load on a MySQL server, cheap enough not to be what is measured: one thread, one epoll, and
 * replies known by their length once the first has been read.
 *
 *     load queries  PORT CONNECTIONS MS [tls]   SELECT 1, closed loop
 *     load ask      PORT CONNECTIONS MS SQL     the same with another query, whose result is static
 *     load connects PORT CONNECTIONS MS         connect, login, SELECT 1, quit; so many at a time
 *     load big      PORT BYTES ROW              one result of the fake server, read to its end
 *     load stall    PORT BYTES ROW              asks for it and reads nothing
 *     load idle     PORT TLS                    opens connections and keeps them
 *
 * It says "ready" on stdout, waits for a line on stdin, works, and says what it measured as one line
 * of JSON. `stall` then stays as it is, and `idle` takes further lines: the number of connections to
 * have, the first TLS of them with TLS. Both end with their stdin.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "tests/bench/histogram.h"
#include "tests/bench/net.h"
#include "tests/bench/wire.h"

enum {
    N_EVENTS = 64,
    MAX_CONNECTIONS = 100000,
    SCRATCH_SIZE = 256 << 10,
    LINE_SIZE = 64,
    DEADLINE_MS = 60000, /* a reply that takes longer never comes */
};

enum phase { GREETING, LOGIN, REPLY };

struct client {
    struct wire wire;
    enum phase phase;
    size_t n_got; /* bytes of the reply that is awaited */
    uint64_t since_ns;
};

struct load {
    uint16_t port;
    int epoll;
    unsigned n_clients;
    struct client *clients;
    uint64_t end_ns;
    const char *sql; /* SELECT 1, or that of `ask` */
    struct buf command;
    struct buf response; /* the login */
    struct buf quit;
    size_t reply_size;
    struct histogram latencies;
    char scratch[SCRATCH_SIZE];
};

static uint64_t now_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* this clock is always there */
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* False at the end of stdin. */
static bool read_line(char line[LINE_SIZE])
{
    if (fgets(line, LINE_SIZE, stdin) == NULL) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    return true;
}

static void wait_for_go(void)
{
    char line[LINE_SIZE];
    (void)puts("ready");
    (void)fflush(stdout);
    if (!read_line(line)) {
        _exit(1); /* nobody is there any more */
    }
}

static void watch(struct load *l, struct client *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->wire.fd, &event) != 0) {
        net_die("epoll_ctl: %s", strerror(errno));
    }
}

static uint64_t own_cpu_ns(void)
{
    struct timespec used = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used); /* this clock is always there */
    return (uint64_t)used.tv_sec * 1000000000U + (uint64_t)used.tv_nsec;
}

static void report(const struct load *l, uint64_t started_ns, uint64_t cpu_ns)
{
    uint64_t took_ns = now_ns() - started_ns;
    (void)printf("{\"n\": %" PRIu64 ", \"ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
                 ", \"p99_ns\": %" PRIu64 ", \"client_cpu_ns\": %" PRIu64 "}\n",
                 l->latencies.n, took_ns, histogram_at(&l->latencies, 0.5),
                 histogram_at(&l->latencies, 0.99), own_cpu_ns() - cpu_ns);
    (void)fflush(stdout);
}

/* --- queries ---------------------------------------------------------------------------------- */

static void ask(struct load *l, struct client *c)
{
    c->phase = REPLY;
    c->n_got = 0;
    wire_send(&c->wire, l->command.data, l->command.len);
}

/* True when the whole reply is there. */
static bool take_reply(struct load *l, struct client *c)
{
    ssize_t n = wire_recv(&c->wire, l->scratch, sizeof(l->scratch));
    if (n == 0) {
        net_die("the server closed the connection");
    }
    c->n_got += n > 0 ? (size_t)n : 0;
    if (c->n_got > l->reply_size) {
        net_die("a reply has %zu bytes instead of %zu", c->n_got, l->reply_size);
    }
    return c->n_got == l->reply_size;
}

static void on_reply(struct load *l, struct client *c)
{
    if (!take_reply(l, c)) {
        return;
    }
    uint64_t now = now_ns();
    histogram_add(&l->latencies, now - c->since_ns);
    if (now < l->end_ns) {
        c->since_ns = now;
        ask(l, c);
    } else {
        l->n_clients--;
    }
}

static void run_loop(struct load *l, void (*on_event)(struct load *, struct client *))
{
    struct epoll_event events[N_EVENTS];
    while (l->n_clients > 0) {
        int n = epoll_wait(l->epoll, events, N_EVENTS, DEADLINE_MS);
        if (n == 0) {
            net_die("%u connections have waited for an answer for a minute", l->n_clients);
        }
        for (int i = 0; i < n; i++) {
            on_event(l, events[i].data.ptr);
        }
    }
}

static void learn_reply(struct load *l, const struct wire *w)
{
    _cleanup_buf_ struct buf reply = {0};
    wire_query(w, l->sql, &reply);
    l->reply_size = reply.len;
}

static void queries(struct load *l, uint64_t ms, SSL_CTX *tls)
{
    for (unsigned i = 0; i < l->n_clients; i++) {
        wire_open(&l->clients[i].wire, l->port, tls);
        learn_reply(l, &l->clients[i].wire);
        wire_set_nonblocking(&l->clients[i].wire);
        watch(l, &l->clients[i]);
    }
    wait_for_go();
    uint64_t started = now_ns();
    uint64_t cpu = own_cpu_ns();
    l->end_ns = started + ms * 1000000U;
    for (unsigned i = 0; i < l->n_clients; i++) {
        l->clients[i].since_ns = now_ns();
        ask(l, &l->clients[i]);
    }
    run_loop(l, on_reply);
    report(l, started, cpu);
}

/* --- connects --------------------------------------------------------------------------------- */

static void connect_anew(struct load *l, struct client *c)
{
    *c = (struct client){.phase = GREETING, .since_ns = now_ns()};
    c->wire.fd = net_connect(l->port);
    net_set_nonblocking(c->wire.fd);
    watch(l, c);
}

/* One packet, which the greeting and the OK are; true when all of it is there. */
static bool take_packet(struct load *l, struct client *c)
{
    ssize_t n = wire_recv(&c->wire, l->scratch + c->n_got, sizeof(l->scratch) - c->n_got);
    if (n < 0) {
        return false;
    }
    if (n < PACKET_HEADER_SIZE + 1 || (size_t)n != packet_length(l->scratch) + PACKET_HEADER_SIZE) {
        net_die("a login did not get a whole packet");
    }
    if ((uint8_t)l->scratch[PACKET_HEADER_SIZE] == PACKET_ERR) {
        net_die("a login was refused: %.*s", (int)n - 13, l->scratch + 13);
    }
    return true;
}

static void on_connect_event(struct load *l, struct client *c)
{
    switch (c->phase) {
    case GREETING:
        if (take_packet(l, c)) {
            wire_send(&c->wire, l->response.data, l->response.len);
            c->phase = LOGIN;
        }
        break;
    case LOGIN:
        if (take_packet(l, c)) {
            ask(l, c);
        }
        break;
    case REPLY:
        if (take_reply(l, c)) {
            uint64_t now = now_ns();
            wire_send(&c->wire, l->quit.data, l->quit.len);
            wire_close(&c->wire);
            histogram_add(&l->latencies, now_ns() - c->since_ns);
            if (now < l->end_ns) {
                connect_anew(l, c);
            } else {
                l->n_clients--;
            }
        }
        break;
    }
}

static void connects(struct load *l, uint64_t ms)
{
    struct wire first = {0};
    wire_open(&first, l->port, NULL);
    learn_reply(l, &first);
    wire_close(&first);
    wait_for_go();
    uint64_t started = now_ns();
    uint64_t cpu = own_cpu_ns();
    l->end_ns = started + ms * 1000000U;
    for (unsigned i = 0; i < l->n_clients; i++) {
        connect_anew(l, &l->clients[i]);
    }
    run_loop(l, on_connect_event);
    report(l, started, cpu);
}

/* --- one big result --------------------------------------------------------------------------- */

struct walk {
    size_t left; /* of the current packet's payload */
    size_t n_head;
    uint8_t head[PACKET_HEADER_SIZE + 1];
    bool is_continued;
    int n_eofs;
};

/* `head` is a packet's header and the first byte of its payload. */
static void take_head(struct walk *w, const uint8_t *head)
{
    uint32_t length = packet_length(head);
    uint8_t mark = head[PACKET_HEADER_SIZE];
    if (!w->is_continued && length > 0 && mark == PACKET_ERR) {
        net_die("the server sent an ERR instead of rows");
    }
    w->n_eofs += !w->is_continued && length < 9 && mark == PACKET_EOF;
    w->is_continued = length == PACKET_MAX_PAYLOAD;
    w->left = length - (length > 0);
    w->n_head = 0;
}

/* Follows the packets; no empty one is among them, as rows are not empty. */
static void walk(struct walk *w, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    while (p < end) {
        size_t body = w->left < (size_t)(end - p) ? w->left : (size_t)(end - p);
        w->left -= body;
        p += body;
        if (w->n_head == 0 && (size_t)(end - p) >= sizeof(w->head)) {
            take_head(w, p);
            p += sizeof(w->head);
        } else if (p < end) {
            w->head[w->n_head++] = *p++;
            if (w->n_head == sizeof(w->head)) {
                take_head(w, w->head);
            }
        }
    }
}

static void ask_big(struct load *l, struct wire *w, uint64_t n_bytes, uint64_t row_size)
{
    char sql[LINE_SIZE];
    _cleanup_buf_ struct buf out = buf_with_max(SCRATCH_SIZE);
    wire_open(w, l->port, NULL);
    (void)snprintf(sql, sizeof(sql), "big %" PRIu64 " %" PRIu64, n_bytes, row_size);
    wire_put_command(&out, COM_QUERY, sql);
    wait_for_go();
    wire_send(w, out.data, out.len);
}

static void big(struct load *l, uint64_t n_bytes, uint64_t row_size)
{
    struct wire w = {0};
    struct walk walked = {0};
    uint64_t total = 0;
    ask_big(l, &w, n_bytes, row_size);
    uint64_t started = now_ns();
    uint64_t cpu = own_cpu_ns();
    while (walked.n_eofs < 2) {
        ssize_t n = wire_recv(&w, l->scratch, sizeof(l->scratch));
        if (n <= 0) {
            net_die("the connection ended after %" PRIu64 " bytes", total);
        }
        total += (uint64_t)n;
        walk(&walked, (const uint8_t *)l->scratch, (size_t)n);
    }
    (void)printf("{\"n\": %" PRIu64 ", \"ns\": %" PRIu64 ", \"client_cpu_ns\": %" PRIu64 "}\n",
                 total, now_ns() - started, own_cpu_ns() - cpu);
    (void)fflush(stdout);
}

static void stall(struct load *l, uint64_t n_bytes, uint64_t row_size)
{
    struct wire w = {0};
    char line[LINE_SIZE];
    ask_big(l, &w, n_bytes, row_size);
    (void)puts("{}");
    (void)fflush(stdout);
    (void)read_line(line); /* until stdin ends */
}

/* --- idle connections ------------------------------------------------------------------------- */

static void idle(struct load *l, unsigned n_tls)
{
    char line[LINE_SIZE];
    SSL_CTX *tls = wire_tls();
    unsigned n = 0;
    (void)puts("ready");
    (void)fflush(stdout);
    while (read_line(line)) {
        unsigned wanted = (unsigned)net_number(line, MAX_CONNECTIONS, "the number of connections");
        for (; n < wanted; n++) {
            wire_open(&l->clients[n].wire, l->port, n < n_tls ? tls : NULL);
        }
        (void)printf("{\"n\": %u}\n", n);
        (void)fflush(stdout);
    }
}

/* ---------------------------------------------------------------------------------------------- */

static struct load *create(uint16_t port, unsigned n_clients, const char *sql)
{
    struct load *l = xcalloc(1, sizeof(*l));
    l->port = port;
    l->sql = sql;
    l->n_clients = n_clients;
    l->clients = xcalloc(n_clients, sizeof(*l->clients));
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->command = buf_with_max(SCRATCH_SIZE);
    l->response = buf_with_max(SCRATCH_SIZE);
    l->quit = buf_with_max(SCRATCH_SIZE);
    wire_put_command(&l->command, COM_QUERY, sql);
    wire_put_command(&l->quit, COM_QUIT, "");
    wire_put_response(&l->response, 1, 0);
    return l;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        net_die("usage: load queries|ask|connects|big|stall|idle PORT ...: see its source");
    }
    const char *mode = argv[1];
    uint16_t port = (uint16_t)net_number(argv[2], 65535, "PORT");
    uint64_t first = net_number(argv[3], UINT64_MAX, "the first number");
    uint64_t second = argc > 4 ? net_number(argv[4], UINT64_MAX, "the second number") : 0;
    net_raise_limit();
    if (strcmp(mode, "queries") == 0) {
        struct load *l = create(port, (unsigned)first, "SELECT 1");
        queries(l, second, argc > 5 && strcmp(argv[5], "tls") == 0 ? wire_tls() : NULL);
    } else if (strcmp(mode, "ask") == 0 && argc == 6) {
        queries(create(port, (unsigned)first, argv[5]), second, NULL);
    } else if (strcmp(mode, "connects") == 0) {
        connects(create(port, (unsigned)first, "SELECT 1"), second);
    } else if (strcmp(mode, "big") == 0) {
        big(create(port, 1, ""), first, second);
    } else if (strcmp(mode, "stall") == 0) {
        stall(create(port, 1, ""), first, second);
    } else if (strcmp(mode, "idle") == 0) {
        idle(create(port, MAX_CONNECTIONS, ""), (unsigned)first);
    } else {
        net_die("%s is no mode", mode);
    }
    return 0;
}
