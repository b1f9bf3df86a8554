/*
 * TCP options of the sockets: no delay, and keepalive (proxy.keepalive), by which an end that went
 * away without a word is found. All of it is tuning: a socket that refuses an option still works.
 *
 *     silent for proxy.keepalive ─> TUNE_PROBES probes, a sixth of it apart ─> "timed out"
 */
#ifndef PROXY_TUNE_H
#define PROXY_TUNE_H

#include <stdint.h>

struct config;

enum { TUNE_PROBES = 3 };

/*
 * For clients, set on the listening socket: what it accepts inherits all of it, without a system
 * call a connection.
 *
 * No TCP_USER_TIMEOUT on either side: it replaces the count of probes, and it counts a window that
 * stays closed as well as silence. A client may pause for proxy.write_timeout, and an FE reads
 * nothing while it runs a statement, for hours perhaps; a limit that allows both would find a lost
 * host later than the probes do.
 */
void tune_listener(int fd, const struct config *c);
/* For the FE: at once, and keepalive for a session that lasts, which is four system calls. */
void tune_server(int fd);
void tune_server_to_last(int fd, const struct config *c);

/* How long a silent connection lives; 0: for ever. */
int64_t tune_patience_ms(const struct config *c);
/*
 * The probes begin when all that was sent is confirmed. When it is not, the kernel sends it again
 * for a quarter of an hour or so. Thus, for whoever looks now and then: the later of `before_ms` and
 * of the time when the peer's host was last heard of; that is now if it owes us nothing.
 */
int64_t tune_heard_ms(int fd, int64_t before_ms, int64_t now_ms);

#endif
