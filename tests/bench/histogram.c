#include "tests/bench/histogram.h"

enum { STEPS = 64, STEP_BITS = 6 };

/*
 * Values below 64 have a bucket each; above, the bits behind the leading one choose among 64 of that
 * power of two.
 */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEPS) {
        return (unsigned)ns;
    }
    unsigned shift = 63U - (unsigned)__builtin_clzll(ns) - STEP_BITS;
    unsigned bucket = (shift + 1) * STEPS + (unsigned)(ns >> shift & (STEPS - 1));
    return bucket < HISTOGRAM_SIZE ? bucket : HISTOGRAM_SIZE - 1;
}

static uint64_t value_of(unsigned bucket)
{
    if (bucket < STEPS) {
        return bucket;
    }
    return (uint64_t)(STEPS + bucket % STEPS) << (bucket / STEPS - 1);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->n++;
    h->counts[bucket_of(ns)]++;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->n * share);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_SIZE; i++) {
        seen += h->counts[i];
        if (h->counts[i] > 0 && seen >= wanted) {
            return value_of(i);
        }
    }
    return 0;
}
