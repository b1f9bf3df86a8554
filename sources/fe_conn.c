#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <mysql.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "scheduler/cancel.h"
#include "sources/fe_conn.h"
#include "sources/fe_login.h"
#include "sources/fe_text.h"

enum {
    MOST_ROWS = 100000,       /* likewise; EXPLAIN has some hundred */
    LONGEST_ERROR = 64 << 10, /* of an ERR packet's text */
    FLAG_POLL_MS = 200,       /* for a cancel flag that has no descriptor */
    MOST_UNWIND_STEPS = 64,   /* a suspended call ends after one or two */
    ERR_MARK = 0xff,          /* first byte of an ERR packet */
};

/* A call into the library that may be suspended. */
enum op { OP_NONE, OP_CONNECT, OP_SEND, OP_RECEIVE, OP_FETCH, OP_PING };

struct fe_conn {
    MYSQL mysql;
    const struct fe_address *address; /* borrowed */
    const struct fe_login *login;     /* borrowed */
    enum op op;
    int events;         /* MYSQL_WAIT_… the suspended call waits for; 0: it has returned */
    bool has_announced; /* the PROXY protocol header is sent */
    /* What it returned: */
    MYSQL *connected;
    int failed;
    my_bool receive_failed;
    MYSQL_ROW cells;
    MYSQL_RES *rows;  /* owned; of the statement under way */
    fe_field_fn head; /* gets the columns of the next result set; NULL: nobody does */
    char *error_text; /* owned; of the last ERR packet */
};

struct fe_row {
    const MYSQL_FIELD *fields;
    MYSQL_ROW cells;
    unsigned n;
};

/* The library's own initialisation must not run in two threads at once. */
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void init_library(void)
{
    (void)mysql_library_init(0, NULL, NULL); /* a failure shows as mysql_init() == NULL */
}

const char *fe_row_get(const struct fe_row *row, const char *column)
{
    for (unsigned i = 0; i < row->n; i++) {
        if (row->fields[i].name != NULL && strcasecmp(row->fields[i].name, column) == 0) {
            return row->cells[i];
        }
    }
    return NULL;
}

const char *fe_row_first(const struct fe_row *row)
{
    return row->n > 0 ? row->cells[0] : NULL;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The library's getters take a pointer to non-const and change nothing. */
static my_socket socket_of(const struct fe_conn *c)
{
    return mysql_get_socket((MYSQL *)&c->mysql);
}

static bool has_link(const struct fe_conn *c)
{
    return socket_of(c) != MARIADB_INVALID_SOCKET;
}

static short poll_events(int events)
{
    int wanted = 0;
    wanted |= (events & MYSQL_WAIT_READ) != 0 ? POLLIN : 0;
    wanted |= (events & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0;
    wanted |= (events & MYSQL_WAIT_EXCEPT) != 0 ? POLLPRI : 0;
    return (short)wanted;
}

static int ready_events(short revents, int waited_for)
{
    int ready = 0;
    ready |= (revents & POLLIN) != 0 ? MYSQL_WAIT_READ : 0;
    ready |= (revents & POLLOUT) != 0 ? MYSQL_WAIT_WRITE : 0;
    ready |= (revents & POLLPRI) != 0 ? MYSQL_WAIT_EXCEPT : 0;
    if ((revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        /* The call finds out itself what has happened to its socket. */
        ready |= waited_for & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
    }
    return ready;
}

/* Returns the events that came, or 0 when the deadline passed or the flag was raised. */
static int wait_for_events(const struct fe_conn *c, const struct fe_wait *wait)
{
    struct pollfd fds[2] = {
        {.fd = socket_of(c), .events = poll_events(c->events)},
        {.fd = wait->cancel != NULL ? wait->cancel->fd : -1, .events = POLLIN},
    };
    for (;;) {
        int64_t left_us = wait->deadline_us - clock_mono_us();
        if (left_us <= 0 || (wait->cancel != NULL && cancel_is_raised(wait->cancel))) {
            return 0;
        }
        int64_t longest_ms = wait->cancel != NULL && fds[1].fd < 0 ? FLAG_POLL_MS : INT_MAX;
        int timeout_ms = (int)earlier((left_us + 999) / 1000, longest_ms);
        int n = poll(fds, 2, timeout_ms);
        if (n < 0 && errno != EINTR) {
            return MYSQL_WAIT_TIMEOUT; /* out of kernel memory: ends the call as a lost link */
        }
        if (n > 0 && fds[0].revents != 0) {
            return ready_events(fds[0].revents, c->events);
        }
    }
}

static void op_continue(struct fe_conn *c, int ready)
{
    MYSQL *m = &c->mysql;
    switch (c->op) {
    case OP_NONE: c->events = 0; break;
    case OP_CONNECT: c->events = mysql_real_connect_cont(&c->connected, m, ready); break;
    case OP_SEND: c->events = mysql_send_query_cont(&c->failed, m, ready); break;
    case OP_RECEIVE: c->events = mysql_read_query_result_cont(&c->receive_failed, m, ready); break;
    case OP_FETCH: c->events = mysql_fetch_row_cont(&c->cells, c->rows, ready); break;
    case OP_PING: c->events = mysql_ping_cont(&c->failed, m, ready); break;
    }
}

/*
 * An FE of 2.0 to 3.0 with enable_proxy_protocol takes no connection without a header. Whose this
 * one is, is no secret: it is Sluice's own. MARIADB_OPT_PROXY_HEADER is accepted by the library
 * (3.3.20) and has no effect; but it waits for the connection to be made before it reads, and a
 * fresh socket's buffer takes these few bytes whole. Should it not, the FE will say so.
 */
static void announce(struct fe_conn *c, int ready)
{
    static const char header[] = "PROXY UNKNOWN\r\n";
    struct pollfd now = {.fd = socket_of(c), .events = POLLOUT};
    if (c->op != OP_CONNECT || !c->login->announces || c->has_announced || ready == 0) {
        return;
    }
    /* Whoever asks a socket that failed for its error takes it away from the library. */
    if (poll(&now, 1, 0) == 1 && now.revents == POLLOUT) {
        ssize_t n = send(now.fd, header, sizeof(header) - 1, MSG_NOSIGNAL);
        c->has_announced = n > 0;
    }
}

/* Runs the call that was just started, or suspended earlier, to its end. False: stopped. */
static bool op_finish(struct fe_conn *c, const struct fe_wait *wait)
{
    while (c->events != 0) {
        int ready = wait_for_events(c, wait);
        if (ready == 0) {
            return false;
        }
        announce(c, ready);
        op_continue(c, ready);
    }
    c->op = OP_NONE;
    return true;
}

/* Makes a suspended call return, as if its time were up, so that its memory is freed. */
static void op_unwind(struct fe_conn *c)
{
    for (int i = 0; c->events != 0 && i < MOST_UNWIND_STEPS; i++) {
        op_continue(c, MYSQL_WAIT_TIMEOUT);
    }
    c->op = OP_NONE;
    c->events = 0;
}

static bool connect_now(struct fe_conn *c, const struct fe_wait *wait, struct err *err)
{
    const struct fe_address *a = c->address;
    int64_t limit_us = clock_mono_us() + c->login->connect_timeout_ms * 1000;
    struct fe_wait bounded = {
        .deadline_us = earlier(wait->deadline_us, limit_us),
        .cancel = wait->cancel,
    };
    c->op = OP_CONNECT;
    c->events = mysql_real_connect_start(&c->connected, &c->mysql, a->host, c->login->user,
                                         c->login->password, NULL, (unsigned)a->port, NULL, 0);
    if (!op_finish(c, &bounded)) {
        if (wait->cancel != NULL && cancel_is_raised(wait->cancel)) {
            return err_set(err, ERR_QUERY_INTERRUPTED, "70100",
                           "canceled while connecting to the FE %s:%d", a->host, a->port);
        }
        return err_set(err, ERR_FE_UNREACHABLE, "08S01",
                       "the FE %s:%d did not answer a login as '%s' in time; check proxy.backend "
                       "and that the FE is up",
                       a->host, a->port, c->login->user);
    }
    if (c->connected == NULL) {
        return fe_login_explain(&c->mysql, a, c->login, err);
    }
    if (c->login->tls >= FE_TLS_REQUIRED && mysql_get_ssl_cipher(&c->mysql) == NULL) {
        /* The library's MYSQL_OPT_SSL_ENFORCE lets it pass where the FE does not offer TLS. */
        return err_set(
            err, ERR_FE_TLS, "08S01",
            "the FE %s:%d does not offer TLS to the service account '%s'; set enable_ssl "
            "= true in its fe.conf, or proxy.backend_tls = preferred",
            a->host, a->port, c->login->user);
    }
    fe_login_keep_alive(socket_of(c));
    return true;
}

struct fe_conn *fe_conn_open(const struct fe_address *address, const struct fe_login *login,
                             const struct fe_wait *wait, struct err *err)
{
    _cleanup_fe_conn_ struct fe_conn *c = xcalloc(1, sizeof(*c));
    c->address = address;
    c->login = login;
    (void)pthread_once(&library_once, init_library); /* fails only for a bad argument */
    if (mysql_init(&c->mysql) == NULL) {
        (void)err_say(err, "MariaDB Connector/C could not be initialised");
        return NULL;
    }
    fe_login_prepare(&c->mysql, login);
    return connect_now(c, wait, err) ? take_ptr(c) : NULL;
}

void fe_conn_destroy(struct fe_conn *c)
{
    if (c == NULL) {
        return;
    }
    bool is_clean = c->op == OP_NONE && c->rows == NULL;
    my_socket fd = socket_of(c);
    if (!is_clean && fd != MARIADB_INVALID_SOCKET) {
        (void)shutdown(fd, SHUT_RDWR); /* so that nothing below can wait for the FE */
    }
    op_unwind(c);
    if (c->rows != NULL) {
        mysql_free_result(c->rows);
    }
    mysql_close(&c->mysql);
    free(c->error_text);
    free(c);
}

/*
 * The library keeps 511 bytes of an ERR packet's text, which cuts Doris's off before the tracking
 * URL, and takes the numbers 5001 to 5026, which Doris uses, for its own. So the packet is read
 * again where it still lies: NET.read_pos, which the library ends with a NUL.
 *
 *     ff | code 2 | '#' | SQLSTATE 5 | text
 */
static bool read_err_packet(struct fe_conn *c, struct err *err)
{
    const unsigned char *p = c->mysql.net.read_pos;
    if (!has_link(c) || p == NULL || p[0] != ERR_MARK) {
        return false;
    }
    const char *text = (const char *)p + 1;
    if (text[0] == '\0' && text[1] == '\0') {
        return false; /* number 0, or the packet ended here */
    }
    int code = p[1] | p[2] << 8;
    char sqlstate[6] = "HY000";
    text += 2;
    if (text[0] == '#' && strnlen(text, 6) == 6) {
        memcpy(sqlstate, text + 1, 5);
        text += 6;
    }
    free(c->error_text);
    c->error_text = xmemdup0(text, strnlen(text, LONGEST_ERROR));
    fe_text_make_utf8(c->error_text);
    (void)err_set(err, code, sqlstate, "%s",
                  c->error_text[0] != '\0' ? c->error_text : "the FE gave no reason");
    return true;
}

static enum fe_result explain_loss(struct fe_conn *c, struct err *err)
{
    (void)err_set(err, ERR_FE_LOST, "08S01", "the link to the FE %s:%d is lost: %s",
                  c->address->host, c->address->port, mysql_error(&c->mysql));
    return FE_LOST;
}

/* Reading an answer has failed: it is the FE's own word, or a broken link. */
static enum fe_result explain_failure(struct fe_conn *c, struct err *err)
{
    return read_err_packet(c, err) ? FE_REFUSED : explain_loss(c, err);
}

static enum fe_result explain_stop(const struct fe_conn *c, const struct fe_wait *wait,
                                   struct err *err)
{
    bool is_canceled = wait->cancel != NULL && cancel_is_raised(wait->cancel);
    (void)err_set(err, ERR_QUERY_INTERRUPTED, "70100", "%s the FE %s:%d",
                  is_canceled ? "canceled while waiting for" : "no answer in time from",
                  c->address->host, c->address->port);
    return FE_STOPPED;
}

enum fe_result fe_conn_send(struct fe_conn *c, struct span sql, const struct fe_wait *wait,
                            struct err *err)
{
    assert(c->op == OP_NONE && c->rows == NULL);
    if (wait->deadline_us <= clock_mono_us() ||
        (wait->cancel != NULL && cancel_is_raised(wait->cancel))) {
        (void)explain_stop(c, wait, err);
        return FE_UNSENT;
    }
    c->op = OP_SEND;
    c->events = mysql_send_query_start(&c->failed, &c->mysql, sql.p, sql.n);
    if (!op_finish(c, wait)) {
        return explain_stop(c, wait, err);
    }
    return c->failed != 0 ? explain_loss(c, err) : FE_OK;
}

/* Waits for the head of an answer: an OK packet, an ERR packet, or column definitions. */
static enum fe_result receive_head(struct fe_conn *c, const struct fe_wait *wait, struct err *err)
{
    if (c->op == OP_NONE) {
        c->op = OP_RECEIVE;
        c->events = mysql_read_query_result_start(&c->receive_failed, &c->mysql);
    }
    assert(c->op == OP_RECEIVE);
    if (!op_finish(c, wait)) {
        return explain_stop(c, wait, err);
    }
    return c->receive_failed ? explain_failure(c, err) : FE_OK;
}

/* Only one answer was asked for; a second one would be taken for that of the next statement. */
static enum fe_result expect_no_more(struct fe_conn *c, struct err *err)
{
    if (!mysql_more_results(&c->mysql)) {
        return FE_OK;
    }
    (void)err_set(err, ERR_FE_LOST, "08S01",
                  "the FE %s:%d announced a second answer to one statement", c->address->host,
                  c->address->port);
    (void)shutdown(socket_of(c), SHUT_RDWR);
    return FE_LOST;
}

enum fe_result fe_conn_receive(struct fe_conn *c, const struct fe_wait *wait, struct err *err)
{
    enum fe_result result = receive_head(c, wait, err);
    if (result != FE_OK) {
        return result;
    }
    if (mysql_field_count(&c->mysql) > 0) {
        (void)shutdown(socket_of(c), SHUT_RDWR);
        (void)err_set(err, ERR_FE_LOST, "08S01",
                      "the FE %s:%d answered an INSERT with a result set", c->address->host,
                      c->address->port);
        return FE_LOST;
    }
    return expect_no_more(c, err);
}

static void show_fields(const struct fe_row *row, fe_field_fn head, void *arg)
{
    for (unsigned i = 0; i < row->n; i++) {
        const MYSQL_FIELD *f = &row->fields[i];
        struct fe_field field = {
            .name = f->name != NULL ? f->name : "",
            .type = (int)f->type,
            .length = f->length,
            .decimals = f->decimals,
        };
        head(&field, arg);
    }
}

static enum fe_result read_rows(struct fe_conn *c, fe_row_fn each, void *arg,
                                const struct fe_wait *wait, struct err *err)
{
    struct fe_row row = {
        .fields = mysql_fetch_fields(c->rows),
        .n = mysql_num_fields(c->rows),
    };
    if (c->head != NULL) {
        show_fields(&row, c->head, arg);
    }
    for (int n = 0; n < MOST_ROWS; n++) {
        c->op = OP_FETCH;
        c->events = mysql_fetch_row_start(&c->cells, c->rows);
        if (!op_finish(c, wait)) {
            return explain_stop(c, wait, err);
        }
        if (c->cells == NULL) {
            return mysql_errno(&c->mysql) == 0 ? FE_OK : explain_failure(c, err);
        }
        row.cells = c->cells;
        if (each != NULL) {
            each(&row, arg);
        }
    }
    (void)err_set(err, ERR_FE_LOST, "08S01", "the FE %s:%d answered with more than %d rows",
                  c->address->host, c->address->port, MOST_ROWS);
    return FE_LOST;
}

enum fe_result fe_conn_run(struct fe_conn *c, const char *sql, fe_row_fn each, void *arg,
                           const struct fe_wait *wait, struct err *err)
{
    enum fe_result result = fe_conn_send(c, span_of(sql), wait, err);
    if (result == FE_OK) {
        result = receive_head(c, wait, err);
    }
    if (result != FE_OK) {
        return result;
    }
    if (mysql_field_count(&c->mysql) > 0) {
        c->rows = mysql_use_result(&c->mysql);
        if (c->rows == NULL) {
            return explain_loss(c, err);
        }
        result = read_rows(c, each, arg, wait, err);
        if (result != FE_OK && result != FE_REFUSED) {
            return result; /* fe_conn_destroy() knows by c->rows that some may be unread */
        }
        mysql_free_result(take_ptr(c->rows));
    }
    return result == FE_OK ? expect_no_more(c, err) : result;
}

enum fe_result fe_conn_describe(struct fe_conn *c, const char *sql, fe_field_fn each, void *arg,
                                const struct fe_wait *wait, struct err *err)
{
    c->head = each;
    enum fe_result result = fe_conn_run(c, sql, NULL, arg, wait, err);
    c->head = NULL;
    return result;
}

const char *fe_conn_info(const struct fe_conn *c)
{
    const char *info = c->mysql.info;
    return info != NULL && info[0] != '\0' ? info : NULL;
}

uint64_t fe_conn_affected(const struct fe_conn *c)
{
    return c->mysql.affected_rows;
}

uint64_t fe_conn_warnings(const struct fe_conn *c)
{
    return c->mysql.warning_count;
}

const char *fe_conn_error_text(const struct fe_conn *c)
{
    return c->error_text != NULL ? c->error_text : "";
}

enum fe_result fe_conn_ping(struct fe_conn *c, const struct fe_wait *wait, struct err *err)
{
    assert(c->op == OP_NONE);
    c->op = OP_PING;
    c->events = mysql_ping_start(&c->failed, &c->mysql);
    if (!op_finish(c, wait)) {
        return explain_stop(c, wait, err);
    }
    return c->failed != 0 ? explain_loss(c, err) : FE_OK;
}

bool fe_conn_kill(const struct fe_conn *c, const struct fe_wait *wait, struct err *err)
{
    _cleanup_fe_conn_ struct fe_conn *second = fe_conn_open(c->address, c->login, wait, err);
    if (second == NULL) {
        return false;
    }
    _cleanup_free_ char *sql = xasprintf("KILL QUERY %lu", mysql_thread_id((MYSQL *)&c->mysql));
    return fe_conn_run(second, sql, NULL, NULL, wait, err) == FE_OK;
}

const struct fe_address *fe_conn_address(const struct fe_conn *c)
{
    return c->address;
}
