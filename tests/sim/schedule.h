/* One schedule: faults at random, then calm, and what the oracle says in the end. */
#ifndef TESTS_SIM_SCHEDULE_H
#define TESTS_SIM_SCHEDULE_H

#include "tests/sim/owner.h"

/* What is wrong, NULL when all is well. Adds to *counts. */
const char *schedule_run(uint64_t seed, enum bug bug, bool is_told, struct counts *counts);

/* Nothing is lost or doubled, but it hangs. Of a planted bug that is not enough. */
bool schedule_is_stuck(const char *wrong);

#endif
