#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/insert_offsets.h"

static void the_crc_is_that_of_zip(void **state)
{
    assert_int_equal(insert_offsets_crc(span_of("")), 0);
    assert_int_equal(insert_offsets_crc(span_of("123456789")), 0xcbf43926);
    assert_int_equal(insert_offsets_crc(span_of("r1")), 219023793);
    assert_int_equal(insert_offsets_crc(SPAN_LIT("\xff\x00\xff")), 0x6cdb0272);
}

static void the_table_fits_every_version(void **state)
{
    char *plain = insert_offsets_create("d`b", NULL);
    char *like = insert_offsets_create("d", "\"replication_num\" = \"1\"");
    /* A letter first (up to 3.0), DUPLICATE KEY (cloud mode), the keys first and in order. */
    assert_non_null(strstr(plain, "CREATE TABLE IF NOT EXISTS `d``b`.`sluice_offsets` (job_id "));
    assert_non_null(strstr(plain, ") DUPLICATE KEY(job_id, task_id) "));
    assert_null(strstr(plain, "PROPERTIES"));
    assert_non_null(strstr(like, " PROPERTIES (\"replication_num\" = \"1\")"));
    free(plain);
    free(like);
}

static void a_row_is_written_unless_it_is_there(void **state)
{
    struct offset_row row = {
        .job_id = 7, .task_id = 12, .range = "r1", .offset = "{\"fileName\":\"a'b\\\"\"}"};
    char *sql = insert_offsets_write("d", &row, 1000);
    assert_string_equal(
        sql, "INSERT INTO `d`.`sluice_offsets` (`job_id`, `task_id`, `range_crc`, `offset`, "
             "`committed_at`) SELECT 7, 12, 219023793, '{\"fileName\":\"a''b\\\\\"\"}', "
             "'1970-01-01 00:00:01' FROM numbers('number' = '1') AS `one` CROSS JOIN (SELECT "
             "COUNT(*) AS `n` FROM `d`.`sluice_offsets` WHERE `job_id` = 7 AND `task_id` >= 12) AS "
             "`done` WHERE `done`.`n` = 0");
    free(sql);
    row.offset = NULL;
    sql = insert_offsets_write("d", &row, 0);
    assert_non_null(strstr(sql, ", 219023793, NULL, '1970-01-01 00:00:00' "));
    free(sql);
}

static void old_rows_of_the_job_alone_go(void **state)
{
    struct offset_row row = {.job_id = 7, .task_id = 3000, .range = ""};
    char *sql = insert_offsets_prune("d", &row);
    assert_string_equal(sql,
                        "DELETE FROM `d`.`sluice_offsets` WHERE `job_id` = 7 AND `task_id` < 2000");
    free(sql);
}

static void replication_is_the_target_s(void **state)
{
    static const struct {
        const char *create;
        const char *expected; /* NULL: none */
    } table[] = {
        {"CREATE TABLE `t` (k INT) PROPERTIES (\n\"replication_allocation\" = "
         "\"tag.location.default: 1\",\n\"min_load_replica_num\" = \"-1\"\n);",
         "\"replication_allocation\" = \"tag.location.default: 1\""},
        {"… \"replication_num\" = \"3\", …", "\"replication_num\" = \"3\""},
        {"… \"replication_num\" = \"3", NULL},
        {"… \"replication_num\" = \"3\\\", x\" …", NULL},
        {"CREATE TABLE `t` (k INT)", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        char *found = insert_offsets_replication(table[i].create);
        if (table[i].expected == NULL) {
            assert_null(found);
        } else {
            assert_string_equal(found, table[i].expected);
        }
        free(found);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crc_is_that_of_zip),
        cmocka_unit_test(the_table_fits_every_version),
        cmocka_unit_test(a_row_is_written_unless_it_is_there),
        cmocka_unit_test(old_rows_of_the_job_alone_go),
        cmocka_unit_test(replication_is_the_target_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
