/*
 * Packets of answers that Sluice gives itself, in the text protocol: OK, ERR, and result sets.
 * Source: MySQL "Text Resultset", OK_Packet, ERR_Packet. Pure; any thread.
 */
#ifndef PROXY_RESULT_H
#define PROXY_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum result_type { RESULT_TEXT, RESULT_INT, RESULT_DOUBLE };

struct result_column {
    const char *name;
    enum result_type type;
};

/*
 *     result_begin(&r, out, caps); result_columns(...); result_row(...)*; result_end(...)
 *
 * Classic EOF packets or DEPRECATE_EOF's, by `capabilities`. Sequence ids start at 1.
 * Rows of 16 MB and more are split. Sticky through `out`.
 */
struct result {
    struct buf *out;
    uint64_t capabilities;
    uint8_t sequence;
};

void result_begin(struct result *r, struct buf *out, uint64_t capabilities);
void result_columns(struct result *r, const struct result_column *columns, size_t n);
/* A cell with p == NULL is SQL NULL. */
void result_row(struct result *r, const struct span *cells, size_t n);
void result_end(struct result *r);
void result_ok(struct buf *out, uint8_t sequence, uint64_t affected, const char *info);
void result_err(struct buf *out, uint8_t sequence, const struct err *err);

#endif
