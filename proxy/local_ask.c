/* What the local side asks the FE on the client's own connection. */
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/local_parts.h"

static void on_grants(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    struct err err = {0};
    (void)s;
    if (!grants_read(answer, &l->grants, &err)) {
        (void)local_end_err(l, &err); /* refuse, never allow */
        return;
    }
    local_go_on(l);
}

enum step_result local_ask_grants(struct local *l)
{
    session_ask(l->session, "SHOW GRANTS", on_grants, l);
    return STEP_WAIT;
}

static void on_database(struct session *s, const struct answer *answer, void *arg)
{
    struct local *l = arg;
    (void)s;
    if (answer->is_error) {
        (void)local_end_err(l, &answer->err);
        return;
    }
    if (answer->n_rows == 1 && answer->n_columns == 1 && answer->cells[0] != NULL) {
        l->database = xstrdup(answer->cells[0]);
    }
    local_go_on(l);
}

enum step_result local_ask_database(struct local *l)
{
    session_ask(l->session, "SELECT DATABASE()", on_database, l);
    return STEP_WAIT;
}

bool local_may_load(const struct local *l, const char *db, const char *table, struct err *err)
{
    return grants_may_load(&l->grants, db, table) || grants_deny_load(&l->grants, db, table, err);
}
