/*
 * The SQLite store when things go wrong under it: killed while writing, disk full, and every single
 * write, sync, read and allocation failing in turn.
 */
#include "tests/unit/store_fault_vfs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct seen seen;

/* One call of the scenario, by its number. */
static enum store_result call(struct store *st, int number, struct err *err)
{
    struct task_record t = sample_task(1, number < 2 ? 1 : 2, number < 2 ? "{\"o\": 1}" : "{}");
    struct task_end end = {.state = TASK_FAILED, .error = "e", .job = {.state = JOB_RUNNING}};
    struct job_update u = {.state = JOB_PAUSED, .fail_code = FAIL_STORE, .fail_msg = "full"};
    struct job_record other = sample_job(2, "b");
    t.stat.scanned_rows = 10;
    switch (number) {
    case 0: return ops->task_begin(st, &t, err);
    case 1: return ops->task_commit(st, &t, 0, NULL, err);
    case 2: return ops->task_begin(st, &t, err);
    case 3: return ops->task_end(st, 1, 2, &end, err);
    case 4: return ops->job_update(st, 1, &u, err);
    case 5: return ops->job_insert(st, &other, err);
    case 6: {
        struct seen now = {0};
        bool is_read = ops->load(st, see, &now, err);
        seen_fini(&now);
        return is_read ? STORE_OK : STORE_FAIL;
    }
    default: return ops->job_delete(st, 2, err);
    }
}

enum { N_CALLS = 8 };

/* A call that fails must succeed when repeated, which it would not had it changed anything. */
static void run_calls(struct fixture *f, struct store *st)
{
    for (int i = 0; i < N_CALLS; i++) {
        enum store_result result = call(st, i, &f->err);
        if (result == STORE_FAIL) {
            assert_true(faults.has_fired);
            expect_sentence(f, "cannot");
            faults.is_armed = false;
            result = call(st, i, &f->err);
        }
        if (result != STORE_OK) {
            print_error("call %d: %d %s\n", i, (int)result, f->err.msg);
        }
        assert_int_equal(result, STORE_OK);
    }
}

static void expect_outcome(struct fixture *f)
{
    struct store *st = must_open(f);
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 1);
    assert_int_equal(seen.n_tasks[0], 2);
    assert_int_equal(seen.jobs[0].state, JOB_PAUSED);
    assert_int_equal(seen.jobs[0].committed_task_id, 1);
    check_invariants(&seen, 0);
    seen_fini(&seen);
    ops->close(st);
}

/* True when the fault was reached. */
static bool try_fault(enum fault kind, int countdown)
{
    struct fixture f;
    fixture_init(&f);
    struct store *st = must_open(&f);
    insert_job(&f, st, 1, "a");
    ops->close(st);
    arm(kind, countdown);
    st = open_anyhow(&f);
    run_calls(&f, st);
    ops->close(st); /* cannot fail, however much fails under it */
    faults.is_armed = false;
    expect_outcome(&f);
    fixture_fini(&f);
    return faults.has_fired;
}

static void sweep(enum fault kind, int at_least)
{
    int n = 1;
    while (try_fault(kind, n)) {
        n = next_countdown(n);
        assert_true(n < 5000);
    }
    assert_true(n > at_least);
}

static void test_every_write_may_fail(void **state)
{
    sweep(FAULT_WRITE, 20);
}

static void test_every_sync_may_fail(void **state)
{
    sweep(FAULT_SYNC, 8);
}

static void test_every_truncate_may_fail(void **state)
{
    sweep(FAULT_TRUNCATE, 0);
}

static void test_every_read_may_fail(void **state)
{
    sweep(FAULT_READ, 4);
}

static void test_every_allocation_may_fail(void **state)
{
    sweep(FAULT_MALLOC, 100);
}

/* Making a store: a failure leaves nothing that a second try would stumble over. */
static void test_creation_may_fail(void **state)
{
    for (int kind = FAULT_WRITE; kind < N_FAULTS; kind++) {
        bool has_fired = true;
        for (int n = 1; has_fired; n = next_countdown(n)) {
            struct fixture f;
            fixture_init(&f);
            arm((enum fault)kind, n);
            struct store *st = open_anyhow(&f);
            has_fired = faults.has_fired;
            faults.is_armed = false;
            insert_job(&f, st, 1, "a");
            ops->close(st);
            fixture_fini(&f);
            assert_true(n < 9000);
        }
    }
}

/* Opening a store of version 1, which encrypts it: whatever fails, the next open finishes it. */
static void test_encrypting_may_fail(void **state)
{
    for (int kind = FAULT_WRITE; kind < N_FAULTS; kind++) {
        bool has_fired = true;
        for (int n = 1; has_fired; n += kind == FAULT_MALLOC ? 23 : 1) {
            struct fixture f;
            fixture_init(&f);
            make_old_store(f.path);
            arm((enum fault)kind, n);
            struct store *st = open_anyhow(&f);
            has_fired = faults.has_fired;
            faults.is_armed = false;
            assert_false(is_on_disk(&f, OLD_SECRET));
            look(st, &seen);
            check_old_store(&seen);
            ops->close(st);
            seen_fini(&seen);
            fixture_fini(&f);
            assert_true(n < 9000);
        }
    }
}

/* The same killed: at each synchronisation and write in turn. */
static void open_and_die(struct fixture *f, enum fault kind, int countdown)
{
    pid_t pid = fork();
    if (pid == 0) {
        faults.is_deadly = true;
        arm(kind, countdown);
        struct store *st = ops->open(f->path, "", &f->err);
        _exit(st != NULL ? 7 : 8);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    faults.has_fired = WIFSIGNALED(status);
    assert_true(faults.has_fired || WEXITSTATUS(status) == 7);
}

static void test_encrypting_may_be_killed(void **state)
{
    static const enum fault kinds[] = {FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        faults.has_fired = true;
        for (int n = 1; faults.has_fired; n = next_countdown(n)) {
            struct fixture f;
            fixture_init(&f);
            make_old_store(f.path);
            open_and_die(&f, kinds[i], n);
            struct store *st = must_open(&f);
            assert_false(is_on_disk(&f, OLD_SECRET));
            look(st, &seen);
            check_old_store(&seen);
            ops->close(st);
            seen_fini(&seen);
            fixture_fini(&f);
        }
    }
}

/* Writes tasks for ever, one byte to the pipe for each that is durable. Never returns. */
static void write_tasks(struct fixture *f, int64_t job_id, int fd)
{
    struct store *st = must_open(f);
    for (int64_t i = 1, committed = 0; i <= 90; i++) {
        char offset[32];
        (void)snprintf(offset, sizeof(offset), "{\"o\": %d}", (int)i);
        struct task_record t = sample_task(job_id, i, offset);
        struct task_end end = {.state = TASK_FAILED, .error = "e", .job = {.state = JOB_RUNNING}};
        t.stat.scanned_rows = 10;
        bool is_ok = ops->task_begin(st, &t, &f->err) == STORE_OK;
        if (i % 3 == 0) {
            is_ok = is_ok && ops->task_end(st, job_id, i, &end, &f->err) == STORE_OK;
        } else {
            is_ok = is_ok && ops->task_commit(st, &t, committed, NULL, &f->err) == STORE_OK;
            committed = i;
        }
        if (!is_ok || write(fd, "x", 1) != 1) {
            _exit(1);
        }
    }
    for (;;) {
        (void)pause();
    }
}

/* Kills the writer once it has told of `n` tasks; it is somewhere in the next one then. */
static void kill_after(struct fixture *f, int64_t job_id, int n)
{
    int fds[2];
    char byte = 0;
    int status = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        write_tasks(f, job_id, fds[1]);
    }
    (void)close(fds[1]);
    for (int i = 0; i < n; i++) {
        assert_int_equal(read(fds[0], &byte, 1), 1);
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(fds[0], &byte, 1) == 1) {
        n++; /* told before it died */
    }
    (void)close(fds[0]);
    struct store *st = must_open(f);
    look(st, &seen);
    assert_int_equal(seen.n_jobs, 1);
    check_invariants(&seen, 0);
    const struct job_record *job = &seen.jobs[0];
    assert_in_range(job->n_succeeded + job->n_failed, n, n + 1); /* all that was told, at least */
    assert_int_equal(ops->job_delete(st, job_id, &f->err), STORE_OK);
    ops->close(st);
}

static void test_kill_loses_nothing(void **state)
{
    struct fixture f;
    unsigned seed = 20240501;
    fixture_init(&f);
    for (int64_t id = 1; id <= 25; id++) {
        struct store *st = must_open(&f);
        insert_job(&f, st, id, "a");
        ops->close(st);
        kill_after(&f, id, 1 + (int)(rand_r(&seed) % 60));
    }
    seen_fini(&seen);
    fixture_fini(&f);
}

/* In a child, which cmocka's assertions must not leave: says why and ends. */
static void must(bool claim, const char *what, const struct err *err)
{
    if (!claim) {
        (void)fprintf(stderr, "not so: %s; %s\n", what, err->msg);
        _exit(1);
    }
}

static char *large_sql(void)
{
    enum { LARGE = 300 * 1024 };
    char *sql = malloc(LARGE + 1);
    assert_non_null(sql);
    memset(sql, 's', LARGE);
    sql[LARGE] = '\0';
    return sql;
}

/* The store is full between `fill` and `make_room`; it must say so, lose nothing and recover. */
static void live_through_full_disk(struct fixture *f, const char *reason,
                                   void (*fill)(const struct fixture *),
                                   void (*make_room)(const struct fixture *))
{
    struct store *st = ops->open(f->path, "", &f->err);
    must(st != NULL, "opened", &f->err);
    struct job_record job = sample_job(1, "a");
    must(ops->job_insert(st, &job, &f->err) == STORE_OK, "inserted", &f->err);
    job = sample_job(2, "b");
    job.sql = large_sql();
    fill(f);
    for (int i = 0; i < 3; i++) {
        must(ops->job_insert(st, &job, &f->err) == STORE_FAIL, "refused", &f->err);
        must(strstr(f->err.msg, reason) != NULL, "reason told", &f->err);
        must(strstr(f->err.msg, f->path) != NULL, "store named", &f->err);
    }
    must(ops->load(st, see, &seen, &f->err) && seen.n_jobs == 1, "readable", &f->err);
    seen_fini(&seen);
    make_room(f);
    must(ops->job_insert(st, &job, &f->err) == STORE_OK, "inserted later", &f->err);
    must(ops->load(st, see, &seen, &f->err) && seen.n_jobs == 2, "two jobs", &f->err);
    must(strlen(seen.jobs[1].sql) == strlen(job.sql), "whole text", &f->err);
    seen_fini(&seen);
    ops->close(st);
    free(job.sql);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    (void)setrlimit(RLIMIT_FSIZE, &limit);
}

static void forbid_growth(const struct fixture *f)
{
    (void)f;
    limit_file_size(128 * 1024);
}

static void allow_growth(const struct fixture *f)
{
    (void)f;
    limit_file_size(RLIM_INFINITY);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_file_size_limit(void **state)
{
    struct fixture f;
    fixture_init(&f);
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        (void)sigaction(SIGXFSZ, &ignore, NULL);
        live_through_full_disk(&f, "the file would pass the largest size", forbid_growth,
                               allow_growth);
        _exit(0);
    }
    assert_int_equal(wait_for(pid), 0);
    fixture_fini(&f);
}

static void fill_disk(const struct fixture *f)
{
    char path[128];
    static const char block[4096];
    (void)snprintf(path, sizeof(path), "%s/filler", f->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0, "filler made", &f->err);
    while (write(fd, block, sizeof(block)) > 0) {
    }
    (void)close(fd);
}

static void empty_disk(const struct fixture *f)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/filler", f->dir);
    must(unlink(path) == 0, "filler removed", &f->err);
}

enum { CANNOT_MOUNT = 77 };

/* A real full disk: 2 MB of tmpfs in a mount namespace of the child's own. Needs root. */
static void test_full_disk(void **state)
{
    struct fixture f;
    fixture_init(&f);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", f.dir, "tmpfs", 0, "size=2m") != 0) {
            _exit(CANNOT_MOUNT);
        }
        live_through_full_disk(&f, "the disk is full", fill_disk, empty_disk);
        _exit(0);
    }
    int status = wait_for(pid);
    fixture_fini(&f);
    if (status == CANNOT_MOUNT) {
        print_message("no right to mount: test_every_write_may_fail stands in\n");
        return;
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write_may_fail),
        cmocka_unit_test(test_every_sync_may_fail),
        cmocka_unit_test(test_every_truncate_may_fail),
        cmocka_unit_test(test_every_read_may_fail),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_creation_may_fail),
        cmocka_unit_test(test_encrypting_may_fail),
        cmocka_unit_test(test_encrypting_may_be_killed),
        cmocka_unit_test(test_kill_loses_nothing),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_full_disk),
    };
    install_faults();
    return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}
