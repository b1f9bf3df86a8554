/*
 * Values as a client sends them in the binary protocol: with COM_STMT_EXECUTE, and as attributes of
 * a query. Source: MySQL "Binary Protocol Value". Pure; any thread.
 */
#ifndef PROXY_BINARY_H
#define PROXY_BINARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proxy/packet.h"

/* Of a type's 16 bits. */
enum { BINARY_UNSIGNED = 0x8000 };

/* A value of `type` is appended as a literal of SQL. False, with *err: unknown, cut short, NaN. */
bool binary_literal(struct packet_reader *r, uint16_t type, struct buf *out, struct err *err);
/* As a literal: a parameter that came by COM_STMT_SEND_LONG_DATA. */
void binary_long_literal(struct span value, struct buf *out);
/* The next bit of a NULL bitmap. */
bool binary_is_null(struct span bitmap, size_t i);
/*
 * Attributes of a query: NULL bitmap, 1, a type and a name for each, values. What is missing makes
 * *r bad.
 */
void binary_skip_attributes(struct packet_reader *r, uint64_t n);

#endif
