/* Stores as versions 1 and 2 of the schema wrote them: with texts in clear, and encrypted. */
#ifndef TESTS_UNIT_STORE_OLD_H
#define TESTS_UNIT_STORE_OLD_H

#include "tests/unit/store_fixture.h"

#include <sys/stat.h>

#include "scheduler/store_seal.h"

#define OLD_SECRET "Zz9OldSecretZz9"
#define OLD_STATS                                                                                  \
    "scanned_rows INTEGER NOT NULL, load_bytes INTEGER NOT NULL, file_number INTEGER NOT NULL, "   \
    "file_size INTEGER NOT NULL, filtered_rows INTEGER NOT NULL"

/* As version 1 made it: never edited. */
static const char old_schema[] =
    "PRAGMA application_id = 1397511491; PRAGMA journal_mode = WAL; PRAGMA user_version = 1; "
    "CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, "
    "written_by TEXT NOT NULL) STRICT; INSERT INTO meta VALUES (1, 3, 'sluice 0.1.0'); "
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, definer TEXT NOT NULL, "
    "current_db TEXT, target_db TEXT NOT NULL, target_table TEXT NOT NULL, \"sql\" TEXT NOT NULL, "
    "properties TEXT NOT NULL, comment TEXT NOT NULL, create_ms INTEGER NOT NULL, "
    "state TEXT NOT NULL, fail_code TEXT NOT NULL, fail_msg TEXT, \"offset\" TEXT, "
    "last_success_ms INTEGER NOT NULL, n_resumes INTEGER NOT NULL, last_task_id INTEGER NOT NULL, "
    "committed_task_id INTEGER NOT NULL, n_succeeded INTEGER NOT NULL, n_failed INTEGER NOT NULL, "
    "n_canceled INTEGER NOT NULL, " OLD_STATS ") STRICT; "
    "CREATE TABLE tasks (job_id INTEGER NOT NULL REFERENCES jobs (id), id INTEGER NOT NULL, "
    "label TEXT NOT NULL, state TEXT NOT NULL, \"range\" TEXT NOT NULL, "
    "offset_after TEXT NOT NULL, running_offset TEXT, create_ms INTEGER NOT NULL, "
    "start_ms INTEGER NOT NULL, finish_ms INTEGER NOT NULL, error TEXT, first_error TEXT, "
    "tracking_url TEXT, txn_id TEXT, " OLD_STATS ", PRIMARY KEY (job_id, id)) STRICT; "
    "CREATE UNIQUE INDEX tasks_unfinished ON tasks (job_id) "
    "WHERE state IN ('PENDING', 'RUNNING');";

/* Three jobs of five failed tasks each; of a fourth, larger one only what deleting left behind. */
static const char old_rows[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) "
    "INSERT INTO jobs SELECT i, 'job' || i, 'root', NULL, 'db', 't', 'INSERT " OLD_SECRET
    " ' || i || CASE i WHEN 4 THEN replace(hex(zeroblob(20000)), '00', '" OLD_SECRET
    "') ELSE '' END, '{\"k\": \"" OLD_SECRET "\"}', 'comment " OLD_SECRET
    "', 1, 'PAUSED', 'INTERNAL_ERR', CASE i WHEN 3 THEN NULL ELSE 'failed " OLD_SECRET
    "' END, NULL, 0, 0, 5, 0, 0, 5, 0, 0, 0, 0, 0, 0 FROM n; "
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 14) "
    "INSERT INTO tasks SELECT 1 + i / 5, 1 + i % 5, 'l', 'FAILED', '{}', '{}', NULL, 1, 1, 1, "
    "'error " OLD_SECRET " ' || i, 'first " OLD_SECRET "', CASE i WHEN 7 THEN NULL ELSE "
    "'http://be/" OLD_SECRET "' END, NULL, 0, 0, 0, 0, 0 FROM n; "
    "DELETE FROM jobs WHERE id = 4;";

/* Its log stays behind, as after a crash. */
static inline void make_old_store(const char *path)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, old_schema, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_wal_checkpoint(db, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, old_rows, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline void check_old_store(const struct seen *seen)
{
    assert_int_equal(seen->n_jobs, 3);
    for (size_t i = 0; i < seen->n_jobs; i++) {
        const struct job_record *job = &seen->jobs[i];
        char text[96];
        (void)snprintf(text, sizeof(text), "INSERT " OLD_SECRET " %zu", i + 1);
        assert_string_equal(job->sql, text);
        assert_string_equal(job->properties, "{\"k\": \"" OLD_SECRET "\"}");
        assert_string_equal(job->comment, "comment " OLD_SECRET);
        if (i == 2) {
            assert_null(job->fail_msg);
        } else {
            assert_string_equal(job->fail_msg, "failed " OLD_SECRET);
        }
        assert_int_equal(seen->n_tasks[i], 5);
        for (size_t k = 0; k < 5; k++) {
            const struct task_record *t = &seen->tasks[i][k];
            (void)snprintf(text, sizeof(text), "error " OLD_SECRET " %zu", i * 5 + k);
            assert_string_equal(t->error, text);
            assert_string_equal(t->first_error, "first " OLD_SECRET);
            assert_true((t->tracking_url == NULL) == (i * 5 + k == 7));
        }
    }
}

/* Does a file of the directory hold the text? */
static inline bool is_on_disk(const struct fixture *f, const char *text)
{
    bool is_found = false;
    DIR *dir = opendir(f->dir);
    struct dirent *entry = NULL;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", f->dir, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (file == NULL) {
            continue;
        }
        char *content = malloc(8 << 20);
        assert_non_null(content);
        size_t n = fread(content, 1, 8 << 20, file);
        assert_true(n < 8 << 20);
        is_found = is_found || memmem(content, n, text, strlen(text)) != NULL;
        free(content);
        (void)fclose(file);
    }
    (void)closedir(dir);
    return is_found;
}

/* --- version 2 -------------------------------------------------------------------------------- */

#define OLD_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* What version 2 added: never edited. */
static const char second_schema[] =
    "ALTER TABLE meta ADD COLUMN key_check TEXT; "
    "ALTER TABLE meta ADD COLUMN is_scrubbed INTEGER NOT NULL DEFAULT 0 "
    "CHECK (is_scrubbed IN (0, 1)); PRAGMA user_version = 2;";

/* Job 1 has a finished task and an open one; job 2 is PAUSED, and none of its texts is NULL. */
static const char second_rows[] =
    "UPDATE meta SET is_scrubbed = 1, key_check = sealed('meta', 'key_check', 0, 0, "
    "'sluice store'); "
    "INSERT INTO jobs SELECT i, 'job' || i, 'root', NULL, 'db', 't', "
    "sealed('jobs', '\"sql\"', i, 0, 'INSERT " OLD_SECRET " ' || i), "
    "sealed('jobs', 'properties', i, 0, '{}'), sealed('jobs', 'comment', i, 0, 'c'), 1, "
    "iif(i = 1, 'RUNNING', 'PAUSED'), iif(i = 1, '', 'IN_DOUBT'), "
    "iif(i = 1, NULL, sealed('jobs', 'fail_msg', i, 0, 'why " OLD_SECRET "')), "
    "'{\"o\": 1}', 5, 0, iif(i = 1, 2, 1), 1, 1, 0, 0, 10, 0, 0, 0, 0 "
    "FROM (SELECT 1 AS i UNION SELECT 2); "
    "INSERT INTO tasks SELECT j, i, j || '_' || i, iif(i = 1, 'SUCCESS', 'RUNNING'), '{}', "
    "'{\"o\": ' || i || '}', NULL, 1, 1, i % 2, NULL, "
    "iif(i = 1, sealed('tasks', 'first_error', j, i, 'first " OLD_SECRET "'), NULL), NULL, NULL, "
    "10, 0, 0, 0, 0 FROM (SELECT 1 AS j, 1 AS i UNION SELECT 1, 2 UNION SELECT 2, 1);";

static inline void old_sealed(sqlite3_context *context, int n, sqlite3_value **args)
{
    struct store_seal *seal = sqlite3_user_data(context);
    struct store_place place = {
        .table = (const char *)sqlite3_value_text(args[0]),
        .column = (const char *)sqlite3_value_text(args[1]),
        .job_id = sqlite3_value_int64(args[2]),
        .task_id = sqlite3_value_int64(args[3]),
    };
    assert_int_equal(n, 5);
    char *text = store_seal_close(seal, &place, span_of((const char *)sqlite3_value_text(args[4])));
    assert_non_null(text);
    sqlite3_result_text(context, text, -1, free);
}

static inline void write_old_key(const char *store_path, struct store_seal *ret)
{
    char path[128];
    struct err err = {0};
    static const char text[] = "Sluice store key, version 1\n" OLD_KEY "\n";
    (void)snprintf(path, sizeof(path), "%s.key", store_path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    *ret = (struct store_seal){0};
    assert_true(store_key_parse(span_of(text), path, &ret->keys, &err));
}

/* With its key; its log stays behind. */
static inline void make_second_store(const char *path)
{
    sqlite3 *db = NULL;
    struct store_seal seal;
    write_old_key(path, &seal);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(
        sqlite3_create_function(db, "sealed", 5, SQLITE_UTF8, &seal, old_sealed, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, old_schema, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, second_schema, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_wal_checkpoint(db, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, second_rows, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    store_seal_fini(&seal);
}

static inline void check_second_store(const struct seen *seen)
{
    assert_int_equal(seen->n_jobs, 2);
    for (size_t i = 0; i < seen->n_jobs; i++) {
        const struct job_record *job = &seen->jobs[i];
        char text[64];
        (void)snprintf(text, sizeof(text), "INSERT " OLD_SECRET " %zu", i + 1);
        assert_string_equal(job->sql, text);
        assert_string_equal(job->offset, "{\"o\": 1}");
        assert_int_equal(job->committed_task_id, 1);
        assert_int_equal(job->n_tracked, 0);
        assert_int_equal(seen->n_bad[i], 0);
        assert_string_equal(seen->tasks[i][0].first_error, "first " OLD_SECRET);
        assert_int_equal(seen->tasks[i][0].state, TASK_SUCCESS);
    }
    assert_int_equal(seen->jobs[1].fail_code, FAIL_IN_DOUBT);
    assert_string_equal(seen->jobs[1].fail_msg, "why " OLD_SECRET);
    assert_int_equal(seen->n_tasks[0], 2);
    assert_int_equal(seen->tasks[0][1].state, TASK_RUNNING);
    assert_int_equal(seen->tasks[0][1].txn_before, 0);
    assert_false(seen->tasks[0][1].is_retry);
}

#endif
