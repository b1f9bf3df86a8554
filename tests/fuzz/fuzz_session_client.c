/*
 * A hostile client, a well-behaved FE, and the real session code between them: session_rig.h says
 * what an input is and what must hold.
 */
#include "tests/fuzz/session_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return rig_run(data, size, RIG_HOSTILE_CLIENT);
}
