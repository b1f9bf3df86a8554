/*
 * Packets of answers that Sluice gives itself: OK, ERR, result sets of the text and of the binary
 * protocol, and the reply to a COM_STMT_PREPARE. Source: MySQL "Text Resultset", "Binary Protocol
 * Resultset", COM_STMT_PREPARE_OK, OK_Packet, ERR_Packet. Pure; any thread.
 */
#ifndef PROXY_RESULT_H
#define PROXY_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum result_type { RESULT_TEXT, RESULT_INT, RESULT_DOUBLE };

enum result_format {
    RESULT_FORMAT_TEXT,
    RESULT_FORMAT_BINARY,
    RESULT_FORMAT_CURSOR, /* binary; the definitions end as with a cursor, nothing ends the rows */
};

/* How an answer must look to its client, at its place in a reply. */
struct result_form {
    uint64_t capabilities; /* of the client and the FE together */
    uint8_t sequence;      /* of the first packet */
    uint16_t status;       /* flags of OK and EOF: MORE_RESULTS, or none */
    enum result_format format;
};

struct result_column {
    const char *name;
    enum result_type type;
};

/*
 * A text cell needs `text`; p == NULL is SQL NULL, whatever the type. In the binary formats `type`
 * is the column's, and the other two have their own member.
 */
struct result_cell {
    enum result_type type;
    struct span text;
    int64_t integer;
    double number;
};

/*
 *     result_begin(&r, out, &form); result_columns(...); result_row(...)*; result_end(...)
 *
 * Classic EOF packets or DEPRECATE_EOF's, by the form's capabilities. Rows of 16 MB and more are
 * split. Sticky through `out`.
 */
struct result {
    struct buf *out;
    struct result_form form;
    uint8_t sequence;
};

void result_begin(struct result *r, struct buf *out, const struct result_form *form);
void result_columns(struct result *r, const struct result_column *columns, size_t n);
void result_row(struct result *r, const struct result_cell *cells, size_t n);
void result_end(struct result *r);
/* What stands behind rows: an EOF packet, or the OK packet in its place. */
void result_eof(struct result *r, uint16_t status);
void result_ok(struct buf *out, const struct result_form *form, uint64_t affected,
               const char *info);
/* An error of ours; secrets that its text quotes are masked. */
void result_err(struct buf *out, uint8_t sequence, const struct err *err);
/* COM_STMT_PREPARE's: every parameter is described as a text, as Doris does. */
void result_prepared(struct buf *out, const struct result_form *form, uint32_t statement,
                     size_t n_params, const struct result_column *columns, size_t n_columns);

#endif
