/* The SQLite store and its key: what is on the disk, whose key is right, older stores, new keys. */
#include "tests/unit/heard.h"
#include "tests/unit/store_old.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SECRET "Zz9SecretZz9"

static struct seen seen;

static void key_path(const struct fixture *f, char ret[128])
{
    (void)snprintf(ret, 128, "%s.key", f->path);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* The digits of the one key in the file. */
static void read_key(const char *path, char ret[65])
{
    char line[256];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    ret[0] = '\0';
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strlen(line) == 65 && line[0] != '#') {
            memcpy(ret, line, 64);
            ret[64] = '\0';
        }
    }
    (void)fclose(file);
    assert_int_equal(strlen(ret), 64);
}

static void write_keys(const char *path, const char *first, const char *second)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "Sluice store key, version 1\n%s\n%s\n", first, second);
    write_text(path, text);
}

static struct job_record secret_job(int64_t id, const char *name)
{
    struct job_record job = sample_job(id, name);
    job.sql = (char *)"INSERT " SECRET;
    job.properties = (char *)"{\"p\": \"" SECRET "\"}";
    job.comment = (char *)SECRET;
    job.fail_msg = (char *)"failed: " SECRET;
    job.fail_code = FAIL_INTERNAL;
    return job;
}

static void write_bad_files(struct fixture *f, struct store *st)
{
    struct task_record t = sample_task(1, 2, "{}");
    struct bad_file bad = sample_bad("k1", "bad: " SECRET);
    struct task_aside aside = {
        .end = {.state = TASK_FAILED, .error = "aside " SECRET, .job = {.state = JOB_PAUSED}},
        .offset_after = "{}",
        .file = &bad,
    };
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(ops->task_aside(st, 1, 2, &aside, &f->err), STORE_OK);
    bad = sample_bad("k2", "name: " SECRET);
    struct files_aside files = {.job_id = 1, .last_task_id = 2, .files = &bad, .n_files = 1};
    assert_int_equal(ops->files_aside(st, &files, &f->err), STORE_OK);
}

/* Every call that writes a text. */
static void write_secrets(struct fixture *f, struct store *st)
{
    struct job_record job = secret_job(1, "a");
    struct task_record t = sample_task(1, 1, "{}");
    struct job_update u = {JOB_RUNNING, FAIL_INTERNAL, "again: " SECRET, 1};
    struct task_end end = {
        .state = TASK_FAILED,
        .error = "error " SECRET,
        .first_error = "first " SECRET,
        .tracking_url = "http://be/" SECRET,
        .finish_ms = 5,
        .job = {JOB_PAUSED, FAIL_INTERNAL, "paused: " SECRET, 2},
    };
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
    assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_OK);
    t.error = (char *)"begun with " SECRET;
    assert_int_equal(ops->task_begin(st, &t, &f->err), STORE_OK);
    assert_int_equal(ops->task_end(st, 1, 1, &end, &f->err), STORE_OK);
    write_bad_files(f, st);
    job.last_task_id = 2;
    job.state = JOB_PAUSED;
    job.sql = (char *)"INSERT again " SECRET;
    assert_int_equal(ops->job_alter(st, &job, &f->err), STORE_OK);
}

static void test_no_secret_is_on_the_disk(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    char key[128];
    char digits[65];
    key_path(f, key);
    struct store *st = must_open(f);
    assert_int_equal(stat(key, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    write_secrets(f, st);
    assert_false(is_on_disk(f, SECRET)); /* with the log as it is while in use */
    assert_true(is_on_disk(f, "RUNNING") || is_on_disk(f, "PAUSED"));
    ops->close(st);
    assert_false(is_on_disk(f, SECRET));
    st = must_open(f);
    look(st, &seen);
    assert_string_equal(seen.jobs[0].sql, "INSERT again " SECRET);
    assert_string_equal(seen.jobs[0].properties, "{\"p\": \"" SECRET "\"}");
    assert_string_equal(seen.jobs[0].comment, SECRET);
    assert_string_equal(seen.tasks[0][0].error, "error " SECRET);
    assert_string_equal(seen.tasks[0][0].first_error, "first " SECRET);
    assert_string_equal(seen.tasks[0][0].tracking_url, "http://be/" SECRET);
    assert_string_equal(seen.tasks[0][1].error, "aside " SECRET);
    assert_string_equal(seen.bad[0][0].reason, "bad: " SECRET);
    assert_string_equal(seen.bad[0][1].reason, "name: " SECRET);
    ops->close(st);
    read_key(key, digits);
    assert_int_equal(unlink(key), 0);
    assert_false(is_on_disk(f, digits)); /* the key is in its file only */
    write_keys(key, digits, "");
    seen_fini(&seen);
}

static void refuse(struct fixture *f, const char *text)
{
    size_t n_entries = count_entries(f->dir);
    assert_null(ops->open(f->path, "", &f->err));
    assert_says(f, f->path);
    assert_says(f, text);
    assert_int_equal(count_entries(f->dir), n_entries);
}

static void test_key_must_be_the_right_one(void **state)
{
    struct fixture *f = *state;
    char key[128];
    char digits[65];
    char kept[160];
    key_path(f, key);
    (void)snprintf(kept, sizeof(kept), "%s.kept", key);
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    ops->close(st);
    read_key(key, digits);
    assert_int_equal(rename(key, kept), 0);
    refuse(f, "is encrypted, and its key file");
    refuse(f, "is missing: restore it");
    write_keys(key, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "");
    refuse(f, "is the key of another store");
    write_text(key, "hello\n");
    refuse(f, "is not a key file of a store");
    assert_int_equal(unlink(key), 0);
    assert_int_equal(mkdir(key, 0700), 0);
    refuse(f, "is not a file");
    assert_int_equal(rmdir(key), 0);
    assert_int_equal(chmod(kept, 0644), 0);
    assert_null(ops->open(f->path, kept, &f->err));
    assert_says(f, "chmod 600");
    assert_int_equal(chmod(kept, 0600), 0);
    st = ops->open(f->path, kept, &f->err); /* where store.key_file says */
    assert_non_null(st);
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 1);
    ops->close(st);
    seen_fini(&seen);
}

/* No key is made in the place of one whose disk is missing. */
static void test_key_link_that_leads_nowhere(void **state)
{
    struct fixture *f = *state;
    char key[128];
    char target[160];
    key_path(f, key);
    (void)snprintf(target, sizeof(target), "%s.kept", key);
    assert_int_equal(symlink(target, key), 0);
    assert_null(ops->open(f->path, "", &f->err));
    assert_says(f, "is a symbolic link that leads nowhere");
    write_keys(target, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "");
    ops->close(must_open(f));
    assert_int_equal(unlink(target), 0);
    refuse(f, "is missing: restore it");
}

/* The key survives its store, and is not made anew for the next one. */
static void test_a_key_that_is_there_is_used(void **state)
{
    struct fixture *f = *state;
    char key[128];
    char before[65], after[65];
    key_path(f, key);
    ops->close(must_open(f));
    read_key(key, before);
    assert_int_equal(unlink(f->path), 0);
    ops->close(must_open(f));
    read_key(key, after);
    assert_string_equal(before, after);
}

static void test_old_store_is_encrypted(void **state)
{
    struct fixture *f = *state;
    make_old_store(f->path);
    assert_true(is_on_disk(f, OLD_SECRET));
    struct store *st = must_open(f);
    assert_false(is_on_disk(f, OLD_SECRET));
    assert_false(is_on_disk(f, "OldSecret"));
    look(st, &seen);
    check_old_store(&seen);
    assert_int_equal(ops->epoch(st), 4);
    ops->close(st);
    assert_false(is_on_disk(f, "OldSecret"));
    st = must_open(f);
    look(st, &seen);
    check_old_store(&seen);
    ops->close(st);
    seen_fini(&seen);
}

/* Without a key nothing becomes of it: the Sluice that wrote it can still have it back. */
static void test_old_store_without_a_key_stays_old(void **state)
{
    struct fixture *f = *state;
    char key[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    key_path(f, key);
    make_old_store(f->path);
    write_text(key, "hello\n");
    assert_null(ops->open(f->path, "", &f->err));
    assert_says(f, "is not a key file");
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(q, 0), 1);
    assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(unlink(key), 0);
    struct store *st = must_open(f);
    look(st, &seen);
    check_old_store(&seen);
    ops->close(st);
    seen_fini(&seen);
}

/* Somebody reads the old store: it is encrypted, but its log cannot be wiped yet. */
static void test_wiping_is_made_up_for(void **state)
{
    struct fixture *f = *state;
    sqlite3 *reader = NULL;
    make_old_store(f->path);
    assert_int_equal(sqlite3_open(f->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM jobs", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_null(ops->open(f->path, "", &f->err));
    assert_says(f, "another program keeps it locked");
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    struct store *st = must_open(f);
    assert_false(is_on_disk(f, OLD_SECRET));
    look(st, &seen);
    check_old_store(&seen);
    ops->close(st);
    seen_fini(&seen);
}

static void test_new_key(void **state)
{
    struct fixture *f = *state;
    static const char fresh[] = "a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    char key[128];
    char old[65];
    key_path(f, key);
    make_old_store(f->path);
    ops->close(must_open(f));
    read_key(key, old);
    write_keys(key, old, fresh); /* behind: nothing happens */
    ops->close(must_open(f));
    write_keys(key, fresh, old);
    struct store *st = must_open(f);
    look(st, &seen);
    check_old_store(&seen);
    ops->close(st);
    write_keys(key, fresh, "");
    st = must_open(f);
    look(st, &seen);
    check_old_store(&seen);
    ops->close(st);
    write_keys(key, old, "");
    refuse(f, "is the key of another store");
    seen_fini(&seen);
}

/* That an old key may go is told, when it is true and not before. */
static void test_new_key_is_logged(void **state)
{
    struct fixture *f = *state;
    static const char fresh[] = "a00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    char key[128];
    char old[65];
    key_path(f, key);
    struct heard log = heard_begin();
    struct store *st = must_open(f);
    write_secrets(f, st); /* a job, two tasks, two files */
    ops->close(st);
    read_key(key, old);
    write_keys(key, old, fresh);
    ops->close(must_open(f));
    int n_early = heard_lines(&log, "store.rekeyed", NULL, NULL);
    write_keys(key, fresh, old);
    ops->close(must_open(f));
    int n_told = heard_lines(&log, "store.rekeyed", " n=5 ", NULL);
    ops->close(must_open(f)); /* it is */
    int n = heard_lines(&log, "store.rekeyed", NULL, NULL);
    int n_digits = heard_lines(&log, fresh, NULL, NULL) + heard_lines(&log, old, NULL, NULL);
    heard_end(&log);
    assert_int_equal(n_early, 0);
    assert_int_equal(n_told, 1);
    assert_int_equal(n, 1);
    assert_int_equal(n_digits, 0);
    write_keys(key, fresh, "");
    st = must_open(f); /* and it was true */
    look(st, &seen);
    assert_string_equal(seen.bad[0][1].reason, "name: " SECRET);
    ops->close(st);
    seen_fini(&seen);
}

/* The second version is encrypted as this one is: nothing is rewritten, its open task goes on. */
static void test_second_version_goes_on(void **state)
{
    struct fixture *f = *state;
    struct heard log = heard_begin();
    make_second_store(f->path);
    struct store *st = must_open(f);
    look(st, &seen);
    check_second_store(&seen);
    ops->close(st);
    assert_int_equal(raw_int(f->path, "PRAGMA user_version"), 3);
    assert_int_equal(raw_int(f->path, "SELECT count(*) FROM pragma_integrity_check "
                                      "WHERE integrity_check <> 'ok'"),
                     0);
    st = must_open(f);
    int n_told = heard_lines(&log, "store.rekeyed", NULL, NULL);
    heard_end(&log);
    assert_int_equal(n_told, 0);
    struct task_record t = sample_task(1, 2, "{\"o\": 2}");
    struct file_mark m = sample_mark("a", 1);
    struct file_marks marks = {.marks = &m, .n_marks = 1};
    t.finish_ms = 9;
    assert_int_equal(ops->task_commit(st, &t, 1, &marks, &f->err), STORE_OK);
    look(st, &seen);
    assert_string_equal(seen.jobs[0].offset, "{\"o\": 2}");
    assert_int_equal(seen.jobs[0].n_tracked, 1);
    assert_tracked(st, 1, "a=1 ");
    ops->close(st);
    seen_fini(&seen);
}

static void refuse_to_load(struct fixture *f, const char *sql, const char *text)
{
    raw(f->path, sql);
    struct store *st = must_open(f);
    assert_false(ops->load(st, see, &seen, &f->err));
    assert_says(f, f->path);
    assert_says(f, text);
    ops->close(st);
    seen_fini(&seen);
}

static void test_values_that_were_moved_are_refused(void **state)
{
    struct fixture *f = *state;
    make_old_store(f->path);
    ops->close(must_open(f));
    raw(f->path, "CREATE TABLE kept AS SELECT * FROM jobs");
    refuse_to_load(f, "UPDATE jobs SET sql = (SELECT sql FROM jobs WHERE id = 1) WHERE id = 2",
                   "table jobs, job 2 task 0 is not what Sluice wrote there");
    raw(f->path, "UPDATE jobs SET sql = (SELECT sql FROM kept WHERE id = 2) WHERE id = 2");
    refuse_to_load(f, "UPDATE jobs SET comment = 'plain' WHERE id = 3",
                   "column comment of table jobs, job 3");
    raw(f->path, "UPDATE jobs SET comment = (SELECT comment FROM kept WHERE id = 3) WHERE id = 3");
    refuse_to_load(f, "UPDATE tasks SET error = first_error WHERE job_id = 2 AND id = 4",
                   "column error of table tasks, job 2 task 4");
}

static void test_reasons_that_were_moved_are_refused(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    write_secrets(f, st);
    ops->close(st);
    refuse_to_load(f, "UPDATE bad_files SET reason = (SELECT reason FROM bad_files WHERE id = 1)",
                   "column reason of table bad_files, job 1");
}

static void test_check_that_is_none(void **state)
{
    struct fixture *f = *state;
    ops->close(must_open(f));
    raw(f->path, "UPDATE meta SET key_check = 'x'");
    refuse(f, "is damaged (meta.key_check");
    raw(f->path, "DELETE FROM meta");
    refuse(f, "the file is damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_secret_is_on_the_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_must_be_the_right_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_key_that_is_there_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_link_that_leads_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_store_is_encrypted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_store_without_a_key_stays_old, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wiping_is_made_up_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_key_is_logged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_version_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_that_were_moved_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reasons_that_were_moved_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check_that_is_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
