/*
 * A server that costs next to nothing, so that the relay in front of it is what is measured: greets
 * as an FE of Doris does, lets everybody in, and knows a few statements.
 *
 *     SELECT 1           one row
 *     SHOW GRANTS        one row: may do everything
 *     jobs(, tasks(      ERR, as an FE that has no such function; @@ in it: one row all the same
 *     @@version_comment  that it is Doris 4.1
 *     INSERT … WITH LABEL  OK, VISIBLE, at once, for as many rows as are asked for
 *     SHOW TRANSACTION … 'LABEL'  VISIBLE, whatever was sent: only for the time that asking takes
 *     loads              one row: how many INSERTs came, and of each since the last question when it
 *                        came and when it was answered, in monotonic ns
 *     big BYTES ROW      rows of ROW bytes, BYTES in all, as fast as the socket takes them
 *     anything else      OK
 *
 *     fakeserver THREADS PORT
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "tests/bench/net.h"

enum {
    N_EVENTS = 64,
    IN_SIZE = 4096,       /* of one read */
    MAX_IN = 4 << 20,     /* no command is longer */
    MAX_LOADS = 1 << 16,  /* kept until somebody asks */
    BLOCK_SIZE = 1 << 20, /* of rows, prepared once and sent again and again */
    MAX_ROW = 256 << 20,
    SENDS_PER_TURN = 8,
    CHARSET_UTF8 = 33,
    TYPE_VAR_STRING = 253,
    CAP_LONG_FLAG = 1 << 2,
    CAP_LOCAL_FILES = 1 << 7,
};

struct client {
    int fd;
    bool is_logged_in;
    bool is_writing; /* epoll waits for EPOLLOUT, not EPOLLIN */
    struct buf in;   /* what was read and is no whole packet yet */
    /* big: the block, which holds whole rows, is sent until `left` bytes have gone */
    struct buf block;
    size_t block_at;
    uint64_t left;
    uint8_t sequence;     /* of the next block's first packet */
    uint8_t end_sequence; /* of the EOF behind the rows */
    bool is_end;          /* the block is that EOF */
};

static struct buf greeting;
static struct buf one_row; /* the answer to SELECT 1 */
static struct buf grants;  /* to SHOW GRANTS */
static struct buf no_jobs; /* to jobs() */
static struct buf version; /* to @@version_comment */

/* The INSERTs that came, of all threads. */
static struct {
    pthread_mutex_t lock;
    uint64_t n;          /* ever */
    size_t n_times;      /* since the last question */
    int64_t (*times)[2]; /* came, answered */
} loads = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void put_column(struct buf *out, uint8_t sequence, const char *name)
{
    size_t at = packet_begin(out, sequence);
    const char *const names[] = {"def", "", "", "", name, ""};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        packet_put_text(out, span_of(names[i]));
    }
    packet_put_lenenc(out, 12); /* bytes that follow */
    packet_put_u16(out, CHARSET_UTF8);
    packet_put_u32(out, 255); /* width */
    packet_put_u8(out, TYPE_VAR_STRING);
    packet_put_u16(out, 0); /* flags */
    packet_put_u8(out, 0);  /* decimals */
    packet_put_u16(out, 0); /* filler */
    (void)packet_end(out, at);
}

static uint8_t put_eof(struct buf *out, uint8_t sequence)
{
    size_t at = packet_begin(out, sequence);
    packet_put_u8(out, PACKET_EOF);
    packet_put_u16(out, 0); /* warnings */
    packet_put_u16(out, STATUS_NONE);
    return packet_end(out, at);
}

/* Column count, definitions, EOF: the sequence ids from 1. Returns the next. */
static uint8_t put_head(struct buf *out, const char *const *names, size_t n)
{
    uint8_t sequence = 2;
    size_t at = packet_begin(out, 1);
    packet_put_lenenc(out, n);
    (void)packet_end(out, at);
    for (size_t i = 0; i < n; i++) {
        put_column(out, sequence++, names[i]);
    }
    return put_eof(out, sequence);
}

/* A whole result of one row. */
static void put_result(struct buf *out, const char *const *names, const char *const *values,
                       size_t n)
{
    uint8_t sequence = put_head(out, names, n);
    size_t at = packet_begin(out, sequence);
    for (size_t i = 0; i < n; i++) {
        packet_put_text(out, span_of(values[i]));
    }
    (void)put_eof(out, packet_end(out, at));
}

static void put_ok(struct buf *out, uint8_t sequence)
{
    size_t at = packet_begin(out, sequence);
    packet_put_u8(out, PACKET_OK);
    packet_put_lenenc(out, 0); /* affected rows */
    packet_put_lenenc(out, 0); /* last insert id */
    packet_put_u16(out, STATUS_NONE);
    packet_put_u16(out, 0); /* warnings */
    (void)packet_end(out, at);
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* As an FE says that a load has succeeded: the label comes back. */
static void put_loaded(struct buf *out, uint8_t sequence, struct span label, uint64_t txn_id)
{
    _cleanup_free_ char *info = xasprintf(
        "{'label':'%.*s', 'status':'VISIBLE', 'txnId':'%" PRIu64 "'}", SPAN_ARG(label), txn_id);
    size_t at = packet_begin(out, sequence);
    packet_put_u8(out, PACKET_OK);
    packet_put_lenenc(out, 1); /* affected rows */
    packet_put_lenenc(out, 0); /* last insert id */
    packet_put_u16(out, STATUS_NONE);
    packet_put_u16(out, 0); /* warnings */
    packet_put_text(out, span_of(info));
    (void)packet_end(out, at);
}

static void put_greeting(struct buf *out)
{
    static const char scramble[] = "abcdefghijklmnopqrst"; /* anything: no password is checked */
    uint64_t caps = CAP_PROTOCOL_41 | CAP_CONNECT_WITH_DB | CAP_SECURE_CONNECTION |
                    CAP_PLUGIN_AUTH | CAP_LOCAL_FILES | CAP_LONG_FLAG;
    size_t at = packet_begin(out, 0);
    packet_put_u8(out, 10); /* protocol version */
    buf_append(out, "5.7.99", 7);
    packet_put_u32(out, 1); /* connection id */
    buf_append(out, scramble, 8);
    packet_put_u8(out, 0);
    packet_put_u16(out, caps & 0xffff);
    packet_put_u8(out, CHARSET_UTF8);
    packet_put_u16(out, STATUS_NONE);
    packet_put_u16(out, (uint16_t)(caps >> 16));
    packet_put_u8(out, sizeof(scramble));
    buf_append(out, "\0\0\0\0\0\0\0\0\0", 10);
    buf_append(out, scramble + 8, sizeof(scramble) - 8);
    buf_append(out, "mysql_native_password", 22);
    (void)packet_end(out, at);
}

static void prepare_answers(void)
{
    static const char *const one[] = {"1"};
    static const char *const comment[] = {"@@version_comment"};
    static const char *const doris[] = {"Doris version doris-4.1.0-rc01-0000000000"};
    static const char *const columns[] = {"UserIdentity", "GlobalPrivs", "CatalogPrivs",
                                          "DatabasePrivs", "TablePrivs"};
    static const char *const values[] = {"'root'@'%'", "Node_priv,Admin_priv", "", "", ""};
    greeting = buf_with_max(BLOCK_SIZE);
    one_row = buf_with_max(BLOCK_SIZE);
    grants = buf_with_max(BLOCK_SIZE);
    no_jobs = buf_with_max(BLOCK_SIZE);
    version = buf_with_max(BLOCK_SIZE);
    loads.times = xcalloc(MAX_LOADS, sizeof(*loads.times));
    put_greeting(&greeting);
    put_result(&one_row, one, one, 1);
    put_result(&version, comment, doris, 1);
    put_result(&grants, columns, values, ARRAY_SIZE(columns));
    size_t at = packet_begin(&no_jobs, 1);
    packet_put_u8(&no_jobs, PACKET_ERR);
    packet_put_u16(&no_jobs, 1105);
    buf_append_text(&no_jobs,
                    "#HY000errCode = 2, detailMessage = Could not find table function jobs");
    (void)packet_end(&no_jobs, at);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void set_writing(int epoll, struct client *c, bool is_wanted)
{
    struct epoll_event event = {.events = is_wanted ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (is_wanted != c->is_writing && epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) {
        net_die("epoll_ctl: %s", strerror(errno));
    }
    c->is_writing = is_wanted;
}

/* Short answers: the socket has room for them, since the client waits for each. */
static bool send_all(const struct client *c, const struct buf *answer)
{
    return send(c->fd, answer->data, answer->len, MSG_NOSIGNAL) == (ssize_t)answer->len;
}

/* Gives the packets of the block the ids that follow on the block sent before. */
static void number_block(struct client *c)
{
    for (size_t at = 0; at < c->block.len;) {
        c->block.data[at + 3] = (char)c->sequence++;
        at += PACKET_HEADER_SIZE + packet_length(c->block.data + at);
    }
    c->block_at = 0;
}

static void begin_big(struct client *c, uint64_t n_bytes, uint64_t row_size)
{
    size_t prefix = row_size <= 251 ? 1 : row_size <= 0xffff + 3 ? 3 : row_size <= 0xffffff ? 4 : 9;
    _cleanup_buf_ struct buf value = buf_with_max(MAX_ROW);
    char *text = buf_reserve(&value, row_size - prefix);
    memset(text, 'x', row_size - prefix);
    buf_fini(&c->block);
    c->block = buf_with_max(BLOCK_SIZE + 2 * MAX_ROW);
    size_t n_rows = 0;
    do {
        size_t at = packet_begin(&c->block, 0);
        packet_put_text(&c->block, (struct span){text, row_size - prefix});
        (void)packet_end(&c->block, at);
        n_rows++;
    } while (c->block.len < BLOCK_SIZE);
    uint64_t n_wanted = (n_bytes + row_size - 1) / row_size;
    c->left = n_wanted * (c->block.len / n_rows);
    c->sequence = 4;
    c->end_sequence = (uint8_t)(4 + n_wanted * (row_size / PACKET_MAX_PAYLOAD + 1));
    c->is_end = false;
    number_block(c);
}

/* Behind the last row. The socket may well have no room for it yet. */
static void begin_end(struct client *c)
{
    buf_fini(&c->block);
    c->block = buf_with_max(BLOCK_SIZE);
    (void)put_eof(&c->block, c->end_sequence);
    c->block_at = 0;
    c->left = c->block.len;
    c->is_end = true;
}

/* False when the connection is lost. */
static bool send_rows(int epoll, struct client *c)
{
    for (int i = 0; i < SENDS_PER_TURN && c->left > 0; i++) {
        size_t n = c->block.len - c->block_at;
        n = n < c->left ? n : (size_t)c->left;
        ssize_t sent = send(c->fd, c->block.data + c->block_at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        if (sent < 0) {
            break;
        }
        c->block_at += (size_t)sent;
        c->left -= (uint64_t)sent;
        if (c->left == 0 && !c->is_end) {
            begin_end(c);
        } else if (c->block_at == c->block.len) {
            number_block(c);
        }
    }
    set_writing(epoll, c, c->left > 0);
    if (c->left == 0) {
        buf_fini(&c->block);
    }
    return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool on_big(int epoll, struct client *c, struct span arguments)
{
    uint64_t n_bytes = 0;
    uint64_t row_size = 0;
    const char *blank = memchr(arguments.p, ' ', arguments.n);
    const char *end = arguments.p + arguments.n;
    if (blank == NULL || !span_to_uint64(span_between(arguments.p, blank), &n_bytes) ||
        !span_to_uint64(span_between(blank + 1, end), &row_size) || row_size < 10 ||
        row_size > MAX_ROW) {
        return false;
    }
    _cleanup_buf_ struct buf head = buf_with_max(BLOCK_SIZE);
    static const char *const names[] = {"1"};
    (void)put_head(&head, names, 1);
    begin_big(c, n_bytes, row_size);
    return send_all(c, &head) && send_rows(epoll, c);
}

/* The word behind WITH LABEL, empty when there is none; Sluice writes it in backquotes, or bare. */
static struct span label_of(struct span text)
{
    static const char words[] = "WITH LABEL ";
    const char *at = memmem(text.p, text.n, words, sizeof(words) - 1);
    if (at == NULL) {
        return (struct span){.p = "", .n = 0};
    }
    const char *begin = at + sizeof(words) - 1;
    begin += *begin == '`';
    const char *p = begin;
    while (p < text.p + text.n && *p != '`' && *p != ' ' && *p != '\n') {
        p++;
    }
    return span_between(begin, p);
}

static bool on_insert(const struct client *c, struct span label, uint8_t sequence, int64_t came_ns)
{
    _cleanup_buf_ struct buf ok = buf_with_max(BLOCK_SIZE);
    pthread_mutex_lock(&loads.lock);
    uint64_t n = ++loads.n;
    if (loads.n_times < MAX_LOADS) {
        loads.times[loads.n_times][0] = came_ns;
        loads.times[loads.n_times][1] = now_ns();
        loads.n_times++;
    }
    pthread_mutex_unlock(&loads.lock);
    put_loaded(&ok, sequence, label, n);
    return send_all(c, &ok);
}

static bool on_loads(const struct client *c)
{
    static const char *const names[] = {"n", "times"};
    _cleanup_buf_ struct buf text = buf_with_max(MAX_LOADS * 48);
    _cleanup_buf_ struct buf answer = buf_with_max(MAX_LOADS * 48 + 1024);
    pthread_mutex_lock(&loads.lock);
    _cleanup_free_ char *n = xasprintf("%" PRIu64, loads.n);
    for (size_t i = 0; i < loads.n_times; i++) {
        buf_printf(&text, "%" PRId64 " %" PRId64 " ", loads.times[i][0], loads.times[i][1]);
    }
    loads.n_times = 0;
    pthread_mutex_unlock(&loads.lock);
    const char *const values[] = {n, buf_text(&text)};
    put_result(&answer, names, values, 2);
    for (size_t at = 0; at < answer.len;) { /* large: it may take its time */
        ssize_t sent = send(c->fd, answer.data + at, answer.len - at, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        at += sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

/* The label is the last text between quotes. */
static bool on_transaction(const struct client *c, struct span text)
{
    static const char *const names[] = {"TransactionId", "Label", "TransactionStatus"};
    _cleanup_buf_ struct buf answer = buf_with_max(BLOCK_SIZE);
    const char *end = memrchr(text.p, '\'', text.n);
    const char *begin = end != NULL ? memrchr(text.p, '\'', (size_t)(end - text.p)) : NULL;
    if (begin == NULL) {
        return false;
    }
    _cleanup_free_ char *label = span_dup(span_between(begin + 1, end));
    const char *const values[] = {"1", label, "VISIBLE"};
    put_result(&answer, names, values, ARRAY_SIZE(names));
    return send_all(c, &answer);
}

static bool on_packet(int epoll, struct client *c, struct span payload, uint8_t sequence)
{
    _cleanup_buf_ struct buf ok = buf_with_max(BLOCK_SIZE);
    if (c->is_logged_in && payload.n > 0 && payload.p[0] == COM_QUIT) {
        return false;
    }
    if (c->is_logged_in && payload.n > 0 && payload.p[0] == COM_QUERY) {
        struct span text = {payload.p + 1, payload.n - 1};
        if (span_eq_text(text, "SELECT 1")) {
            return send_all(c, &one_row);
        }
        if (span_eq_text(text, "SHOW GRANTS")) {
            return send_all(c, &grants);
        }
        if (span_starts_with(text, "INSERT ") && label_of(text).n > 0) {
            return on_insert(c, label_of(text), (uint8_t)(sequence + 1), now_ns());
        }
        if (span_starts_with(text, "SHOW TRANSACTION")) {
            return on_transaction(c, text);
        }
        if (span_eq_text(text, "loads")) {
            return on_loads(c);
        }
        if (memmem(text.p, text.n, "@@version_comment", 17) != NULL) {
            return send_all(c, &version);
        }
        if (memmem(text.p, text.n, "@@", 2) != NULL) {
            return send_all(c, &one_row);
        }
        if (memmem(text.p, text.n, "jobs(", 5) != NULL ||
            memmem(text.p, text.n, "tasks(", 6) != NULL) {
            return send_all(c, &no_jobs);
        }
        if (span_starts_with(text, "big ")) {
            return on_big(epoll, c, (struct span){text.p + 4, text.n - 4});
        }
    }
    c->is_logged_in = true;
    put_ok(&ok, (uint8_t)(sequence + 1));
    return send_all(c, &ok);
}

static bool on_readable(int epoll, struct client *c)
{
    char *room = buf_reserve(&c->in, IN_SIZE);
    if (room == NULL) {
        return false; /* longer than any command */
    }
    ssize_t n = recv(c->fd, room, IN_SIZE, 0);
    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    c->in.len += (size_t)n;
    while (c->in.len >= PACKET_HEADER_SIZE) {
        size_t size = PACKET_HEADER_SIZE + packet_length(c->in.data);
        if (size > c->in.len) {
            break;
        }
        struct span payload = {c->in.data + PACKET_HEADER_SIZE, size - PACKET_HEADER_SIZE};
        if (!on_packet(epoll, c, payload, packet_sequence(c->in.data))) {
            return false;
        }
        buf_consume(&c->in, size);
    }
    return true;
}

static void accept_one(int epoll, int listen_fd)
{
    int fd = net_accept(listen_fd);
    if (fd < 0) {
        return;
    }
    struct client *c = xcalloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->fd = fd;
    c->in = buf_with_max(MAX_IN);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        net_die("epoll_ctl: %s", strerror(errno));
    }
    (void)send_all(c, &greeting); /* a client that has left is seen by reading */
}

static void *run(void *arg)
{
    int listen_fd = (int)(intptr_t)arg;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event listening = {.events = EPOLLIN};
    struct epoll_event events[N_EVENTS];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listen_fd, &listening) != 0) {
        net_die("epoll: %s", strerror(errno));
    }
    for (;;) {
        int n = epoll_wait(epoll, events, N_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c == NULL) {
                accept_one(epoll, listen_fd);
                continue;
            }
            bool is_alive = c->is_writing ? send_rows(epoll, c) : on_readable(epoll, c);
            if (!is_alive) {
                (void)close(c->fd);
                buf_fini(&c->block);
                buf_fini(&c->in);
                free(c);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        net_die("usage: fakeserver THREADS PORT");
    }
    net_raise_limit();
    prepare_answers();
    net_serve((unsigned)net_number(argv[1], 64, "THREADS"),
              (uint16_t)net_number(argv[2], 65535, "PORT"), run);
}
