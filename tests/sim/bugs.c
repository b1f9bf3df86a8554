#include "tests/sim/bugs.h"

#include <string.h>

const char *const bug_names[N_BUGS] = {
    [BUG_NONE] = "none",
    [BUG_COMMITTED_IS_VISIBLE] = "committed-is-visible",
    [BUG_LOST_IS_NOT_SENT] = "lost-is-not-sent",
    [BUG_UNKNOWN_IS_ABSENT] = "unknown-is-absent",
    [BUG_NEW_LABEL_ON_RETRY] = "new-label-on-retry",
    [BUG_NEW_RANGE_ON_RETRY] = "new-range-on-retry",
    [BUG_INTENT_NOT_DURABLE] = "intent-not-durable",
    [BUG_TASK_IDS_REUSED] = "task-ids-reused",
    [BUG_ERROR_IS_NOT_LOADED] = "error-is-not-loaded",
    [BUG_COMMIT_TWICE] = "commit-twice",
    [BUG_NO_FENCE_ON_CLOSE] = "no-fence-on-close",
    [BUG_WITNESS_ALWAYS_KNOWN] = "witness-always-known",
    [BUG_COMMIT_ON_USED] = "commit-on-used",
    [BUG_CANCELED_IS_NOT_SENT] = "canceled-is-not-sent",
    [BUG_HOLD_IS_IGNORED] = "hold-is-ignored",
    [BUG_EPOCH_NOT_CHECKED] = "epoch-not-checked",
    [BUG_ZOMBIE_COMMIT] = "zombie-commit",
    [BUG_COUNT_WINDOW_IGNORED] = "count-window-ignored",
    [BUG_FE_WINDOW_IGNORED] = "fe-window-ignored",
    [BUG_WITNESS_TOO_YOUNG] = "witness-too-young",
    [BUG_CLOCK_ORDERS_WITNESS] = "clock-orders-witness",
    [BUG_WINDOW_NOT_READ] = "window-not-read",
    [BUG_ROW_WITHOUT_LABEL] = "row-without-label",
    [BUG_ROW_BEFORE_LABEL] = "row-before-label",
    [BUG_LOST_IS_ROLLED_BACK] = "lost-is-rolled-back",
    [BUG_ERROR_IS_COMMITTED] = "error-is-committed",
    [BUG_CHANGED_IS_IGNORED] = "changed-is-ignored",
    [BUG_REFUSED_NOT_VERIFIED] = "refused-not-verified",
    [BUG_NOT_VERIFIED_AT_COMMIT] = "not-verified-at-commit",
    [BUG_BAD_UNREPORTED] = "bad-unreported",
    [BUG_UNREADABLE_UNREPORTED] = "unreadable-unreported",
    [BUG_HALVING_DROPS_HALF] = "halving-drops-half",
    [BUG_OUTAGE_IS_DATA_ERROR] = "outage-is-data-error",
    [BUG_RETRY_MOVES_OFFSET] = "retry-moves-offset",
    [BUG_RETRY_NOT_ALONE] = "retry-not-alone",
    [BUG_MARKS_NOT_WITH_COMMIT] = "marks-not-with-commit",
    [BUG_ALTER_UNDER_TASK] = "alter-under-task",
    [BUG_RESENT_WITHOUT_STORE] = "resent-without-store",
    [BUG_REMEMBERED_IGNORED] = "remembered-ignored",
    [BUG_REFUSED_IS_IGNORED] = "refused-is-ignored",
    [BUG_BUDGET_FORGOTTEN] = "budget-forgotten",
    [BUG_OVERWRITTEN_UNREPORTED] = "overwritten-unreported",
    [BUG_RELOAD_NOT_REMEMBERED] = "reload-not-remembered",
    [BUG_LABELS_BY_NAME] = "labels-by-name",
    [BUG_EMPTIED_IS_ABSENT] = "emptied-is-absent",
};

enum bug bug_from(const char *name)
{
    int bug = 0;
    while (bug < N_BUGS && strcmp(bug_names[bug], name) != 0) {
        bug++;
    }
    return (enum bug)bug;
}
