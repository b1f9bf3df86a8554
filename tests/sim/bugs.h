/*
 * Planted bugs, one per invariant: a simulator that finds none of them proves nothing. They are
 * switches in the code around step(), in the store and in what stands for source and sink; each says
 * what it breaks in README.md.
 */
#ifndef TESTS_SIM_BUGS_H
#define TESTS_SIM_BUGS_H

enum bug {
    BUG_NONE,
    BUG_COMMITTED_IS_VISIBLE,
    BUG_LOST_IS_NOT_SENT,
    BUG_UNKNOWN_IS_ABSENT,
    BUG_NEW_LABEL_ON_RETRY,
    BUG_NEW_RANGE_ON_RETRY,
    BUG_INTENT_NOT_DURABLE,
    BUG_TASK_IDS_REUSED,
    BUG_ERROR_IS_NOT_LOADED,
    BUG_COMMIT_TWICE,
    BUG_NO_FENCE_ON_CLOSE,
    BUG_WITNESS_ALWAYS_KNOWN,
    BUG_COMMIT_ON_USED,
    BUG_CANCELED_IS_NOT_SENT,
    BUG_HOLD_IS_IGNORED,
    BUG_EPOCH_NOT_CHECKED,
    BUG_ZOMBIE_COMMIT,
    BUG_COUNT_WINDOW_IGNORED,
    BUG_FE_WINDOW_IGNORED,
    BUG_WITNESS_TOO_YOUNG,
    BUG_CLOCK_ORDERS_WITNESS,
    BUG_WINDOW_NOT_READ,
    BUG_ROW_WITHOUT_LABEL,
    BUG_ROW_BEFORE_LABEL,
    BUG_LOST_IS_ROLLED_BACK,
    BUG_ERROR_IS_COMMITTED,
    BUG_CHANGED_IS_IGNORED,
    BUG_REFUSED_NOT_VERIFIED,
    BUG_NOT_VERIFIED_AT_COMMIT,
    BUG_BAD_UNREPORTED,
    BUG_UNREADABLE_UNREPORTED,
    BUG_HALVING_DROPS_HALF,
    BUG_OUTAGE_IS_DATA_ERROR,
    BUG_RETRY_MOVES_OFFSET,
    BUG_RETRY_NOT_ALONE,
    BUG_MARKS_NOT_WITH_COMMIT,
    BUG_ALTER_UNDER_TASK,
    BUG_RESENT_WITHOUT_STORE,
    N_BUGS,
};

extern const char *const bug_names[N_BUGS];
/* N_BUGS: there is none of that name. */
enum bug bug_from(const char *name);

#endif
