/*
 * What systemd and its like offer a service, without its library: sockets that it listens on for
 * us (LISTEN_FDS, socket activation), and a socket to tell it how we are (NOTIFY_SOCKET). Both are
 * plain conventions: see sd_listen_fds(3) and sd_notify(3). Before threads start, but for notify.
 */
#ifndef PROXY_SYSTEMD_H
#define PROXY_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { SYSTEMD_MAX_SOCKETS = 64 };

struct systemd_sockets {
    size_t n;
    int fds[SYSTEMD_MAX_SOCKETS]; /* owned by whoever takes them */
    size_t n_http;
    int http_fds[SYSTEMD_MAX_SOCKETS]; /* those named "http" (FileDescriptorName=) */
};

/*
 * The listening sockets that were passed to this process, made non-blocking and close-on-exec; none
 * is no error. False: one is no listening TCP socket, or there are too many.
 */
bool systemd_take_sockets(struct systemd_sockets *ret, struct err *err);
void systemd_sockets_close(struct systemd_sockets *s);
/* "READY=1" and so on, to whoever asked for it; does nothing else. From any thread. */
void systemd_notify(const char *state);

#endif
