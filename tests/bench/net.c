#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/span.h"
#include "tests/bench/net.h"

enum { BACKLOG = 4096 };

void net_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

uint64_t net_number(const char *text, uint64_t max, const char *what)
{
    uint64_t value = 0;
    if (text == NULL || !span_to_uint64(span_of(text), &value) || value > max) {
        net_die("%s must be a number of up to %llu", what, (unsigned long long)max);
    }
    return value;
}

void net_raise_limit(void)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to the hard limit: always allowed */
    }
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void set_option(int fd, int level, int name)
{
    int on = 1;
    if (setsockopt(fd, level, name, &on, sizeof(on)) != 0) {
        net_die("setsockopt: %s", strerror(errno));
    }
}

int net_listen(uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        net_die("socket: %s", strerror(errno));
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    if (bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0 || listen(fd, BACKLOG) != 0) {
        net_die("cannot listen on 127.0.0.1:%u: %s", port, strerror(errno));
    }
    return fd;
}

int net_accept(int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    } else if (errno == EMFILE || errno == ENFILE) {
        net_die("accept: %s", strerror(errno));
    }
    return fd;
}

int net_connect(uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        net_die("cannot connect to 127.0.0.1:%u: %s", port, strerror(errno));
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    return fd;
}

void net_set_nonblocking(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        net_die("fcntl: %s", strerror(errno));
    }
}

void net_serve(unsigned n_threads, uint16_t port, void *(*run)(void *))
{
    for (unsigned i = 0; i < n_threads; i++) {
        pthread_t thread;
        intptr_t fd = net_listen(port);
        if (pthread_create(&thread, NULL, run, (void *)fd) != 0) {
            net_die("cannot start a thread");
        }
    }
    for (;;) {
        (void)pause(); /* until a signal ends the process */
    }
}
