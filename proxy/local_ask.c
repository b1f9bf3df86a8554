/*
 * What the local side asks the FE on the client's own connection: the user's privileges, the
 * current database, and whether the FE has a job of a name itself.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/quote.h"
#include "base/xmalloc.h"
#include "proxy/config.h"
#include "proxy/local_parts.h"
#include "proxy/worker.h"

enum { QUESTION_MAX = 64 << 10 /* about the tables of a query */ };

/* --- privileges ------------------------------------------------------------------------------ */

/* Which table the statement needs LOAD on; false: it is not known, or there are many. */
static bool target_of(const struct local *l, const char **ret_db, const char **ret_table)
{
    switch (l->stmt.kind) {
    case STMT_CREATE_JOB:
    case STMT_EXPLAIN_CREATE: {
        const struct stmt_insert *insert = &l->stmt.u.create.insert;
        *ret_db = insert->db != NULL ? insert->db : l->database;
        *ret_table = insert->table;
        return *ret_db != NULL;
    }
    case STMT_ALTER_JOB: /* its target stays as it is */
    case STMT_PAUSE_JOB:
    case STMT_RESUME_JOB:
    case STMT_DROP_JOB:
    case STMT_RESOLVE_TASK:
    case STMT_DECIDE_FILE:
    case STMT_CANCEL_TASK:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB:
        *ret_db = l->job.target_db;
        *ret_table = l->job.target_table;
        return *ret_db != NULL;
    case STMT_VIEW_QUERY: break;
    }
    return false;
}

static int64_t kept_for_ms(const struct local *l)
{
    return worker_config(session_worker(l->session))->grants_cache_ms;
}

bool local_knows_rights(const struct local *l)
{
    return l != NULL && l->grants.is_known &&
           clock_mono_ms() - l->grants_asked_ms < kept_for_ms(l) &&
           l->grants_resets == session_resets(l->session);
}

/*
 * What is kept may only allow: a user who was granted something a moment ago does not wait. So
 * where rows are chosen only who may see them all is spared the question.
 */
static bool is_allowed_by_kept(const struct local *l)
{
    const char *db = NULL;
    const char *table = NULL;
    return local_knows_rights(l) && (l->grants.has_all || (target_of(l, &db, &table) &&
                                                           grants_may_load(&l->grants, db, table)));
}

static void on_grants(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = {0};
    if (!grants_read(answer, session_user(s), &l->grants, &err)) {
        grants_fini(&l->grants);
        (void)local_end_err(l, &err); /* refuse, never allow */
        return;
    }
    local_go_on(l);
}

enum step_result local_ask_grants(struct local *l)
{
    if (is_allowed_by_kept(l)) {
        return STEP_NEXT;
    }
    grants_fini(&l->grants);
    l->grants_asked_ms = clock_mono_ms();
    l->grants_resets = session_resets(l->session);
    session_ask(l->session, "SHOW GRANTS", on_grants, l);
    return STEP_WAIT;
}

void local_keep_grants(struct local *l)
{
    if (kept_for_ms(l) == 0) {
        grants_fini(&l->grants);
    }
}

bool local_may_load(const struct local *l, const char *db, const char *table, struct err *err)
{
    return grants_may_load(&l->grants, db, table) || grants_deny_load(&l->grants, db, table, err);
}

enum step_result local_check_load(struct local *l)
{
    struct err err = {0};
    const char *db = NULL;
    const char *table = NULL;
    if (target_of(l, &db, &table) && !local_may_load(l, db, table, &err)) {
        return local_end_err(l, &err);
    }
    return STEP_NEXT;
}

/* --- the current database -------------------------------------------------------------------- */

static void on_database(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = answer->err;
    (void)s;
    if (answer->is_error) {
        (void)err_prefix(&err, "Sluice cannot learn the current database, SELECT DATABASE() "
                               "failed: ");
        (void)local_end_err(l, &err);
        return;
    }
    if (answer->n_rows == 1 && answer->n_columns == 1 && answer->cells[0] != NULL) {
        l->database = xstrdup(answer->cells[0]);
    }
    local_go_on(l);
}

enum step_result local_ask_database(struct local *l)
{
    session_ask(l->session, "SELECT DATABASE() LIMIT 1", on_database, l); /* sql_select_limit = 0 */
    return STEP_WAIT;
}

/* --- the tables that the INSERT's query reads -------------------------------------------------- */

static enum step_result end_tables(struct local *l, const struct err *err)
{
    return l->stmt.kind == STMT_EXPLAIN_CREATE ? local_explain_denied(l, err)
                                               : local_end_err(l, err);
}

/* What everybody may read, and where everybody finds other rows. */
static bool is_of_system(const char *db)
{
    return strcasecmp(db, "information_schema") == 0 || strcasecmp(db, "mysql") == 0;
}

static void put_name(struct buf *out, const char *name)
{
    buf_append_char(out, '`');
    for (; *name != '\0'; name++) {
        buf_append_text(out, *name == '`' ? "`" : "");
        buf_append_char(out, *name);
    }
    buf_append_char(out, '`');
}

/* As the tasks will read it: in catalog internal, whatever this session's is. */
static bool put_table(const struct stmt_table *table, const char *current_db, size_t i,
                      struct buf *out, struct err *err)
{
    const char *db = table->db != NULL ? table->db : current_db;
    if (db == NULL || db[0] == '\0') {
        return err_set(err, ERR_NO_DB, "3D000",
                       "No database selected. Write table %s of the job's query as db.%s, or USE a "
                       "database first",
                       table->table, table->table);
    }
    if (is_of_system(db)) {
        return err_set(err, ERR_TABLEACCESS_DENIED, "42000",
                       "SELECT command denied to the tasks of jobs for table '%s.%s': its rows "
                       "depend on who asks, and tasks run as doris.user of Sluice's configuration",
                       db, table->table);
    }
    buf_append_text(out, i > 0 ? ", " : "");
    put_name(out, table->catalog != NULL ? table->catalog : "internal");
    buf_append_char(out, '.');
    put_name(out, db);
    buf_append_char(out, '.');
    put_name(out, table->table);
    _cleanup_free_ char *alias = xasprintf(" AS sluice_%zu", i);
    buf_append_text(out, alias);
    return true;
}

static void on_tables(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = answer->err;
    (void)s;
    if (!answer->is_error && answer->n_rows > 0) { /* a plan */
        local_go_on(l);
        return;
    }
    if (!answer->is_error) {
        (void)err_say(&err, "the FE told no plan");
    }
    (void)err_prefix(&err, "The job's query reads other tables, and its tasks run as Sluice's "
                           "doris.user, so you need SELECT on them. The FE was asked with EXPLAIN "
                           "SELECT * FROM them: ");
    (void)end_tables(l, &err);
}

enum step_result local_ask_tables(struct local *l)
{
    const struct stmt_insert *insert = stmt_insert(&l->stmt);
    if (insert == NULL || insert->n_tables == 0) {
        return STEP_NEXT;
    }
    struct err err = {0};
    const char *db = l->stmt.kind == STMT_ALTER_JOB ? l->job.current_db : l->database;
    _cleanup_buf_ struct buf question = buf_with_max(QUESTION_MAX);
    buf_append_text(&question, "EXPLAIN SELECT * FROM ");
    for (size_t i = 0; i < insert->n_tables; i++) {
        if (!put_table(&insert->tables[i], db, i, &question, &err)) {
            return end_tables(l, &err);
        }
    }
    if (!buf_ok(&question)) {
        (void)err_say(&err, "the tables of the job's query have names of more than %d bytes",
                      QUESTION_MAX);
        return end_tables(l, &err);
    }
    session_ask(l->session, buf_text(&question), on_tables, l);
    return STEP_WAIT;
}

/* --- the FE's own jobs ----------------------------------------------------------------------- */

/*
 * All names are asked for: how a name would have to be quoted depends on the session's sql_mode,
 * which we do not know. The LIMIT overrules sql_select_limit.
 */
static const char ask_names[] = "SELECT Name FROM jobs(\"type\"=\"insert\") LIMIT 1000000000";

enum fe_job {
    FE_JOB_NONE,
    FE_JOB_THERE,
    FE_JOB_HIDDEN,  /* the FE tells its administrators alone */
    FE_JOB_UNKNOWN, /* it could not be asked: err says why */
};

static enum fe_job judge_error(const struct answer *answer, struct err *err)
{
    if (strcasestr(answer->err.msg, "only ADMIN priv can operate") != NULL) { /* before 4.0 */
        return FE_JOB_HIDDEN;
    }
    /* An FE before 2.1 has neither jobs nor the function. */
    if (answer->err.code == ERR_PARSE ||
        strcasestr(answer->err.msg, "find table function") != NULL ||
        strcasestr(answer->err.msg, "syntax error") != NULL) {
        return FE_JOB_NONE;
    }
    *err = answer->err;
    return FE_JOB_UNKNOWN;
}

static enum fe_job find_fe_job(const struct answer *answer, const char *name, struct err *err)
{
    if (answer->is_error) {
        return judge_error(answer, err);
    }
    if (answer->n_columns != 1 || strcasecmp(answer->columns[0], "Name") != 0) {
        (void)err_say(err,
                      "its answer to %s has no column Name. Is dry_run_query set in this "
                      "session?",
                      ask_names);
        return FE_JOB_UNKNOWN;
    }
    for (size_t i = 0; i < answer->n_rows; i++) {
        if (answer->cells[i] != NULL && strcmp(answer->cells[i], name) == 0) {
            return FE_JOB_THERE;
        }
    }
    return FE_JOB_NONE;
}

static const char *name_of(const struct local *l)
{
    switch (l->stmt.kind) {
    case STMT_CREATE_JOB:
    case STMT_EXPLAIN_CREATE: return l->stmt.u.create.name;
    case STMT_ALTER_JOB: return l->stmt.u.alter.name;
    case STMT_PAUSE_JOB:
    case STMT_RESUME_JOB:
    case STMT_DROP_JOB:
    case STMT_RESOLVE_TASK:
    case STMT_DECIDE_FILE:
    case STMT_CANCEL_TASK:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB: return l->stmt.u.job.name;
    case STMT_VIEW_QUERY: break;
    }
    assert(!"no statement about one job");
    return "";
}

static enum step_result end_not_asked(struct local *l, struct err *err)
{
    (void)err_prefix(err,
                     "Sluice has no job %s, and cannot ask the FE whether that has one. Nothing "
                     "was changed: ",
                     name_of(l));
    return local_end_err(l, err);
}

/* --- CREATE JOB: job names are global, the FE's jobs count ----------------------------------- */

static void on_names_for_create(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = {0};
    (void)s;
    switch (find_fe_job(answer, name_of(l), &err)) {
    case FE_JOB_NONE:
    case FE_JOB_HIDDEN: local_go_on(l); return;
    case FE_JOB_UNKNOWN: (void)end_not_asked(l, &err); return;
    case FE_JOB_THERE: break;
    }
    if (l->stmt.u.create.if_not_exists) {
        (void)local_end_ok(l);
        return;
    }
    _cleanup_free_ char *quoted = quote_text(name_of(l));
    (void)err_say(
        &err,
        "errCode = 2, detailMessage = job name exist, jobName:%s. It is a job of the FE's "
        "own, and names are global: choose another one, or DROP JOB WHERE jobName = %s",
        name_of(l), quoted);
    (void)local_end_err(l, &err);
}

enum step_result local_ask_fe_name(struct local *l)
{
    session_ask(l->session, ask_names, on_names_for_create, l);
    return STEP_WAIT;
}

/* For EXPLAIN CREATE JOB. */
static void on_names_for_explain(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = {0};
    (void)s;
    l->explain.section = EXPLAIN_NAME;
    switch (find_fe_job(answer, name_of(l), &err)) {
    case FE_JOB_NONE:
        explain_add(&l->explain, "name at the FE", "%s, no job of the FE has it", name_of(l));
        break;
    case FE_JOB_HIDDEN:
        explain_add(&l->explain, "name at the FE",
                    "not known: this FE tells its administrators alone of its own jobs");
        break;
    case FE_JOB_UNKNOWN:
        explain_fail(&l->explain, "name at the FE",
                     "the FE could not be asked for its own jobs: %s", err.msg);
        break;
    case FE_JOB_THERE:
        explain_fail(&l->explain, "name at the FE",
                     "%s is a job of the FE's own, and names are global: choose another one",
                     name_of(l));
        break;
    }
    local_go_on(l);
}

enum step_result local_ask_fe_name_explain(struct local *l)
{
    session_ask(l->session, ask_names, on_names_for_explain, l);
    return STEP_WAIT;
}

/* --- statements about a job that is not ours ------------------------------------------------- */

/* Doris has these statements, too. */
static bool is_for_fe(enum stmt_kind kind)
{
    switch (kind) {
    case STMT_ALTER_JOB:
    case STMT_PAUSE_JOB:
    case STMT_RESUME_JOB:
    case STMT_DROP_JOB:
    case STMT_CANCEL_TASK: return true;
    case STMT_CREATE_JOB:
    case STMT_RESOLVE_TASK:
    case STMT_DECIDE_FILE:
    case STMT_EXPLAIN_CREATE:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB:
    case STMT_VIEW_QUERY: break;
    }
    return false;
}

/* In Doris's words, which differ: DropJobCommand, CancelTask and the rest each have their own. */
static enum step_result end_unknown_job(struct local *l, bool is_hidden)
{
    struct err err = {0};
    const char *name = name_of(l);
    bool is_drop = l->stmt.kind == STMT_DROP_JOB;
    if (is_drop && l->stmt.u.job.if_exists) {
        return local_end_ok(l);
    }
    const char *blank = is_drop || l->stmt.kind == STMT_CANCEL_TASK ? "" : " ";
    (void)err_say(&err,
                  "errCode = 2, detailMessage = %s%s%sjob not exist, jobName:%s%s. %s; names are "
                  "case-sensitive, SELECT Name FROM jobs(\"type\"=\"insert\") lists those you may "
                  "see",
                  is_drop ? "unregister job error, jobName:" : "", is_drop ? name : "",
                  is_drop ? ": " : "", blank, name,
                  is_hidden
                      ? "Sluice has none, and this FE tells its administrators alone of its own"
                      : "Neither Sluice nor the FE has a job of this name");
    return local_end_err(l, &err);
}

static enum step_result end_fe_has_it(struct local *l)
{
    struct err err = {0};
    (void)err_say(&err,
                  "job %s is one of the FE's own, which Sluice does not run: ALTER, PAUSE, RESUME "
                  "and DROP JOB are sent on to the FE, this statement is one of Sluice's. SELECT * "
                  "FROM jobs(\"type\"=\"insert\") WHERE Name = '%s' shows what the FE knows",
                  name_of(l), name_of(l));
    return local_end_err(l, &err);
}

static void on_fe_jobs(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = {0};
    switch (find_fe_job(answer, name_of(l), &err)) {
    case FE_JOB_THERE:
        if (!is_for_fe(l->stmt.kind)) {
            (void)end_fe_has_it(l);
            return;
        }
        local_finish(l);
        session_reply_forward(s);
        return;
    case FE_JOB_NONE: (void)end_unknown_job(l, false); return;
    case FE_JOB_HIDDEN: (void)end_unknown_job(l, true); return;
    case FE_JOB_UNKNOWN: (void)end_not_asked(l, &err); return;
    }
}

enum step_result local_ask_fe_jobs(struct local *l)
{
    if (l->job_id != 0) {
        return STEP_NEXT;
    }
    session_ask(l->session, ask_names, on_fe_jobs, l);
    return STEP_WAIT;
}
