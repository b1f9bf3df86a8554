/* The file of the SQLite store: locks, files that are not ours or not whole, and who else has it. */
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static struct seen seen; /* too large for the stack; emptied by every test */

static size_t read_all(const char *path, char *ret, size_t size)
{
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    size_t n = fread(ret, 1, size, file);
    assert_int_equal(fclose(file), 0);
    return n;
}

static void write_all(const char *path, const void *data, size_t n)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void test_two_at_once_are_refused(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    char expected[64];
    insert_job(f, st, 1, "a");
    assert_null(ops->open(f->path, "", &f->err));
    (void)snprintf(expected, sizeof(expected), "is in use by process %d;", (int)getpid());
    assert_says(f, expected);
    assert_says(f, f->path);
    char other[128];
    (void)snprintf(other, sizeof(other), "%s/link.db", f->dir);
    assert_int_equal(symlink(f->path, other), 0);
    assert_null(ops->open(other, "", &f->err)); /* the same file under another name */
    assert_says(f, expected);
    insert_job(f, st, 2, "b"); /* the first one is none the worse */
    assert_int_equal(ops->epoch(st), 1);
    ops->close(st);
    st = must_open(f);
    ops->close(st);
}

/* Opens in a child that says so through a pipe and then waits to be killed. */
static void test_lock_dies_with_its_process(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    char byte = 0;
    char expected[64];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct store *st = ops->open(f->path, "", &f->err);
        (void)!write(fds[1], st != NULL ? "y" : "n", 1);
        for (;;) {
            (void)pause();
        }
    }
    assert_int_equal(read(fds[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_null(ops->open(f->path, "", &f->err));
    (void)snprintf(expected, sizeof(expected), "is in use by process %d;", (int)pid);
    assert_says(f, expected);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    struct store *st = must_open(f);
    assert_int_equal(ops->epoch(st), 2);
    ops->close(st);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* The file must be refused with `text`, stay as it is, and get no company. */
static void refuse(struct fixture *f, const char *text)
{
    static char before[65536], after[65536];
    size_t n_entries = count_entries(f->dir);
    size_t n = read_all(f->path, before, sizeof(before));
    assert_null(ops->open(f->path, "", &f->err));
    assert_says(f, f->path);
    assert_says(f, text);
    assert_int_equal(read_all(f->path, after, sizeof(after)), n);
    assert_memory_equal(before, after, n);
    assert_int_equal(count_entries(f->dir), n_entries);
}

static void test_files_of_others_are_refused(void **state)
{
    struct fixture *f = *state;
    write_all(f->path, "hello", 5);
    refuse(f, "is not an SQLite database");
    char zeros[4096] = {0};
    write_all(f->path, zeros, sizeof(zeros));
    refuse(f, "is not an SQLite database");
    assert_int_equal(unlink(f->path), 0);
    raw(f->path, "CREATE TABLE theirs (a); PRAGMA user_version = 3");
    refuse(f, "another program (application id 0x00000000, a store of Sluice has 0x534c5543)");
    raw(f->path, "PRAGMA journal_mode = WAL; PRAGMA application_id = 7");
    refuse(f, "another program (application id 0x00000007");
}

static void test_newer_versions_are_refused(void **state)
{
    struct fixture *f = *state;
    ops->close(must_open(f));
    raw(f->path, "PRAGMA journal_mode = DELETE; PRAGMA user_version = 7");
    assert_null(ops->open(f->path, "", &f->err));
    refuse(f, "a newer Sluice (its schema version is 7, this Sluice knows versions up to 3)");
    raw(f->path, "PRAGMA user_version = 0");
    refuse(f, "damaged (its schema version is 0");
}

/* The newer version is in the log only, as after a crash: the header alone does not show it. */
static void test_newer_version_in_the_log_is_refused(void **state)
{
    struct fixture *f = *state;
    static char before[65536], after[65536];
    char wal[128];
    ops->close(must_open(f));
    (void)snprintf(wal, sizeof(wal), "%s-wal", f->path);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 7", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    size_t n = read_all(f->path, before, sizeof(before));
    assert_null(ops->open(f->path, "", &f->err));
    assert_says(f, "a newer Sluice (its schema version is 7");
    assert_int_equal(read_all(f->path, after, sizeof(after)), n);
    assert_memory_equal(before, after, n);
    assert_true(read_all(wal, after, sizeof(after)) > 0);
}

static void test_places_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    char path[160];
    assert_null(ops->open("", "", &f->err));
    assert_says(f, "sqlite:PATH");
    (void)snprintf(path, sizeof(path), "%s/no/such.db", f->dir);
    assert_null(ops->open(path, "", &f->err));
    assert_says(f, "its directory");
    assert_says(f, "No such file or directory");
    assert_null(ops->open(f->dir, "", &f->err));
    assert_says(f, "is not a file but a directory");
    (void)snprintf(path, sizeof(path), "%s/", f->path);
    assert_null(ops->open(path, "", &f->err));
    (void)snprintf(path, sizeof(path), "%s/link.db", f->dir);
    assert_int_equal(symlink("nowhere/x.db", path), 0);
    assert_null(ops->open(path, "", &f->err));
    assert_says(f, "leads nowhere");
    assert_int_equal(count_entries(f->dir), 1);
}

static void test_empty_file_becomes_a_store(void **state)
{
    struct fixture *f = *state;
    write_all(f->path, "", 0);
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    ops->close(st);
}

static void test_log_without_store_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s-wal", f->path);
    write_all(path, "data", 4);
    assert_null(ops->open(f->path, "", &f->err));
    assert_says(f, "is missing or empty but its log");
    assert_says(f, path);
    assert_int_not_equal(access(f->path, F_OK), 0);
}

/* A crash while a store was being made leaves its unfinished file; it is simply made again. */
static void test_unfinished_creation_is_repeated(void **state)
{
    struct fixture *f = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s.new", f->path);
    write_all(path, "SQLite format 3", 16);
    (void)snprintf(path, sizeof(path), "%s.new-journal", f->path);
    write_all(path, "junk", 4);
    ops->close(must_open(f));
    assert_int_equal(count_entries(f->dir), 3); /* the store, its lock, its key */
}

static void test_damage_is_told(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    char junk[4096];
    memset(junk, 0xa5, sizeof(junk));
    insert_job(f, st, 1, "a");
    ops->close(st);
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = 8192; at < size; at += 4096) { /* meta, on page 2, stays whole */
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    }
    (void)close(fd);
    st = must_open(f);
    struct job_record job = sample_job(2, "b");
    assert_false(ops->load(st, see, &seen, &f->err));
    assert_says(f, "cannot read its jobs: the file is damaged");
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_FAIL);
    assert_says(f, "cannot create job b: the file is damaged");
    assert_says(f, f->path);
    seen_fini(&seen);
    ops->close(st);
}

static void test_meddled_row_is_told(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    insert_job(f, st, 1, "a");
    raw(f->path, "PRAGMA ignore_check_constraints = ON; UPDATE jobs SET state = 'ODD'");
    assert_false(ops->load(st, see, &seen, &f->err));
    assert_says(f, "the file is damaged");
    raw(f->path, "UPDATE jobs SET state = 'PAUSED'");
    look(st, &seen); /* the same store goes on */
    raw(f->path, "DELETE FROM meta");
    assert_int_equal(ops->job_delete(st, 1, &f->err), STORE_FAIL);
    assert_says(f, "the file is damaged");
    seen_fini(&seen);
    ops->close(st);
}

static void test_locked_by_a_shell(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    sqlite3 *db = NULL;
    struct job_record job = sample_job(1, "a");
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_FAIL);
    assert_says(f, "cannot create job a: another program keeps it locked");
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(ops->job_insert(st, &job, &f->err), STORE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    ops->close(st);
}

static void test_removed_file_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct store *st = must_open(f);
    char path[128];
    insert_job(f, st, 1, "a");
    (void)snprintf(path, sizeof(path), "%s.away", f->path);
    assert_int_equal(rename(f->path, path), 0);
    struct job_update u = {.state = JOB_PAUSED};
    assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_FAIL);
    assert_says(f, "was moved or removed while in use");
    assert_int_equal(rename(path, f->path), 0);
    assert_int_equal(ops->job_update(st, 1, &u, &f->err), STORE_OK);
    ops->close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_at_once_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock_dies_with_its_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_of_others_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_versions_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_version_in_the_log_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places_that_cannot_be, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_file_becomes_a_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_without_store_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unfinished_creation_is_repeated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_meddled_row_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_locked_by_a_shell, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_file_is_noticed, setup, teardown),
    };
    return cmocka_run_group_tests_name("store file", tests, NULL, NULL);
}
