/*
 * Collects the FE's answer to a question of Sluice's own (session_ask()), however it is cut into
 * reads. The session's tracker says what each packet is; this reads it. Pure; one a question.
 */
#ifndef PROXY_ASK_H
#define PROXY_ASK_H

#include <stddef.h>

#include "proxy/local.h"

struct ask;
struct track;

enum {
    ASK_MAX_SIZE = 16 << 20, /* names, texts and their bookkeeping, of one answer */
    ASK_MAX_COLUMNS = 4096
};

enum ask_step {
    ASK_MORE,
    ASK_DONE,   /* ask_answer() is complete */
    ASK_BROKEN, /* the FE wants something that cannot be given: the connection is of no use now */
};

/* `t`, borrowed, has just taken the COM_QUERY. Never NULL. */
struct ask *ask_create(struct track *t, size_t max_size);
void ask_destroy(struct ask *a);
/* The FE's bytes; *ret_used of them belong to the answer. */
enum ask_step ask_feed(struct ask *a, const char *p, size_t n, size_t *ret_used);
/* Valid until ask_destroy(). An answer that was too large or malformed is an error. */
const struct answer *ask_answer(const struct ask *a);

#endif
