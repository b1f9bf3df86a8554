#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/config.h"
#include "proxy/tune.h"

static void set(int fd, int level, int option, int64_t value)
{
    int v = value > INT_MAX ? INT_MAX : (int)value;
    (void)setsockopt(fd, level, option, &v, sizeof(v)); /* tuning: see the header */
}

static int64_t probe_interval_s(const struct config *c)
{
    int64_t s = c->keepalive_s / 6;
    return s > 0 ? s : 1;
}

static void set_keepalive(int fd, const struct config *c)
{
    set(fd, SOL_SOCKET, SO_KEEPALIVE, c->keepalive_s > 0);
    if (c->keepalive_s > 0) {
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, c->keepalive_s);
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_interval_s(c));
        set(fd, IPPROTO_TCP, TCP_KEEPCNT, TUNE_PROBES);
    }
}

void tune_listener(int fd, const struct config *c)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_keepalive(fd, c);
}

void tune_server(int fd)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void tune_server_to_last(int fd, const struct config *c)
{
    set_keepalive(fd, c);
}

int64_t tune_patience_ms(const struct config *c)
{
    return c->keepalive_s > 0 ? (c->keepalive_s + TUNE_PROBES * probe_interval_s(c)) * 1000 : 0;
}

int64_t tune_heard_ms(int fd, int64_t before_ms, int64_t now_ms)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return now_ms;
    }
    /* A window that is closed is probed; a second probe shows that the first was not answered. */
    if (info.tcpi_unacked == 0 && info.tcpi_probes < 2) {
        return now_ms;
    }
    int64_t heard_ms = now_ms - info.tcpi_last_ack_recv;
    return heard_ms > before_ms ? heard_ms : before_ms;
}
