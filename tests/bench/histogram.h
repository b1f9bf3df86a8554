/*
 * Latencies, counted in buckets that are 1/64 wide: a percentile is right to 1.6 %. One thread.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SIZE = 64 * 60 };

struct histogram {
    uint64_t n;
    uint32_t counts[HISTOGRAM_SIZE];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* The value that a share of all, 0.99 for instance, does not exceed; 0 when there is none. */
uint64_t histogram_at(const struct histogram *h, double share);

#endif
