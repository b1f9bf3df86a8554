#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "scheduler/explain.h"
#include "sources/fe_traits.h"
#include "sources/insert_guarantee.h"

/* A job into d.t on an FE of 4.1 that tells everything, and what is told of it. */
struct fixture {
    struct spec_prop props[1];
    struct job_spec spec;
    struct sink_explain request;
    struct fe_http http;
    struct fe_address fe;
    struct err err;
    struct insert_guarantee g;
    struct explain e;
};

static char guarantee_key[] = "guarantee";
static char transactional[] = "Transactional";
static char db[] = "d";
static char target[] = "t";

static void set_up(struct fixture *f, const char *guarantee)
{
    *f = (struct fixture){
        .props = {{.key = guarantee_key, .value = transactional}},
        .fe = {.host = "fe1", .port = 9030},
    };
    f->spec.insert.target_db = db;
    f->spec.insert.target_table = target;
    f->spec.props = f->props;
    f->spec.n_props = guarantee != NULL ? 1 : 0;
    f->request =
        (struct sink_explain){.spec = &f->spec, .label_window_ms = 600000, .timeout_s = 1800};
    f->g = (struct insert_guarantee){
        .request = &f->request,
        .http = &f->http,
        .fe = &f->fe,
        .user = "svc",
        .traits = {.version = 4001, .label_keep_s = 43200, .label_num = 2000},
        .offsets_err = &f->err,
    };
}

static bool has(const struct fixture *f, enum explain_level level, const char *item,
                const char *words)
{
    for (size_t i = 0; i < f->e.n; i++) {
        const struct explain_line *l = &f->e.lines[i];
        if (l->level == level && strcmp(l->item, item) == 0 && strstr(l->text, words) != NULL) {
            return true;
        }
    }
    return false;
}

static void labels_and_what_they_rest_on(void **state)
{
    struct fixture f;
    set_up(&f, NULL);
    insert_guarantee_explain(&f.g, &f.e);
    assert_true(has(&f, EXPLAIN_FACT, "guarantee", "exactly once by label"));
    assert_true(has(&f, EXPLAIN_FACT, "guarantee", "\"transactional\" is possible"));
    assert_true(has(&f, EXPLAIN_FACT, "FE", "Doris 4.1 at fe1:9030"));
    assert_true(has(&f, EXPLAIN_FACT, "label memory", "for 12 h"));
    assert_true(has(&f, EXPLAIN_FACT, "label memory", "newest 2000 loads of a database only"));
    assert_true(has(&f, EXPLAIN_FACT, "label memory",
                    "Sluice counts on 10 min and 500 transactions of Doris"));
    assert_true(has(&f, EXPLAIN_FACT, "interrupted loads", "up to 1800 s"));
    assert_int_equal(explain_count(&f.e, EXPLAIN_WARNING), 0);
    explain_fini(&f.e);
}

static void a_short_memory_is_a_warning(void **state)
{
    struct fixture f;
    set_up(&f, NULL);
    f.g.traits.label_keep_s = 60;
    f.g.traits.label_num = 100;
    f.g.traits.version = 2001;
    insert_guarantee_explain(&f.g, &f.e);
    assert_true(has(&f, EXPLAIN_FACT, "label memory", "counts on 15 s and 25 transactions"));
    assert_true(has(&f, EXPLAIN_WARNING, "label memory", "100 loads of database d"));
    assert_true(has(&f, EXPLAIN_WARNING, "label memory", "10 min is longer"));
    assert_false(has(&f, EXPLAIN_FACT, "guarantee", "is possible"));
    explain_fini(&f.e);
}

static void a_memory_that_is_not_told_or_has_no_limit(void **state)
{
    struct fixture f;
    set_up(&f, NULL);
    f.g.traits = (struct fe_traits){.version = 0};
    insert_guarantee_explain(&f.g, &f.e);
    assert_true(has(&f, EXPLAIN_FACT, "label memory", "'svc' may not read"));
    assert_true(has(&f, EXPLAIN_FACT, "label memory", "10 min and 500 transactions"));
    assert_true(has(&f, EXPLAIN_WARNING, "FE", "not known"));
    explain_fini(&f.e);
    set_up(&f, NULL);
    f.g.traits.label_num = FE_TRAITS_NO_LIMIT;
    insert_guarantee_explain(&f.g, &f.e);
    assert_true(has(&f, EXPLAIN_FACT, "label memory",
                    "(streaming_label_keep_max_second); Sluice "
                    "counts on 10 min"));
    assert_false(has(&f, EXPLAIN_FACT, "label memory", "newest"));
    explain_fini(&f.e);
}

static void a_transaction_and_its_table(void **state)
{
    static const struct {
        enum fe_result result;
        int code;
        const char *text;
        enum explain_level level;
        const char *words;
    } table[] = {
        {FE_OK, 0, "", EXPLAIN_FACT, "d.`sluice_offsets` is there"},
        {FE_REFUSED, 1105, "Unknown table 'sluice_offsets'", EXPLAIN_FACT,
         "is made by CREATE JOB, for which 'svc' needs CREATE on it, then LOAD and SELECT; or make "
         "it yourself: CREATE TABLE IF NOT EXISTS `d`."},
        {FE_REFUSED, 1142, "SELECT command denied", EXPLAIN_ERROR,
         "GRANT SELECT_PRIV, LOAD_PRIV ON `d`.`sluice_offsets` TO 'svc'"},
        {FE_LOST, 1152, "the link is lost", EXPLAIN_WARNING, "could not be looked up: the link"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct fixture f;
        set_up(&f, "transactional");
        f.g.offsets = table[i].result;
        (void)err_set(&f.err, table[i].code, "HY000", "%s", table[i].text);
        insert_guarantee_explain(&f.g, &f.e);
        assert_true(has(&f, EXPLAIN_FACT, "guarantee", "exactly once by transaction"));
        assert_true(has(&f, table[i].level, "offset table", table[i].words));
        assert_false(has(&f, EXPLAIN_FACT, "label memory", ""));
        explain_fini(&f.e);
    }
}

/* What CREATE JOB would fail of: EXPLAIN CREATE JOB knows it, too. */
static void a_table_that_cannot_be_made(void **state)
{
    struct fixture f;
    set_up(&f, "transactional");
    f.g.offsets = FE_REFUSED;
    f.g.lacks = "CREATE_PRIV, SELECT_PRIV";
    f.g.replication = "\"replication_num\" = \"3\"";
    (void)err_set(&f.err, 1105, "HY000", "Unknown table 'sluice_offsets'");
    insert_guarantee_explain(&f.g, &f.e);
    assert_true(has(&f, EXPLAIN_ERROR, "offset table",
                    "'svc' lacks CREATE_PRIV, SELECT_PRIV to make and use it: GRANT SELECT_PRIV, "
                    "LOAD_PRIV, CREATE_PRIV ON `d`.`sluice_offsets` TO 'svc'"));
    assert_true(has(&f, EXPLAIN_ERROR, "offset table", "PROPERTIES (\"replication_num\" = \"3\")"));
    explain_fini(&f.e);
}

static void an_old_fe_has_no_transactions(void **state)
{
    struct fixture f;
    set_up(&f, "transactional");
    f.g.traits.version = 2001;
    insert_guarantee_explain(&f.g, &f.e);
    assert_true(
        has(&f, EXPLAIN_ERROR, "guarantee", "needs Doris 3.0 or later, and this FE is 2.1"));
    assert_false(has(&f, EXPLAIN_FACT, "interrupted loads", ""));
    assert_false(has(&f, EXPLAIN_FACT, "in doubt", ""));
    explain_fini(&f.e);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_and_what_they_rest_on),
        cmocka_unit_test(a_short_memory_is_a_warning),
        cmocka_unit_test(a_memory_that_is_not_told_or_has_no_limit),
        cmocka_unit_test(a_transaction_and_its_table),
        cmocka_unit_test(a_table_that_cannot_be_made),
        cmocka_unit_test(an_old_fe_has_no_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
