/*
 * The prepared statements of a session that Sluice itself answers: their texts, what the client sent
 * ahead of an EXECUTE, and the rows that wait for COM_STMT_FETCH. Everything a client can make grow
 * has a bound. Pure; owned by a session, which creates it with its first such statement.
 *
 * Their ids lie at the top of the 32-bit range, where no FE's counter gets to. The very last one,
 * PREPARED_LAST, is MariaDB's: "the statement prepared last", which its connectors send right behind
 * a COM_STMT_PREPARE, without waiting for the id.
 */
#ifndef PROXY_PREPARED_H
#define PROXY_PREPARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct prepared;
struct prepared_set;

enum {
    PREPARED_MAX = 1024, /* statements; a power of two */
    PREPARED_TEXTS_MAX = 16 << 20,
    PREPARED_LONG_MAX = 8 << 20, /* COM_STMT_SEND_LONG_DATA */
    PREPARED_ROWS_MAX = 64 << 20,
    PREPARED_BOUND_MAX = 1 << 20, /* a text with its parameters in it */
};
#define PREPARED_FIRST UINT32_C(0xf0000000)
#define PREPARED_LAST  UINT32_C(0xffffffff)

struct prepared_set *prepared_create(void);
void prepared_destroy(struct prepared_set *set); /* NULL is accepted */
/* COM_RESET_CONNECTION, COM_CHANGE_USER: all are gone. */
void prepared_clear(struct prepared_set *set);
bool prepared_is_empty(const struct prepared_set *set);

/* NULL, with *err, when there are too many, or too much of them. It is the last one now. */
struct prepared *prepared_add(struct prepared_set *set, struct span text, struct err *err);
/* It was not prepared after all. */
void prepared_remove(struct prepared_set *set, struct prepared *st);
uint32_t prepared_id(const struct prepared *st);
size_t prepared_n_params(const struct prepared *st);

/* Who prepared last: what PREPARED_LAST means from now on. */
void prepared_last_is_fe(struct prepared_set *set);
void prepared_last_failed(struct prepared_set *set);
/* Is a command about this statement for us? */
bool prepared_is_ours(const struct prepared_set *set, uint32_t id);
/* NULL when there is none: unknown, closed, or it was refused. */
struct prepared *prepared_find(const struct prepared_set *set, uint32_t id);
/* 1243, as for `command`: "mysqld_stmt_execute" and so on. */
bool prepared_unknown(uint32_t id, const char *command, struct err *err);

/* The commands, by their payloads. What is wrong with long data is told by the next EXECUTE. */
void prepared_long_data(struct prepared_set *set, struct prepared *st, struct span payload);
/* Its command was too large to be looked at. */
void prepared_long_data_lost(struct prepared *st);
/* COM_STMT_RESET, and the end of an EXECUTE: long data and cursor are gone. */
void prepared_reset(struct prepared_set *set, struct prepared *st);
/* COM_STMT_EXECUTE: the text with the parameters in it; *ret_has_cursor: one is asked for. */
bool prepared_bind(struct prepared_set *set, struct prepared *st, struct span payload,
                   uint64_t capabilities, struct buf *out, bool *ret_has_cursor, struct err *err);

/* Takes the rows out of a result set of RESULT_FORMAT_CURSOR; the definitions stay. */
bool prepared_open_cursor(struct prepared_set *set, struct prepared *st, struct buf *packets,
                          struct err *err);
/* COM_STMT_FETCH: up to n rows, and what stands behind them. */
bool prepared_fetch(struct prepared_set *set, struct prepared *st, uint32_t n,
                    uint64_t capabilities, struct buf *out, struct err *err);

#endif
