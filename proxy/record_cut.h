/*
 * Where a stream of MySQL packets may be cut into TLS records: anywhere but inside a packet's header.
 * Doris takes a record that ends within one for a broken packet (facts/doris-ports.md A4). Pure; fed
 * with what was sent, it knows where the next packet begins.
 *
 *     | header | body ..... | header | body ..... | header |
 *              ^^^^^^^^^^^^^         ^^^^^^^^^^^^^             cuts
 */
#ifndef PROXY_RECORD_CUT_H
#define PROXY_RECORD_CUT_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/packet.h"

/* {0} stands at the beginning of a packet. Private. */
struct record_cut {
    uint32_t left;    /* of the current packet's body */
    uint8_t n_header; /* bytes of a header that was sent in part */
    uint8_t header[PACKET_HEADER_SIZE];
};

/*
 * How many of the n bytes at p the next record takes: as many as fit into `max`, which is at least
 * PACKET_HEADER_SIZE. With more bytes behind the same ones the answer is never smaller. Where all n
 * bytes are a part of a header there is no good place, and the answer is n.
 */
size_t record_cut_size(const struct record_cut *c, const char *p, size_t n, size_t max);
/* These n bytes were sent. */
void record_cut_sent(struct record_cut *c, const char *p, size_t n);

#endif
