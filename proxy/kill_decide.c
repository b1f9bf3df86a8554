#include "proxy/kill_decide.h"

static int score(const struct kill_party *p)
{
    return (p->is_same_user ? 4 : 0) + (p->is_same_host ? 2 : 0) + (p->is_busy ? 1 : 0);
}

enum kill_action kill_decide(const struct kill_party *parties, size_t n, size_t own_backend,
                             size_t *ret_first, size_t *ret_second)
{
    size_t best = 0;
    size_t rival = 0;
    bool has_rival = false;
    for (size_t i = 1; i < n; i++) {
        int order = score(&parties[i]) - score(&parties[best]);
        if (order > 0) {
            best = i;
            has_rival = false;
        } else if (order == 0 && parties[i].backend != parties[best].backend) {
            rival = i;
            has_rival = true;
        }
    }
    if (n == 0) {
        return KILL_FORWARD;
    }
    if (has_rival) {
        *ret_first = best;
        *ret_second = rival;
        return KILL_AMBIGUOUS;
    }
    if (parties[best].backend == own_backend) {
        return KILL_FORWARD;
    }
    *ret_first = best;
    return KILL_REMOTE;
}
