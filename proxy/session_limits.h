/*
 * Connections of one user at a time (proxy.max_user_connections), counted over all workers. Called
 * by the session on its worker's thread.
 *
 * The table is the one thing besides message queues that has a mutex: a login waits for its answer,
 * so a message to a counting thread would cost every connect two more wake-ups. It is touched at a
 * login and at an end only, for some 50 ns. It counts while there is no limit, too, so that one set
 * by SIGHUP is right at once.
 */
#ifndef PROXY_SESSION_LIMITS_H
#define PROXY_SESSION_LIMITS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct session;
struct session_user;

enum { SESSION_LIMITS_BUCKETS = 256 };

/* In struct worker_shared; zeroed it is an empty one. Only n_users is for others. */
struct session_limits {
    pthread_mutex_t mutex; /* PTHREAD_MUTEX_INITIALIZER is all zeroes here */
    struct session_user *buckets[SESSION_LIMITS_BUCKETS];
    _Atomic int64_t n_users; /* with at least one admitted session */
};

/* Counts one more; NULL and *err when `max` are there already. A max of 0 is no limit. */
struct session_user *session_limits_add(struct session_limits *l, const char *user, int64_t max,
                                        struct err *err);
/* NULL is accepted. */
void session_limits_remove(struct session_limits *l, struct session_user *u);

/*
 * The FE's OK to a login or a COM_CHANGE_USER, as `user`, is about to be sent to the client. False:
 * the user has too many connections (1203, 42000), or Sluice is being stopped (1053, 08S01); the
 * client gets *err in the place of that OK.
 */
bool session_admit(struct session *s, const char *user, struct err *err);
/* The session ends: it counts no longer. Also when it was never admitted. */
void session_admit_end(struct session *s);

#endif
