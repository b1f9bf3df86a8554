#include <stdlib.h>

#include "base/clock.h"
#include "scheduler/sink.h"

bool load_is_late(int64_t send_by_us, const char *label, struct err *err)
{
    if (send_by_us == 0 || clock_mono_us() < send_by_us) {
        return false;
    }
    (void)err_say(err,
                  "the load %s was not sent again: it has waited too long for a thread, the source "
                  "or an FE, and what became of it before is asked once more",
                  label);
    return true;
}

const char *load_result_name(enum load_result result)
{
    static const char *const names[] = {
        [LOAD_VISIBLE] = "VISIBLE", [LOAD_COMMITTED] = "COMMITTED",
        [LOAD_EMPTY] = "EMPTY",     [LOAD_LABEL_USED] = "LABEL_USED",
        [LOAD_REFUSED] = "REFUSED", [LOAD_NOT_SENT] = "NOT_SENT",
        [LOAD_LOST] = "LOST",       [LOAD_ROLLED_BACK] = "ROLLED_BACK",
    };
    return names[result];
}

const char *label_state_name(enum label_state state)
{
    static const char *const names[] = {
        [LABEL_UNKNOWN] = "UNKNOWN",           [LABEL_PREPARE] = "PREPARE",
        [LABEL_PRECOMMITTED] = "PRECOMMITTED", [LABEL_COMMITTED] = "COMMITTED",
        [LABEL_VISIBLE] = "VISIBLE",           [LABEL_ABORTED] = "ABORTED",
        [LABEL_UNREACHABLE] = "UNREACHABLE",   [LABEL_ABSENT] = "ABSENT",
    };
    return names[state];
}

void load_report_fini(struct load_report *r)
{
    free(r->txn_id);
    free(r->tracking_url);
    free(r->first_error);
    *r = (struct load_report){0};
}

void label_report_fini(struct label_report *r)
{
    free(r->txn_id);
    free(r->reason);
    free(r->evidence);
    *r = (struct label_report){0};
}
