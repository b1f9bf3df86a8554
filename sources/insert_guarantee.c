#include <inttypes.h>

#include "base/quote.h"
#include "base/xmalloc.h"
#include "scheduler/spec.h"
#include "sources/fe_error.h"
#include "sources/fe_traits.h"
#include "sources/insert_check.h"
#include "sources/insert_guarantee.h"
#include "sources/insert_offsets.h"

enum {
    COUNTED_ON = 4,   /* that part of the FE's memory: step_task.c */
    FEW_LABELS = 500, /* of a database: other loads of it drive ours out soon */
    DEFAULT_LABELS =
        2000, /* label_num_threshold where it cannot be read: the scheduler's guess, too */
};

static const char *db_of(const struct insert_guarantee *g)
{
    return g->request->spec->insert.target_db;
}

static void explain_fe(const struct insert_guarantee *g, struct explain *e)
{
    int version = g->traits.version;
    if (version > 0) {
        explain_add(e, "FE", "Doris %d.%d at %s:%d", version / 1000, version % 1000, g->fe->host,
                    g->fe->port);
    } else {
        explain_warn(e, "FE",
                     "its version is not known (@@version_comment): it is taken for the oldest "
                     "one, which loads one file at a time");
    }
}

/* --- label ------------------------------------------------------------------------------------ */

static void explain_unread(const struct insert_guarantee *g, const char *window, struct explain *e)
{
    explain_add(
        e, "label memory",
        "not known: '%s' may not read the FE's configuration (ADMIN), so "
        "scheduler.label_window = %s and %d transactions of Doris are relied on and no more",
        g->user, window, DEFAULT_LABELS / COUNTED_ON);
}

static void explain_few(const struct insert_guarantee *g, struct explain *e)
{
    if (g->traits.label_num > 0 && g->traits.label_num < FEW_LABELS) {
        explain_warn(e, "label memory",
                     "%" PRId64 " loads of database %s, by whoever, drive the label of an "
                     "interrupted load out (label_num_threshold), which is little for a busy "
                     "database: raise it, or use \"guarantee\" = \"transactional\"",
                     g->traits.label_num, db_of(g));
    }
}

static void explain_memory(const struct insert_guarantee *g, struct explain *e)
{
    int64_t window_ms = g->request->label_window_ms;
    int64_t keep_ms = g->traits.label_keep_s * 1000;
    int64_t counted_ms = keep_ms / COUNTED_ON < window_ms ? keep_ms / COUNTED_ON : window_ms;
    _cleanup_free_ char *window = explain_span_ms(window_ms);
    if (keep_ms == 0) {
        explain_unread(g, window, e);
        return;
    }
    bool has_limit = g->traits.label_num > 0 && g->traits.label_num < FE_TRAITS_NO_LIMIT;
    int64_t n_labels = has_limit ? g->traits.label_num : 0;
    _cleanup_free_ char *keep = explain_span_ms(keep_ms);
    _cleanup_free_ char *counted = explain_span_ms(counted_ms);
    _cleanup_free_ char *many = has_limit
                                    ? xasprintf(", but for the newest %" PRId64
                                                " loads of a database only (label_num_threshold)",
                                                n_labels)
                                    : xstrdup("");
    _cleanup_free_ char *fewer =
        has_limit ? xasprintf(" and %" PRId64 " transactions of Doris", n_labels / COUNTED_ON)
                  : xstrdup("");
    explain_add(e, "label memory",
                "this FE remembers the outcome of a load for %s "
                "(streaming_label_keep_max_second)%s; Sluice counts on %s%s",
                keep, many, counted, fewer);
    explain_few(g, e);
    if (keep_ms < window_ms) {
        explain_warn(e, "label memory",
                     "scheduler.label_window = %s is longer than that, and would be relied on "
                     "while the FE's configuration cannot be read: set it to %" PRId64 "s or less",
                     window, g->traits.label_keep_s);
    }
}

static void explain_labels(const struct insert_guarantee *g, struct explain *e)
{
    explain_add(
        e, "guarantee",
        "exactly once by label: every batch is loaded under a label of its own, <job "
        "id>_<task id>, its outcome is asked before anything else is loaded, and the offset "
        "moves when Doris says VISIBLE");
    explain_fe(g, e);
    explain_memory(g, e);
    if (g->traits.version > 0 && insert_check_has_transactions(g->traits.version)) {
        explain_add(e, "guarantee",
                    "with this FE \"guarantee\" = \"transactional\" is possible, too: it does not "
                    "rest on the FE's memory of labels");
    }
}

/* --- transactional ---------------------------------------------------------------------------- */

static void explain_missing_table(const struct insert_guarantee *g, const char *db,
                                  struct explain *e)
{
    _cleanup_free_ char *create = insert_offsets_create(db_of(g), g->replication);
    if (g->lacks == NULL) {
        explain_add(e, "offset table",
                    "%s.`" OFFSETS_TABLE "` is made by CREATE JOB, for which '%s' needs CREATE on "
                    "it, then LOAD and SELECT; or make it yourself: %s",
                    db_of(g), g->user, create);
        return;
    }
    explain_fail(e, "offset table",
                 "%s.`" OFFSETS_TABLE "` is not there, and the service account '%s' lacks %s to "
                 "make and use it: GRANT SELECT_PRIV, LOAD_PRIV, CREATE_PRIV ON "
                 "%s.`" OFFSETS_TABLE "` TO '%s'; or GRANT the first two, and make it yourself: %s",
                 db_of(g), g->user, g->lacks, db, g->user, create);
}

static void explain_table(const struct insert_guarantee *g, struct explain *e)
{
    _cleanup_free_ char *db = quote_name(db_of(g));
    if (g->offsets == FE_OK) {
        explain_add(e, "offset table",
                    "%s.`" OFFSETS_TABLE "` is there; '%s' needs LOAD and SELECT on it", db_of(g),
                    g->user);
        return;
    }
    struct span text = span_of(g->offsets_err->msg);
    int code = g->offsets_err->code;
    if (g->offsets == FE_REFUSED && fe_error_is_denied(code, text)) {
        explain_fail(e, "offset table",
                     "the service account '%s' may not read %s.`" OFFSETS_TABLE "`: GRANT "
                     "SELECT_PRIV, LOAD_PRIV ON %s.`" OFFSETS_TABLE "` TO '%s'",
                     g->user, db_of(g), db, g->user);
    } else if (g->offsets == FE_REFUSED && fe_error_is_missing_table(code, text)) {
        explain_missing_table(g, db, e);
    } else {
        explain_warn(e, "offset table", "%s.`" OFFSETS_TABLE "` could not be looked up: %s",
                     db_of(g), g->offsets_err->msg);
    }
}

static void explain_transactions(const struct insert_guarantee *g, struct explain *e)
{
    int version = g->traits.version;
    if (!insert_check_has_transactions(version)) {
        explain_fail(e, "guarantee",
                     "\"transactional\" needs Doris 3.0 or later, and this FE is %d.%d: leave the "
                     "property out, or set it to \"label\"",
                     version / 1000, version % 1000);
        explain_fe(g, e);
        return;
    }
    explain_add(e, "guarantee",
                "exactly once by transaction: the rows of a batch and a row with its offset, in "
                "%s.`" OFFSETS_TABLE "`, are committed in one transaction of Doris; that row tells "
                "what became of an interrupted load, however late it is asked",
                db_of(g));
    explain_fe(g, e);
    explain_table(g, e);
    if (g->is_unique) {
        explain_add(e, "guarantee",
                    "a target that is UNIQUE KEY and merge-on-write cannot be loaded this way by "
                    "Doris in cloud mode (storage apart from compute): there use \"label\"");
    }
}

/* --- both ------------------------------------------------------------------------------------- */

static void explain_interrupted(const struct insert_guarantee *g, bool is_label, struct explain *e)
{
    const char *by = is_label ? "their label" : "label and offset row";
    if (g->http->host != NULL) {
        explain_add(e, "interrupted loads",
                    "are aborted through doris.http (%s:%d), then decided by %s", g->http->host,
                    g->http->port, by);
    } else {
        explain_add(e, "interrupted loads",
                    "are waited for until Doris ends them, up to %" PRId64
                    " s: doris.http is not set, with it Sluice aborts them",
                    g->request->timeout_s);
    }
}

static void explain_doubt(const struct insert_guarantee *g, bool is_label, struct explain *e)
{
    explain_add(e, "in doubt",
                is_label
                    ? "where Doris has forgotten the label of an interrupted load and nothing "
                      "else proves its outcome, the job is PAUSED with IN_DOUBT instead of "
                      "guessing: EXPLAIN JOB names the range, ALTER JOB ... RESOLVE TASK "
                      "decides"
                    : "only where somebody has changed the offset table, or Sluice's store is "
                      "an older copy: EXPLAIN JOB then names the range, and nothing is loaded");
    if (g->is_unique && is_label) {
        explain_add(
            e, "in doubt",
            "the target is a UNIQUE KEY table: as long as the SELECT makes the same rows of "
            "the same files, loading them again changes nothing, so RESOLVE ... AS ABORTED "
            "is safe");
    }
}

void insert_guarantee_explain(const struct insert_guarantee *g, struct explain *e)
{
    bool is_label = spec_guarantee(g->request->spec) == GUARANTEE_LABEL;
    e->section = EXPLAIN_GUARANTEE;
    (is_label ? explain_labels : explain_transactions)(g, e);
    if (!is_label && !insert_check_has_transactions(g->traits.version)) {
        return; /* there will be no such loads */
    }
    explain_interrupted(g, is_label, e);
    explain_doubt(g, is_label, e);
}
