#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "proxy/config.h"
#include "proxy/listener.h"

enum { LISTEN_BACKLOG = 4096 }; /* the kernel cuts it to net.core.somaxconn */

void address_format(const struct address *a, char ret_text[ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->to.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &a->to.v6.sin6_addr, host, sizeof(host)); /* "?" stays then */
        (void)snprintf(ret_text, ADDRESS_TEXT_SIZE, "[%s]:%d", host, ntohs(a->to.v6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &a->to.v4.sin_addr, host, sizeof(host)); /* as above */
        (void)snprintf(ret_text, ADDRESS_TEXT_SIZE, "%s:%d", host, ntohs(a->to.v4.sin_port));
    }
}

bool address_resolve(const struct host_port *from, struct address **ret, size_t *ret_n,
                     struct err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[16];
    (void)snprintf(port, sizeof(port), "%d", from->port); /* an int always fits */
    int rc = getaddrinfo(from->host, port, &hints, &list);
    if (rc != 0) {
        return err_say(err, "cannot resolve the host name %s: %s", from->host,
                       rc == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(rc));
    }
    size_t n = *ret_n;
    struct address *all = *ret;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        if (a->ai_addrlen <= sizeof(all->to)) {
            all = xrealloc_array(all, n + 1, sizeof(*all));
            all[n] = (struct address){.size = a->ai_addrlen};
            memcpy(&all[n].to, a->ai_addr, a->ai_addrlen);
            n++;
        }
    }
    freeaddrinfo(list);
    *ret = all;
    *ret_n = n;
    return true;
}

static int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Right behind the call that failed. Returns false. */
static bool say_not_listening(const char *at, struct err *err)
{
    const char *why = strerrordesc_np(errno);
    return err_say(err,
                   "proxy.listen: cannot listen on %s: %s. Set proxy.listen to another address, or "
                   "end what listens there",
                   at, why != NULL ? why : "it fails");
}

bool listener_check_free(const struct address *at, struct err *err)
{
    char text[ADDRESS_TEXT_SIZE];
    int on = 1;
    address_format(at, text);
    _cleanup_close_ int fd = socket(at->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(err, errno, "cannot create a socket to try %s", text);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, &at->to.any, at->size) != 0) {
        return say_not_listening(text, err);
    }
    return true;
}

int listener_open(const struct address *at, struct err *err)
{
    char text[ADDRESS_TEXT_SIZE];
    int on = 1;
    address_format(at, text);
    _cleanup_close_ int fd =
        socket(at->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)err_errno(err, errno, "cannot create a socket to listen on %s", text);
        return -1;
    }
    /* REUSEADDR: a restart need not wait for old connections. REUSEPORT: one socket a worker. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        bind(fd, &at->to.any, at->size) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        (void)say_not_listening(text, err);
        return -1;
    }
    return take_fd(&fd);
}

bool listener_address(int fd, struct address *ret, struct err *err)
{
    struct address a = {.size = sizeof(a.to)};
    if (getsockname(fd, &a.to.any, &a.size) != 0) {
        return err_errno(err, errno, "cannot learn the address of a listening socket");
    }
    *ret = a;
    return true;
}
