#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/systemd.h"

enum { FIRST_FD = 3 };

static const char *variable(const char *name)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment once threads run */
    return getenv(name);
}

/* A number of the environment; -1 when it is not there, or none. */
static int64_t env_number(const char *name)
{
    int64_t n = -1;
    const char *text = variable(name);
    if (text == NULL || !span_to_int64(span_of(text), 0, INT32_MAX, &n)) {
        return -1;
    }
    return n;
}

static bool check_socket(int fd, struct err *err)
{
    struct sockaddr_storage at = {0};
    socklen_t at_size = sizeof(at);
    int is_listening = 0;
    socklen_t size = sizeof(is_listening);
    if (getsockname(fd, (struct sockaddr *)&at, &at_size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0) {
        return err_errno(err, errno, "LISTEN_FDS: file descriptor %d is not a socket", fd);
    }
    if (is_listening == 0 || (at.ss_family != AF_INET && at.ss_family != AF_INET6)) {
        return err_say(err,
                       "LISTEN_FDS: file descriptor %d is not a TCP socket that listens; "
                       "in the socket unit use ListenStream=HOST:PORT and Accept=no",
                       fd);
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return err_errno(err, errno, "LISTEN_FDS: cannot set up file descriptor %d", fd);
    }
    return true;
}

/* Of "a:b:c". */
static struct span next_name(const char **names)
{
    size_t n = strcspn(*names, ":");
    struct span name = {*names, n};
    *names += n + ((*names)[n] == ':' ? 1 : 0);
    return name;
}

bool systemd_take_sockets(struct systemd_sockets *ret, struct err *err)
{
    struct systemd_sockets s = {0};
    const char *names = variable("LISTEN_FDNAMES");
    int64_t n = env_number("LISTEN_FDS");
    names = names != NULL ? names : "";
    if (env_number("LISTEN_PID") != getpid() || n <= 0) {
        *ret = s;
        return true; /* not for us */
    }
    if (n > SYSTEMD_MAX_SOCKETS) {
        return err_say(err, "LISTEN_FDS passes %lld sockets; Sluice takes up to %d", (long long)n,
                       SYSTEMD_MAX_SOCKETS);
    }
    for (int fd = FIRST_FD; fd < FIRST_FD + n; fd++) {
        if (!check_socket(fd, err)) {
            return false;
        }
        if (span_eq_text(next_name(&names), "http")) {
            s.http_fds[s.n_http++] = fd;
        } else {
            s.fds[s.n++] = fd;
        }
    }
    *ret = s;
    return true;
}

void systemd_sockets_close(struct systemd_sockets *s)
{
    for (size_t i = 0; i < s->n; i++) {
        close_p(&s->fds[i]);
    }
    for (size_t i = 0; i < s->n_http; i++) {
        close_p(&s->http_fds[i]);
    }
    *s = (struct systemd_sockets){0};
}

void systemd_notify(const char *state)
{
    const char *path = variable("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = path != NULL ? strlen(path) : 0;
    if (n < 2 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* the abstract namespace */
    }
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd < 0 ||
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, size) < 0) {
        log_warn("notify.failed", "socket", path, "reason", strerrordesc_np(errno), NULL);
    }
}
