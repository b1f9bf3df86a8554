#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/quote.h"
#include "scheduler/spec.h"
#include "sources/fe_error.h"
#include "sources/fe_session.h"

enum {
    VISIBLE_WAIT_MS = 60000,    /* Doris's default of insert_visible_timeout_ms */
    SHORTEST_VISIBLE_MS = 1000, /* the least it takes */
};

static const char property_prefix[] = "session.";
/* SET password = '...' would be a statement of its own; behind SESSION any name is a variable's. */
static const char set_variable[] = "SET SESSION ";

struct step {
    char *sql;                 /* owned */
    char *what;                /* owned; what was refused, for the error */
    bool is_variable_optional; /* this version may not have the variable */
    char *bad_value;           /* owned; a session.* property of the job: why it is refused */
};

struct fe_recipe {
    struct step *steps; /* owned */
    size_t n;
    char *key; /* owned */
};

void fe_recipe_destroy(struct fe_recipe *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        free(r->steps[i].sql);
        free(r->steps[i].what);
        free(r->steps[i].bad_value);
    }
    free(r->steps);
    free(r->key);
    free(r);
}

/* Takes both texts. */
static struct step *add(struct fe_recipe *r, char *sql, char *what)
{
    r->steps = xrealloc_array(r->steps, r->n + 1, sizeof(*r->steps));
    struct step *step = &r->steps[r->n++];
    *step = (struct step){.sql = sql, .what = what};
    return step;
}

static void add_limits(struct fe_recipe *r, int64_t timeout_s)
{
    assert(timeout_s > 0);
    int64_t visible_ms = timeout_s < VISIBLE_WAIT_MS / 1000 ? timeout_s * 1000 : VISIBLE_WAIT_MS;
    visible_ms = visible_ms < SHORTEST_VISIBLE_MS ? SHORTEST_VISIBLE_MS : visible_ms;
    /* Both: the larger of the two is how long a statement, and a lost one, may live. */
    (void)add(r,
              xasprintf("SET insert_timeout = %" PRId64 ", query_timeout = %" PRId64, timeout_s,
                        timeout_s),
              xstrdup("session variables insert_timeout and query_timeout"));
    add(r, xasprintf("SET insert_visible_timeout_ms = %" PRId64, visible_ms),
        xstrdup("session variable insert_visible_timeout_ms"))
        ->is_variable_optional = true;
}

static bool is_variable_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return n > 0 && n <= 128 && name[n] == '\0';
}

static bool add_property(struct fe_recipe *r, const struct spec_prop *p, struct err *err)
{
    const char *name = p->key + strlen(property_prefix);
    if (!is_variable_name(name)) {
        return err_say(err,
                       "errCode = 2, detailMessage = Invalid session variable, [%s]: property "
                       "\"%s\" does not name a session variable of Doris (letters, digits and _)",
                       name, p->key);
    }
    _cleanup_free_ char *value = quote_text(p->value);
    struct step *step = add(r, xasprintf("%s%s = %s", set_variable, name, value),
                            xasprintf("property \"%s\"", p->key));
    step->bad_value = xasprintf("Variable %s can't be set to the value of %s", name, p->value);
    return true;
}

static bool add_properties(struct fe_recipe *r, const struct job_spec *spec, struct err *err)
{
    for (size_t i = 0; i < spec->n_props; i++) {
        const struct spec_prop *p = &spec->props[i];
        if (span_istarts_with(span_of(p->key), property_prefix) && !add_property(r, p, err)) {
            return false;
        }
    }
    return true;
}

/* `db`, or `catalog`.`db`: neither may hold a full stop in Doris. */
static void add_database(struct fe_recipe *r, const char *current_db)
{
    const char *dot = strchr(current_db, '.');
    _cleanup_free_ char *db = quote_name(dot != NULL ? dot + 1 : current_db);
    _cleanup_free_ char *catalog = NULL;
    if (dot != NULL) {
        _cleanup_free_ char *plain = span_dup(span_between(current_db, dot));
        catalog = quote_name(plain);
    }
    (void)add(r, catalog != NULL ? xasprintf("USE %s.%s", catalog, db) : xasprintf("USE %s", db),
              xasprintf("the job's current database %s", db));
}

static char *key_of(const struct fe_recipe *r)
{
    size_t size = 1;
    for (size_t i = 0; i < r->n; i++) {
        size += strlen(r->steps[i].sql) + 1;
    }
    struct buf b = buf_with_max(size);
    for (size_t i = 0; i < r->n; i++) {
        buf_append_text(&b, r->steps[i].sql);
        buf_append_char(&b, '\n'); /* may stand in a value, too: then it is inside quotes */
    }
    return buf_take_text(&b);
}

struct fe_recipe *fe_recipe_create(const struct job_spec *spec, int64_t timeout_s, struct err *err)
{
    _cleanup_fe_recipe_ struct fe_recipe *r = xcalloc(1, sizeof(*r));
    if (spec != NULL) {
        add_limits(r, timeout_s);
        if (!add_properties(r, spec, err)) {
            return NULL;
        }
        add(r, xstrdup("SET group_commit = 'off_mode'"), xstrdup("session variable group_commit"))
            ->is_variable_optional = true;
        if (spec->insert.current_db != NULL && spec->insert.current_db[0] != '\0') {
            add_database(r, spec->insert.current_db);
        }
    }
    r->key = key_of(r);
    return take_ptr(r);
}

const char *fe_recipe_key(const struct fe_recipe *r)
{
    return r->key;
}

/* A property's sentence begins as Doris has it for its own streaming jobs. */
static void explain(const struct step *step, const struct fe_address *a, enum fe_result result,
                    bool is_unknown_variable, struct err *err)
{
    static const char head[] = "errCode = 2, detailMessage = ";
    (void)err_prefix(err, "%s could not be set up on the FE %s:%d: ", step->what, a->host, a->port);
    if (step->bad_value == NULL || result != FE_REFUSED) {
        return;
    }
    if (is_unknown_variable) {
        const char *name = step->sql + strlen(set_variable);
        (void)err_prefix(err, "%sInvalid session variable, [%.*s]: ", head, (int)strcspn(name, " "),
                         name);
    } else {
        (void)err_prefix(err, "%s%s: ", head, step->bad_value);
    }
}

enum fe_result fe_recipe_apply(const struct fe_recipe *r, struct fe_conn *c,
                               const struct fe_wait *wait, struct err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct step *step = &r->steps[i];
        enum fe_result result = fe_conn_run(c, step->sql, NULL, NULL, wait, err);
        bool is_unknown = result == FE_REFUSED &&
                          fe_error_is_unknown_variable(err->code, span_of(fe_conn_error_text(c)));
        if (is_unknown && step->is_variable_optional) {
            *err = (struct err){0};
            continue;
        }
        if (result != FE_OK) {
            explain(step, fe_conn_address(c), result, is_unknown, err);
            return result;
        }
    }
    return FE_OK;
}
