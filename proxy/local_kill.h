/*
 * KILL [CONNECTION | QUERY] n, when there is more than one FE: connection ids are counted by each
 * FE for itself (facts/doris-ports.md A9), so n must reach the FE that gave it. On the worker's
 * thread.
 *
 *     asker's worker ── which sessions have the id n? ──> each worker in turn ──> back
 *       decide (kill_decide.h)
 *         FORWARD   to the session's own FE
 *         REMOTE    SHOW GRANTS, unless it is the user's own session ──> killer (killer.h) ──> reply
 *         REFUSE    an error
 */
#ifndef PROXY_LOCAL_KILL_H
#define PROXY_LOCAL_KILL_H

#include <stdint.h>

#include "base/span.h"
#include "proxy/local.h"

struct local_kill;

/* As local_accept(), for a text that begins with "kill"; FOREIGN when the session's FE is right. */
enum local_verdict local_kill_accept(struct session *s, struct span sql, struct err *err);
/* The same for COM_PROCESS_KILL. */
enum local_verdict local_kill_accept_id(struct session *s, uint32_t id, struct err *err);
/* The session ends; what is under way is forgotten. NULL is accepted. */
void local_kill_destroy(struct local_kill *k);

#endif
