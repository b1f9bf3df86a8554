/* What of a job's SELECT works on each batch of files alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/batchwise.h"

#define S3 " FROM S3('uri' = 's3://b/*.csv', \"format\" = 'csv') "

static const struct {
    const char *query;
    const char *found; /* NULL: nothing */
} cases[] = {
    {"SELECT c1" S3, NULL},
    {"SELECT c1" S3 "LIMIT 1", "LIMIT"},
    {"SELECT c1" S3 "ORDER BY c1 limit 1 OFFSET 2", "LIMIT"},
    {"SELECT c1" S3 "ORDER BY c1", NULL},
    {"SELECT c1, Sum(c2)" S3 "GROUP BY c1 HAVING count(*) > 1", "GROUP BY, count(), sum()"},
    {"SELECT DISTINCT c1" S3, "DISTINCT"},
    {"SELECT row_number() OVER (ORDER BY c1)" S3, "OVER()"},
    {"SELECT round(1 + (max(c1)), 2)" S3, "max()"},
    {"SELECT max_by(c1, c2)" S3, "max_by()"},
    /* What only looks like one. */
    {"SELECT `limit`, 'LIMIT 1', count, `sum`, t.max /* LIMIT 1 */" S3 "t -- LIMIT 1", NULL},
    {"SELECT limit_1, summary(c1)" S3, NULL},
    {"SELECT c1" S3 "WHERE c1 IN ('DISTINCT', \"GROUP BY\")", NULL},
    /* The rows of other tables are all there, whatever the batch. */
    {"SELECT c1" S3 "WHERE c1 IN (SELECT id FROM d.t GROUP BY id LIMIT 5)", NULL},
    {"SELECT c1, (SELECT max(id) FROM d.t)" S3, NULL},
    {"SELECT c1" S3 "s JOIN (SELECT id, round(sum(n)) m FROM d.t GROUP BY id) t ON s.c1 = t.id",
     NULL},
    {"SELECT c1 FROM (SELECT * " S3 "LIMIT 3) x", "LIMIT"},
    {"SELECT c1 FROM (SELECT id FROM d.t LIMIT 1) y, (SELECT * FROM (SELECT *" S3 ") z) x", NULL},
    {"SELECT count(c1) FROM ((SELECT *" S3 ")) x", "count()"},
    {"WITH x AS (SELECT *" S3 ") SELECT min(c1) FROM x", "min()"},
    {"WITH x AS (SELECT min(id) FROM d.t) SELECT c1" S3 ", x", NULL},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *sql = xasprintf("INSERT INTO d.t %s", cases[i].query);
        struct stmt_insert insert = {0};
        struct err err = {0};
        if (!stmt_parse_insert(span_of(sql), &insert, &err)) {
            fail_msg("%s: %s", sql, err.msg);
        }
        _cleanup_free_ char *found = batchwise_find(&insert);
        const char *wanted = cases[i].found;
        if ((found == NULL) != (wanted == NULL) || (wanted != NULL && strcmp(found, wanted) != 0)) {
            fail_msg("%s: %s", sql, found != NULL ? found : "nothing");
        }
        stmt_insert_fini(&insert);
    }
}

/* Deeper than anybody nests: nothing is said, and nothing breaks. */
static void test_depth(void **state)
{
    (void)state;
    for (size_t n = 60; n < 70; n++) {
        struct buf b = buf_with_max(4096);
        struct stmt_insert insert = {0};
        struct err err = {0};
        buf_append_text(&b, "INSERT INTO d.t SELECT ");
        for (size_t i = 0; i < n; i++) {
            buf_append_char(&b, '(');
        }
        buf_append_text(&b, "max(c1)");
        for (size_t i = 0; i < n; i++) {
            buf_append_char(&b, ')');
        }
        buf_append_text(&b, S3);
        assert_true(stmt_parse_insert(buf_span(&b), &insert, &err));
        _cleanup_free_ char *found = batchwise_find(&insert);
        assert_true(n + 1 < 64 ? strcmp(found, "max()") == 0 : found == NULL);
        stmt_insert_fini(&insert);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
