/* Which queries SQLite does not answer as Doris does, and what the search for them costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/xmalloc.h"
#include "proxy/viewsql.h"

/* Whose answer it is to be. */
static void test_trust(void **state)
{
    static const struct {
        const char *sql;
        enum viewsql_trust trust;
    } rows[] = {
        {"SELECT * FROM jobs WHERE Id = 1 AND Name LIKE 'a' ORDER BY 1 LIMIT -1", VIEWSQL_SAME},
        {"SELECT jobs.*, COUNT(*) - 1 FROM jobs WHERE left(Name, 1) = 'a'", VIEWSQL_SAME},
        {"SELECT NOW() - INTERVAL 1 DAY, CreateTime + INTERVAL 1 HOUR FROM jobs", VIEWSQL_SAME},
        {"SELECT NOW() - INTERVAL 1 DAY - INTERVAL 1 HOUR FROM jobs", VIEWSQL_SAME},
        {"SELECT length(Name) % 2, 7 DIV 2, Id MOD 2 FROM jobs", VIEWSQL_SAME},
        {"SELECT length(Name) IN (SELECT Id FROM jobs) FROM jobs", VIEWSQL_SAME},
        {"SELECT CAST(Id AS DECIMAL(9, 2)) FROM jobs", VIEWSQL_NEAR},
        {"SELECT CAST(Id AS NUMERIC) FROM jobs", VIEWSQL_NEAR},
        {"SELECT NOW() + 1 FROM jobs", VIEWSQL_OTHER},
        {"SELECT INTERVAL 1 DAY + CreateTime FROM jobs", VIEWSQL_OTHER},
        {"SELECT 5.5 DIV 2 FROM jobs", VIEWSQL_OTHER},
        {"SELECT Lag % 2 FROM jobs", VIEWSQL_OTHER},
        {"SELECT date(CreateTime) = 20251122 FROM jobs", VIEWSQL_OTHER},
        {"SELECT starts_with(Name, 'a') = 'true' FROM jobs", VIEWSQL_OTHER},
        {"SELECT (Name = 'x') = '1' FROM jobs", VIEWSQL_OTHER},
        {"SELECT length(Name) IN (SELECT Lag FROM jobs) FROM jobs", VIEWSQL_OTHER},
        {"SELECT AVG(NOW()) FROM jobs", VIEWSQL_OTHER},
        {"SELECT * FROM (SELECT COUNT(*) AS Id FROM jobs) x WHERE Id > '5'", VIEWSQL_OTHER},
        {"SELECT SUM(Id) AS Id FROM jobs WHERE Id > 5", VIEWSQL_SAME},
        {"SELECT left(Name, 1) AS Name FROM jobs WHERE Name = 'a'", VIEWSQL_SAME},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        enum viewsql_trust trust = VIEWSQL_SAME;
        _cleanup_free_ char *sql = viewsql_adapt(rows[i].sql, &trust);
        if (trust != rows[i].trust) {
            fail_msg("%s: %d\n%s", rows[i].sql, (int)trust, sql);
        }
    }
}

/* However it is nested, the work is bounded. */
static void test_long_queries(void **state)
{
    static const char *const parts[] = {
        "(1=", "1 in(", "case 1 when ",
        "a+(", "if(1,", "x=a and ",
        "-",   "a.",    "(select count(*) n from a where n='1' and "};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        struct buf sql = buf_with_max(200000);
        enum viewsql_trust trust = VIEWSQL_SAME;
        int64_t start_ms = clock_mono_ms();
        buf_append_text(&sql, "SELECT ");
        while (sql.len < 150000) {
            buf_append_text(&sql, parts[i]);
        }
        _cleanup_free_ char *adapted = viewsql_adapt(buf_text(&sql), &trust);
        assert_non_null(adapted);
        assert_in_range(clock_mono_ms() - start_ms, 0, 15000); /* 50 ms; 3 s under valgrind */
        buf_fini(&sql);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_long_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
