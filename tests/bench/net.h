/*
 * What the benchmark's programs share: listening, connecting and giving up. They talk to 127.0.0.1
 * only, and are run by `relay`, which passes right arguments: whatever fails ends them with a
 * sentence.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void net_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A decimal number of up to `max`. `what` names it in the complaint. */
uint64_t net_number(const char *text, uint64_t max, const char *what);
/* As many open files as the hard limit allows. */
void net_raise_limit(void);
/* A non-blocking listener with SO_REUSEPORT, one for each thread. */
int net_listen(uint16_t port);
/* -1: nothing is waiting. The socket is non-blocking, without delay. */
int net_accept(int listen_fd);
/* Blocks until connected, which takes no time on loopback. The socket is blocking, without delay. */
int net_connect(uint16_t port);
void net_set_nonblocking(int fd);
/* Runs `run` in n threads, each with its own listener on the port as argument, for ever. */
_Noreturn void net_serve(unsigned n_threads, uint16_t port, void *(*run)(void *listen_fd));

#endif
