/*
 * Which session a KILL n means when several FEs have one of that number. The rules alone: no
 * sockets, no messages. Pure; any thread.
 *
 * Doris itself would take the session of the FE that receives the KILL. But the connection on which
 * a client kills its statement, as mysql does on Ctrl-C, may have been given another FE than the
 * statement's. So the session that fits best counts, wherever it is: of the same user, else from
 * the same host, else the one that is busy.
 */
#ifndef PROXY_KILL_DECIDE_H
#define PROXY_KILL_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

/* A session with that number, as the one who kills sees it. */
struct kill_party {
    size_t backend;
    bool is_same_user;
    bool is_same_host;
    bool is_busy; /* it waits for a reply */
};

enum kill_action {
    KILL_FORWARD,   /* to the FE of the session that kills: it has the number, or nobody has */
    KILL_REMOTE,    /* at the FE of parties[ret_first] */
    KILL_AMBIGUOUS, /* parties[ret_first] and parties[ret_second] fit alike */
};

/* The indices are set as far as the action uses them. */
enum kill_action kill_decide(const struct kill_party *parties, size_t n, size_t own_backend,
                             size_t *ret_first, size_t *ret_second);

#endif
