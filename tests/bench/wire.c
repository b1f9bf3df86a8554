#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/packet.h"
#include "tests/bench/net.h"
#include "tests/bench/wire.h"

enum { REPLY_MAX_SIZE = 64 << 20, MAX_PACKET = 1 << 30, CHARSET_UTF8 = 33 };

static const uint64_t CAPABILITIES =
    CAP_LONG_PASSWORD | CAP_PROTOCOL_41 | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH;

SSL_CTX *wire_tls(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL) {
        net_die("OpenSSL: no context");
    }
    return ctx;
}

void wire_send(const struct wire *w, const void *p, size_t n)
{
    ssize_t sent = w->ssl != NULL ? SSL_write(w->ssl, p, (int)n) : send(w->fd, p, n, MSG_NOSIGNAL);
    if (sent != (ssize_t)n) {
        net_die("cannot send %zu bytes: %s", n, strerror(errno));
    }
}

ssize_t wire_recv(const struct wire *w, void *to, size_t size)
{
    if (w->ssl == NULL) {
        ssize_t n = recv(w->fd, to, size, 0);
        if (n < 0 && errno != EAGAIN) {
            net_die("recv: %s", strerror(errno));
        }
        return n;
    }
    int n = SSL_read(w->ssl, to, (int)size);
    if (n > 0) {
        return n;
    }
    int why = SSL_get_error(w->ssl, n);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN) {
        net_die("SSL_read: %s", ERR_error_string(ERR_get_error(), NULL));
    }
    return why == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* The end of the packet at `at`, once all of it is in `in`. The socket blocks. */
static size_t take_packet(const struct wire *w, struct buf *in, size_t at)
{
    while (in->len - at < PACKET_HEADER_SIZE ||
           in->len - at - PACKET_HEADER_SIZE < packet_length(in->data + at)) {
        char *to = buf_reserve(in, 4096);
        if (to == NULL) {
            net_die("a reply of more than %d bytes", REPLY_MAX_SIZE);
        }
        ssize_t n = wire_recv(w, to, 4096);
        if (n <= 0) {
            net_die("the server closed the connection");
        }
        in->len += (size_t)n;
    }
    return at + PACKET_HEADER_SIZE + packet_length(in->data + at);
}

static void check_no_err(const struct buf *in, size_t at)
{
    struct err err = {0};
    size_t n = packet_length(in->data + at);
    if (n > 0 && (uint8_t)in->data[at + PACKET_HEADER_SIZE] == PACKET_ERR) {
        packet_get_err((struct span){in->data + at + PACKET_HEADER_SIZE, n}, &err);
        net_die("the server says: %d %s", err.code, err.msg);
    }
}

/* The fields that SSLRequest and HandshakeResponse41 begin with. */
static void put_start(struct buf *out, uint64_t capabilities)
{
    packet_put_u32(out, (uint32_t)capabilities);
    packet_put_u32(out, MAX_PACKET);
    packet_put_u8(out, CHARSET_UTF8);
    for (int i = 0; i < 23; i++) {
        packet_put_u8(out, 0);
    }
}

void wire_put_response(struct buf *out, uint8_t sequence, uint64_t more_capabilities)
{
    size_t at = packet_begin(out, sequence);
    put_start(out, CAPABILITIES | more_capabilities);
    buf_append(out, "root", 5);
    packet_put_u8(out, 0); /* no password */
    buf_append(out, "mysql_native_password", 22);
    (void)packet_end(out, at);
}

void wire_put_command(struct buf *out, uint8_t command, const char *text)
{
    size_t at = packet_begin(out, 0);
    packet_put_u8(out, command);
    buf_append_text(out, text);
    (void)packet_end(out, at);
}

static void start_tls(struct wire *w, SSL_CTX *tls)
{
    _cleanup_buf_ struct buf out = buf_with_max(REPLY_MAX_SIZE);
    size_t at = packet_begin(&out, 1);
    put_start(&out, CAPABILITIES | CAP_SSL);
    (void)packet_end(&out, at);
    wire_send(w, out.data, out.len);
    w->ssl = SSL_new(tls);
    if (w->ssl == NULL || SSL_set_fd(w->ssl, w->fd) != 1 || SSL_connect(w->ssl) != 1) {
        net_die("TLS handshake: %s", ERR_error_string(ERR_get_error(), NULL));
    }
}

void wire_open(struct wire *w, uint16_t port, SSL_CTX *tls)
{
    _cleanup_buf_ struct buf in = buf_with_max(REPLY_MAX_SIZE);
    _cleanup_buf_ struct buf out = buf_with_max(REPLY_MAX_SIZE);
    *w = (struct wire){.fd = net_connect(port)};
    size_t end = take_packet(w, &in, 0);
    check_no_err(&in, 0);
    if (end != in.len) {
        net_die("the server sent more than its greeting");
    }
    if (tls != NULL) {
        start_tls(w, tls);
    }
    wire_put_response(&out, tls != NULL ? 2 : 1, tls != NULL ? CAP_SSL : 0);
    wire_send(w, out.data, out.len);
    (void)take_packet(w, &in, end);
    check_no_err(&in, end);
    if ((uint8_t)in.data[end + PACKET_HEADER_SIZE] != PACKET_OK) {
        net_die("the server wants another authentication method for root");
    }
}

void wire_set_nonblocking(struct wire *w)
{
    net_set_nonblocking(w->fd);
}

void wire_close(struct wire *w)
{
    SSL_free(w->ssl);
    (void)close(w->fd);
    *w = (struct wire){.fd = -1};
}

void wire_query(const struct wire *w, const char *sql, struct buf *ret)
{
    _cleanup_buf_ struct buf out = buf_with_max(REPLY_MAX_SIZE);
    wire_put_command(&out, COM_QUERY, sql);
    wire_send(w, out.data, out.len);
    *ret = buf_with_max(REPLY_MAX_SIZE);
    int n_eofs = 0;
    for (size_t at = 0; n_eofs < 2;) {
        size_t end = take_packet(w, ret, at);
        check_no_err(ret, at);
        n_eofs += end - at < PACKET_HEADER_SIZE + 9 &&
                  (uint8_t)ret->data[at + PACKET_HEADER_SIZE] == PACKET_EOF;
        at = end;
    }
}
